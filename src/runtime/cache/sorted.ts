/** Position of the first among `sorted`, which is in order and has nothing twice, that is not below `value`. */
export function placeOf(sorted: ArrayLike<number>, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
/** Position of `value` among `sorted`; -1 when it is not there. */
export function positionOf(sorted: ArrayLike<number>, value: number): number {
  const at = placeOf(sorted, value);
  return at < sorted.length && sorted[at] === value ? at : -1;
}
