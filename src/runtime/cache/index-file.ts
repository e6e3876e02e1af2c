/**
 * The index of one image's translations: which modules there are, and what they were made from. The modules' code lies beside
 * it in plain .wasm files, each named by its SHA-256.
 *
 * After the name of the format and a checksum come little-endian 32-bit words, which the checksum is of: the number of modules, the
 * number of entries, the entries' guest addresses in ascending order, the module of each, the end of each module's description,
 * the checksum of each description (2); then these descriptions, in MessagePack. A run reads only the few that it needs: the
 * index of a large program has thousands.
 */
import type { CompiledRegion } from '../../translator/wasm/region-module.ts';
import { type BlockFile, inMemory } from './block-store.ts';
import { checksum } from './checked.ts';
import { type Packed, unpack } from './msgpack.ts';
import { placeOf, positionOf } from './sorted.ts';

export const INDEX_FORMAT = 'UKTXIDX4';
/** Of one image: more are dropped, the oldest first. */
export const MAX_MODULES = 5000;
const ADDRESSES = 2 ** 32;

export interface CachedModule {
  /** SHA-256 of the Wasm bytes in hexadecimal: name of their file. */
  wasm: string;
  /** Checksum of these bytes: to tell damage takes no cryptography, which a short run would load for nothing else. */
  sum: Uint8Array;
  /** Checksum of the guest bytes it depends on: `ranges` of its regions in order, then `looked`. */
  guest: Uint8Array;
  regions: CompiledRegion[];
  /** Further guest bytes that the translator looked at: [start, end) pairs. */
  looked: [number, number][];
  links: number[];
  tables: Uint8Array;
}

/** Later modules are better. */
export type ImageIndex = CachedModule[];

/** Guest addresses that a module has functions for, with their names. */
export function* entriesOf(module: { regions: readonly CompiledRegion[] }): Generator<{ pc: number; name: string }> {
  for (const r of module.regions) {
    yield { pc: r.pc, name: r.name };
    yield* r.entries;
  }
}

/** Checksum of guest bytes at `ranges`: see CachedModule. The image they lie in is known by its SHA-256. */
export const guestChecksum = (guest: Uint8Array, ranges: readonly (readonly [number, number])[]): Buffer =>
  checksum(Buffer.concat(ranges.map(([start, end]) => guest.subarray(start, end))));

/** What a module was made from, as one list. */
export const dependencies = (module: {
  regions: readonly CompiledRegion[];
  looked: readonly [number, number][];
}): [number, number][] => [...module.regions.flatMap((r) => r.ranges), ...module.looked];

/** A module as it is packed: an array, without names, to be short. */
export function toPacked(m: CachedModule): unknown {
  const flat = (pairs: readonly (readonly [number, number])[]): number[] => pairs.flat();
  return [
    m.wasm,
    m.sum,
    m.guest,
    m.regions.map((r) => [
      r.pc,
      r.name,
      flat(r.ranges),
      r.guestInstructions,
      r.raisesFloatFlags,
      r.entries.flatMap((e) => [e.pc, e.name]),
    ]),
    flat(m.looked),
    m.links,
    m.tables,
  ];
}

class Malformed extends Error {}

function list(value: Packed | undefined): Packed[] {
  if (!Array.isArray(value)) throw new Malformed('no list');
  return value;
}
function text(value: Packed | undefined): string {
  if (typeof value !== 'string') throw new Malformed('no string');
  return value;
}
function bytes(value: Packed | undefined): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new Malformed('no bytes');
  return value;
}
function whole(value: Packed | undefined, most = ADDRESSES): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0 || (value as number) > most)
    throw new Malformed('no number');
  return value as number;
}
/** Bytes that are no code, but lie behind a branch, may well be a call out of the guest's memory. */
const target = (value: Packed): number => whole(value, Number.MAX_SAFE_INTEGER);
function pairs(value: Packed | undefined): [number, number][] {
  const flat = list(value).map((v) => whole(v));
  if (flat.length % 2 !== 0) throw new Malformed('an odd list');
  const out: [number, number][] = [];
  for (let k = 0; k < flat.length; k += 2) {
    if (flat[k]! >= flat[k + 1]!) throw new Malformed('an empty range');
    out.push([flat[k]!, flat[k + 1]!]);
  }
  return out;
}
function region(value: Packed): CompiledRegion {
  const [pc, name, ranges, instructions, raises, entries] = list(value);
  const flat = list(entries);
  const further: { pc: number; name: string }[] = [];
  for (let k = 0; k < flat.length; k += 2) further.push({ pc: whole(flat[k]), name: text(flat[k + 1]) });
  return {
    pc: whole(pc),
    name: text(name),
    ranges: pairs(ranges),
    guestInstructions: whole(instructions),
    raisesFloatFlags: raises === true,
    entries: further,
  };
}

function moduleOf(value: Packed): CachedModule {
  const [wasm, sum, guest, regions, looked, links, tables] = list(value);
  if (!/^[0-9a-f]{64}$/.test(text(wasm))) throw new Malformed('no hash');
  return {
    wasm: text(wasm),
    sum: bytes(sum),
    guest: bytes(guest),
    regions: list(regions).map(region),
    looked: pairs(looked),
    links: list(links).map(target),
    tables: bytes(tables),
  };
}

