/** What the kernel asks of the machine it runs on. The runtime implements it on Node; tests implement it in memory. */

export interface Host {
  /** CLOCK_MONOTONIC and CLOCK_REALTIME as [seconds, nanoseconds]. */
  monotonic(): [number, number];
  realtime(): [number, number];
  /**
   * What the two showed when the CPU's counter (TSC, CNTVCT_EL0) was zero; it counts nanoseconds. The first never changes,
   * the second when the host's clock was set, which is found out here. Absent: the clocks cannot be told from the counter.
   */
  counterStart?(): { monotonic: [number, number]; realtime: [number, number] };
  /** CPU time this guest run has used: [sec, nsec]. */
  cpuTime(): [number, number];
  randomFill(dst: Uint8Array): void;
  /** Bytes of memory the guest may use in total (MemTotal). */
  readonly memoryTotal: number;
  /** One line to the user's stderr, prefixed `uktx: ` by the implementation. */
  diagnostic(line: string): void;
}
