/** Contents of regular files that live in memory: 64 KiB chunks, holes where nothing was written. */
import { errno, sysError } from '../abi/errno.ts';

const CHUNK = 65536;
const PAGE = 4096;

/** What an in-memory regular file needs of its contents. Positions and lengths are checked by the caller. */
export interface FileData {
  readonly size: number;
  /** Bytes of memory (or of the archive) they take, as st_blocks * 512. */
  readonly allocated: number;
  read(dst: Uint8Array, position: number): number;
  /** Writes at least one byte or throws ENOSPC. */
  write(src: Uint8Array, position: number): number;
  truncate(size: number): void;
  /** Makes `[offset, offset + length)` a hole as far as it lies in the file. */
  punch(offset: number, length: number): void;
  /** Reserves memory for the range, without changing the size. */
  reserve(offset: number, length: number): void;
  /** Start of data (hole) at or behind `offset`, which lies in the file; -1 when there is no more data. */
  seekData(offset: number): number;
  seekHole(offset: number): number;
}

/** How much memory a file system may take, shared by its files. */
export class MemoryBudget {
  used = 0;
  limit: number;
  constructor(limit: number) {
    this.limit = limit;
  }
  /** Throws ENOSPC when there are not `bytes` left. */
  take(bytes: number): void {
    if (this.used + bytes > this.limit) throw sysError(errno.ENOSPC);
    this.used += bytes;
  }
  give(bytes: number): void {
    this.used -= bytes;
  }
}

/** The host may have less memory than the budget says. */
function allocate(budget: MemoryBudget, bytes: number): Uint8Array {
  budget.take(bytes);
  try {
    return new Uint8Array(bytes);
  } catch {
    budget.give(bytes);
    throw sysError(errno.ENOSPC);
  }
}

export class ChunkedData implements FileData {
  size = 0;
  readonly #budget: MemoryBudget;
  /** Chunk number to its bytes; shorter than CHUNK only while nothing behind them was written. */
  readonly #chunks = new Map<number, Uint8Array>();

  constructor(budget: MemoryBudget) {
    this.#budget = budget;
  }

  get allocated(): number {
    let total = 0;
    for (const [n, chunk] of this.#chunks) {
      // Chunks grow by doubling; pages behind the end are not counted.
      const inFile = Math.max(0, Math.ceil((this.size - n * CHUNK) / PAGE) * PAGE);
      total += Math.min(chunk.length, inFile || chunk.length);
    }
    return total;
  }

  read(dst: Uint8Array, position: number): number {
    const total = Math.max(0, Math.min(dst.length, this.size - position));
    for (let done = 0; done < total; ) {
      const at = position + done;
      const offset = at % CHUNK;
      const n = Math.min(CHUNK - offset, total - done);
      const chunk = this.#chunks.get((at - offset) / CHUNK);
      const have = chunk ? Math.max(0, Math.min(n, chunk.length - offset)) : 0;
      if (have > 0) dst.set(chunk!.subarray(offset, offset + have), done);
      if (have < n) dst.fill(0, done + have, done + n);
      done += n;
    }
    return total;
  }

  write(src: Uint8Array, position: number): number {
    let done = 0;
    while (done < src.length) {
      const at = position + done;
      const offset = at % CHUNK;
      const n = Math.min(CHUNK - offset, src.length - done);
      let chunk: Uint8Array;
      try {
        chunk = this.#chunk((at - offset) / CHUNK, offset + n);
      } catch (e) {
        if (done === 0) throw e;
        break;
      }
      chunk.set(n === src.length ? src : src.subarray(done, done + n), offset);
      done += n;
    }
    if (position + done > this.size) this.size = position + done;
    return done;
  }

  /** A chunk with room for `bytes` bytes. */
  #chunk(n: number, bytes: number): Uint8Array {
    const have = this.#chunks.get(n);
    if (have && have.length >= bytes) return have;
    let length = Math.max(PAGE, have ? have.length * 2 : PAGE);
    while (length < bytes) length *= 2;
    const chunk = allocate(this.#budget, length);
    if (have) {
      chunk.set(have);
      this.#budget.give(have.length);
    }
    this.#chunks.set(n, chunk);
    return chunk;
  }

  #drop(n: number): void {
    const chunk = this.#chunks.get(n);
    if (!chunk) return;
    this.#budget.give(chunk.length);
    this.#chunks.delete(n);
  }

  truncate(size: number): void {
    if (size < this.size) {
      const first = Math.ceil(size / CHUNK);
      for (const n of [...this.#chunks.keys()]) if (n >= first) this.#drop(n);
      const offset = size % CHUNK;
      if (offset > 0) this.#chunks.get((size - offset) / CHUNK)?.fill(0, offset);
    }
    this.size = size;
  }

  punch(offset: number, length: number): void {
    const end = Math.min(offset + length, Math.ceil(this.size / CHUNK) * CHUNK);
    const first = Math.floor(offset / CHUNK);
    const last = Math.ceil(end / CHUNK);
    // A huge range over a sparse file: look at the chunks there are.
    for (const [n, chunk] of [...this.#chunks]) {
      if (n < first || n >= last) continue;
      const start = n * CHUNK;
      if (offset <= start && end >= start + CHUNK) this.#drop(n);
      else chunk.fill(0, Math.max(0, offset - start), Math.max(0, Math.min(chunk.length, end - start)));
    }
  }

  reserve(offset: number, length: number): void {
    const end = offset + length;
    // Refused at once rather than after filling memory.
    if (length > this.#budget.limit) throw sysError(errno.ENOSPC);
    for (let at = offset - (offset % CHUNK); at < end; at += CHUNK) this.#chunk(at / CHUNK, Math.min(CHUNK, end - at));
  }

  seekData(offset: number): number {
    const first = Math.floor(offset / CHUNK);
    if (this.#chunks.has(first)) return offset;
    let best = Number.POSITIVE_INFINITY;
    for (const n of this.#chunks.keys()) if (n > first && n < best) best = n;
    return best * CHUNK < this.size ? best * CHUNK : -1;
  }
  seekHole(offset: number): number {
    let n = Math.floor(offset / CHUNK);
    if (!this.#chunks.has(n)) return offset;
    while (this.#chunks.has(n) && n * CHUNK < this.size) n++;
    return Math.min(n * CHUNK, this.size);
  }

  /** Returns the memory. */
  free(): void {
    for (const n of [...this.#chunks.keys()]) this.#drop(n);
    this.size = 0;
  }
}
