/** Symbol look-up in an ELF image mapped at 0, by DT_HASH and by DT_GNU_HASH (gABI chapter 5; binutils' description). */

export interface Sym {
  name: string;
  value: number;
  size: number;
  binding: number;
  type: number;
  version: string;
}
export interface Dynamic {
  view: DataView;
  tags: Map<number, number>;
  loads: { offset: number; address: number; flags: number }[];
  soname: string;
  symbols: Sym[];
}

const [DT_HASH, DT_STRTAB, DT_SYMTAB, DT_SONAME, DT_GNU_HASH] = [4, 5, 6, 14, 0x6ffffef5];
const [DT_VERSYM, DT_VERDEF, DT_VERDEFNUM] = [0x6ffffff0, 0x6ffffffc, 0x6ffffffd];

export function readDynamic(image: Uint8Array): Dynamic {
  const view = new DataView(image.buffer, image.byteOffset, image.length);
  const u64 = (at: number): number => Number(view.getBigUint64(at, true));
  const tags = new Map<number, number>();
  const loads: Dynamic['loads'] = [];
  for (let k = 0; k < view.getUint16(56, true); k++) {
    const at = u64(32) + k * 56;
    const kind = view.getUint32(at, true);
    if (kind === 1) loads.push({ offset: u64(at + 8), address: u64(at + 16), flags: view.getUint32(at + 4, true) });
    if (kind === 2) for (let d = u64(at + 8); u64(d) !== 0; d += 16) tags.set(u64(d), u64(d + 8));
  }
  const text = (at: number): string => {
    let end = tags.get(DT_STRTAB)! + at;
    while (image[end] !== 0) end++;
    return Buffer.from(image.subarray(tags.get(DT_STRTAB)! + at, end)).toString('latin1');
  };
  const versions = new Map<number, string>();
  for (let k = 0, at = tags.get(DT_VERDEF)!; k < tags.get(DT_VERDEFNUM)!; k++, at += view.getUint32(at + 16, true))
    versions.set(view.getUint16(at + 4, true), text(view.getUint32(at + view.getUint32(at + 12, true), true)));
  const symbols: Sym[] = [];
  for (let k = 0; k < view.getUint32(tags.get(DT_HASH)! + 4, true); k++) {
    const at = tags.get(DT_SYMTAB)! + k * 24;
    symbols.push({
      name: text(view.getUint32(at, true)),
      value: u64(at + 8),
      size: u64(at + 16),
      binding: image[at + 4]! >> 4,
      type: image[at + 4]! & 15,
      version: versions.get(view.getUint16(tags.get(DT_VERSYM)! + k * 2, true) & 0x7fff) ?? '',
    });
  }
  return { view, tags, loads, soname: text(tags.get(DT_SONAME)!), symbols };
}

function sysvHash(name: string): number {
  let h = 0;
  for (const c of name) {
    h = ((h << 4) + c.charCodeAt(0)) >>> 0;
    h = (h ^ ((h & 0xf000_0000) >>> 24)) & 0x0fff_ffff;
  }
  return h;
}
function gnuHash(name: string): number {
  let h = 5381;
  for (const c of name) h = (Math.imul(h, 33) + c.charCodeAt(0)) >>> 0;
  return h;
}

export function lookup({ view, tags, symbols }: Dynamic, name: string, by: 'sysv' | 'gnu'): Sym | null {
  const u32 = (at: number): number => view.getUint32(at, true);
  if (by === 'sysv') {
    const at = tags.get(DT_HASH)!;
    const buckets = u32(at);
    const chains = at + 8 + buckets * 4;
    for (let k = u32(at + 8 + (sysvHash(name) % buckets) * 4); k !== 0; k = u32(chains + k * 4))
      if (symbols[k]!.name === name) return symbols[k]!;
    return null;
  }
  const at = tags.get(DT_GNU_HASH)!;
  const [buckets, first, words, shift] = [0, 4, 8, 12].map((k) => u32(at + k)) as [number, number, number, number];
  const hash = gnuHash(name);
  const bloom = view.getBigUint64(at + 16 + (Math.floor(hash / 64) % words) * 8, true);
  for (const bit of [hash % 64, (hash >>> shift) % 64]) if (!((bloom >> BigInt(bit)) & 1n)) return null;
  const table = at + 16 + words * 8;
  let k = u32(table + (hash % buckets) * 4);
  if (k === 0) return null;
  for (; ; k++) {
    const entry = u32(table + buckets * 4 + (k - first) * 4);
    if ((entry | 1) === (hash | 1) && symbols[k]!.name === name) return symbols[k]!;
    if (entry & 1) return null;
  }
}
