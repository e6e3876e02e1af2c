/**
 * Interpreter code of one address space: translates blocks on demand, links them, and drops them when the guest bytes
 * they were made from change.
 */
import { BlockList } from './block-list.ts';
import { GUEST_LIMIT, PAGE_SIZE } from '../kernel/mm/guest-memory.ts';
import type { Block, Inst } from '../translator/ir/block.ts';
import { type Bytecode, exitLayout, MIN_BLOCK, stubLayout } from '../translator/ir/bytecode.ts';
import { CODE_END, CODE_START, PAGE_EXEC, PAGE_GUEST_WRITE, PAGE_WRITE } from '../translator/ir/layout.ts';
import type { ChunkPlace } from './cache/block-store.ts';
import { BlockEncoder } from './block-encoder.ts';
import {
  type BlockSource,
  type CodeBlock,
  type CodeStats,
  type FrontEnd,
  pagesOf,
  type RegionCode,
} from './code-blocks.ts';
import { CodeChunk, CodeChunks, type ChunkHelpers } from './code-chunks.ts';
import { CodePlaces } from './code-places.ts';
import { CodeStubs } from './code-stubs.ts';
import { keepTemplate, placeTemplate, templateOf } from './code-template.ts';
import { ExecutedBlocks } from './executed-blocks.ts';
import { clearCallSites, clearRegionCache, dropRegionEntry, JumpCache } from './jump-cache.ts';
import type { CodeOwner, LinearMemory } from './linear-memory.ts';
import { type CodeLink, ParkedCode, rangeFinder } from './parked-code.ts';

/** How often a chunk is tried that is not executable yet. */
const TRIES = 4;

/** Bytes that a chunk takes with its stubs at most, by words of it. */
const STUBS_TOO = 4 + 2 * 4;

/** Bytes of code, and of dropped code when that is most of it, after which another program begins with none. */
const KEEP_LIMIT = 24 << 20;
const KEEP_DEAD = 1 << 20;
/** How much oftener than others the block behind a call must be entered to be hot. */
const RETURN_SITE_FACTOR = 32;

export class CodeSpace implements CodeOwner {
  readonly #memory: LinearMemory;
  readonly #front: FrontEnd;
  readonly #encoder: BlockEncoder;
  readonly #jumps: JumpCache;
  #next = CODE_START;
  #flavour = 0;
  readonly #blocks = new BlockList();
  #byPc: Map<number, CodeBlock>[] = [];
  readonly #executed = new ExecutedBlocks();
  readonly #chunks: CodeChunks;
  /** Chunks that could not be used, and how often that was tried. */
  #unusable = new WeakMap<ChunkPlace, number>();
  readonly #byPage = new Map<number, Set<CodeBlock | RegionCode | CodeChunk>>();
  /** Counted blocks, and regions. */
  readonly stubs: CodeStubs;
  /** Filled where blocks are counted. */
  readonly places = new CodePlaces((pc) => this.#chunks.isReturnSite(pc));
  /** How often the block at a pc is entered until it is hot, where that is known to be something else. */
  firstCount: ((pc: number) => number | null) | null = null;
  /** Addresses from `first` to `last` for which `firstCount` may not be null, in order. */
  countedApart: ((first: number, last: number) => ArrayLike<number>) | null = null;
  /** Where blocks may come from; null: all are made here. */
  source: BlockSource | null = null;
  /** Opcodes of exits, where they are known without the front end's table: making that takes milliseconds. */
  exits: Bytecode['exits'] | null = null;
  get #exits(): Bytecode['exits'] {
    return this.exits ?? this.#front.bytecode.exits;
  }
  /** Set when there is no room for regions any more. */
  exhausted = false;
  /** Nothing enters code but through the runtime: indirect jumps find nothing in the jump cache. */
  isolated = false;
  /** Called when all is forgotten but what lies inside of ranges: `rangeAt` gives a range's number, -1 for none. */
  onKeep: ((rangeAt: (pc: number) => number) => void) | null = null;
  /** Called when kept ranges inside of `[start, end)` are mapped for execution again. */
  onShown: ((start: number, end: number) => void) | null = null;
  /** Called when all is forgotten. */
  onFlush: (() => void) | null = null;
  /** Ranges invalidated since, for those who translate in the background. */
  onInvalidate: ((start: number, end: number) => void) | null = null;
  /** Sees every block that is translated (--dump). */
  onTranslate: ((block: Block) => void) | null = null;
  /** Counts what is dropped: when it has changed, nobody may go on in code that he has entered before. */
  dropped = 0;
  readonly stats: CodeStats;

