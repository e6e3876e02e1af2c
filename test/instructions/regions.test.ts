/** The instruction tests' vectors as translated regions, which have other code than the interpreter for much of it. */
import { describe, expect, it } from 'vitest';
import '../../src/translator/x86_64/index.ts';
import { fixtureFiles, readFixtures } from './fixtures.ts';
import { check, needsExact, Replayer } from './replay.ts';
import { SEQUENCES } from './sequences.ts';

const SIGBUS = 7;
const SIGSEGV = 11;
/** Of a row every so many-th vector; each takes a translation. With UKTX_SLOW all are run. */
const EVERY = process.env['UKTX_SLOW'] ? 1 : 12;

describe.each(['null', 'full'] as const)('translated, --memory-checks=%s', (checks) => {
  const replayer = new Replayer(checks);
  for (const file of fixtureFiles())
    it(file.replace('.bin.gz', ''), { timeout: 600_000 }, async () => {
      const reports: string[] = [];
      let tried = 0;
      const { stats } = replayer.engine.regions!;
      const before = stats.regions + stats.failed;
      for (const { key, vectors } of readFixtures(file).sections) {
        const every = key === SEQUENCES && checks === 'null' ? 1 : EVERY;
        for (let k = 0; k < vectors.length; k += every) {
          const { vector, outcome } = vectors[k]!;
          // The exact floating point has no regions; only with all checks are faults what they should be.
          if (needsExact(key, vector)) continue;
          if (checks === 'null' && (outcome.signal === SIGSEGV || outcome.signal === SIGBUS)) continue;
          tried++;
          const report = await check(replayer, key, vector, outcome, false);
          if (report) reports.push(report);
        }
      }
      expect(reports.slice(0, 4).join('\n'), `${reports.length} of ${tried} differ`).toBe('');
      // What begins in the second but last bytes of a page is left to the interpreter, among others.
      expect(stats.regions + stats.failed - before).toBeGreaterThan(tried * 0.95);
    });
});
