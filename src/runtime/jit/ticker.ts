/**
 * A thread that asks the running guest thread for attention every few milliseconds: translated code looks at one word of
 * its vCPU at loop back edges and on entry, and leaves when it is set.
 */
import { hostThreads } from '../../kernel/fs/host-fd.ts';
import type { Worker } from 'node:worker_threads';
import { ATTENTION, SLOT_LIMIT, VCPU } from '../../translator/ir/layout.ts';

/** Words of the control block. */
const RUNNING = 0;
const MEMORY = 1;
const PERIOD_MS = 3;

const source = `
const { parentPort, workerData, receiveMessageOnPort } = require('node:worker_threads');
const { control, running, memory, period, limit, attention } = workerData;
const memories = [];
for (;;) {
  Atomics.wait(control, running, 0);
  Atomics.wait(control, 2, 0, period);
  for (let m; (m = receiveMessageOnPort(parentPort)); ) memories.push(new Int32Array(m.message.buffer));
  const words = memories[Atomics.load(control, memory)];
  if (words && Atomics.load(control, running)) Atomics.store(words, limit, attention);
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
        period: PERIOD_MS,
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
  /** No guest thread runs: the event loop waits. */
  idle(): void {
    this.#control[RUNNING] = 0;
  }
}
