/** Translated regions of one address space: what is hot, what is being compiled, and the table through which regions call. */
import { CACHED_THRESHOLD, type KeepIn, type MemoryCache, UNKNOWN_THRESHOLD } from '../cache/code-cache.ts';
import { pagesIn, type RegionCode } from '../code-blocks.ts';
import type { CodeSpace } from '../code-space.ts';
import type { LinearMemory } from '../linear-memory.ts';
import type { MemoryChecks } from '../../translator/wasm/region-access.ts';
import { hasUsed } from '../node-host.ts';
import type { Compiler, JobRequest } from './compiler.ts';
import { JumpOwners } from './jump-owners.ts';
import { constant, type RegionLinkage, usesHelpers } from './linkage.ts';
import { RegionLinks } from './region-links.ts';
import { Repeats } from './repeats.ts';
import { createLinkTable } from './region-table.ts';
import type { CompileResult } from './messages.ts';
import { RegionStats } from './region-stats.ts';
import { isBaselineOnly } from './v8-flags.ts';
import { PAGE_SIZE } from '../../kernel/mm/guest-memory.ts';
import { JUMP_TABLES, JUMP_TABLES_END, PAGE_GUEST_WRITE } from '../../translator/ir/layout.ts';
import { functionOf, JUMP_REACH } from '../../translator/region/discover.ts';

/** Entries of one compile job. More where many wait: what a job says of all the program takes as long as some of them. */
const batch = (waiting: number): number => (waiting > 64 ? 24 : 8);
/** Hot entries that wait for a worker; more are counted again. */
const MAX_PENDING = 512;
const MAX_RETRIES = 3;
/** Entries of a block after which code around it that has not run yet is taken to be cold. */
const SELECTIVE_THRESHOLD = 1000;
/** Entries, by then some 10 ms of the interpreter's time, after which a block is translated even if the run may be over soon. */
const HOT_ANYWAY = 50_000;
/** The same for the first one, for which the translator has to be loaded: that takes as long as 50 ms of the interpreter, and more. */
const FIRST_HOT_ANYWAY = 250_000;
/**
 * The same for blocks with a translation in the cache that no run has found hot, as prewarm makes: loading one takes as long as
 * so many entries do in the interpreter.
 */
const LOAD_ANYWAY = 20_000;
/** Time between looks for such blocks, in milliseconds. */
const LOOK_MS = 20;
/** Entries until a block that is being translated is hot again. */
const NEVER = 0xffff_ffff;

const hasName = (entry: readonly [number, string | null]): entry is readonly [number, string] => entry[1] !== null;

export interface RegionsOptions {
  isa: string;
  threshold: number;
  checks: MemoryChecks;
  /** An error inside the translator: the code is left to the interpreter. */
  onError: (stack: string) => void;
  /** Translations of earlier runs. */
  cache?: MemoryCache | null;
  /** Where to count. */
  stats?: RegionStats;
  /** As in RegionOptions. */
  verify?: boolean;
  fault?: string;
  /** Text of each translation is wanted: see CompileJob. */
  onText?: (text: string) => void;
  /** Guest names of functions, where they are wanted in modules. */
  nameOf?: (memory: LinearMemory, pc: number) => string | null;
}

/** Processor time after which translations of earlier runs are loaded, in milliseconds (`usedMs`). */
const CACHED_AFTER_MS = 150;

