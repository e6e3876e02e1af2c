import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fuzzElf } from './fuzz.ts';

const guest = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../../guests/loader/${name}`, import.meta.url)));

describe('mutated ELF files', () => {
  it('are refused or loaded, 10,000 of them', async () => {
    const counts = await fuzzElf([guest('tiny-static'), guest('tiny-dynamic')], guest('tiny-static-pie'), 10_000, 1);
    // Both ways out must be taken often, or the mutations are too weak or too strong to show anything.
    expect(counts.refused).toBeGreaterThan(2000);
    expect(counts.loaded).toBeGreaterThan(1000);
    expect(counts.reasons.size).toBeGreaterThan(15);
    expect(counts.refused + counts.loaded + counts.failedLate).toBe(10_000);
  });
});
