/** Files with a checksum: the name of their format, SHA-256 of the rest, and the rest. */
import { createHash } from 'node:crypto';

const NAME = 8;
const DIGEST = 32;
const HEADER = NAME + DIGEST;

export const sha256 = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
export const sha256Hex = (...parts: readonly Uint8Array[]): string => sha256(...parts).toString('hex');

/** `format`: 8 ASCII characters. */
export function sealed(format: string, payload: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(format, 'latin1').subarray(0, NAME), sha256(payload), payload]);
}

/** The payload; null when the file is of another format, or damaged. */
export function unsealed(format: string, file: Buffer): Buffer | null {
  if (file.length < HEADER || file.toString('latin1', 0, NAME) !== format) return null;
  const payload = file.subarray(HEADER);
  return sha256(payload).equals(file.subarray(NAME, HEADER)) ? payload : null;
}
