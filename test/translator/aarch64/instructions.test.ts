import { describe, expect, it } from 'vitest';
import '../../../src/translator/aarch64/index.ts';
import { rows } from '../../../src/translator/aarch64/row.ts';
import { fixtureFiles, readFixtures } from './fixtures.ts';
import { check, Replayer } from './replay.ts';
import { EXCLUSIVES, fileOf, keyOf, SEQUENCES } from './vectors.ts';

const sections = new Map(fixtureFiles().map((file) => [file, readFixtures(file)]));

describe('AArch64 instructions do what qemu-aarch64 does', () => {
  for (const [file, list] of sections)
    it(file, () => {
      const replayer = new Replayer();
      const bad: string[] = [];
      for (const { key, vectors } of list)
        for (const { vector, outcome } of vectors) {
          const report = check(replayer, key, vector, outcome);
          if (report) bad.push(report);
        }
      expect(bad.slice(0, 5).join('\n'), `${bad.length} differ`).toBe('');
    });

  it('have vectors for every row', () => {
    const recorded = new Set([...sections.values()].flat().map((s) => s.key));
    const missing = rows.filter((row) => row.noFuzz === undefined && !recorded.has(keyOf(row)));
    expect(missing.map((row) => `${fileOf(row)}: ${keyOf(row)}`)).toEqual([]);
    expect(recorded.has(SEQUENCES) && recorded.has(EXCLUSIVES)).toBe(true);
  });
});
