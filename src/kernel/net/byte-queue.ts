/** A queue of bytes: what a stream socket has received and the guest has not read yet. */
import { copyBytes } from '../mm/copy-bytes.ts';

const SMALL = 4096;
const LARGE = 65536;
/** Buffers kept for the next writes, by size. */
const spare: Record<number, Uint8Array[]> = { [SMALL]: [], [LARGE]: [] };
const KEPT: Record<number, number> = { [SMALL]: 1024, [LARGE]: 32 };

interface Chunk {
  readonly data: Uint8Array;
  start: number;
  end: number;
}

function newChunk(wanted: number): Chunk {
  const size = wanted <= SMALL / 2 ? SMALL : LARGE;
  return { data: spare[size]!.pop() ?? new Uint8Array(size), start: 0, end: 0 };
}
function recycle({ data }: Chunk): void {
  const list = spare[data.length]!;
  if (list.length < KEPT[data.length]!) list.push(data);
}

export class ByteQueue {
  #chunks: Chunk[] = [];
  #length = 0;

  /** Bytes in the queue. */
  get length(): number {
    return this.#length;
  }

  /** Copies all of `src` in. */
  push(src: Uint8Array): void {
    let done = 0;
    const last = this.#chunks.at(-1);
    if (last && last.end < last.data.length) done = this.#fill(last, src, 0);
    while (done < src.length) {
      const chunk = newChunk(src.length - done);
      this.#chunks.push(chunk);
      done += this.#fill(chunk, src, done);
    }
    this.#length += src.length;
  }
  #fill(chunk: Chunk, src: Uint8Array, from: number): number {
    const n = Math.min(src.length - from, chunk.data.length - chunk.end);
    copyBytes(src, from, n, chunk.data, chunk.end);
    chunk.end += n;
    return n;
  }

  /** Moves up to `dst.length` bytes out. */
  take(dst: Uint8Array): number {
    let done = 0;
    while (done < dst.length) {
      const chunk = this.#chunks[0];
      if (!chunk) break;
      const n = Math.min(dst.length - done, chunk.end - chunk.start);
      copyBytes(chunk.data, chunk.start, n, dst, done);
      done += n;
      this.#drop(chunk, n);
    }
    return done;
  }
  /** Copies without taking, from `offset` on. */
  peek(dst: Uint8Array, offset = 0): number {
    let skip = offset;
    let done = 0;
    for (const chunk of this.#chunks) {
      const have = chunk.end - chunk.start;
      if (skip >= have) {
        skip -= have;
        continue;
      }
      const n = Math.min(dst.length - done, have - skip);
      dst.set(chunk.data.subarray(chunk.start + skip, chunk.start + skip + n), done);
      skip = 0;
      done += n;
      if (done === dst.length) break;
    }
    return done;
  }
  /** Throws up to `count` bytes away; how many. */
  skip(count: number): number {
    let done = 0;
    while (done < count) {
      const chunk = this.#chunks[0];
      if (!chunk) break;
      const n = Math.min(count - done, chunk.end - chunk.start);
      done += n;
      this.#drop(chunk, n);
    }
    return done;
  }
  #drop(chunk: Chunk, n: number): void {
    chunk.start += n;
    this.#length -= n;
    if (chunk.start < chunk.end) return;
    if (this.#chunks.length === 1) this.#chunks.pop();
    else this.#chunks.shift();
    recycle(chunk);
  }
  clear(): void {
    for (const chunk of this.#chunks) recycle(chunk);
    this.#chunks = [];
    this.#length = 0;
  }
}
