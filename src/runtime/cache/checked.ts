/** Files with a checksum: the name of their format, the checksum of the rest, and the rest. */
const NAME = 8;
const CHECKSUM = 8;
const HEADER = NAME + CHECKSUM;

/** SHA-256 of what others may name by it. Loading node:crypto takes 5 ms: files that a warm run reads do without. */
export const sha256 = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = process.getBuiltinModule('node:crypto').createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
export const sha256Hex = (...parts: readonly Uint8Array[]): string => sha256(...parts).toString('hex');

/**
 * 64 bits that tell damage, not intent: two sums of the form of FNV-1a over 32-bit little-endian words, each with the
 * finaliser of MurmurHash3, so that a word changed anywhere changes both halves.
 */
export function checksum(bytes: Uint8Array): Buffer {
  const length = bytes.length;
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  const words = new Uint32Array(aligned.buffer, aligned.byteOffset, length >>> 2);
  let rest = 0;
  for (let at = length & ~3; at < length; at++) rest |= bytes[at]! << ((at & 3) * 8);
  const out = Buffer.alloc(CHECKSUM);
  const [low, high] = checksumOf(words, rest, length);
  out.writeUInt32LE(low, 0);
  out.writeUInt32LE(high, 4);
  return out;
}
/** The same of words: both halves. */
export function checksumOf(words: Uint32Array, rest = 0, length = words.length * 4): [number, number] {
  let low = 0x811c9dc5 ^ length;
  let high = 0x9747b28c ^ length;
  for (let k = 0; k <= words.length; k++) {
    const word = k < words.length ? words[k]! : rest;
    low = Math.imul(low ^ word, 0x01000193);
    low ^= low >>> 15;
    high = Math.imul(high + word, 0x5bd1e995);
    high ^= high >>> 13;
  }
  return [finish(low) >>> 0, finish(high) >>> 0];
}
function finish(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** `format`: 8 ASCII characters. */
export function sealed(format: string, payload: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(format, 'latin1').subarray(0, NAME), checksum(payload), payload]);
}

/** The payload; null when the file is of another format, or damaged. */
export function unsealed(format: string, file: Buffer): Buffer | null {
  if (file.length < HEADER || file.toString('latin1', 0, NAME) !== format) return null;
  const payload = file.subarray(HEADER);
  return checksum(payload).equals(file.subarray(NAME, HEADER)) ? payload : null;
}
