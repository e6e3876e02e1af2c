/**
 * The cache as a run uses it: translations of earlier runs, found by guest address and checked against the guest's bytes.
 * See docs/cache.md.
 */
import { availableParallelism, loadavg } from 'node:os';
import type { Isa } from '../../kernel/task/cpu-context.ts';
import type { MemoryChecks } from '../../translator/wasm/region-access.ts';
import type { CompileResult } from '../jit/messages.ts';
import type { GuestFrontEnd } from '../isa.ts';
import type { LinearMemory } from '../linear-memory.ts';
import { hasUsed, nowMs } from '../node-host.ts';
import { allowWasmTiers, compileInBaseline, isBaselineOnly } from '../jit/v8-flags.ts';
import { type BlockSource, pagesIn } from '../code-blocks.ts';
import type { CodeTemplate } from '../code-template.ts';
import type { Block } from '../../translator/ir/block.ts';
import { BLOCKS, BlockStore, type ChunkPlace, type StoredBlock } from './block-store.ts';
import { checksum } from './checked.ts';
import type { CacheFolder } from './folder.ts';
import { placeOf } from './sorted.ts';
import { hostTraits } from './host-traits.ts';
import { type CodeMappings, type Image, ImageHashes, imageFolder, noteOrigin } from './images.ts';
import { sweepIfDue, touch } from './sweep.ts';
import { type CachedModule, dependencies, guestChecksum, IndexView } from './index-file.ts';
import { encodeProfile, parseProfile, PROFILE, type Profile } from './profile.ts';

/**
 * Entries of a block after which its translation is fetched from the cache: where an earlier run found it hot, and elsewhere.
 * Fetching takes milliseconds, for all functions that are in a module together.
 */
export const CACHED_THRESHOLD = 50;
export const UNKNOWN_THRESHOLD = 3000;
/** A program in which earlier runs have found this many places hot runs for long. */
const LONG_RUN_PLACES = 50;
/** Programs lie below, libraries above (kernel/mm/layout.ts). */
const LIBRARIES = 0x8000_0000;
/** Time, and time of the processor, in which a run that finds translations in the cache makes none, in milliseconds. */
const HOLD_BACK_MS = 1000;
const HOLD_BACK_CPU_MS = 1500;
/** How long the guest is held up by translations being loaded, as many as are wanted at once, in milliseconds. The others come later. */
const LOAD_BURST_MS = 15;
/** Modules held for programs to come. Those that are in use are held by their instances, too. */
const MODULES_HELD = 500;
const loaded = nowMs();

export interface CacheStats {
  /** Hot places whose translation was in the cache, and those whose was not. */
  hits: number;
  misses: number;
  /** Modules loaded, and their size. */
  loads: number;
  bytes: number;
  /** Modules not used because something about them was wrong. */
  rejected: number;
  /** Modules handed to workers to be kept. */
  kept: number;
  loadMs: number;
  /** Blocks of interpreter code that were in the cache, and those made anew. */
  blocksLoaded: number;
  blocksMade: number;
}

/** Where a compile worker keeps what it makes. */
export interface KeepIn {
  /** The cache's own folder. */
  cache: string;
  /** The image's folder in it, and the file of its index. */
  image: string;
  index: string;
  start: number;
  end: number;
  /** All images, [start, end): translations of bytes elsewhere, copies of short functions among them, are not kept. */
  images: (readonly [number, number])[];
}

/** Name of the index of translations for this way of accessing memory, on hosts like this one. */
export const indexName = (checks: MemoryChecks): string => `${checks}-${hostTraits()}.idx`;

