/**
 * Continuations of values that are usually there at once: file I/O is synchronous unless a host makes it wait.
 * (Nothing here may be called `then`: it would make the module itself look like a promise to `import()`.)
 */
import type { MaybePromise } from '../fs/open-file.ts';

/** `next(value)`, now or when the promise settles. */
export function after<T, U>(value: MaybePromise<T>, next: (value: T) => MaybePromise<U>): MaybePromise<U> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/** Runs `step` for each item in order, waiting where a step waits. */
export function forEachInOrder<T>(
  items: readonly T[],
  step: (item: T) => MaybePromise<void>,
  from = 0,
): MaybePromise<void> {
  for (let i = from; i < items.length; i++) {
    const wait = step(items[i]!);
    if (wait instanceof Promise) return wait.then(() => forEachInOrder(items, step, i + 1));
  }
}
