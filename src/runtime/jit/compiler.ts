/** The compile workers of this run, and the queue before them. */
import { join } from 'node:path';
import type { MessagePort, Worker } from 'node:worker_threads';
import { hostThreads } from '../../kernel/fs/host-fd.ts';
import { hasUsed, nowMs } from '../node-host.ts';
import { packageRoot } from '../package-root.ts';
import type {
  CompileJob,
  CompileResult,
  FlushJob,
  ForgetJob,
  OptimiseJob,
  OptimiseResult,
  ReadyMessage,
  SaveJob,
  SaveResult,
  WorkerData,
} from './messages.ts';
import { sharedLease } from './flag-lease.ts';
import { isBaselineOnly, noteTranslating, prepareHeaps } from './v8-flags.ts';

export type JobRequest = Omit<CompileJob, 'id' | 'memory'> & { memory: WebAssembly.Memory };

type Answer = CompileResult | OptimiseResult | ReadyMessage | SaveResult;

interface Lane {
  worker: Worker;
  port: MessagePort;
  busy: boolean;
  /** Its last job that is done. */
  last: number;
  /** That of its last job. */
  memory: WebAssembly.Memory | null;
}

/**
 * Time before which no job goes out, in milliseconds, also of processor time: most programs that end sooner gain nothing from one,
 * and of an interpreter's loop too few of its targets are known to make one region of it.
 */
const FIRST_JOB_AFTER_MS = 250;
const loaded = nowMs();

export class Compiler {
  readonly #count: number;
  readonly #lanes: Lane[] = [];
  readonly #waiting = new Map<number, (result: never) => void>();
  /** Asked for the next job when a worker is free; null when there is none. */
  readonly #sources = new Set<() => { job: JobRequest; done: (result: CompileResult) => void } | null>();
  /** Counts results that have been posted. */
  readonly #posted = new Int32Array(new SharedArrayBuffer(4));
  #nextId = 1;
  /** The guest waits for each translation: for tests, which want the same run every time. */
  readonly synchronous: boolean;

