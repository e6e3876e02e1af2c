/**
 * Ways into code that is kept from one program to the next (`CodeSpace.keep`). Each range of kept code may be mapped again or
 * not, and one without another, so jumps by the cache and links from one range to another are taken out when a program ends.
 * They are put back when the ranges they belong to are mapped for execution again.
 */
import type { CodeBlock } from './code-blocks.ts';

/** An exit that was made to lead to the code of its target. */
export interface CodeLink {
  /** Index of the word that holds the address. */
  readonly word: number;
  /** What it holds when it is not linked, and when it is. */
  readonly before: number;
  after: number;
  readonly from: CodeBlock;
  /** Guest address of the target. */
  readonly to: number;
}

interface Place {
  readonly start: number;
  readonly end: number;
  mapped: boolean;
  /** Pairs of a pc and the address of its code. */
  jumps: number[];
  /** Of blocks in this place, by the place they lead to. */
  readonly links: Map<Place, CodeLink[]>;
}

/** Number of the range that holds an address, -1 for none; the one found last is looked at first. */
export function rangeFinder(ranges: readonly (readonly [number, number])[]): (pc: number) => number {
  let last = 0;
  return (pc) => {
    const [start, end] = ranges[last]!;
    if (start <= pc && pc < end) return last;
    for (let k = 0; k < ranges.length; k++) if (ranges[k]![0] <= pc && pc < ranges[k]![1]) return (last = k);
    return -1;
  };
}

export class ParkedCode {
  #places: Place[] = [];

  clear(): void {
    this.#places = [];
  }

  /** A program has ended; `ranges`, in any order and disjoint, are kept. What is still parked of others is forgotten. */
  begin(ranges: readonly (readonly [number, number])[]): void {
    const before = new Map(this.#places.map((p) => [p.start, p]));
    const now = ranges.map(([start, end]): Place => {
      const old = before.get(start);
      return old?.end === end ? old : { start, end, mapped: false, jumps: [], links: new Map() };
    });
    const still = new Set(now);
    for (const place of now) {
      place.mapped = false;
      for (const to of place.links.keys()) if (!still.has(to)) place.links.delete(to);
    }
    this.#places = now;
  }
  addJump(range: number, pc: number, ip: number): void {
    this.#places[range]?.jumps.push(pc, ip);
  }
  /** A link that has been undone, from one range to another. */
  addLink(from: number, to: number, link: CodeLink): void {
    const { links } = this.#places[from]!;
    const target = this.#places[to]!;
    const list = links.get(target);
    if (list) list.push(link);
    else links.set(target, [link]);
  }

  /** Ranges inside of `[start, end)` are mapped again: hands out what may be used now. */
  restore(start: number, end: number, jump: (pc: number, ip: number) => void, link: (link: CodeLink) => void): void {
    for (const place of this.#places) {
      if (place.mapped || place.start < start || place.end > end) continue;
      place.mapped = true;
      const { jumps } = place;
      for (let k = 0; k < jumps.length; k += 2) jump(jumps[k]!, jumps[k + 1]!);
      place.jumps = [];
      for (const other of this.#places) {
        if (!other.mapped) continue;
        for (const [from, to] of other === place ? [] : [[place, other] as const, [other, place] as const]) {
          const list = from.links.get(to);
          if (!list) continue;
          from.links.delete(to);
          for (const l of list) link(l);
        }
      }
    }
  }
}
