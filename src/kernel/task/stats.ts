/** Counters of a run, for `--stats` and for tests. */

/** All Linux 6.1 system-call numbers lie below. */
const KNOWN_NUMBERS = 512;

export class KernelStats {
  /** Calls by number. */
  readonly calls = new Float64Array(KNOWN_NUMBERS);
  /** Calls that have no handler (ENOSYS), by number. */
  readonly unknownSyscalls = new Map<number, number>();
  /** Signals sent. */
  signals = 0;
  /** Exceptions in handlers that are not `SysError`: each one is a bug of the kernel. */
  internalErrors = 0;

  countCall(nr: number): void {
    // Beyond the end this does nothing; `unknownSyscalls` counts those.
    if (nr < KNOWN_NUMBERS) this.calls[nr]!++;
  }
  countUnknown(nr: number): void {
    // A guest that probes all numbers must not fill the host's memory.
    if (this.unknownSyscalls.size < KNOWN_NUMBERS || this.unknownSyscalls.has(nr)) {
      this.unknownSyscalls.set(nr, (this.unknownSyscalls.get(nr) ?? 0) + 1);
    }
  }

  get syscallTotal(): number {
    return this.calls.reduce((sum, n) => sum + n, 0);
  }

  /** Plain data, calls by name, most frequent first. `nameOf` is `syscallName` of the run's ISA. */
  report(nameOf: (nr: number) => string): {
    syscalls: Record<string, number>;
    syscallTotal: number;
    unknownSyscalls: Record<string, number>;
    signals: number;
    internalErrors: number;
  } {
    const counted = [...this.calls].map((n, nr) => [nr, n] as const).filter(([, n]) => n > 0);
    counted.sort(([, a], [, b]) => b - a);
    return {
      syscalls: Object.fromEntries(counted.map(([nr, n]) => [nameOf(nr), n])),
      syscallTotal: this.syscallTotal,
      unknownSyscalls: Object.fromEntries([...this.unknownSyscalls].map(([nr, n]) => [nameOf(nr), n])),
      signals: this.signals,
      internalErrors: this.internalErrors,
    };
  }
}
