/**
 * Load addresses of ELF images, the same for one file in every process (as prelink(8) did), so that translations made
 * for an image fit wherever it is loaded again. A file seen for the first time gets an address derived from its name
 * and size alone, so that separate runs and other machines mostly agree; collisions go to the next free place.
 */
import type { Stat } from '../fs/inode.ts';

/** Images start at multiples of 64 KiB, the largest page size of either ISA. */
export const IMAGE_ALIGN = 65536;

export class LoadAddressBook {
  #addresses = new Map<string, number>();

  static key(stat: Stat): string {
    return `${stat.dev}:${stat.ino}:${stat.mtime.sec}.${stat.mtime.nsec}:${stat.size}`;
  }

  /** Where to try first for an image of `length` bytes inside `[low, high)`. */
  preferred(stat: Stat, path: string, length: number, low: number, high: number): number {
    const known = this.#addresses.get(LoadAddressBook.key(stat));
    if (known !== undefined && known >= low && known + length <= high) return known;
    const first = Math.ceil(low / IMAGE_ALIGN);
    const slots = Math.floor((high - length) / IMAGE_ALIGN) - first + 1;
    if (slots <= 0) return low;
    return (first + (hash(`${path.slice(path.lastIndexOf('/') + 1)}:${stat.size}`) % slots)) * IMAGE_ALIGN;
  }

  /** Remembers where a file has been loaded; the first place stays. */
  remember(stat: Stat, address: number): void {
    const key = LoadAddressBook.key(stat);
    if (!this.#addresses.has(key)) this.#addresses.set(key, address);
  }
}

/** FNV-1a with a final mix, 32 bits: cheap, and the same everywhere. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return (h ^ (h >>> 15)) >>> 0;
}