  constructor(workers: number, synchronous = false) {
    this.#count = workers;
    this.synchronous = synchronous;
  }
  /** Compiles modules with V8's optimising compiler, in a worker of their own. */
  optimise(wasm: Uint8Array[], done: (modules: WebAssembly.Module[]) => void): void {
    const lane = this.#start();
    const id = this.#nextId++;
    this.#waiting.set(id, (result: OptimiseResult) => {
      done(result.modules);
      lane.port.close();
      void lane.worker.terminate();
    });
    // It changes V8's flags for as long as it takes.
    this.#whenLoaded.push(() => lane.port.postMessage({ id, wasm } satisfies OptimiseJob));
  }
  /** Workers that load their program: V8's flags must stay until then, as bytecode serves only those that it was made with. */
  #loading = 0;
  readonly #whenLoaded: (() => void)[] = [];
  #translates = false;
  /** Whether there have been jobs: the first one has its worker load the translator. */
  get translates(): boolean {
    return this.#translates;
  }
  /** Whether a worker has a job. */
  get isBusy(): boolean {
    return this.#lanes.some((l) => l.busy);
  }
  /** Starts a worker that there will soon be work for. */
  prepare(): void {
    if (this.#lanes.length > 0) return;
    const lane = this.#start();
    this.#lanes.push(lane);
    lane.port.postMessage({ id: 0, wasm: [] } satisfies OptimiseJob);
    this.pump();
  }
  /**
   * Has the worker that did job `id` put the result into the cache. Nobody waits for that, unless there is a `done`; then it may be
   * in no index before `flush`.
   */
  keep(id: number, done?: () => void): void {
    if (done) this.#waiting.set(id, done);
    const job: SaveJob = { id, save: true, answer: done !== undefined };
    this.#lanes.find((l) => l.last === id)?.port.postMessage(job);
  }
  /** After `keep` with a `done`: has the workers' indexes name all that was kept. */
  async flush(): Promise<void> {
    const answers = this.#lanes.map((lane) => {
      const id = this.#nextId++;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.set(id, () => resolve());
      lane.port.postMessage({ id, flush: true } satisfies FlushJob);
      return promise;
    });
    await Promise.all(answers);
  }
  /** Has the workers let go of a memory that nothing will be translated from any more. */
  forget(memory: WebAssembly.Memory): void {
    for (const lane of this.#lanes) {
      if (lane.memory !== memory) continue;
      lane.memory = null;
      lane.port.postMessage({ id: 0, forget: true } satisfies ForgetJob);
    }
  }
  /** Adds a place where jobs come from. */
  addSource(source: () => { job: JobRequest; done: (result: CompileResult) => void } | null): void {
    this.#sources.add(source);
  }
  removeSource(source: () => { job: JobRequest; done: (result: CompileResult) => void } | null): void {
    this.#sources.delete(source);
  }
  /** Gives free workers work; starts a worker when all are busy and there may be more. */
  pump(): void {
    this.#handOut();
    noteTranslating(this.#loading > 0 || this.isBusy);
  }
  #handOut(): void {
    for (;;) {
      const early = !this.#translates && !this.synchronous && isBaselineOnly();
      if (early && (nowMs() - loaded < FIRST_JOB_AFTER_MS || !hasUsed(FIRST_JOB_AFTER_MS))) return;
      let lane = this.#lanes.find((l) => !l.busy);
      if (!lane && this.#lanes.length >= this.#count) return;
      const next = this.#next();
      if (!next) return;
      if (!lane) {
        lane = this.#start();
        this.#lanes.push(lane);
      }
      const id = this.#nextId++;
      this.#waiting.set(id, next.done);
      lane.busy = true;
      const posted = Atomics.load(this.#posted, 0);
      this.#post(lane, next.job, id);
      if (this.synchronous) this.#await(lane, id, posted);
    }
  }
  /** Does a job at once, before all others; only where the guest waits for each (`synchronous`). */
  wait(job: JobRequest): CompileResult {
    const lane = this.#lanes[0] ?? this.#start();
    if (!this.#lanes.includes(lane)) this.#lanes.push(lane);
    const id = this.#nextId++;
    let found: CompileResult | null = null;
    this.#waiting.set(id, (result: CompileResult) => {
      found = result;
    });
    const posted = Atomics.load(this.#posted, 0);
    this.#post(lane, job, id);
    this.#await(lane, id, posted);
    return found!;
  }
  #post(lane: Lane, { memory, ...job }: JobRequest, id: number): void {
    this.#translates = true;
    const message: CompileJob = { ...job, id };
    if (lane.memory !== memory) message.memory = lane.memory = memory;
    const { executed } = job;
    const transfer = [job.functionStarts, ...(executed ? [executed.blocks, executed.ranges] : [])];
    lane.port.postMessage(
      message,
      transfer.map(({ buffer }) => buffer as ArrayBuffer),
    );
  }
  #next(): { job: JobRequest; done: (result: CompileResult) => void } | null {
    for (const source of this.#sources) {
      const job = source();
      if (job) return job;
    }
    return null;
  }
  #start(): Lane {
    const { MessageChannel, Worker } = process.getBuiltinModule('node:worker_threads');
    this.#loading++;
    noteTranslating(true);
    prepareHeaps();
    hostThreads.running = true;
    const { port1, port2 } = new MessageChannel();
    // execArgv: flags of Node are for the guest's thread.
    const worker = new Worker(join(packageRoot(), 'bin/worker.cjs'), {
      execArgv: [],
      // What it makes lives as long as one job: more room would only be more memory. The second bounds how fast the heap grows, too.
      resourceLimits: { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 384 },
      // Without these Node would open this process's own streams for the worker's output; they are the guest's.
      stdout: true,
      stderr: true,
      workerData: {
        port: port2,
        posted: this.#posted,
        lease: sharedLease(),
        launched: isBaselineOnly(),
      } satisfies WorkerData,
      transferList: [port2],
    });
    worker.unref();
    const lane: Lane = { worker, port: port1, busy: false, last: 0, memory: null };
    port1.on('message', (answer: Answer) => {
      this.#hear(lane, answer);
      if (!('saved' in answer)) this.pump();
    });
    port1.unref();
    worker.on('error', (error) => {
      throw error;
    });
    return lane;
  }
  #hear(lane: Lane, answer: Answer): void {
    if ('ready' in answer) {
      if (--this.#loading === 0) for (const post of this.#whenLoaded.splice(0)) post();
      return;
    }
    if (!('saved' in answer)) {
      lane.busy = false;
      lane.last = answer.id;
    }
    const done = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    done?.(answer as never);
  }
  /** Blocks until the result of job `id` is there; `posted` is how many results had been posted before. */
  #await(lane: Lane, id: number, posted: number): void {
    const { receiveMessageOnPort } = process.getBuiltinModule('node:worker_threads');
    for (let seen = posted; this.#waiting.has(id); ) {
      Atomics.wait(this.#posted, 0, seen);
      seen = Atomics.load(this.#posted, 0);
      for (let m = receiveMessageOnPort(lane.port); m; m = receiveMessageOnPort(lane.port))
        this.#hear(lane, m.message as Answer);
    }
  }
}
