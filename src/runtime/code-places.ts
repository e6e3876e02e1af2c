/** What is known of places in the guest's code: where functions begin, where calls return to, where indirect jumps go. */
import { functionOf } from '../translator/region/discover.ts';

/** Places that become known together. */
interface StoredPlaces {
  /** Call targets. */
  readonly calls: Uint32Array;
}

export class CodePlaces {
  /** Those of chunks are known by others. */
  readonly #returnSites = new Set<number>();
  readonly #inChunk: (pc: number) => boolean;
  readonly #callTargets = new Set<number>();
  /** Call targets in order, if there are as many. */
  #starts: number[] = [];
  readonly #jumpTargets = new Set<number>();
  /** What has not been looked at yet: who translates asks, and short runs do not translate. Of jumps, where from and where to. */
  #newChunks: StoredPlaces[] = [];
  #newTargets: number[] = [];
  #newJumps: number[] = [];
  /** Where the latter go to. */
  readonly #jumpedTo = new Set<number>();
  /** Call targets that `#starts` lacks: putting them in order is left until somebody wants it. */
  #unsorted: number[] = [];

  /** `inChunk`: whether calls of code that was put in place as a whole return to a place. */
  constructor(inChunk: (pc: number) => boolean) {
    this.#inChunk = inChunk;
  }

  #settleCalls(): void {
    if (this.#newChunks.length + this.#newTargets.length === 0) return;
    const add = (pc: number): void => {
      if (this.#callTargets.has(pc)) return;
      this.#callTargets.add(pc);
      this.#unsorted.push(pc);
    };
    for (const { calls } of this.#newChunks) calls.forEach(add);
    this.#newTargets.forEach(add);
    this.#newChunks = [];
    this.#newTargets = [];
  }
  #settle(): void {
    this.#settleCalls();
    if (this.#unsorted.length > 0) this.#sort();
    const jumps = this.#newJumps;
    if (jumps.length === 0) return;
    this.#newJumps = [];
    this.#jumpedTo.clear();
    for (let k = 0; k < jumps.length; k += 2) this.#jump(jumps[k]!, jumps[k + 1]!);
  }

  get size(): number {
    this.#settle();
    return this.#returnSites.size + this.#callTargets.size + this.#jumpTargets.size;
  }
  /** Where indirect jumps have been seen to go inside of their functions. */
  get jumpTargets(): Set<number> {
    this.#settle();
    return this.#jumpTargets;
  }
  /** Whether `pc` is where a call goes to or returns to. */
  isCallOrReturn(pc: number): boolean {
    return this.isCallTarget(pc) || this.isReturnSite(pc);
  }
  isCallTarget(pc: number): boolean {
    this.#settleCalls();
    if (this.#jumpedTo.has(pc)) this.#settle();
    return this.#callTargets.has(pc);
  }
  isReturnSite(pc: number): boolean {
    return this.#returnSites.has(pc) || this.#inChunk(pc);
  }
  /** Addresses that calls go to, in order: where functions begin, as far as is known. */
  functionStarts(): readonly number[] {
    this.#settle();
    return this.#starts;
  }
  addReturnSite(pc: number): void {
    this.#returnSites.add(pc);
  }
  addCallTarget(pc: number): void {
    this.#newTargets.push(pc);
  }
  addChunk(places: StoredPlaces): void {
    this.#newChunks.push(places);
  }
  /** An indirect jump at `from` goes to `to`. Out of its function, as a PLT entry's, it is a call of another one. */
  noteJump(from: number, to: number): void {
    this.#newJumps.push(from, to);
    this.#jumpedTo.add(to);
  }
  #jump(from: number, to: number): void {
    if (this.#callTargets.has(to)) return;
    const starts = this.#starts;
    const at = functionOf(starts, to);
    if (functionOf(starts, from) === at) this.#jumpTargets.add(to);
    else {
      this.#callTargets.add(to);
      starts.splice(at + 1, 0, to);
    }
  }
  /** Forgets those that are not to be kept. */
  keep(isKept: (pc: number) => boolean): void {
    this.#settle();
    for (const set of [this.#returnSites, this.#callTargets, this.#jumpTargets])
      for (const pc of set) if (!isKept(pc)) set.delete(pc);
    this.#starts = this.#starts.filter(isKept);
  }
  /** Merges what has come anew: a few, between thousands. */
  #sort(): void {
    const fresh = Uint32Array.from(this.#unsorted).sort();
    this.#unsorted = [];
    const known = this.#starts;
    const merged: number[] = [];
    let at = 0;
    for (const pc of fresh) {
      while (at < known.length && known[at]! < pc) merged.push(known[at++]!);
      merged.push(pc);
    }
    while (at < known.length) merged.push(known[at++]!);
    this.#starts = merged;
  }
  clear(): void {
    this.keep(() => false);
  }
}
