/** The part of benchmark.js that is used here; the package has no types. */
declare module 'benchmark' {
  export interface Stats {
    /** Seconds. */
    mean: number;
    /** Relative margin of error in per cent. */
    rme: number;
    sample: number[];
  }
  export default class Benchmark {
    constructor(name: string, fn: () => void, options?: { maxTime?: number; minSamples?: number });
    run(options?: { async?: boolean }): this;
    readonly stats: Stats;
    readonly error?: Error;
  }
}
