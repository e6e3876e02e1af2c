/** What runs have found out about an image, kept for later ones: a list of addresses that were hot, and one of those that indirect jumps went to. */
import { sealed, unsealed } from './checked.ts';

const FORMAT = 'UKTXPRO1';
const MAX = 20_000;
export const PROFILE = 'profile';

export interface Profile {
  readonly hot: Set<number>;
  readonly jumpTargets: Set<number>;
}

export function encodeProfile({ hot, jumpTargets }: Profile): Buffer {
  const first = [...hot].slice(-MAX);
  const second = [...jumpTargets].slice(-MAX);
  const bytes = Buffer.alloc(4 * (1 + first.length + second.length));
  [first.length, ...first, ...second].forEach((n, k) => bytes.writeUInt32LE(n, 4 * k));
  return sealed(FORMAT, bytes);
}

/** Null when it is damaged. */
export function parseProfile(file: Buffer): Profile | null {
  const bytes = unsealed(FORMAT, file);
  if (!bytes || bytes.length < 4 || bytes.length % 4 !== 0) return null;
  const words = Array.from({ length: bytes.length / 4 }, (_, k) => bytes.readUInt32LE(4 * k));
  const [count, ...rest] = words;
  return { hot: new Set(rest.slice(0, count)), jumpTargets: new Set(rest.slice(count)) };
}
