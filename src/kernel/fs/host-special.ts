/**
 * FIFOs and sockets that a guest makes in a folder of the host. Node can make neither, so the host gets an empty file in
 * their place, which has the name, the owner and the rights; what it stands for is known here, until the run ends.
 */
import type { BigIntStats } from 'node:fs';
import { S_IFMT } from './inode.ts';

export class HostSpecials<T> {
  readonly #known = new Map<string, { type: bigint; inode: T }>();

  get size(): number {
    return this.#known.size;
  }
  /** The file that `st` describes stands for something of type `type` (S_IFIFO, S_IFSOCK). */
  add(st: BigIntStats, type: number, inode: T): void {
    this.#known.set(keyOf(st), { type: BigInt(type), inode });
  }
  /** Gives `st` the type of what the file stands for; that one's inode, null for an ordinary file. */
  apply(st: BigIntStats): T | null {
    const found = this.#known.size > 0 ? this.#known.get(keyOf(st)) : undefined;
    if (!found) return null;
    st.mode = (st.mode & ~BigInt(S_IFMT)) | found.type;
    return found.inode;
  }
}

/** A number may go to another file once this one is removed; its birth does not. */
const keyOf = (st: BigIntStats): string => `${st.dev}:${st.ino}:${st.birthtimeNs}`;
