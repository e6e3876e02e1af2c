/** A first-in first-out queue of bytes. */
export class ByteQueue {
  #chunks: Uint8Array[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }
  /** Keeps a copy. */
  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#chunks.push(bytes.slice());
    this.#length += bytes.length;
  }
  /** Moves out as many bytes as there are, at most `dst.length`; returns how many. */
  take(dst: Uint8Array): number {
    let done = 0;
    let used = 0;
    while (done < dst.length && used < this.#chunks.length) {
      const chunk = this.#chunks[used]!;
      const part = chunk.subarray(0, dst.length - done);
      dst.set(part, done);
      done += part.length;
      if (part.length === chunk.length) used++;
      else this.#chunks[used] = chunk.subarray(part.length);
    }
    if (used > 0) this.#chunks.splice(0, used);
    this.#length -= done;
    return done;
  }
  clear(): void {
    this.#chunks = [];
    this.#length = 0;
  }
}
