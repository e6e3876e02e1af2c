/** Every byte with a bit flipped, and every length cut. */
export function* damaged(file: Buffer): Generator<Buffer> {
  for (let at = 0; at < file.length; at++) {
    const copy = Buffer.from(file);
    copy[at]! ^= 1 << (at % 8);
    yield copy;
  }
  for (let length = 0; length < file.length; length++) yield file.subarray(0, length);
}
