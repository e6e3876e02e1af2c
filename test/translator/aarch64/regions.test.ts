/** The instruction tests' vectors as translated regions, which have other code than the interpreter for much of it. */
import { describe, expect, it } from 'vitest';
import '../../../src/translator/aarch64/index.ts';
import { fixtureFiles, readFixtures } from './fixtures.ts';
import { check, Replayer } from './replay.ts';
import { SEQUENCES } from './vectors.ts';

const SIGBUS = 7;
const SIGSEGV = 11;
/** Of a row every so many-th vector; each takes a translation. With UKTX_SLOW all are run. */
const EVERY = process.env['UKTX_SLOW'] ? 1 : 16;

describe.each(['null', 'full'] as const)('translated, --memory-checks=%s', (checks) => {
  const replayer = new Replayer(checks);
  for (const file of fixtureFiles())
    it(file, { timeout: 600_000 }, () => {
      const reports: string[] = [];
      let tried = 0;
      const { stats } = replayer.engine.regions!;
      const before = stats.regions + stats.failed;
      for (const { key, vectors } of readFixtures(file)) {
        const every = key === SEQUENCES && checks === 'null' ? 1 : EVERY;
        for (let k = 0; k < vectors.length; k += every) {
          const { vector, outcome } = vectors[k]!;
          // Only with all checks are faults what they should be.
          if (checks === 'null' && (outcome.signal === SIGSEGV || outcome.signal === SIGBUS)) continue;
          tried++;
          const report = check(replayer, key, vector, outcome);
          if (report) reports.push(report);
        }
      }
      expect(reports.slice(0, 4).join('\n'), `${reports.length} of ${tried} differ`).toBe('');
      // The exact floating point, which half of the vectors of some rows ask for, has no regions.
      expect(stats.regions + stats.failed - before).toBeGreaterThan(tried * 0.4);
    });
});
