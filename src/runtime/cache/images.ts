/**
 * Guest code that can be kept: executable mappings of files that have never been writable, each an image. An image is known
 * by the SHA-256 of the file's bytes that are mapped and by its address, since translations hold guest addresses.
 */
import { vdsoImage } from '../../kernel/loader/vdso.ts';
import type { AddressSpace } from '../../kernel/mm/address-space.ts';
import type { Stat } from '../../kernel/fs/inode.ts';
import { PROT_EXEC, PROT_WRITE } from '../../kernel/mm/guest-memory.ts';
import { pageUp } from '../../kernel/mm/layout.ts';
import type { Isa } from '../../kernel/task/cpu-context.ts';
import { checksum, sealed, sha256Hex, unsealed } from './checked.ts';
import type { CacheFolder } from './folder.ts';

/** Where code comes from, as the cache needs to know it. */
export interface CodeMapping {
  readonly start: number;
  /** End of the file's bytes. */
  readonly end: number;
  /** Equal keys mean equal bytes: device, inode, size, times and place in the file. Null: not known well enough. */
  readonly key: string | null;
  /** What the bytes are, unless somebody has written to them. */
  readonly usual?: readonly Uint8Array[];
  /** For people: the file's path. */
  readonly label: string;
  /** Place in the file of `start`. */
  readonly offset: number;
}

export interface CodeMappings {
  /** The mapping at `pc`; null when its code is not to be kept. */
  at(pc: number): CodeMapping | null;
}

/** Key of a mapping of `length` bytes at `offset` of a file. */
export const fileKey = ({ dev, ino, size, mtime, ctime }: Stat, offset: number, length: number): string =>
  `${dev}:${ino}:${size}:${mtime.sec}.${mtime.nsec}:${ctime.sec}.${ctime.nsec}:${offset}+${length}`;

export const VDSO = '[vdso]';
const vdsoImages = (): Uint8Array[] => [vdsoImage('x86_64'), vdsoImage('aarch64')];

/** The mappings of an address space. */
export class AddressSpaceMappings implements CodeMappings {
  readonly #mm: AddressSpace;
  constructor(mm: AddressSpace) {
    this.#mm = mm;
  }
  at(pc: number): ReturnType<CodeMappings['at']> {
    const vma = this.#mm.find(pc);
    // Its bytes are looked at in each run, and compared at each use: nobody needs to know whether they have been written to.
    if (vma?.name === VDSO && (vma.prot & (PROT_EXEC | PROT_WRITE)) === PROT_EXEC)
      return { start: vma.start, end: vma.end, key: null, usual: vdsoImages(), label: VDSO, offset: 0 };
    if (!vma?.file || !vma.pristine || vma.shared || (vma.prot & (PROT_EXEC | PROT_WRITE)) !== PROT_EXEC) return null;
    const stat = vma.file.stat();
    // A file of this run's memory has numbers that another run gives to another file.
    const lasting = stat.mtime.sec > 0 && vma.stamp !== null;
    return {
      start: vma.start,
      end: vma.eof,
      key: lasting ? fileKey(stat, vma.offset, vma.eof - vma.start) : null,
      label: vma.label,
      offset: vma.offset,
    };
  }
}

const HASHES_FORMAT = 'UKTXSHA1';
const HASHES = 'files';
const MAX_HASHES = 4000;

export interface Image {
  readonly start: number;
  readonly end: number;
  readonly label: string;
  readonly offset: number;
  /** Folder of its translations, below the cache's. */
  readonly folder: string;
}

export const ORIGIN = 'origin';

/** Notes beside an image's translations what it is, for `uktx cache`. */
export function noteOrigin(folder: CacheFolder, image: Image): void {
  const path = folder.file(image.folder, ORIGIN);
  if (folder.has(path)) return;
  const { label, offset, start, end } = image;
  folder.write(path, Buffer.from(`${JSON.stringify({ file: label, offset, start, end })}\n`));
}

/** Folder name of an image. */
export const imageFolder = (version: string, isa: Isa, hash: string, start: number): string =>
  `${version}/${isa}-${hash}-${start.toString(16)}`;

/** A key for bytes that are those of `usual`, with zeros behind them; else null. Loading what computes SHA-256 takes 5 ms and more. */
function usualKey(usual: readonly Uint8Array[], bytes: Uint8Array): string | null {
  for (const known of usual) {
    const { length } = known;
    if (length > bytes.length || Buffer.compare(known, bytes.subarray(0, length)) !== 0) continue;
    const rest = bytes.subarray(length);
    if (Buffer.compare(rest, new Uint8Array(rest.length)) === 0)
      return `usual:${bytes.length}:${checksum(known).toString('hex')}`;
  }
  return null;
}

/** The hashes of files seen before, by key, so that a warm start need not read every library as a whole. */
export class ImageHashes {
  readonly #folder: CacheFolder;
  #known: Map<string, string> | null = null;

  constructor(folder: CacheFolder) {
    this.#folder = folder;
  }
  #load(): Map<string, string> {
    if (this.#known) return this.#known;
    this.#known = new Map();
    const file = this.#folder.read(this.#folder.file(HASHES));
    const payload = file && unsealed(HASHES_FORMAT, file);
    if (file && !payload) this.#folder.complain(`${this.#folder.file(HASHES)} is damaged`);
    for (const line of payload?.toString('latin1').split('\n') ?? []) {
      const [key, hash] = line.split(' ');
      if (key && /^[0-9a-f]{64}$/.test(hash ?? '')) this.#known.set(key, hash!);
    }
    return this.#known;
  }
  /** Hashes the usual vDSO, as a run maps it. */
  rememberVdso(isa: Isa): void {
    const image = vdsoImage(isa);
    const bytes = new Uint8Array(pageUp(image.length));
    bytes.set(image);
    this.of({ start: 0, end: bytes.length, key: null, usual: [image], label: VDSO, offset: 0 }, bytes);
  }
  /** SHA-256 in hexadecimal of the bytes at a mapping. */
  of(mapping: CodeMapping, guest: Uint8Array): string {
    const bytes = guest.subarray(mapping.start, mapping.end);
    const key = mapping.key ?? usualKey(mapping.usual ?? [], bytes);
    const known = key === null ? undefined : this.#load().get(key);
    if (known !== undefined) return known;
    const hash = sha256Hex(bytes);
    if (key !== null) this.remember(key, hash);
    return hash;
  }
  /** Notes the hash of what `key` stands for. */
  remember(key: string, hash: string): void {
    if (this.#load().get(key) === hash) return;
    // Somebody else may have added some in the meantime.
    this.#known = null;
    const known = this.#load();
    known.set(key, hash);
    const lines = [...known].slice(-MAX_HASHES).map(([k, h]) => `${k} ${h}\n`);
    this.#folder.write(this.#folder.file(HASHES), sealed(HASHES_FORMAT, Buffer.from(lines.join(''), 'latin1')));
  }
}
