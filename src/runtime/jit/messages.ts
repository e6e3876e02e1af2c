/** What the guest's thread and the compile workers tell each other. */
import type { MessagePort } from 'node:worker_threads';
import type { KeepIn } from '../cache/code-cache.ts';
import type { CompiledRegion } from '../../translator/wasm/region-module.ts';
import type { RegionOptions } from '../../translator/wasm/region-access.ts';

/** What a compile worker is started with. */
export interface WorkerData {
  port: MessagePort;
  /** Counts results that have been posted. */
  posted: Int32Array;
  /** Of flag-lease.ts. */
  lease: Int32Array<SharedArrayBuffer>;
  /** V8's flags are those that bin/start.cjs sets. */
  launched: boolean;
  /** Set by bin/worker.cjs where there is no bytecode that serves: keeps what there is by now. */
  saveCode?: (() => void) | null;
}

/** A worker has loaded its program. */
export interface ReadyMessage {
  ready: true;
}

/** Wasm bytes for V8's optimising compiler; none: the worker gets ready to translate, and does not answer. */
export interface OptimiseJob {
  id: number;
  wasm: Uint8Array[];
}

export interface OptimiseResult {
  id: number;
  modules: WebAssembly.Module[];
}

/** Guest code that has run: where blocks begin, and ranges [start, end) that earlier regions were made from. */
export interface Executed {
  blocks: Uint32Array;
  ranges: Uint32Array;
}

/** Regions to translate. */
export interface CompileJob {
  id: number;
  isa: string;
  /**
   * The guest's memory: code is read from it while the guest runs. Left out where it is that of the job before: each time one
   * arrives, V8 takes it for gigabytes of new objects and collects garbage.
   */
  memory?: WebAssembly.Memory;
  entries: number[];
  wanted: number[];
  jumpTargets: number[];
  /** Entries whose regions get no indirect jumps inside. */
  apart?: number[];
  /** What has been executed; without it, everything may be. */
  executed?: Executed;
  /** Where the result is to be kept, once a SaveJob says so. */
  keepIn?: KeepIn;
  /** Nothing is to run it now: V8 does not compile it. */
  translateOnly?: boolean;
  /** Guest names of functions. */
  names?: ReadonlyMap<number, string>;
  /** Text that is wanted, too: IR of the regions as it is after all passes, Wasm text of the module. */
  text?: readonly ('ir' | 'wat')[];
  /** Level of binaryen's optimiser; 0 or none: it is left out. */
  optimize?: number;
  functionStarts: Uint32Array;
  options: Omit<RegionOptions, 'x86Nans' | 'fusedMadd'>;
}

/** The memory of the last job is not used any more. */
export interface ForgetJob {
  id: number;
  forget: true;
}

/**
 * The result of job `id` was right: it goes to the cache. There is an answer if one is asked for; then others may follow before
 * an index names it.
 */
export interface SaveJob {
  id: number;
  save: true;
  answer: boolean;
}

/** Indexes are to name all that was saved. There is an answer. */
export interface FlushJob {
  id: number;
  flush: true;
}

export interface SaveResult {
  id: number;
  saved: true;
}

export interface CompileResult {
  id: number;
  /** Null when nothing could be translated. */
  module: WebAssembly.Module | null;
  regions: CompiledRegion[];
  links: number[];
  /** As of RegionCode. */
  looked: number[];
  tables: Uint8Array;
  /** Entries there was no room for. */
  left: number[];
  wasmBytes: number;
  /** Milliseconds spent: forming and emitting, then V8's compiler. */
  translateMs: number;
  compileMs: number;
  /** As asked for by `text`. */
  text?: string;
  /** Why it failed, for a bug report. */
  error: string | null;
}
