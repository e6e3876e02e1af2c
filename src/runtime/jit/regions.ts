/** Translated regions of one address space: what is hot, what is being compiled, and the table through which regions call. */
import type { CodeSpace, RegionCode } from '../code-space.ts';
import type { LinearMemory } from '../linear-memory.ts';
import type { MemoryChecks } from '../../translator/wasm/region.ts';
import type { Compiler, JobRequest } from './compiler.ts';
import type { CompileResult } from './messages.ts';
import { PAGE_SIZE } from '../../kernel/mm/guest-memory.ts';

/** Entries of one compile job. */
const BATCH = 8;
/** Hot entries that wait for a worker; more are counted again. */
const MAX_PENDING = 512;
const MAX_RETRIES = 3;
/** Entries until a block that is being translated is hot again. */
const NEVER = 0xffff_ffff;

export interface RegionStats {
  requested: number;
  regions: number;
  modules: number;
  dropped: number;
  failed: number;
  guestInstructions: number;
  wasmBytes: number;
  translateMs: number;
  compileMs: number;
  linkMs: number;
  maxQueue: number;
}

export interface RegionsOptions {
  isa: string;
  threshold: number;
  checks: MemoryChecks;
}

/** Bound when the engine instantiates its modules. */
export interface RegionLinkage {
  imports: WebAssembly.Imports;
  table: WebAssembly.Table;
  /** What slots without a region hold. */
  miss: WebAssembly.ImportValue;
  onFloatUse: () => void;
}

export class Regions {
  readonly #memory: LinearMemory;
  readonly #code: CodeSpace;
  readonly #compiler: Compiler;
  readonly #options: RegionsOptions;
  readonly #linkage: () => RegionLinkage;
  /** Hot, not sent to a worker yet; by pc, with the number of tries. */
  readonly #pending = new Map<number, number>();
  #outstanding = 0;
  /** Ranges invalidated while jobs are outstanding. */
  #invalidated: [number, number][] = [];
  /** Table slots that hold the region of a pc: links of modules to it. */
  readonly #links = new Map<number, number[]>();
  readonly #functions = new Map<number, WebAssembly.ImportValue>();
  #nextSlot = 1;
  /** Pages are writable and executable: stores must look. */
  watchStores = false;
  checks: MemoryChecks;
  /** Called once regions exist. */
  onFirst: (() => void) | null = null;
  readonly stats: RegionStats = {
    requested: 0,
    regions: 0,
    modules: 0,
    dropped: 0,
    failed: 0,
    guestInstructions: 0,
    wasmBytes: 0,
    translateMs: 0,
    compileMs: 0,
    linkMs: 0,
    maxQueue: 0,
  };

