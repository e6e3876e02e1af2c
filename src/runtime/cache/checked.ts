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
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let low = 0x811c9dc5 ^ bytes.length;
  let high = 0x9747b28c ^ bytes.length;
  const add = (word: number): void => {
    low = Math.imul(low ^ word, 0x01000193);
    low ^= low >>> 15;
    high = Math.imul(high + word, 0x5bd1e995);
    high ^= high >>> 13;
  };
  const whole = bytes.length & ~3;
  for (let at = 0; at < whole; at += 4) add(view.getInt32(at, true));
  let rest = 0;
  for (let at = whole; at < bytes.length; at++) rest |= bytes[at]! << ((at - whole) * 8);
  add(rest);
  const out = Buffer.alloc(CHECKSUM);
  out.writeInt32LE(finish(low), 0);
  out.writeInt32LE(finish(high), 4);
  return out;
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
