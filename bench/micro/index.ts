/**
 * Micro benchmarks, measured by benchmark.js: what the parts of the translator and runtime cost by themselves.
 * One file a subject; each exports its cases, and `subjects` lists the files.
 */
import Benchmark from 'benchmark';

export interface MicroCase {
  name: string;
  /** Does the work once. */
  run: () => void;
  /** Units of work in one `run`. */
  count: number;
  unit: string;
}

export interface MicroResult {
  name: string;
  /** Nanoseconds a unit. */
  ns: number;
  unit: string;
  /** Relative margin of error in per cent. */
  error: number;
  samples: number;
}

/** Loaded one after the other, so that what one does to V8's heap and type feedback hardly meets the next. */
const subjects: readonly (() => Promise<{ cases: () => MicroCase[] }>)[] = [
  () => import('./translate.ts'),
  () => import('./interpreter.ts'),
];

export async function runMicro(
  only: RegExp | null,
  quick: boolean,
  progress: (text: string) => void,
): Promise<MicroResult[]> {
  const results: MicroResult[] = [];
  for (const load of subjects) {
    for (const c of (await load()).cases()) {
      if (only && !only.test(`micro/${c.name}`)) continue;
      progress(`micro: ${c.name}`);
      const { stats, error } = new Benchmark(c.name, c.run, { maxTime: quick ? 0.5 : 3, minSamples: 5 }).run();
      if (error) throw error;
      const ns = (stats.mean * 1e9) / c.count;
      results.push({ name: c.name, ns, unit: c.unit, error: stats.rme, samples: stats.sample.length });
    }
  }
  return results;
}
