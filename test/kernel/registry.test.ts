import { expect, it } from 'vitest';
import { Registry } from '../../src/kernel/registry.ts';

it('holds, in the order of entering, what was not taken out', () => {
  const registry = new Registry<number, string>();
  registry.set(3, 'c');
  registry.set(1, 'a');
  registry.set(2, 'b');
  registry.set(3, 'C');
  expect([...registry]).toEqual([
    [3, 'C'],
    [1, 'a'],
    [2, 'b'],
  ]);
  expect(registry.delete(1)).toBe(true);
  expect(registry.delete(1)).toBe(false);
  expect([...registry.values()]).toEqual(['C', 'b']);
  expect([...registry.keys()]).toEqual([3, 2]);
  expect([registry.get(1), registry.get(2), registry.has(1), registry.size]).toEqual([undefined, 'b', false, 2]);
  registry.clear();
  expect([registry.size, registry.get(2)]).toEqual([0, undefined]);
});

it('leaves out what goes while it is looked through', () => {
  const registry = new Registry<number, string>();
  for (const n of [1, 2, 3]) registry.set(n, `${n}`);
  const seen: string[] = [];
  for (const value of registry.values()) {
    seen.push(value);
    registry.delete(2);
  }
  expect(seen).toEqual(['1', '3']);
});