  constructor(
    memory: LinearMemory,
    code: CodeSpace,
    compiler: Compiler,
    options: RegionsOptions,
    linkage: () => RegionLinkage,
  ) {
    this.#memory = memory;
    this.#code = code;
    this.#compiler = compiler;
    this.#options = options;
    this.#linkage = linkage;
    this.checks = options.checks;
    code.hotThreshold = options.threshold;
    code.onInvalidate = (start, end) => {
      if (this.#outstanding > 0) this.#invalidated.push([start, end]);
    };
    compiler.addSource(this.#source);
  }

  /** Forgets everything that is under way (the address space is given up). */
  close(): void {
    this.#compiler.removeSource(this.#source);
    this.#pending.clear();
    this.#code.onInvalidate = null;
  }

  /** The block at `pc` is hot. */
  request(pc: number): void {
    const full = this.#pending.size >= MAX_PENDING;
    this.#code.recount(pc, full ? this.#options.threshold : NEVER);
    if (full) return;
    this.stats.requested++;
    if (!this.#pending.has(pc)) this.#pending.set(pc, 0);
    this.stats.maxQueue = Math.max(this.stats.maxQueue, this.#pending.size);
    this.#compiler.pump();
  }

  /** Other code from now on: drops what was translated for another way of accessing memory. */
  changeMode(checks: MemoryChecks, watchStores: boolean): void {
    if (checks === this.checks && watchStores === this.watchStores) return;
    this.checks = checks;
    this.watchStores = watchStores;
    this.#code.dropRegions();
    // What the workers are making is of the old kind.
    this.#invalidated.push([0, 2 ** 32]);
  }

  #source = (): { job: JobRequest; done: (result: CompileResult) => void } | null => {
    const entries: number[] = [];
    const tries = new Map<number, number>();
    for (const [pc, n] of this.#pending) {
      this.#pending.delete(pc);
      if (this.#code.hasRegion(pc)) continue;
      entries.push(pc);
      tries.set(pc, n);
      if (entries.length === BATCH) break;
    }
    if (entries.length === 0) return null;
    if (this.#outstanding++ === 0) this.#invalidated = [];
    const wanted = this.#code.warm(Math.max(1, this.#options.threshold >> 3));
    const { checks, watchStores } = this;
    return {
      job: { isa: this.#options.isa, memory: this.#memory.memory, entries, wanted, options: { checks, watchStores } },
      done: (result) => {
        this.#install(result, tries);
        this.#outstanding--;
      },
    };
  };

  #install(result: CompileResult, tries: ReadonlyMap<number, number>): void {
    const { stats } = this;
    stats.translateMs += result.translateMs;
    stats.compileMs += result.compileMs;
    if (result.error) throw new Error(`the translator failed: ${result.error}`);
    if (!result.module) {
      stats.failed++;
      return;
    }
    const start = performance.now();
    // Regions of a module call each other directly: they are good together, and go together.
    const usable = result.regions.map((r) => this.#usable(r, tries));
    if (usable.includes(false)) return;
    const { imports, table, onFloatUse } = this.#linkage();
    const links = this.#reserve(result.links.length);
    const instance = new WebAssembly.Instance(result.module, {
      ...imports,
      env: { ...imports.env, table, links: new WebAssembly.Global({ value: 'i32' }, links) },
    } as WebAssembly.Imports);
    result.links.forEach((pc, k) => {
      const slots = this.#links.get(pc);
      if (slots) slots.push(links + k);
      else this.#links.set(pc, [links + k]);
      const known = this.#functions.get(pc);
      if (known) table.set(links + k, known);
    });
    const siblings: RegionCode[] = [];
    for (const r of result.regions) {
      const slot = this.#reserve(1);
      const f = instance.exports[r.name]!;
      const drop = (): void => {
        this.#drop(r.pc, slot);
        for (const sibling of siblings.splice(0)) this.#code.dropRegion(sibling);
      };
      const region: RegionCode = { pc: r.pc, ranges: r.ranges, slot, drop };
      if (!this.#code.install(region)) continue;
      siblings.push(region);
      table.set(slot, f);
      this.#functions.set(r.pc, f);
      for (const link of this.#links.get(r.pc) ?? []) table.set(link, f);
      if (r.raisesFloatFlags) onFloatUse();
      stats.regions++;
      stats.guestInstructions += r.guestInstructions;
    }
    stats.modules++;
    stats.wasmBytes += result.wasmBytes;
    stats.linkMs += performance.now() - start;
    this.onFirst?.();
    this.onFirst = null;
  }

  /** Whether the guest code is still what the region was made from. */
  #usable(region: CompileResult['regions'][number], tries: ReadonlyMap<number, number>): boolean {
    let usable = true;
    for (const [start, end] of region.ranges) {
      if (this.#invalidated.some(([a, b]) => a < end && start < b)) usable = false;
      for (let page = Math.floor(start / PAGE_SIZE); page * PAGE_SIZE < end; page++)
        if (this.#code.unwatched(page)) {
          // It may have changed in the meantime; it cannot unnoticed the next time.
          this.#code.watchPage(region.pc, page);
          usable = false;
        }
    }
    if (usable) return true;
    this.stats.dropped++;
    const n = tries.get(region.pc);
    if (n !== undefined && n < MAX_RETRIES) {
      this.#pending.set(region.pc, n + 1);
    }
    return false;
  }

  #drop(pc: number, slot: number): void {
    const { table, miss } = this.#linkage();
    this.stats.dropped++;
    this.#functions.delete(pc);
    for (const link of this.#links.get(pc) ?? []) table.set(link, miss);
    table.set(slot, miss);
  }

  /** First of `count` new table slots. */
  #reserve(count: number): number {
    const { table, miss } = this.#linkage();
    const first = this.#nextSlot;
    this.#nextSlot += count;
    if (this.#nextSlot > table.length) table.grow(Math.max(table.length, count), miss);
    return first;
  }
}
