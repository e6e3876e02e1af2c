/**
 * A thread that asks the running guest thread for attention every few milliseconds: translated code looks at one word of
 * its vCPU at loop back edges and on entry, and leaves when it is set.
 */
import { hostThreads } from '../../kernel/fs/host-fd.ts';
import type { Worker } from 'node:worker_threads';
import { ATTENTION, SLOT_LIMIT, VCPU } from '../../translator/ir/layout.ts';

/** Words of the control block: whether a guest thread has run since the last demand, and where; nobody ever changes PAUSE. */
const RUNNING = 0;
const MEMORY = 1;
const PAUSE = 2;
const STIRRED = 3;
/** Between two demands. To leave translated code and come back costs some 100 us: where nothing happens it is done less often. */
const SHORTEST_MS = 3;
const LONGEST_MS = 12;
const GROWTH = 1.5;

const source = `
const { parentPort, workerData, receiveMessageOnPort } = require('node:worker_threads');
const { control, running, memory, pause, stirred, shortest, longest, growth, limit, attention } = workerData;
const memories = [];
let period = shortest;
for (;;) {
  Atomics.wait(control, pause, 0, period);
  period = Atomics.exchange(control, stirred, 0) ? shortest : Math.min(period * growth, longest);
  for (let m; (m = receiveMessageOnPort(parentPort)); ) memories.push(new Int32Array(m.message.buffer));
  const words = memories[Atomics.load(control, memory)];
  if (!words) continue;
  // The last demand stands, and nobody has come since: no guest code runs. One that is gone may have met a guest thread on its way in.
  if (!Atomics.exchange(control, running, 0) && Atomics.load(words, limit) === attention) Atomics.wait(control, running, 0);
  else Atomics.store(words, limit, attention);
}`;

export class Ticker {
  readonly #control = new Int32Array(new SharedArrayBuffer(16));
  #worker: Worker | null = null;
  readonly #memories: WebAssembly.Memory[] = [];

  /** Number of a memory, for `run`. */
  addMemory(memory: WebAssembly.Memory): number {
    this.#memories.push(memory);
    this.#worker?.postMessage(memory);
    return this.#memories.length - 1;
  }
  /** Starts the thread: translated code exists from now on. */
  start(): void {
    if (this.#worker) return;
    const { Worker } = process.getBuiltinModule('node:worker_threads');
    hostThreads.running = true;
    this.#worker = new Worker(source, {
      eval: true,
      execArgv: [],
      stdout: true,
      stderr: true,
      workerData: {
        control: this.#control,
        running: RUNNING,
        memory: MEMORY,
        pause: PAUSE,
        stirred: STIRRED,
        shortest: SHORTEST_MS,
        longest: LONGEST_MS,
        growth: GROWTH,
        limit: (VCPU + SLOT_LIMIT) >>> 2,
        attention: ATTENTION,
      },
    });
    this.#worker.unref();
    for (const memory of this.#memories) this.#worker.postMessage(memory);
  }
  /** A guest thread in memory number `memory` runs from now on. */
  run(memory: number): void {
    this.#control[MEMORY] = memory;
    if (this.#control[RUNNING] === 1) return;
    Atomics.store(this.#control, RUNNING, 1);
    Atomics.notify(this.#control, RUNNING);
  }
  /** There is something to look after, such as another thread: the next demands come soon. */
  stir(): void {
    this.#control[STIRRED] = 1;
  }
}
