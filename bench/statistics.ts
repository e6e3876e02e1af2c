/** The few numbers a benchmark is summed up by. */

/** The middle value, or the mean of the two middle ones; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[half]!;
  return sorted.length === 0 ? Number.NaN : (sorted[half - 1]! + sorted[half]!) / 2;
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, x) => sum + Math.log(x), 0) / values.length);
}

/**
 * Time of one repetition once everything is warm: the median of the last half (at least one). What an engine does while it
 * warms up falls into the first half, and does not count.
 */
export function steadyState(repetitions: readonly number[]): number {
  return median(repetitions.slice(repetitions.length >> 1));
}
