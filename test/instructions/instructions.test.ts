/**
 * Every row of the x86-64 table against what a real CPU did (fixtures/, made by tools/record-instructions.ts). The vectors
 * hold the instruction alone, pairs of a flag setter and a flag reader, and sequences of integer instructions.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import '../../src/translator/x86_64/index.ts';
import { rows } from '../../src/translator/x86_64/row.ts';
import { keyOf, reasonForNone } from './encodings.ts';
import { fixtureFiles, readFixtures, type Section } from './fixtures.ts';
import { check, needsExact, Replayer } from './replay.ts';

let replayer: Replayer;
beforeAll(() => {
  replayer = new Replayer();
});

const REPORTS = 4;

async function replay({ key, vectors }: Section, exact: boolean): Promise<void> {
  const reports: string[] = [];
  for (const { vector, outcome } of vectors) {
    if (!exact && needsExact(key, vector)) continue;
    const report = await check(replayer, key, vector, outcome, exact);
    if (report) reports.push(report);
  }
  expect(
    reports.length,
    `${reports.length} of ${vectors.length} vectors differ${exact ? ' in exact mode' : ''}\n${reports.slice(0, REPORTS).join('\n')}`,
  ).toBe(0);
}

const keys = new Map(rows.map((row) => [keyOf(row), row]));
const recorded = new Set<string>();
for (const file of fixtureFiles()) {
  const { sections } = readFixtures(file);
  describe(file.replace('.bin.gz', ''), () => {
    for (const section of sections) {
      recorded.add(section.key);
      it(section.key, () => replay(section, false));
      if (file.startsWith('sse-float')) it(`${section.key} (exact)`, () => replay(section, true));
    }
  });
}

describe('coverage', () => {
  it('every row has fixtures, or a reason not to have any', () => {
    const missing = [...keys]
      .filter(([key, row]) => !recorded.has(key) && reasonForNone(row) === null)
      .map(([key]) => key);
    expect(missing, 'run tools/record-instructions.ts, or give the row a noFuzz reason').toEqual([]);
  });
  it('no two rows are the same', () => {
    expect(rows.length).toBe(keys.size);
  });
  it('every reason says something', () => {
    for (const row of rows) if (row.noFuzz !== undefined) expect(row.noFuzz.length, keyOf(row)).toBeGreaterThan(3);
  });
});