/** One a run, whatever the number of guest processes. */
export class CodeCache {
  readonly folder: CacheFolder;
  readonly version: string;
  readonly eager: boolean;
  readonly hashes: ImageHashes;
  readonly stats: CacheStats = {
    hits: 0,
    misses: 0,
    loads: 0,
    bytes: 0,
    rejected: 0,
    kept: 0,
    loadMs: 0,
    blocksLoaded: 0,
    blocksMade: 0,
  };
  readonly #indexes = new Map<string, IndexView | null>();
  /** The one asked for last: it is asked for at each block that is counted. */
  #lastIndex: { folder: string; checks: MemoryChecks; index: IndexView | null } | null = null;
  readonly #nonEmpty = new Set<string>();
  /** By name of their file, for further processes and programs of the run; the least recently used one in front. */
  readonly #modules = new Map<string, WebAssembly.Module>();
  readonly #used = new Map<string, Image>();
  readonly #blocks = new Map<string, BlockStore>();
  /** `hot`: what the file had, in order. */
  readonly #profiles = new Map<string, { known: Profile; hot: Uint32Array; changed: boolean }>();

  /** Called when the run takes its first module from the cache. */
  onFirstHit: (() => void) | null = null;

  /** `eager`: hot code that is not in the cache is translated at once, in warm runs too. */
  constructor(folder: CacheFolder, version: string, eager = false) {
    this.eager = eager;
    this.folder = folder;
    this.version = version;
    this.hashes = new ImageHashes(folder);
  }

  /** Milliseconds of loading for which the guest has not run as long yet; and when that was so. */
  #loading = 0;
  #loadingAt = 0;
  /** Whether so much has just been loaded that the guest is to run first. */
  hasLoadedMuch(): boolean {
    const now = nowMs();
    this.#loading = Math.max(0, this.#loading - (now - this.#loadingAt));
    this.#loadingAt = now;
    return this.#loading > LOAD_BURST_MS;
  }
  noteLoading(ms: number): void {
    this.#loading += ms;
    this.#loadingAt = nowMs();
  }

