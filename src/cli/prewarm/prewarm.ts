/** Translates whole images ahead of time, with the compile workers of a run, into the code cache. */
import { PROT_EXEC, PROT_READ } from '../../kernel/mm/guest-memory.ts';
import { type CodeCache, indexName } from '../../runtime/cache/code-cache.ts';
import { sha256Hex } from '../../runtime/cache/checked.ts';
import { type Image, imageFolder, noteOrigin } from '../../runtime/cache/images.ts';
import { BLOCKS } from '../../runtime/cache/block-store.ts';
import { dependencies, entriesOf, guestChecksum, MAX_MODULES } from '../../runtime/cache/index-file.ts';
import { sweepIfDue } from '../../runtime/cache/sweep.ts';
import type { Compiler, JobRequest } from '../../runtime/jit/compiler.ts';
import type { CompileResult } from '../../runtime/jit/messages.ts';
import { isaRuntime, loadIsa } from '../../runtime/isa.ts';
import { LinearMemory } from '../../runtime/linear-memory.ts';
import type { MemoryChecks } from '../../translator/wasm/region-access.ts';
import { findBlocks } from './blocks.ts';
import type { CodeImage } from './images.ts';

/** Functions of a module: a run loads all of them when one gets hot. Images with very many have more. */
const BATCH = 4;
/** Modules of an image, of those that its index has room for. */
const MODULES = MAX_MODULES / 2;

export interface ImageSummary {
  file: string;
  /** Functions known, those of them that were to be translated, and how many are in the cache now. */
  functions: number;
  chosen: number;
  translated: number;
  /** Of them, there before. */
  before: number;
  /** Guest bytes that translations cover, those that blocks for the interpreter cover, and those of the executable segment. */
  coveredBytes: number;
  blockBytes: number;
  codeBytes: number;
  /** Blocks of interpreter code in the cache. */
  blocks: number;
  wasmBytes: number;
  failed: number;
}

export interface Progress {
  done: number;
  total: number;
}

interface Work {
  code: CodeImage;
  image: Image;
  summary: ImageSummary;
  /** Function starts that are to be translated, and have no translation yet. */
  left: Set<number>;
  /** All that are known. */
  known: Set<number>;
  covered: [number, number][];
  /** Where indirect jumps may go to. */
  jumpTargets: Set<number>;
}

export class Prewarm {
  readonly #cache: CodeCache;
  readonly #compiler: Compiler;
  readonly #checks: MemoryChecks;
  readonly #optimize: number;
  readonly #all: boolean;
  readonly #memory = new LinearMemory();
  onProgress: ((p: Progress) => void) | null = null;

  /** `optimize`: level of binaryen's optimiser, 0 to 3; `all`: functions that are hardly ever hot, too. */
  constructor(cache: CodeCache, compiler: Compiler, checks: MemoryChecks, optimize: number, all: boolean) {
    this.#optimize = optimize;
    this.#all = all;
    this.#cache = cache;
    this.#compiler = compiler;
    this.#checks = checks;
  }

