/** Numbers of 32 bits in one piece of memory, to which new ones are added: going through thousands takes microseconds. */
export class AddressList {
  #values = new Uint32Array(1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }
  at(index: number): number {
    return this.#values[index]!;
  }
  push(value: number): void {
    if (this.#length === this.#values.length) {
      const values = new Uint32Array(2 * this.#length);
      values.set(this.#values);
      this.#values = values;
    }
    this.#values[this.#length++] = value;
  }
  /** Index of the last one that is not above `value`, of a list in ascending order; -1: all are. */
  lastUpTo(value: number): number {
    let low = 0;
    let high = this.#length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#values[middle]! <= value) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
  /** A copy, with what is in `more` behind it. */
  with(more: readonly Uint32Array[]): Uint32Array {
    return joined([this.#values.subarray(0, this.#length), ...more]);
  }
  /** Only those that are to be kept stay. */
  keep(isKept: (value: number) => boolean): void {
    let count = 0;
    for (let k = 0; k < this.#length; k++) if (isKept(this.#values[k]!)) this.#values[count++] = this.#values[k]!;
    this.#length = count;
  }
  clear(): void {
    this.#length = 0;
  }
}

/** All of the lists, one behind the other. */
export function joined(lists: readonly Uint32Array[]): Uint32Array {
  const out = new Uint32Array(lists.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const list of lists) {
    out.set(list, at);
    at += list.length;
  }
  return out;
}