  /** Null when there is none. */
  index(image: Image, checks: MemoryChecks): IndexView | null {
    const last = this.#lastIndex;
    if (last?.folder === image.folder && last.checks === checks) return last.index;
    const path = `${image.folder}/${indexName(checks)}`;
    let index = this.#indexes.get(path);
    if (index === undefined) {
      index = this.#loadIndex(path);
      this.#indexes.set(path, index);
      if (index && index.size > 0) this.#nonEmpty.add(image.folder);
    }
    this.#lastIndex = { folder: image.folder, checks, index };
    return index;
  }
  #loadIndex(name: string): IndexView | null {
    const path = this.folder.file(name);
    const file = this.folder.open(path);
    const index = file && IndexView.open(file);
    if (!file || index) return index;
    file.close();
    this.#discard(path);
    return null;
  }

  /** Whether there is any translation of the image. */
  hasIndex(image: Image): boolean {
    return this.#nonEmpty.has(image.folder);
  }

  /** A damaged file: the next one written there is a new one. */
  #discard(path: string): void {
    this.reject(`${path} is damaged`);
    this.folder.remove(path);
  }
  reject(reason: string): void {
    this.stats.rejected++;
    this.folder.complain(reason);
  }

  /** The code of a module, in V8's baseline code; null when its file is gone or damaged. */
  code(image: Image, { wasm, sum }: CachedModule): WebAssembly.Module | null {
    const known = this.#modules.get(wasm);
    if (known) {
      this.#modules.delete(wasm);
      this.#modules.set(wasm, known);
      return known;
    }
    const path = this.folder.file(image.folder, `${wasm}.wasm`);
    const bytes = this.folder.read(path);
    if (!bytes) {
      this.stats.rejected++;
      return null;
    }
    if (!checksum(bytes).equals(sum)) {
      this.#discard(path);
      return null;
    }
    try {
      if (this.stats.loads === 0 && isBaselineOnly()) allowWasmTiers();
      const module = compileInBaseline(bytes);
      this.stats.loads++;
      this.stats.bytes += bytes.length;
      this.#modules.set(wasm, module);
      for (const oldest of this.#modules.keys()) {
        if (this.#modules.size <= MODULES_HELD) break;
        this.#modules.delete(oldest);
      }
      return module;
    } catch {
      // Of a host that knows more of WebAssembly.
      this.reject(`${path} cannot be used by this Node.js`);
      return null;
    }
  }

  /** Interpreter code of an image. */
  blocks(image: Image): BlockStore {
    let store = this.#blocks.get(image.folder);
    if (!store) {
      const path = this.folder.file(image.folder, BLOCKS);
      store = new BlockStore(this.folder.open(path));
      this.#blocks.set(image.folder, store);
    }
    return store;
  }

  /** A run uses the image. */
  use(image: Image): void {
    this.#used.set(image.folder, image);
  }

  profile(image: Image): Profile {
    return this.#profile(image).known;
  }
  #profile(image: Image): { known: Profile; hot: Uint32Array; changed: boolean } {
    let entry = this.#profiles.get(image.folder);
    if (!entry) {
      const path = this.folder.file(image.folder, PROFILE);
      const file = this.folder.read(path);
      const parsed = file && parseProfile(file);
      if (file && !parsed) this.#discard(path);
      const known = parsed ?? { hot: new Set<number>(), jumpTargets: new Set<number>() };
      entry = { known, hot: Uint32Array.from(known.hot).sort(), changed: false };
      this.#profiles.set(image.folder, entry);
    }
    return entry;
  }
  /** Places from `first` to `last` that earlier runs have found hot. */
  hotBetween(image: Image, first: number, last: number): Uint32Array {
    const { hot } = this.#profile(image);
    return hot.subarray(placeOf(hot, first), placeOf(hot, last + 1));
  }
  noteProfile(image: Image, kind: keyof Profile, pc: number): void {
    const entry = this.#profile(image);
    if (entry.known[kind].has(pc)) return;
    entry.known[kind].add(pc);
    entry.changed = true;
  }
  /** Writes what is not written by workers: at the end of a run. */
  close(): void {
    for (const [folder, store] of this.#blocks) {
      this.stats.rejected += store.rejected;
      if (store.rejected > 0) this.folder.complain(`${this.folder.file(folder, BLOCKS)} is damaged`);
      if (this.folder.writable && store.worthWriting)
        this.folder.write(this.folder.file(folder, BLOCKS), store.encode());
    }
    for (const [folder, entry] of this.#profiles)
      if (entry.changed) this.folder.write(this.folder.file(folder, PROFILE), encodeProfile(entry.known));
    if (!this.folder.writable) return;
    for (const image of this.#used.values()) {
      noteOrigin(this.folder, image);
      touch(this.folder.file(image.folder));
    }
    sweepIfDue(this.folder);
  }
}

/** The cache for one guest memory and instruction set. */
export class MemoryCache implements BlockSource {
  readonly #cache: CodeCache;
  readonly #memory: LinearMemory;
  readonly #isa: Isa;
  readonly #front: GuestFrontEnd;
  mappings: CodeMappings | null = null;
  /** Images seen, the one asked for last in front. */
  #images: Image[] = [];
  /** Number of images that `wasLong` has looked at, and what it has found; and that `expectsLongRun` was asked at. */
  #looked = 0;
  #long = false;
  #asked = 0;
  /** Translations found wrong for this memory. */
  readonly #wrong = new Set<CachedModule>();

  constructor(cache: CodeCache, memory: LinearMemory, isa: Isa, front: GuestFrontEnd) {
    this.#front = front;
    this.#cache = cache;
    this.#memory = memory;
    this.#isa = isa;
  }