  /** `stats`: where to count. */
  constructor(
    memory: LinearMemory,
    front: FrontEnd,
    stats: CodeStats = { blocks: 0, stored: 0, guestInstructions: 0, invalidated: 0, flushes: 0 },
  ) {
    this.stats = stats;
    this.#memory = memory;
    this.#front = front;
    this.#encoder = new BlockEncoder(memory, front);
    this.#jumps = new JumpCache(memory);
    this.#chunks = new CodeChunks(memory);
    this.stubs = new CodeStubs(memory, this.#chunks, () => this.#exits);
    memory.code = this;
  }

  /** Chunks of the source are used, by these helpers. */
  useChunks(helpers: ChunkHelpers): void {
    this.#chunks.helpers = helpers;
  }

  /**
   * Address of the code for the block at `pc`, translating it if need be; 0 when `pc` cannot be fetched.
   * `flavour` picks among translations of one block (0: fast floating point, 1: exact).
   */
  entry(pc: number, flavour: number): number {
    const known = this.#byPc[flavour]?.get(pc);
    // Its bytes may be there and not be mapped for execution (yet).
    if (known) return this.#executable(pc, known.end) ? known.ip : 0;
    if (flavour === 0) {
      const there = this.#inChunk(pc);
      if (there !== 0) return there;
      const loaded = this.#load(pc);
      if (loaded) return loaded.ip;
    }
    const code = this.#translate(pc, flavour);
    if (!code) return 0;
    this.#enter(code);
    return code.ip;
  }
  /** Address of the block at `pc` in a chunk, which is put in place if need be; 0: there is none that can be used. */
  #inChunk(pc: number): number {
    if (!this.source) return 0;
    const chunk = this.#chunks.around(pc) ?? this.#restore(pc);
    const k = chunk ? chunk.stored.indexOf(pc) : -1;
    if (!chunk || k < 0 || !this.#executable(pc, chunk.stored.end(k))) return 0;
    const ip = chunk.ready(k);
    if (ip === 0) {
      const place = this.source.chunkAround(pc);
      if (place && chunk.takeDamage()) this.source.noteDamage(place, false);
    } else if (chunk.isFloat(k)) {
      this.source.noteFloatUse();
      this.#allow();
    }
    return ip;
  }
  /** Tells the interpreter what of chunks it may enter by itself. */
  #allow(): void {
    this.#chunks.allow(this.#flavour === 0 && !this.isolated, this.source?.floatUsed ?? false);
  }
  #restore(pc: number): CodeChunk | null {
    const place = this.#chunks.helpers && pc < GUEST_LIMIT ? this.source!.chunkAround(pc) : null;
    if (!place) return null;
    const base = this.#next;
    const tries = this.#unusable.get(place) ?? 0;
    // Of a chunk whose length is damaged nothing is known: no more than its words is read to its place.
    if (tries >= TRIES || this.#chunks.isFull || base + place.words * STUBS_TOO > CODE_END) return null;
    const { u32 } = this.#memory;
    this.#unusable.set(place, tries + 1);
    const often = this.stubs.hotThreshold;
    const chunk = this.#chunks.place(place, base, {
      opcode: this.#exits.count,
      usual: often,
      usualReturn: often * RETURN_SITE_FACTOR,
    });
    if (!(chunk instanceof CodeChunk)) {
      if (chunk === 'damaged') this.source!.noteDamage(place, true);
      return null;
    }
    const { stored } = chunk;
    this.#allow();
    this.#unusable.delete(place);
    this.#next = chunk.ipEnd;
    this.stats.stored += stored.pcs.length;
    this.source!.noteChunk(stored.pcs.length);
    for (const page of stored.pages) this.#watch(chunk, page * PAGE_SIZE, page * PAGE_SIZE + 1);
    if (often === 0) return chunk;
    this.places.addChunk(stored);
    const { pcs } = stored;
    const apart = this.countedApart?.(pcs[0]!, pcs[pcs.length - 1]!) ?? [];
    for (let k = 0; k < apart.length; k++) {
      const stub = chunk.stubPlace(apart[k]!);
      const times = stub === 0 ? null : this.firstCount!(apart[k]!);
      if (times !== null) u32[(stub + stubLayout.counter) >>> 2] = times;
    }
    return chunk;
  }
  #enter(code: CodeBlock): void {
    const { pc, flavour } = code;
    (this.#byPc[flavour] ??= new Map()).set(pc, code);
    if (this.stubs.hotThreshold > 0) this.#executed.add(pc);
    this.#watch(code, code.pc, code.end);
    const stub = flavour === 0 ? this.stubs.at(pc) : undefined;
    if (stub) this.stubs.lead(stub, code.ip);
  }

  #executable(pc: number, end: number): boolean {
    const { pages } = this.#memory;
    const page = Math.floor(pc / PAGE_SIZE);
    const last = Math.floor((end - 1) / PAGE_SIZE);
    return (pages[page]! & pages[last]! & PAGE_EXEC) !== 0;
  }

  #translate(pc: number, flavour: number): CodeBlock | null {
    const block = this.#lift(pc, flavour, false);
    if (!block) return null;
    this.onTranslate?.(block);
    const code = this.#encode(block, flavour, false);
    if (this.source && flavour === 0) this.source.keepBlock(block, templateOf(block) ?? this.#encoder.last());
    return code;
  }
  /** The block as another address space has made it. */
  #load(pc: number): CodeBlock | null {
    const { pages } = this.#memory;
    if (!this.source || !(pc >= 0 && pc < GUEST_LIMIT) || !(pages[Math.floor(pc / PAGE_SIZE)]! & PAGE_EXEC))
      return null;
    const ip = this.#next;
    const stored = this.source.loadBlock(pc, ip);
    if (!stored || !(pages[Math.floor((stored.end - 1) / PAGE_SIZE)]! & PAGE_EXEC)) return null;
    const { end, exit } = stored;
    if (exit === 'call' && this.stubs.hotThreshold > 0) this.places.addReturnSite(end);
    const ipEnd = ip + Math.max(MIN_BLOCK, stored.words * 4);
    this.#next = ipEnd;
    const code: CodeBlock = { pc, end, ip, ipEnd, flavour: 0, transient: false, dead: false, exit };
    this.#blocks.push(code);
    this.stats.stored++;
    this.#enter(code);
    return code;
  }

  /** As `entry`, but counted: for targets of calls, indirect jumps and back edges. */
  countedEntry(pc: number, flavour: number): number {
    if (this.stubs.hotThreshold === 0 || flavour !== 0) return this.entry(pc, flavour);
    const known = this.stubs.known(pc);
    if (known?.region && this.#executable(pc, pc + 1)) return known.ip;
    // The block behind it may have been dropped: then the stub leads to an op that leaves with `miss`.
    const block = this.entry(pc, 0);
    if (block === 0) return 0;
    // That of a chunk that was dropped, and has been put in place anew elsewhere, leads to what is dead.
    if (known) this.stubs.lead(known, block);
    // What was just put in place may hold a stub, too.
    const there = known?.ip ?? this.#chunks.around(pc)?.stub(pc) ?? 0;
    if (there !== 0) return there;
    const ip = this.#next;
    this.#next += stubLayout.size;
    // The interpreter comes to a return site when the function called was not translated yet, which mends itself: a region
    // for what follows the call is seldom worth it.
    const usual = this.places.isReturnSite(pc) ? this.stubs.hotThreshold * RETURN_SITE_FACTOR : this.stubs.hotThreshold;
    this.stubs.make(ip, pc, block, this.firstCount?.(pc) ?? usual);
    const place = { pc, end: pc + 1, ip, ipEnd: this.#next, flavour: 0, transient: false, dead: false, exit: null };
    this.#blocks.push(place);
    return ip;
  }
  /** The op at `ip`, or a region that `called` it, wanted to go to `pc`, for which there was no code. */
  noteMiss(ip: number, pc: number, called: boolean): void {
    if (this.stubs.hotThreshold === 0) return;
    const from = this.blockAt(ip);
    if (called || from?.exit === 'call') this.places.addCallTarget(pc);
    if (from?.exit === 'indirect') this.places.noteJump(from.pc, pc);
  }
  /** Where blocks that have been made begin, where blocks are counted: what has run, and is not the inside of a region. */
  executedBlocks(): Uint32Array {
    return this.#executed.list(this.#byPc[0], this.#chunks.readyPcs());
  }
  /** From now on the block at the region's pc is entered through the region. False when it cannot be executed (any more). */
  install(region: RegionCode): boolean {
    // Kept pages, which no program has mapped now, may get regions, too.
    for (const page of pagesOf(region))
      if (!(this.#memory.pages[page]! & PAGE_EXEC || this.#byPage.has(page))) return false;
    if (this.full || (!this.stubs.at(region.pc) && this.countedEntry(region.pc, 0) === 0)) return false;
    const stub = this.stubs.at(region.pc)!;
    // A region that was there before is as good, only older: what refers to it may go on doing so.
    if (stub.region) clearCallSites(this.#memory.u8);
    this.stubs.enter(stub, region);
    for (const page of pagesOf(region)) this.#watch(region, page * PAGE_SIZE, page * PAGE_SIZE + 1);
    return true;
  }
  dropRegion(region: RegionCode): void {
    const stub = this.stubs.at(region.pc);
    if (stub?.region !== region) return;
    this.dropped++;
    this.stubs.count(stub, this.stubs.hotThreshold);
    dropRegionEntry(this.#memory.u32, region.pc);
    clearCallSites(this.#memory.u8);
    region.drop();
  }
  /** Drops all regions: they were made for another way of accessing memory. No thread may be inside of one. */
  dropRegions(): void {
    for (const region of this.stubs.regions()) this.dropRegion(region);
  }
  /** Whether the guest may write to a page without anybody noticing. */
  unwatched(page: number): boolean {
    return (this.#memory.pages[page]! & PAGE_WRITE) !== 0;
  }
  /** Whether stores to the page are noticed from now on. */
  watchPage(pc: number, page: number): void {
    const chunk = this.#chunks.around(pc);
    const block = this.#byPc[0]?.get(pc) ?? (chunk && chunk.stored.indexOf(pc) >= 0 ? chunk : null);
    if (block) this.#watch(block, page * PAGE_SIZE, page * PAGE_SIZE + 1);
  }

  /** Code that runs just the instruction at `pc` and then looks up the next; 0 when it cannot be fetched. */
  singleStep(pc: number, flavour: number): number {
    const block = this.#lift(pc, flavour, true);
    return block ? this.#encode(block, flavour, true).ip : 0;
  }

  /**
   * Code that runs the instructions from `pc` to `end` as they are, without a pass, and then leaves in any case; it is part of no
   * map. Null when they cannot be fetched, or are no straight piece of code.
   */
  span(pc: number, end: number): { code: CodeBlock; block: Block } | null {
    const block = this.#liftSpan(pc, end);
    if (!block || block.end !== end) return null;
    const code = this.#encode(block, 0, true);
    code.isSpan = true;
    this.#watch(code, pc, end);
    return { code, block };
  }
  #liftSpan(pc: number, end: number): Block | null {
    const { u8 } = this.#memory;
    return this.#front.liftRegionBlock(u8, pc, end, null, null)?.block ?? null;
  }

  /** As `entry`, and enters it into the jump cache, which indirect jumps look at. */
  cachedEntry(pc: number, flavour: number): number {
    const ip = this.countedEntry(pc, flavour);
    if (ip !== 0 && !this.isolated) this.#jumps.add(pc, ip);
    return ip;
  }

  /** Points an unlinked exit at the code of its target, `pc`, and returns that; 0 when `pc` cannot be fetched. */
  link(linkAddress: number, pc: number, flavour: number): number {
    const owner = this.blockAt(linkAddress);
    const ip = this.#linkTarget(owner, pc, flavour);
    if (ip !== 0 && owner && !owner.dead) this.#setLink(owner, linkAddress, pc, ip);
    return ip;
  }
  #setLink(from: CodeBlock, linkAddress: number, to: number, ip: number): void {
    const { u32 } = this.#memory;
    const word = linkAddress >>> 2;
    this.#newLinks.push({ word, before: u32[word]!, after: ip, from, to });
    u32[word] = ip;
  }
  /** Where the exit of `owner` that leads to `pc` goes on. */
  #linkTarget(owner: CodeBlock | null, pc: number, flavour: number): number {
    if (owner?.exit === 'call' && this.stubs.hotThreshold > 0) this.places.addCallTarget(pc);
    const counted = owner !== null && (owner.exit === 'call' || pc < owner.end);
    return counted ? this.countedEntry(pc, flavour) : this.entry(pc, flavour);
  }

  /** Jump-cache entries are of one flavour: to be called before code of `flavour` runs. */
  useFlavour(flavour: number): void {
    if (flavour === this.#flavour) return;
    this.#flavour = flavour;
    this.#allow();
    this.#noteJumps();
    this.#jumps.clear();
  }

  /** The block whose code contains address `ip`. */
  blockAt(ip: number): CodeBlock | null {
    const chunk = this.#chunks.at(ip);
    if (chunk) return chunk.at(ip);
    return this.#blocks.at(ip);
  }

  /**
   * Where the guest is when code is to go on at `ip`: at the beginning of a block, or on the way out of one, whose target has no
   * code yet; null when there is no code.
   */
  resumePc(ip: number): number | null {
    const block = this.blockAt(ip);
    if (!block) return null;
    const { u16, u32 } = this.#memory;
    const at = ip + exitLayout.pc;
    if (u16[ip >>> 1] !== this.#exits.link) return block.pc;
    return u32[at >>> 2]! + u32[(at + 4) >>> 2]! * 0x1_0000_0000;
  }

  /** The op at `ip` and its guest pc; `inst` is null for the exit. Lifts the block again: faults are rare. */
  locate(ip: number): { block: CodeBlock; pc: number; inst: Inst | null } | null {
    const code = this.blockAt(ip);
    if (!code) return null;
    const block = code.isSpan ? this.#liftSpan(code.pc, code.end) : this.#lift(code.pc, code.flavour, code.transient);
    if (!block) return null;
    let at = code.ip;
    for (const inst of block.insts) {
      const { size } = this.#encoder.formOf(inst);
      if (ip < at + size) return { block: code, pc: inst.pc, inst };
      at += size;
    }
    return { block: code, pc: block.exitPc, inst: null };
  }

  /** True when a store to the page failed only because translated code was made from it. */
  holdsCode(page: number): boolean {
    return this.#byPage.has(page);
  }

  invalidate(start: number, end: number): void {
    this.onInvalidate?.(start, end);
    if (this.#byPage.size === 0) return;
    const first = Math.floor(start / PAGE_SIZE);
    const last = Math.ceil(end / PAGE_SIZE);
    if (last - first > this.#byPage.size) {
      for (const page of [...this.#byPage.keys()]) if (page >= first && page < last) this.#dropPage(page);
    } else for (let page = first; page < last; page++) if (this.#byPage.has(page)) this.#dropPage(page);
  }

  hidden(): void {
    this.dropped++;
  }

  #dropPage(page: number): void {
    const { pages } = this.#memory;
    const blocks = this.#byPage.get(page)!;
    this.#byPage.delete(page);
    if (pages[page]! & PAGE_GUEST_WRITE) pages[page]! |= PAGE_WRITE;
    for (const b of blocks)
      if ('ranges' in b) this.dropRegion(b);
      else if (b instanceof CodeChunk) this.#dropChunk(b);
      else this.#drop(b);
  }

  #dropChunk(chunk: CodeChunk): void {
    if (chunk.dead) return;
    this.#chunks.remove(chunk);
    // Who goes by its stubs is counted by them further on.
    for (const { pc, ip } of chunk.stubs()) if (!this.stubs.known(pc)) this.stubs.add(pc, ip);
    for (let k = 0; k < chunk.stored.pcs.length; k++) {
      if (!chunk.isReady(k)) continue;
      const code = chunk.block(k);
      code.dead = false;
      this.#drop(code);
      this.#deadBytes -= code.ipEnd - code.ip;
    }
    this.#deadBytes += chunk.ipEnd - chunk.ip;
  }
  /** The interpreter enters return sites of chunks into the jump cache by itself. */
  #noteJumps(): void {
    this.#jumps.noteWritten(this.#chunks.takeWritten());
  }
  #drop(b: CodeBlock): void {
    if (b.dead) return;
    b.dead = true;
    this.dropped++;
    this.#deadBytes += b.ipEnd - b.ip;
    this.stats.invalidated++;
    const { u16, u32 } = this.#memory;
    // Whoever still links here finds an op that leaves with the block's pc.
    u16[b.ip >>> 1] = this.#exits.stale;
    u32[(b.ip + exitLayout.pc) >>> 2] = b.pc;
    u32[(b.ip + exitLayout.pc + 4) >>> 2] = 0;
    if (this.#byPc[b.flavour]?.get(b.pc) === b) this.#byPc[b.flavour]!.delete(b.pc);
    this.#jumps.remove(b.pc, b.ip);
    if (b.flavour === 0) this.stubs.changed(b.pc);
  }

  /** Links made since `keep`. */
  #newLinks: CodeLink[] = [];
  readonly #parked = new ParkedCode();
  #keptPlaces = 0;
  /** Of blocks that were dropped. */
  #deadBytes = 0;

  /**
   * Everything has been unmapped, and another program may map the ranges again, each as a whole, with the same bytes: keeps
   * what was made from them, and forgets the rest. No thread may hold an address in the code.
   */
  keep(ranges: readonly (readonly [number, number])[]): void {
    this.dropped++;
    const used = this.#next - CODE_START;
    const wasted = this.#deadBytes > KEEP_DEAD && this.#deadBytes * 2 > used;
    if (ranges.length === 0 || this.full || used > KEEP_LIMIT || wasted) {
      this.flush();
      return;
    }
    const rangeAt = rangeFinder(ranges);
    this.#executed.keep((pc) => rangeAt(pc) >= 0);
    this.#parked.begin(ranges);
    for (const page of [...this.#byPage.keys()]) if (rangeAt(page * PAGE_SIZE) < 0) this.#dropPage(page);
    // A range may be mapped without another.
    const { u32 } = this.#memory;
    for (const link of this.#newLinks) {
      if (link.from.dead) continue;
      const home = rangeAt(link.from.pc);
      const target = rangeAt(link.to);
      if (home === target) continue;
      u32[link.word] = link.before;
      if (home >= 0 && target >= 0) this.#parked.addLink(home, target, link);
    }
    this.#newLinks = [];
    if (this.stubs.size + this.places.size !== this.#keptPlaces) {
      this.stubs.keep((pc) => rangeAt(pc) >= 0);
      this.places.keep((pc) => rangeAt(pc) >= 0);
      this.#keptPlaces = this.stubs.size + this.places.size;
    }
    // Entries are of installed regions only.
    for (const { pc } of this.stubs.regions()) dropRegionEntry(u32, pc);
    clearCallSites(this.#memory.u8);
    this.#noteJumps();
    this.#jumps.drain((pc, ip) => {
      if (this.#flavour === 0) this.#parked.addJump(rangeAt(pc), pc, ip);
    });
    this.#flavour = 0;
    this.#allow();
    this.onKeep?.(rangeAt);
  }
  /** Kept ranges inside of `[start, end)` are mapped for execution again. */
  shown(start: number, end: number): void {
    this.#parked.restore(
      start,
      end,
      (pc, ip) => {
        if (this.#flavour === 0) this.#jumps.add(pc, ip);
      },
      (link) => {
        if (link.from.dead) return;
        this.#memory.u32[link.word] = link.after;
        this.#newLinks.push(link);
      },
    );
    this.onShown?.(start, end);
  }

  /** Forgets everything (exec, or the code area is full). No thread may hold an address in it. */
  flush(): void {
    this.dropped++;
    this.#noteJumps();
    this.#chunks.clear();
    for (const page of [...this.#byPage.keys()]) this.#dropPage(page);
    this.dropRegions();
    this.stubs.clear();
    this.places.clear();
    // Caches without an entry are not written to: that would make a short run's memory larger by 160 pages.
    if (this.#next !== CODE_START) {
      clearRegionCache(this.#memory.u8);
      this.#jumps.clear();
    }
    this.#byPc = [];
    this.#executed.clear();
    this.#blocks.clear();
    this.#unusable = new WeakMap();
    this.#newLinks = [];
    this.#parked.clear();
    this.#keptPlaces = 0;
    this.#deadBytes = 0;
    this.#next = CODE_START;
    this.exhausted = false;
    this.stats.flushes++;
    this.onFlush?.();
  }
  /** Whether a block might not fit any more. */
  get full(): boolean {
    return this.exhausted || this.#next > CODE_END - 0x40000;
  }

  #lift(pc: number, flavour: number, single: boolean): Block | null {
    if (!(pc >= 0 && pc < GUEST_LIMIT)) return null;
    return this.#front.lift(this.#memory.u8, pc, this.limit(pc), flavour, single);
  }
  /** End of the executable bytes from the page of `pc` on, as far as a block can reach. */
  limit(pc: number): number {
    const { pages } = this.#memory;
    let page = Math.floor(pc / PAGE_SIZE);
    // A block reads at most 64 instructions of 15 bytes: two pages are enough.
    const lastPage = page + 2;
    while (page < lastPage && pages[page]! & PAGE_EXEC) page++;
    return page * PAGE_SIZE;
  }

  /** Stores to the pages of the bytes that `b` was made from now fault, so that the change is noticed. */
  #watch(b: CodeBlock | RegionCode | CodeChunk, start: number, end: number): void {
    const { pages } = this.#memory;
    const last = Math.floor((end - 1) / PAGE_SIZE);
    for (let page = Math.floor(start / PAGE_SIZE); page <= last; page++) {
      let set = this.#byPage.get(page);
      if (!set) {
        set = new Set();
        this.#byPage.set(page, set);
        pages[page]! &= ~PAGE_WRITE;
      }
      set.add(b);
    }
  }

  #encode(block: Block, flavour: number, transient: boolean): CodeBlock {
    const start = this.#next;
    const template = templateOf(block);
    let at = template ? placeTemplate(template, this.#memory.u32, start) : this.#encoder.emit(block, start);
    if (!template && this.#front.keepsBlocks && !transient) keepTemplate(block, this.#encoder.last());
    if (block.exit.kind === 'call' && this.stubs.hotThreshold > 0) this.places.addReturnSite(block.exit.returnPc);
    if (at - start < MIN_BLOCK) at = start + MIN_BLOCK;
    this.#next = at;
    const { pc, end, exit } = block;
    const code: CodeBlock = { pc, end, ip: start, ipEnd: at, flavour, transient, dead: false, exit: exit.kind };
    this.#blocks.push(code);
    this.stats.blocks++;
    this.stats.guestInstructions += block.guestInstructions;
    return code;
  }
}