/** Words at the start of the head; bytes before it. */
const HEAD = 2;
const BEFORE = 16;

/** Words of the head of an index. */
const headWords = (modules: number, entries: number): number => HEAD + 2 * entries + 3 * modules;

/** What stands before the descriptions. */
export function indexHead(words: Uint32Array): Buffer {
  const bytes = Buffer.from(words.buffer, words.byteOffset, words.byteLength);
  return Buffer.concat([Buffer.from(INDEX_FORMAT, 'latin1'), checksum(bytes), bytes]);
}

/** An index whose modules are read and unpacked when they are asked for. */
export class IndexView {
  readonly #pcs: Uint32Array;
  readonly #modules: Uint32Array;
  readonly #ends: Uint32Array;
  readonly #sums: Buffer;
  readonly #file: BlockFile;
  /** Where the descriptions begin. */
  readonly #at: number;
  readonly #unpacked: (CachedModule | null | undefined)[] = [];

  private constructor(words: Uint32Array, file: BlockFile) {
    const [modules, entries] = words as unknown as [number, number];
    let at = HEAD;
    const column = (length: number): Uint32Array => words.subarray(at, (at += length));
    this.#pcs = column(entries);
    this.#modules = column(entries);
    this.#ends = column(modules);
    const sums = column(2 * modules);
    this.#sums = Buffer.from(sums.buffer, sums.byteOffset, sums.byteLength);
    this.#file = file;
    this.#at = BEFORE + words.length * 4;
  }
  /** Null when its head is damaged, its length is wrong, or it is none of ours. It is read as long as there is the view. */
  static open(source: Buffer | BlockFile): IndexView | null {
    const file = Buffer.isBuffer(source) ? inMemory(source) : source;
    const first = file.read(0, BEFORE + HEAD * 4);
    if (!first || first.length < BEFORE + HEAD * 4 || first.toString('latin1', 0, 8) !== INDEX_FORMAT) return null;
    const size = headWords(first.readUInt32LE(BEFORE), first.readUInt32LE(BEFORE + 4)) * 4;
    const head = BEFORE + size <= file.size ? file.read(BEFORE, size) : null;
    if (head?.length !== size || !checksum(head).equals(first.subarray(8, BEFORE))) return null;
    const aligned = head.byteOffset % 4 === 0 ? head : Buffer.from(new Uint8Array(head).buffer as ArrayBuffer);
    const view = new IndexView(new Uint32Array(aligned.buffer as ArrayBuffer, aligned.byteOffset, size / 4), file);
    return view.#at + (view.#ends.at(-1) ?? 0) === file.size ? view : null;
  }
  /** Number of entries. */
  get size(): number {
    return this.#pcs.length;
  }
  #find(pc: number): number {
    return positionOf(this.#pcs, pc);
  }
  has(pc: number): boolean {
    return this.#find(pc) >= 0;
  }
  /** Entries from `first` to `last`. */
  between(first: number, last: number): Uint32Array {
    return this.#pcs.subarray(placeOf(this.#pcs, first), placeOf(this.#pcs, last + 1));
  }
  /** The best module for an entry; null when there is none, or it makes no sense. */
  get(pc: number): CachedModule | null {
    const at = this.#find(pc);
    return at < 0 ? null : this.#module(this.#modules[at]!);
  }
  #module(k: number): CachedModule | null {
    if (k >= this.#ends.length) return null;
    const known = this.#unpacked[k];
    if (known !== undefined) return known;
    let module: CachedModule | null = null;
    try {
      const start = k === 0 ? 0 : this.#ends[k - 1]!;
      const end = this.#ends[k]!;
      const bytes = start <= end ? this.#file.read(this.#at + start, end - start) : null;
      const sum = this.#sums.subarray(8 * k, 8 * k + 8);
      if (bytes?.length === end - start && checksum(bytes).equals(sum)) module = moduleOf(unpack(bytes));
    } catch (e) {
      if (!(e instanceof Malformed) && !(e instanceof RangeError)) throw e;
    }
    this.#unpacked[k] = module;
    return module;
  }
  /** All modules; null when one is damaged. */
  all(): ImageIndex | null {
    const whole = this.whole();
    return whole.length === this.#ends.length ? whole : null;
  }
  /** Those that are not damaged. */
  whole(): ImageIndex {
    const out: ImageIndex = [];
    for (let k = 0; k < this.#ends.length; k++) {
      const module = this.#module(k);
      if (module) out.push(module);
    }
    return out;
  }
}

/** All of an index; null when any of the file is damaged, or it is none of ours. */
export const parseIndex = (file: Buffer): ImageIndex | null => IndexView.open(file)?.all() ?? null;

/** Both together; where both have a module for an entry, that of `newer` counts. Modules nothing is left of go. */
export function mergeIndexes(older: ImageIndex, newer: ImageIndex): ImageIndex {
  const modules: CachedModule[] = [];
  const taken = new Set<number>();
  const seen = new Set<string>();
  for (const m of [...older, ...newer].reverse()) {
    if (seen.has(m.wasm) || modules.length >= MAX_MODULES) continue;
    let needed = false;
    for (const { pc } of entriesOf(m))
      if (!taken.has(pc)) {
        taken.add(pc);
        needed = true;
      }
    if (!needed) continue;
    seen.add(m.wasm);
    modules.push(m);
  }
  return modules.reverse();
}