export class Regions {
  readonly #memory: LinearMemory;
  readonly #code: CodeSpace;
  readonly #compiler: Compiler;
  readonly #options: RegionsOptions;
  readonly #linkage: () => RegionLinkage;
  /** Hot, not sent to a worker yet; by pc, with the number of tries. */
  readonly #pending = new Map<number, number>();
  /** Hot while it was too early to translate: what becomes of them is settled later, as finding that out takes time. */
  readonly #deferred = new Set<number>();
  /** How often it was too early for translations in the cache of places that no run has found hot. */
  readonly #putOff = new Map<number, number>();
  /** When what is deferred was looked at last. */
  #lookedAt = 0;
  /** To be translated again, with more targets of their indirect jumps. */
  readonly #again = new Set<number>();
  /** Places that get a small region of their own until the one they belong to is made again. */
  readonly #apart = new Set<number>();
  readonly #repeats = new Repeats();
  /** Targets of indirect jumps, and the entry of the region that is being made to have them. */
  readonly #newTargets = new Map<number, number>();
  readonly #owners = new JumpOwners();
  /** Places with a translation in the cache that cannot be used. */
  readonly #refused = new Set<number>();
  /** Entries of modules from the cache that call helpers of the baseline compiler. */
  #early: number[] = [];
  /** Where the next jump table goes. */
  #nextTable = JUMP_TABLES;
  #outstanding = 0;
  /** Ranges invalidated while jobs are outstanding. */
  #invalidated: [number, number][] = [];
  readonly #links: RegionLinks;
  /** Pages are writable and executable: stores must look. */
  watchStores = false;
  checks: MemoryChecks;
  #exactFaults = false;
  /** The program that wanted it, by its file's map key. */
  #exactProgram: object | null = null;
  /** The run has gone on long enough for translations of earlier ones. */
  #settled = false;
  /** Called once regions exist. */
  onFirst: (() => void) | null = null;
  readonly stats: RegionStats;

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
    this.#links = new RegionLinks(memory, code, linkage);
    this.checks = options.checks;
    this.stats = options.stats ?? new RegionStats();
    code.stubs.hotThreshold = options.threshold;
    code.onInvalidate = (start, end) => {
      if (this.#outstanding > 0) this.#invalidated.push([start, end]);
    };
    code.onFlush = () => this.#reset();
    code.onKeep = (rangeAt) => this.#keep(rangeAt);
    code.onShown = (start, end) => this.#links.shown(start, end);
    compiler.addSource(this.#source);
    const { cache } = options;
    if (!cache) return;
    code.firstCount = (pc) => (this.watchStores ? null : cache.firstCount(pc, this.checks, options.threshold));
    code.countedApart = (first, last) => cache.countedApart(first, last, this.checks, options.threshold);
  }

  /** All code is forgotten: another program, or no room. */
  #reset(): void {
    this.#pending.clear();
    this.#deferred.clear();
    this.#putOff.clear();
    this.#again.clear();
    this.#newTargets.clear();
    this.#owners.clear();
    this.#repeats.keep(() => false);
    this.#apart.clear();
    this.#links.clear();
    this.#options.cache?.forget();
    this.#refused.clear();
    this.#early = [];
    this.#nextTable = JUMP_TABLES;
    this.watchStores = this.#memory.writableCode;
    this.#invalidated.push([0, 2 ** 32]);
  }

