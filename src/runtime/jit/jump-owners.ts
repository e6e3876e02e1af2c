/** Regions with indirect jumps inside (switches, loops of interpreters): which of them a further target belongs to. */
import { functionOf, isNear } from '../../translator/region/discover.ts';
import type { CompiledRegion } from '../../translator/wasm/region-module.ts';

interface Owner {
  targets: readonly number[];
  ranges: readonly (readonly [number, number])[];
}

const covers = ({ ranges }: Owner, pc: number): boolean => ranges.some(([start, end]) => start <= pc && pc < end);

export class JumpOwners {
  /** By entry; the newest last. */
  readonly #owners = new Map<number, Owner>();

  /** Adds a region, and returns the entries of those that it makes superfluous: it has all that they have. */
  add({ pc, entries, ranges }: CompiledRegion): number[] {
    const owner = { targets: entries.map((e) => e.pc), ranges };
    this.#owners.delete(pc);
    const superfluous = [...this.#owners.keys()].filter((other) => covers(owner, other));
    for (const other of superfluous) this.#owners.delete(other);
    this.#owners.set(pc, owner);
    return superfluous;
  }
  /** Forgets those whose entry is not to be kept. */
  keep(isKept: (pc: number) => boolean): void {
    for (const pc of this.#owners.keys()) if (!isKept(pc)) this.#owners.delete(pc);
  }
  clear(): void {
    this.#owners.clear();
  }
  /** Entry of the region whose indirect jumps may well go to `pc`. `starts`: where functions begin, in order. */
  of(pc: number, starts: readonly number[]): number | null {
    const f = functionOf(starts, pc);
    let found: number | null = null;
    for (const [entry, { targets }] of this.#owners)
      if (targets.some((target) => isNear(pc, target, entry) && functionOf(starts, target) === f)) found = entry;
    return found;
  }
  /** Whether `pc` is inside of the region. */
  holds(entry: number, pc: number): boolean {
    const owner = this.#owners.get(entry);
    return owner !== undefined && covers(owner, pc);
  }
}
