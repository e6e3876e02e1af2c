/**
 * A table of things that come and go all the time: a Map that does not keep what was taken out of it. V8's Map and Set leave a
 * chain of the tables they outgrew, each with what was in it then; once the first of them is old, the chain and all it leads to stay
 * until a full collection. Here the chain leads to empty boxes.
 */
export class Registry<K, V> {
  readonly #boxes = new Map<K, { value: V | null }>();

  get size(): number {
    return this.#boxes.size;
  }
  has(key: K): boolean {
    return this.#boxes.has(key);
  }
  get(key: K): V | undefined {
    return this.#boxes.get(key)?.value ?? undefined;
  }
  set(key: K, value: V): void {
    const box = this.#boxes.get(key);
    if (box) box.value = value;
    else this.#boxes.set(key, { value });
  }
  delete(key: K): boolean {
    const box = this.#boxes.get(key);
    if (box) box.value = null;
    return this.#boxes.delete(key);
  }
  clear(): void {
    for (const box of this.#boxes.values()) box.value = null;
    this.#boxes.clear();
  }
  keys(): MapIterator<K> {
    return this.#boxes.keys();
  }
  /** In the order of entering. What is taken out meanwhile is left out. */
  *values(): Generator<V> {
    for (const box of this.#boxes.values()) if (box.value !== null) yield box.value;
  }
  *[Symbol.iterator](): Generator<[K, V]> {
    for (const [key, box] of this.#boxes) if (box.value !== null) yield [key, box.value];
  }
}