  /** Another program begins. A region stays when all it was made from, and all it calls by itself, lies in one range. */
  #keep(rangeAt: (pc: number) => number): void {
    this.#links.keep(rangeAt);
    this.#owners.keep((pc) => rangeAt(pc) >= 0);
    const places = [
      this.#pending,
      this.#deferred,
      this.#putOff,
      this.#again,
      this.#apart,
      this.#newTargets,
      this.#refused,
    ];
    for (const set of places) for (const pc of set.keys()) if (rangeAt(pc) < 0) set.delete(pc);
    this.#options.cache?.forget();
    this.#changeMode(this.checks, this.#memory.writableCode);
  }

  /** Forgets everything that is under way (the address space is given up). */
  close(): void {
    this.#compiler.removeSource(this.#source);
    this.#compiler.forget(this.#memory.memory);
    this.#pending.clear();
    this.#deferred.clear();
    this.#code.onInvalidate = null;
  }

  /** The block at `pc` is hot. */
  request(pc: number): void {
    if (this.#isPutOff(pc)) {
      this.#code.stubs.recount(pc, UNKNOWN_THRESHOLD);
      return;
    }
    if (this.#tooEarly(pc)) {
      this.#code.stubs.recount(pc, CACHED_THRESHOLD);
      return;
    }
    if (this.#fromCache(pc)) return;
    const full = this.#pending.size + this.#deferred.size >= MAX_PENDING;
    this.#code.stubs.recount(pc, full ? this.#options.threshold : NEVER);
    if (full) return;
    this.stats.requested++;
    if (!this.#compiler.synchronous && this.#options.cache?.holdsBack()) this.#deferred.add(pc);
    else this.#enqueue(pc);
    this.#compiler.pump();
  }

  #enqueue(pc: number): void {
    const entry = this.#entryFor(pc);
    if (entry === null) return;
    if (entry !== pc) {
      this.#code.places.jumpTargets.add(pc);
      this.#options.cache?.noteJumpTarget(pc);
      this.#newTargets.set(pc, entry);
      if (this.#code.stubs.hasRegion(entry)) {
        this.#again.add(entry);
        // Until then it has a small one of its own.
        if (this.#repeats.mustWait(entry)) {
          this.#apart.add(pc);
          this.#pending.set(pc, 0);
        }
      }
    }
    if (!this.#pending.has(entry)) this.#pending.set(entry, 0);
    this.stats.maxQueue = Math.max(this.stats.maxQueue, this.#pending.size);
  }

  get #hotAnyway(): number {
    return this.#compiler.translates ? HOT_ANYWAY : FIRST_HOT_ANYWAY;
  }
  /** Moves what was deferred to what is pending: all of it, or what is hot enough for a run that may be over soon. */
  #settle(heldBack: boolean): void {
    if (this.#deferred.size === 0) return;
    for (const pc of [...this.#deferred]) {
      if (heldBack && this.#code.stubs.entered(pc) < this.#hotAnyway) continue;
      this.#deferred.delete(pc);
      if (!this.#code.stubs.hasRegion(pc)) this.#enqueue(pc);
    }
  }

  /**
   * A translation of an earlier run waits a little: instances and the ticker's thread cost more than all of a short run, which
   * the interpreter has done by then; not in a program that was long before. Later it waits when many are wanted at once, so that the guest does not stand still.
   */
  #tooEarly(pc: number): boolean {
    if (this.#compiler.synchronous) return false;
    const { cache } = this.#options;
    if (!cache || this.watchStores || !cache.knows(pc, this.checks)) return false;
    this.#settled ||= !isBaselineOnly() || hasUsed(CACHED_AFTER_MS) || cache.wasLong();
    return !this.#settled || cache.hasLoadedMuch();
  }

  /** A run that may be over soon does without the translation of a place that no run has found hot, until it is entered often. */
  #isPutOff(pc: number): boolean {
    const { cache } = this.#options;
    if (!cache || this.#compiler.synchronous || this.watchStores) return false;
    if (!cache.knows(pc, this.checks) || cache.wasHot(pc) || !cache.holdsBack()) return false;
    const times = (this.#putOff.get(pc) ?? 0) + 1;
    this.#putOff.set(pc, times);
    return times * UNKNOWN_THRESHOLD < LOAD_ANYWAY;
  }

  /**
   * Entry of the region that is to have `pc`. All targets of the indirect jumps of one function are best in one region: the
   * function's. Null when `pc` needs none.
   */
  #entryFor(pc: number): number | null {
    const code = this.#code;
    const owner = this.#ownerOf(pc);
    // What follows a call inside of a region soon comes to a jump, and with that back into it.
    if (owner !== null && code.places.isReturnSite(pc) && this.#owners.holds(owner, pc)) return null;
    if (code.places.isCallOrReturn(pc)) return pc;
    if (owner !== null) return owner;
    if (!code.places.jumpTargets.has(pc)) return pc;
    const starts = code.places.functionStarts();
    const start = starts[functionOf(starts, pc)];
    return start !== undefined && pc - start < JUMP_REACH ? start : pc;
  }

  /**
   * Whether control comes to `pc` once, from a call, and then back into the region that has the indirect jumps of its function: all
   * of that again would be as large.
   */
  #isAside(pc: number): boolean {
    const owner = this.#code.places.isReturnSite(pc) ? this.#ownerOf(pc) : null;
    return owner !== null && owner !== pc;
  }

  /** Whether an earlier run's translation serves at `pc`, or there is none but it is too early for one. */
  #fromCache(pc: number): boolean {
    const { cache, threshold } = this.#options;
    if (!cache || this.watchStores) return false;
    if (cache.knows(pc, this.checks) && !this.#refused.has(pc)) {
      const start = performance.now();
      const found = cache.take(pc, this.checks);
      try {
        if (found && this.#install(found, false)) {
          this.#account(found);
          if (!this.#linkage().optimised && usesHelpers(found.module!)) this.#early.push(pc);
          return true;
        }
      } catch (e) {
        // Made for other helpers than there are now.
        if ((e as Error).name !== 'LinkError') throw e;
        cache.refuse(pc, this.checks);
      } finally {
        cache.noteLoading(performance.now() - start);
      }
      this.#refused.add(pc);
      this.#code.stubs.recount(pc, Math.max(1, threshold - CACHED_THRESHOLD));
      return true;
    }
    cache.noteHot(pc);
    return false;
  }

  /** To be called when there are optimised helpers: what has come from the cache until then would never call them. */
  relink(): void {
    this.#links.replaceMisses();
    for (const pc of this.#early.splice(0)) {
      const region = this.#code.stubs.regionAt(pc);
      if (!region) continue;
      this.#code.dropRegion(region);
      this.#fromCache(pc);
    }
  }

  /** To be called now and then: jobs that had to wait may go out. */
  poll(): void {
    if (this.#pending.size + this.#deferred.size > 0) this.#compiler.pump();
  }

  /** The region whose indirect jumps may well go to `pc`, but did not when it was translated. */
  #ownerOf(pc: number): number | null {
    const owner = this.#owners.of(pc, this.#code.places.functionStarts());
    return owner !== null && this.#code.stubs.hasRegion(owner) ? owner : null;
  }

  /**
   * Whether faults of translated code must be exact and found where they happen: registers as they were, every page's
   * permission respected. `--memory-checks=full` has it always. Once a program has wanted it, it stays so for further runs of that
   * program in this memory: they will want it, too, and changing drops all regions.
   */
  setExactFaults(on: boolean, program: object | null): void {
    if (on !== this.#exactFaults && (on || program !== this.#exactProgram)) {
      this.#exactProgram = on ? program : null;
      this.#exactFaults = on;
      this.#changeMode(on ? 'full' : this.#options.checks, this.watchStores);
    }
    if (this.#memory.writableCode && !this.watchStores) this.#changeMode(this.checks, true);
  }

  /** Other code from now on: drops what was translated for another way of accessing memory. */
  #changeMode(checks: MemoryChecks, watchStores: boolean): void {
    if (checks === this.checks && watchStores === this.watchStores) return;
    this.checks = checks;
    this.watchStores = watchStores;
    this.#code.dropRegions();
    // What the workers are making is of the old kind.
    this.#invalidated.push([0, 2 ** 32]);
  }

  #regionOptions(): JobRequest['options'] {
    const { checks, watchStores } = this;
    const { verify, fault } = this.#options;
    return { checks, watchStores, ...(verify && { verify }), ...(fault !== undefined && { fault }) };
  }

  #names(pcs: readonly number[]): { names?: Map<number, string> } {
    const { nameOf } = this.#options;
    if (!nameOf) return {};
    return { names: new Map(pcs.flatMap((pc) => [[pc, nameOf(this.#memory, pc)] as const]).filter(hasName)) };
  }

  /** IR and Wasm text of the region at `pc`, translated once more; empty when there is none. The guest waits. */
  describe(pc: number): string {
    const jumpTargets = [...this.#code.places.jumpTargets];
    const functionStarts = Uint32Array.from(this.#code.places.functionStarts());
    const job: JobRequest = {
      isa: this.#options.isa,
      memory: this.#memory.memory,
      entries: [pc],
      wanted: [],
      jumpTargets,
      functionStarts,
      options: this.#regionOptions(),
      ...this.#names([pc]),
      text: ['ir', 'wat'],
      translateOnly: true,
    };
    return this.#compiler.wait(job).text ?? '';
  }

  #source = (): { job: JobRequest; done: (result: CompileResult) => void } | null => {
    const { cache } = this.#options;
    const heldBack = cache?.holdsBack() ?? false;
    if (heldBack) {
      const now = performance.now();
      if (now - this.#lookedAt < LOOK_MS) return null;
      this.#lookedAt = now;
    }
    this.#settle(heldBack);
    let keepIn = null as KeepIn | null;
    const entries: number[] = [];
    const tries = new Map<number, number>();
    // What is entered most goes first, and what has a region last: making one again takes longest.
    const queue = [...this.#pending.keys()].map((pc) => ({
      pc,
      entered: this.#code.stubs.entered(pc),
      known: this.#code.stubs.hasRegion(pc),
    }));
    queue.sort((a, b) => Number(a.known) - Number(b.known) || b.entered - a.entered);
    // Regions of a module go together: those of code that the guest goes on changing would take others with them.
    const mayChange = (pc: number): boolean =>
      (this.#memory.pages[Math.floor(pc / PAGE_SIZE)]! & PAGE_GUEST_WRITE) !== 0;
    for (const { pc, entered, known } of queue) {
      if (entries.length === batch(queue.length) || (heldBack && entered < this.#hotAnyway)) break;
      const n = this.#pending.get(pc)!;
      if (known && this.#again.has(pc) && (entries.length > 0 || this.#repeats.mustWait(pc))) continue;
      // What is kept together is of one file.
      const keep: KeepIn | null = (cache && !this.watchStores && cache.keepIn(pc, this.checks)) || null;
      if (entries.length > 0 && !(keep?.image === keepIn?.image && mayChange(pc) === mayChange(entries[0]!))) continue;
      this.#pending.delete(pc);
      if (known && !this.#again.delete(pc)) continue;
      keepIn = keep;
      entries.push(pc);
      tries.set(pc, n);
    }
    if (entries.length === 0) return null;
    if (this.#outstanding++ === 0) this.#invalidated = [];
    const wanted = this.#code.stubs
      .warm(Math.max(1, this.#options.threshold >> 3))
      .filter((pc) => (keepIn ? pc >= keepIn.start && pc < keepIn.end : mayChange(pc) === mayChange(entries[0]!)));
    for (const pc of cache?.jumpTargets(entries[0]!) ?? []) this.#code.places.jumpTargets.add(pc);
    // A hot place inside of a function with indirect jumps becomes an entry of its region.
    const jumpTargets = [
      ...this.#code.places.jumpTargets,
      ...entries.filter((pc) => !this.#code.places.isCallOrReturn(pc)),
    ];
    return {
      job: {
        isa: this.#options.isa,
        memory: this.#memory.memory,
        entries,
        wanted,
        jumpTargets,
        apart: entries.filter((pc) => this.#apart.delete(pc) || this.#isAside(pc)),
        functionStarts: Uint32Array.from(this.#code.places.functionStarts()),
        options: this.#regionOptions(),
        ...this.#names([...entries, ...wanted]),
        ...(this.#options.onText && { text: ['wat'] }),
        // By then most of what will ever run there has run.
        ...(this.#options.threshold >= SELECTIVE_THRESHOLD && {
          executed: { blocks: this.#code.executedBlocks(), ranges: this.#code.stubs.regionRanges() },
        }),
        ...(keepIn && { keepIn }),
      },
      done: (result) => {
        const installed = this.#install(result, true);
        if (result.text) this.#options.onText?.(result.text);
        if (installed) this.#account(result);
        if (installed && keepIn) {
          this.#compiler.keep(result.id);
          cache?.noteKept();
        }
        // Of a module that cannot be used, all are tried again, though most of them may be blameless.
        for (const pc of installed ? result.left : entries) this.#retry(pc, tries.get(pc)! + (installed ? 0 : 1));
        this.#settleTargets(entries);
        this.#outstanding--;
      },
    };
  };

  /** False when the module cannot be used. One that is not `fresh` fits the guest's code as it is now. */
  #install(result: CompileResult, fresh: boolean): boolean {
    const { stats } = this;
    stats.translateMs += result.translateMs;
    stats.compileMs += result.compileMs;
    // Guest code that went away while it was read can look like anything.
    if (result.error && this.#invalidated.length === 0) this.#options.onError(result.error);
    if (!result.module) {
      stats.failed++;
      return false;
    }
    const start = performance.now();
    // Regions of a module call each other directly: they are good together, and go together.
    const { looked } = result;
    if (fresh && result.regions.map((r) => this.#usable(r, looked)).includes(false)) return false;
    const { imports, table, onFloatUse } = this.#linkage();
    const tables = this.#nextTable;
    if (tables + result.tables.length > JUMP_TABLES_END || this.#links.isFull) {
      // Everything goes, at the next opportunity, and what is hot then comes back.
      this.#code.exhausted = true;
      return false;
    }
    this.#nextTable += (result.tables.length + 7) & ~7;
    this.#memory.u8.set(result.tables, tables);
    const slots = result.links.length > 0 ? createLinkTable(result.links.length) : null;
    const instance = new WebAssembly.Instance(result.module, {
      ...imports,
      env: { ...imports.env, table, links: slots, tables: constant(tables) },
    } as WebAssembly.Imports);
    const links = slots ? result.links.map((to, slot) => [to, { table: slots, slot }] as const) : [];
    for (const [to, link] of links) this.#links.link(to, link);
    const siblings: RegionCode[] = [];
    for (const r of result.regions) {
      for (const { pc, name } of [{ pc: r.pc, name: r.name }, ...r.entries]) {
        const slot = this.#links.reserve();
        const f = instance.exports[name]!;
        const drop = (): void => {
          stats.dropped++;
          this.#links.drop(pc, slot);
          for (const sibling of siblings.splice(0)) this.#code.dropRegion(sibling);
        };
        const region: RegionCode = { pc, ranges: r.ranges, looked, slot, drop };
        if (!this.#code.install(region)) continue;
        siblings.push(region);
        this.#links.set(pc, slot, f);
      }
      if (r.entries.length > 0)
        for (const other of this.#owners.add(r)) {
          this.#again.delete(other);
          this.#pending.delete(other);
        }
      if (r.raisesFloatFlags) onFloatUse();
    }
    if (this.#links.addModule({ pc: result.regions[0]!.pc, regions: [...siblings], links }))
      this.#repeats.keep((at) => this.#links.has(at));
    this.#forgetInside(result);
    stats.linkMs += performance.now() - start;
    this.onFirst?.();
    this.onFirst = null;
    return true;
  }

  #account({ regions, wasmBytes }: CompileResult): void {
    const { stats } = this;
    stats.modules++;
    stats.regions += regions.length;
    stats.wasmBytes += wasmBytes;
    for (const { guestInstructions } of regions) stats.guestInstructions += guestInstructions;
  }
  #retry(pc: number, tries: number): void {
    if (tries < MAX_RETRIES && !this.#code.stubs.hasRegion(pc) && !this.#pending.has(pc)) this.#pending.set(pc, tries);
  }

  /** A target that found no place in the region made for it gets its own. */
  #settleTargets(entries: readonly number[]): void {
    for (const [pc, entry] of this.#newTargets) {
      if (!entries.includes(entry) || this.#pending.has(entry)) continue;
      this.#newTargets.delete(pc);
      if (!this.#code.stubs.hasRegion(pc)) this.#pending.set(pc, 0);
    }
  }

  /**
   * While a region was made, the interpreter went on, and found much of what is inside of it hot, too. That is counted from
   * anew: it matters only if the interpreter still comes there.
   */
  #forgetInside(result: CompileResult): void {
    for (const { pc, entries } of result.regions)
      if (entries.length > 0) this.#repeats.noteMade(pc, result.translateMs + result.compileMs);
    const inside = (pc: number): boolean =>
      result.regions.some((r) => r.ranges.some(([start, end]) => start <= pc && pc < end));
    for (const pc of [...this.#pending.keys(), ...this.#deferred]) {
      if (this.#again.has(pc) || !inside(pc)) continue;
      this.#pending.delete(pc);
      this.#deferred.delete(pc);
      this.#newTargets.delete(pc);
      this.#code.stubs.recount(pc, this.#options.threshold * 2);
    }
  }

  /** Whether the guest code is still what the region was made from. */
  #usable(region: CompileResult['regions'][number], looked: readonly number[]): boolean {
    let usable = true;
    for (const page of pagesIn(region.ranges, looked)) {
      const start = page * PAGE_SIZE;
      if (this.#invalidated.some(([a, b]) => a < start + PAGE_SIZE && start < b)) usable = false;
      if (!this.#code.unwatched(page)) continue;
      // It may have changed in the meantime; it cannot unnoticed the next time.
      this.#code.watchPage(region.pc, page);
      usable = false;
    }
    if (usable) return true;
    this.stats.dropped++;
    return false;
  }
}
