/** What stands before blocks that are counted, and before those that have a region; of flavour 0, the only one that has regions. */
import { AddressList, joined } from './address-list.ts';
import type { Bytecode } from '../translator/ir/bytecode.ts';
import { stubLayout } from '../translator/ir/bytecode.ts';
import type { RegionCode, Stub } from './code-blocks.ts';
import type { CodeChunks } from './code-chunks.ts';
import type { LinearMemory } from './linear-memory.ts';

/** Code that changes may go on changing, and what is translated meanwhile is for nothing. */
const CHANGED_FACTOR = 32;

export class CodeStubs {
  readonly #memory: LinearMemory;
  readonly #chunks: CodeChunks;
  readonly #exits: () => Bytecode['exits'];
  /** By guest address; those of chunks that nobody has asked for are not among them. */
  readonly #known = new Map<number, Stub>();
  /** The addresses of their code. */
  readonly #ips = new AddressList();
  /** Those with a region. */
  readonly #entered = new Set<Stub>();
  /** Ranges of regions in one piece. */
  readonly #flat = new WeakMap<RegionCode['ranges'], Uint32Array>();
  /** How often a block is entered until it is hot; 0: blocks are not counted. */
  hotThreshold = 0;

  constructor(memory: LinearMemory, chunks: CodeChunks, exits: () => Bytecode['exits']) {
    this.#memory = memory;
    this.#chunks = chunks;
    this.#exits = exits;
  }

  get size(): number {
    return this.#known.size;
  }
  /** The one before the block at `pc`. */
  at(pc: number): Stub | undefined {
    const known = this.#known.get(pc);
    if (known) return known;
    const ip = this.#chunks.around(pc)?.stub(pc) ?? 0;
    return ip === 0 ? undefined : this.add(pc, ip);
  }
  /** The same, without those of chunks that nobody has asked for. */
  known(pc: number): Stub | undefined {
    return this.#known.get(pc);
  }
  add(pc: number, ip: number): Stub {
    const stub: Stub = { pc, ip, region: null };
    this.#known.set(pc, stub);
    this.#ips.push(ip);
    return stub;
  }
  /** Makes one at `ip`, before the block whose code is at `block`. */
  make(ip: number, pc: number, block: number, times: number): void {
    this.#memory.u32[(ip + stubLayout.pc) >>> 2] = pc;
    const stub = this.add(pc, ip);
    this.lead(stub, block);
    this.count(stub, times);
  }
  /** Has it lead to a block's code. */
  lead(stub: Stub, block: number): void {
    this.#memory.u32[(stub.ip + stubLayout.ip) >>> 2] = block;
  }
  count(stub: Stub, times: number): void {
    this.#memory.u16[stub.ip >>> 1] = this.#exits().count;
    this.#memory.u32[this.#counterOf(stub.ip)] = times;
    stub.region = null;
    this.#entered.delete(stub);
  }
  /** Has the block entered through a region. */
  enter(stub: Stub, region: RegionCode): void {
    stub.region = region;
    this.#entered.add(stub);
    this.#memory.u32[this.#counterOf(stub.ip)] = region.slot;
    this.#memory.u16[stub.ip >>> 1] = this.#exits().enter;
  }
  #counterOf(ip: number): number {
    return (ip + stubLayout.counter) >>> 2;
  }

  /** Counts the block at `pc` from anew. */
  recount(pc: number, times: number): void {
    const stub = this.at(pc);
    if (stub && !stub.region) this.count(stub, times);
  }
  /** The code at `pc` has changed. A block without a region that was not to be counted any more is, but takes longer until it is hot. */
  changed(pc: number): void {
    const stub = this.#known.get(pc);
    const late = this.hotThreshold * CHANGED_FACTOR;
    if (stub && !stub.region && this.#memory.u32[this.#counterOf(stub.ip)]! > late) this.count(stub, late);
  }
  /** How often the block at `pc` has been entered since it was counted from 2^32 - 1 on. */
  entered(pc: number): number {
    const stub = this.at(pc);
    return stub ? 0xffff_ffff - this.#memory.u32[this.#counterOf(stub.ip)]! : 0;
  }
  /** Guest addresses of counted blocks that have been entered at least `times`, and have no region. */
  warm(times: number): number[] {
    const out: number[] = [];
    const most = this.hotThreshold - times;
    const { u16, u32 } = this.#memory;
    const { count } = this.#exits();
    const isWarm = (ip: number): boolean => u32[(ip + stubLayout.counter) >>> 2]! <= most && u16[ip >>> 1] === count;
    for (let k = 0; k < this.#ips.length; k++) {
      const ip = this.#ips.at(k);
      if (isWarm(ip)) out.push(u32[(ip + stubLayout.pc) >>> 2]!);
    }
    for (const chunk of this.#chunks.alive)
      for (const { pc } of chunk.stubs(isWarm)) if (!this.#known.has(pc)) out.push(pc);
    return out;
  }

  *regions(): Generator<RegionCode> {
    for (const { region } of [...this.#entered]) if (region) yield region;
  }
  /** Bytes that regions were made from, as [start, end) pairs. */
  regionRanges(): Uint32Array {
    // The entries of a region share its ranges, and most have been made one after the other.
    let last: RegionCode['ranges'] | null = null;
    const all: Uint32Array[] = [];
    for (const { region } of this.#entered) {
      if (!region || region.ranges === last) continue;
      last = region.ranges;
      let flat = this.#flat.get(last);
      if (!flat) this.#flat.set(last, (flat = Uint32Array.from(last.flat())));
      all.push(flat);
    }
    return joined(all);
  }
  /** Entry of a region that was made from the code at `pc`, among others; null if there is none. */
  regionAround(pc: number): number | null {
    for (const region of this.regions())
      if (region.ranges.some(([start, end]) => start <= pc && pc < end)) return region.pc;
    return null;
  }
  regionAt(pc: number): RegionCode | null {
    return this.at(pc)?.region ?? null;
  }
  hasRegion(pc: number): boolean {
    return this.regionAt(pc) !== null;
  }
  /** Whether the region is installed. */
  holds(region: RegionCode): boolean {
    return this.regionAt(region.pc) === region;
  }

  /** Forgets those that are not to be kept. */
  keep(isKept: (pc: number) => boolean): void {
    this.#ips.clear();
    for (const [pc, stub] of this.#known)
      if (isKept(pc)) this.#ips.push(stub.ip);
      else {
        this.#known.delete(pc);
        this.#entered.delete(stub);
      }
  }
  clear(): void {
    this.#known.clear();
    this.#ips.clear();
    this.#entered.clear();
  }
}
