/** Copying short pieces of memory, such as requests and answers of servers. */

/** Up to here a loop is faster than making a view for `set`. */
const SHORT = 128;

/** Copies `length` bytes of `src` from `from` on to `dst` at `to`. Both ranges are inside, and do not overlap. */
export function copyBytes(src: Uint8Array, from: number, length: number, dst: Uint8Array, to: number): void {
  if (length > SHORT) {
    dst.set(src.subarray(from, from + length), to);
    return;
  }
  for (let k = 0; k < length; k++) dst[to + k] = src[from + k]!;
}