  /** Translates what is not in the cache yet. The images must not overlap. */
  async run(images: readonly CodeImage[]): Promise<ImageSummary[]> {
    const works: Work[] = [];
    for (const code of images) works.push(await this.#prepare(code));
    await this.#translate(works);
    for (const { image, code, summary, covered, left } of works) {
      noteOrigin(this.#cache.folder, image);
      summary.translated = summary.chosen - left.size - summary.failed;
      summary.coveredBytes = union(covered);
      this.#memory.protect(code.start, code.end, -1);
    }
    sweepIfDue(this.#cache.folder);
    return works.map((w) => w.summary);
  }

  async #prepare(code: CodeImage): Promise<Work> {
    const { start, end, bytes, isa, file, offset } = code;
    this.#memory.u8.set(bytes, start);
    this.#memory.protect(start, end, PROT_READ | PROT_EXEC);
    const hash = sha256Hex(bytes);
    // Runs need not hash the file then.
    if (code.key !== null) this.#cache.hashes.remember(code.key, hash);
    this.#cache.hashes.rememberVdso(isa);
    const folder = imageFolder(this.#cache.version, isa, hash, start);
    const image: Image = { start, end, label: file, offset, folder };
    const profile = this.#cache.profile(image);
    await loadIsa(isa);
    const store = this.#cache.blocks(image);
    const further = [...profile.hot, ...profile.jumpTargets];
    const found = await findBlocks(isaRuntime(isa), this.#memory, code, further, store);
    if (found.added > 0) this.#cache.folder.write(this.#cache.folder.file(folder, BLOCKS), store.encode());
    const known = new Set([...code.functions, ...found.callTargets, ...profile.hot]);
    const made: number[] = [];
    const covered: [number, number][] = [];
    for (const module of this.#cache.index(image, this.#checks)?.whole() ?? []) {
      if (!guestChecksum(this.#memory.u8, dependencies(module)).equals(module.guest)) continue;
      if (!this.#cache.folder.has(this.#cache.folder.file(folder, `${module.wasm}.wasm`))) continue;
      for (const { pc } of entriesOf(module)) made.push(pc);
      // What modules call directly is a function, too.
      for (const pc of module.links) if (pc >= start && pc < end) known.add(pc);
      for (const r of module.regions) covered.push(...r.ranges);
    }
    const left = new Set(this.#all ? known : [...found.likely, ...profile.hot].filter((pc) => known.has(pc)));
    for (const pc of made) if (known.has(pc)) left.add(pc);
    const chosen = left.size;
    for (const pc of made) left.delete(pc);
    const summary: ImageSummary = {
      file,
      functions: known.size,
      chosen,
      translated: 0,
      before: chosen - left.size,
      coveredBytes: 0,
      blockBytes: union(found.ranges),
      blocks: store.size,
      codeBytes: bytes.length,
      wasmBytes: 0,
      failed: 0,
    };
    return { code, image, summary, left, known, covered, jumpTargets: found.jumpTargets };
  }

  #translate(works: Work[]): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let outstanding = 0;
    const source = (): { job: JobRequest; done: (result: CompileResult) => void } | null => {
      // One image after the other: neighbours go into one module.
      const work = works.find((w) => w.left.size > 0);
      if (!work) return null;
      const entries: number[] = [];
      const batch = Math.max(BATCH, Math.ceil(work.summary.chosen / MODULES));
      for (const pc of work.left) {
        entries.push(pc);
        if (entries.length === batch) break;
      }
      for (const pc of entries) work.left.delete(pc);
      outstanding++;
      const done = (result: CompileResult): void => {
        if (result.error) {
          reject(new Error(result.error));
          return;
        }
        this.#note(work, entries, result);
        this.#compiler.keep(result.id, () => {
          outstanding--;
          this.onProgress?.({
            done: works.reduce((n, w) => n + w.summary.chosen - w.left.size, 0),
            total: works.reduce((n, w) => n + w.summary.chosen, 0),
          });
          if (outstanding === 0 && works.every((w) => w.left.size === 0)) resolve();
          this.#compiler.pump();
        });
      };
      return { job: this.#job(work, entries), done };
    };
    this.#compiler.addSource(source);
    // The compiler's threads do not keep the process alive; and it starts none in the first moments of a run.
    const alive = setInterval(() => this.#compiler.pump(), 100);
    if (works.every((w) => w.left.size === 0)) resolve();
    this.#compiler.pump();
    return promise
      .then(() => this.#compiler.flush())
      .finally(() => {
        clearInterval(alive);
        this.#compiler.removeSource(source);
      });
  }

  #job({ code, image, known, jumpTargets }: Work, entries: number[]): JobRequest {
    const { folder } = this.#cache;
    const { start, end } = code;
    return {
      isa: code.isa,
      memory: this.#memory.memory,
      entries,
      wanted: [],
      jumpTargets: [...this.#cache.profile(image).jumpTargets, ...jumpTargets],
      functionStarts: Uint32Array.from(known).sort(),
      options: { checks: this.#checks, watchStores: false },
      keepIn: {
        cache: folder.path,
        image: image.folder,
        index: indexName(this.#checks),
        start,
        end,
        images: [[start, end]],
      },
      translateOnly: true,
      optimize: this.#optimize,
    };
  }

  #note(work: Work, entries: readonly number[], result: CompileResult): void {
    const made = new Set<number>();
    for (const { pc } of entriesOf(result)) made.add(pc);
    const again = new Set(result.left);
    for (const pc of entries)
      if (again.has(pc)) work.left.add(pc);
      else if (!made.has(pc)) work.summary.failed++;
    for (const pc of made) work.left.delete(pc);
    for (const r of result.regions) work.covered.push(...r.ranges);
    work.summary.wasmBytes += result.wasmBytes;
    // What is called directly is a function, too.
    for (const pc of result.links)
      if (pc >= work.code.start && pc < work.code.end && !work.known.has(pc)) {
        work.known.add(pc);
        work.summary.functions++;
        if (!this.#all) continue;
        work.left.add(pc);
        work.summary.chosen++;
      }
  }
}

/** Bytes in at least one of the ranges. */
function union(ranges: [number, number][]): number {
  let bytes = 0;
  let at = 0;
  for (const [start, end] of ranges.sort((a, b) => a[0] - b[0])) {
    bytes += Math.max(0, end - Math.max(start, at));
    at = Math.max(at, end);
  }
  return bytes;
}