  /** The image at `pc`, looked up anew. */
  image(pc: number): Image | null {
    const mapping = this.mappings?.at(pc);
    if (!mapping) return null;
    const { start, end } = mapping;
    const known = this.#images.find((i) => i.start === start && i.end === end && i.label === mapping.label);
    if (known) return known;
    const hash = this.#cache.hashes.of(mapping, this.#memory.u8);
    const folder = imageFolder(this.#cache.version, this.#isa, hash, start);
    const image: Image = { start, end, label: mapping.label, offset: mapping.offset, folder };
    this.#images.push(image);
    this.#cache.use(image);
    return image;
  }
  /** As `image`, but perhaps of a mapping that has gone: for what is checked or does not matter. */
  #imageNear(pc: number): Image | null {
    for (let k = 0; k < this.#images.length; k++) {
      const image = this.#images[k]!;
      if (pc < image.start || pc >= image.end) continue;
      if (k > 0) {
        this.#images.splice(k, 1);
        this.#images.unshift(image);
      }
      return image;
    }
    return this.image(pc);
  }
  /** Whether earlier runs have left translations of code seen so far. */
  isWarm(): boolean {
    return this.#images.some((image) => this.#cache.hasIndex(image));
  }
  /** Whether it is too early to translate: a program that finds most of its hot code in the cache may be over soon. */
  holdsBack(): boolean {
    if (this.#cache.eager || !this.isWarm()) return false;
    if (nowMs() - loaded < HOLD_BACK_MS) return true;
    // On a busy machine a short program takes long.
    return !hasUsed(HOLD_BACK_CPU_MS);
  }
  /** Another program, or other mappings. */
  forget(): void {
    this.#images = [];
    this.#looked = this.#asked = 0;
    this.#long = false;
    this.#wrong.clear();
  }

  chunkAround(pc: number): ChunkPlace | null {
    const image = this.#imageNear(pc);
    const place = image && this.#cache.blocks(image).around(pc);
    return place && place.first >= image.start && place.last < image.end ? place : null;
  }
  noteChunk(blocks: number): void {
    this.#cache.stats.blocksLoaded += blocks;
  }
  noteDamage(place: ChunkPlace, all: boolean): void {
    const image = this.#imageNear(place.first);
    if (!image) return;
    const store = this.#cache.blocks(image);
    if (all) store.reject(place.number);
    else store.noteDamage();
  }
  get floatUsed(): boolean {
    return this.#front.floatUsed;
  }
  noteFloatUse(): void {
    this.#front.noteFloatUse();
  }
  loadBlock(pc: number, at: number): StoredBlock | null {
    const image = this.#imageNear(pc);
    const found = image && this.#cache.blocks(image).load(pc, this.#memory.u8, this.#memory.u32, at);
    if (!found) return null;
    this.#cache.stats.blocksLoaded++;
    if (found.float) this.#front.noteFloatUse();
    return found;
  }
  keepBlock(block: Block, template: CodeTemplate): void {
    const image = this.#imageNear(block.pc);
    if (!image || block.end > image.end) return;
    this.#cache.stats.blocksMade++;
    this.#cache.blocks(image).add(block, template, this.#front.raisesFloatFlags(block), this.#memory.u8);
  }

  /** Entries after which to `take` the translation at `pc`, at most `usual`; null when there is none. */
  firstCount(pc: number, checks: MemoryChecks, usual: number): number | null {
    const image = this.#imageNear(pc);
    if (!image) return null;
    const times = this.#cache.profile(image).hot.has(pc) ? CACHED_THRESHOLD : UNKNOWN_THRESHOLD;
    // Many a short run needs no index.
    return times < usual && this.#cache.index(image, checks)?.has(pc) ? times : null;
  }
  /** Addresses from `first` to `last` that `firstCount` may have another number than `usual` for, in order. */
  countedApart(first: number, last: number, checks: MemoryChecks, usual: number): ArrayLike<number> {
    const image = this.#imageNear(first);
    if (!image) return [];
    // Of a prewarmed image all is translated, and next to nothing hot.
    if (usual <= UNKNOWN_THRESHOLD) return this.#cache.hotBetween(image, first, last);
    return this.#cache.index(image, checks)?.between(first, last) ?? [];
  }
  /** Whether earlier runs of the program have been long. */
  wasLong(): boolean {
    if (this.#images.length !== this.#looked) {
      this.#looked = this.#images.length;
      this.#long = this.#images.some((i) => i.start < LIBRARIES && this.#cache.profile(i).hot.size >= LONG_RUN_PLACES);
    }
    return this.#long;
  }
  /** The same, when a processor is idle, once for each number of images: what is worth it later is worth it now. */
  expectsLongRun(): boolean {
    if (this.#images.length === this.#asked) return false;
    this.#asked = this.#images.length;
    return this.wasLong() && loadavg()[0]! < availableParallelism();
  }
  /** As in CodeCache. */
  hasLoadedMuch(): boolean {
    return !this.#cache.eager && this.#cache.hasLoadedMuch();
  }
  noteLoading(ms: number): void {
    this.#cache.noteLoading(ms);
  }
  /** Whether an earlier run has found the place at `pc` hot. */
  wasHot(pc: number): boolean {
    const image = this.#imageNear(pc);
    return image !== null && this.#cache.profile(image).hot.has(pc);
  }
  /** Whether there is a translation at `pc`, right or not. */
  knows(pc: number, checks: MemoryChecks): boolean {
    const image = this.#imageNear(pc);
    return image !== null && (this.#cache.index(image, checks)?.has(pc) ?? false);
  }

  /** The translation at `pc`, as if just made; null when there is none that is right. */
  take(pc: number, checks: MemoryChecks): CompileResult | null {
    const { stats } = this.#cache;
    const image = this.image(pc);
    if (!image) return null;
    const index = this.#cache.index(image, checks);
    const found = index?.get(pc);
    if (!found || this.#wrong.has(found)) {
      if (!found && index?.has(pc)) this.#cache.reject(`an index of ${image.folder} is damaged`);
      stats.misses++;
      return null;
    }
    const start = nowMs();
    const inside = dependencies(found).every(([from, to]) => {
      const { start, end } = this.#imageNear(from) ?? { start: 0, end: 0 };
      return from >= start && to <= end;
    });
    const module = inside && this.#matches(found) ? this.#cache.code(image, found) : null;
    stats.loadMs += nowMs() - start;
    if (!module) {
      this.#wrong.add(found);
      if (!inside) this.#cache.reject(`an entry of ${image.folder} is wrong`);
      stats.misses++;
      return null;
    }
    stats.hits++;
    this.#cache.onFirstHit?.();
    this.#cache.onFirstHit = null;
    this.#cache.noteProfile(image, 'hot', pc);
    const { regions, links, tables } = found;
    const looked = pagesIn(found.looked);
    const times = { translateMs: 0, compileMs: 0 };
    return { id: 0, module, regions, links, looked, tables, wasmBytes: 0, left: [], error: null, ...times };
  }
  /** Gives up a translation that turned out not to fit. */
  refuse(pc: number, checks: MemoryChecks): void {
    const image = this.image(pc);
    const found = image && this.#cache.index(image, checks)?.get(pc);
    if (found) this.#wrong.add(found);
    this.#cache.reject('an entry does not fit this program');
  }
  #matches(found: CachedModule): boolean {
    const { u8 } = this.#memory;
    if (guestChecksum(u8, dependencies(found)).equals(found.guest)) return true;
    this.#cache.stats.rejected++;
    return false;
  }

  /** Where a translation of `pc` is to be kept; null when it is not. */
  keepIn(pc: number, checks: MemoryChecks): KeepIn | null {
    const { folder } = this.#cache;
    const image = folder.writable ? this.image(pc) : null;
    if (!image) return null;
    const { start, end } = image;
    const images = this.#images.map((i) => [i.start, i.end] as const);
    return { cache: folder.path, image: image.folder, index: indexName(checks), start, end, images };
  }
  noteKept(): void {
    this.#cache.stats.kept++;
  }
  /** Notes for later runs; only `jumpTargets` of earlier ones come back. */
  noteHot(pc: number): void {
    const image = this.#imageNear(pc);
    if (image) this.#cache.noteProfile(image, 'hot', pc);
  }
  noteJumpTarget(pc: number): void {
    const image = this.#imageNear(pc);
    if (image) this.#cache.noteProfile(image, 'jumpTargets', pc);
  }
  /** Where indirect jumps in the image at `pc` have gone to in earlier runs. */
  jumpTargets(pc: number): Iterable<number> {
    const image = this.#imageNear(pc);
    return image ? this.#cache.profile(image).jumpTargets : [];
  }
}
