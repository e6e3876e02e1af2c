/** What is known of places in the guest's code: where functions begin, where calls return to, where indirect jumps go. */
import { functionOf } from '../translator/region/discover.ts';

export class CodePlaces {
  readonly #returnSites = new Set<number>();
  readonly #callTargets = new Set<number>();
  /** Call targets in order, if there are as many. */
  #starts: number[] = [];
  /** Where indirect jumps have been seen to go inside of their functions. */
  readonly jumpTargets = new Set<number>();

  get size(): number {
    return this.#returnSites.size + this.#callTargets.size + this.jumpTargets.size;
  }
  /** Whether `pc` is where a call goes to or returns to. */
  isCallOrReturn(pc: number): boolean {
    return this.#callTargets.has(pc) || this.#returnSites.has(pc);
  }
  isCallTarget(pc: number): boolean {
    return this.#callTargets.has(pc);
  }
  isReturnSite(pc: number): boolean {
    return this.#returnSites.has(pc);
  }
  /** Addresses that calls go to, in order: where functions begin, as far as is known. */
  functionStarts(): readonly number[] {
    if (this.#starts.length !== this.#callTargets.size) this.#starts = [...this.#callTargets].sort((a, b) => a - b);
    return this.#starts;
  }
  addReturnSite(pc: number): void {
    this.#returnSites.add(pc);
  }
  addCallTarget(pc: number): void {
    if (this.#callTargets.has(pc)) return;
    const starts = this.functionStarts() as number[];
    this.#callTargets.add(pc);
    starts.splice(functionOf(starts, pc) + 1, 0, pc);
  }
  /** An indirect jump at `from` goes to `to`. Out of its function, as a PLT entry's, it is a call of another one. */
  noteJump(from: number, to: number): void {
    if (this.#callTargets.has(to)) return;
    const starts = this.functionStarts();
    if (functionOf(starts, from) === functionOf(starts, to)) this.jumpTargets.add(to);
    else this.addCallTarget(to);
  }
  /** Forgets those that are not to be kept. */
  keep(isKept: (pc: number) => boolean): void {
    for (const set of [this.#returnSites, this.#callTargets, this.jumpTargets])
      for (const pc of set) if (!isKept(pc)) set.delete(pc);
    this.#starts = [];
  }
  clear(): void {
    this.keep(() => false);
  }
}
