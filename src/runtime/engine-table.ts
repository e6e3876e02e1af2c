/** The engine of each guest memory, the registers of threads in it, and the pool that memories come from and go back to. */
import { errno, sysError } from '../kernel/abi/errno.ts';
import type { AddressSpace } from '../kernel/mm/address-space.ts';
import { keptFiles } from '../kernel/mm/kept-files.ts';
import type { GuestMemory } from '../kernel/mm/guest-memory.ts';
import type { CpuContext, Isa } from '../kernel/task/cpu-context.ts';
import { VCPU_SIZE, VCPUS } from '../translator/ir/layout.ts';
import { AddressSpaceMappings } from './cache/images.ts';
import { Engine, type EngineOptions, EngineTotals } from './engine.ts';
import type { GuestContext } from './isa.ts';
import { LinearMemory } from './linear-memory.ts';

/** vCPU states a memory has room for, less some for threads that are about to leave. */
const MAX_VCPUS = 4000;
/** Memories kept for the next process. More than this many processes ended without as many new ones beginning. */
const POOL_SIZE = 64;
/** Free memories from which on none is made for a program that none of them has run. */
const ENOUGH = 12;

interface Slots {
  /** Addresses of vCPU states that nobody uses. */
  free: number[];
  allocated: number;
}

export class EngineTable {
  readonly #options: EngineOptions;
  readonly totals = new EngineTotals();
  /** By memory, one for each instruction set that has run there. */
  readonly #engines = new WeakMap<GuestMemory, Map<Isa, Engine>>();
  readonly #slots = new WeakMap<GuestMemory, Slots>();
  readonly #pool: LinearMemory[] = [];
  /** Called once for each engine made. */
  onCreate: ((engine: Engine) => void) | null = null;

  constructor(options: EngineOptions) {
    this.#options = options;
  }
  of(memory: GuestMemory, isa: Isa): Engine {
    let engines = this.#engines.get(memory);
    if (!engines) {
      engines = new Map();
      this.#engines.set(memory, engines);
    }
    let engine = engines.get(isa);
    if (!engine) {
      if (!(memory instanceof LinearMemory)) throw new Error('this memory has no engine');
      engine = new Engine(memory, { ...this.#options, totals: this.totals }, isa);
      engines.set(isa, engine);
      this.onCreate?.(engine);
    }
    return engine;
  }

  // Memories: creating one costs milliseconds, and some Node.js versions never collect one (an engine's instances with it).

  /** A memory with nothing mapped: one that has run `program` (map key of its file), else the one unused for longest. */
  takeMemory(program: object | null = null): LinearMemory {
    const pool = this.#pool;
    const last = program ? pool.findLastIndex((m) => keptFiles(m).program === program) : pool.length - 1;
    if (last >= 0) return pool.splice(last, 1)[0]!;
    return pool.length >= ENOUGH ? pool.shift()! : new LinearMemory();
  }
  /** A memory nobody uses any more. */
  giveBack(memory: GuestMemory): void {
    memory.onWritten = null;
    const slots = this.#slots.get(memory);
    if (slots && slots.free.length !== slots.allocated) throw new Error('a thread still has registers in this memory');
    (memory as LinearMemory).writableCode = false;
    this.forgetCode(memory);
    if (this.#pool.length < POOL_SIZE) this.#pool.push(memory as LinearMemory);
  }

  /** Drops all translations made from a memory. */
  forgetCode(memory: GuestMemory): void {
    const { ranges } = keptFiles(memory);
    for (const { code } of this.#engines.get(memory)?.values() ?? []) {
      // Code of the other instruction set is not told of changes.
      if (code === (memory as LinearMemory).code) code.keep(ranges);
      else code.flush();
    }
  }

  // Registers.

  #allocate(memory: LinearMemory): number {
    let slots = this.#slots.get(memory);
    if (!slots) {
      slots = { free: [], allocated: 0 };
      this.#slots.set(memory, slots);
    }
    const recycled = slots.free.pop();
    if (recycled !== undefined) {
      memory.u8.fill(0, recycled, recycled + VCPU_SIZE);
      return recycled;
    }
    if (slots.allocated >= MAX_VCPUS) throw sysError(errno.EAGAIN);
    return VCPUS + slots.allocated++ * VCPU_SIZE;
  }

  /** Registers for a new thread in `mm`. */
  newContext(mm: AddressSpace, isa: Isa): GuestContext {
    const memory = mm.memory as LinearMemory;
    const { code } = memory;
    const engine = this.of(memory, isa);
    // A memory from the pool may have been used for the other instruction set.
    memory.code = engine.code;
    if (code && code !== engine.code) this.forgetCode(memory);
    if (engine.cache) engine.cache.mappings = new AddressSpaceMappings(mm);
    return engine.isa.createContext(memory, this.#allocate(memory), engine.flags);
  }
  /** Registers for another thread in `mm`, equal to those of a thread in `from`. */
  cloneContext(of: CpuContext, from: AddressSpace, mm: AddressSpace): GuestContext {
    const copy = this.newContext(mm, of.isa);
    const { address } = of as GuestContext;
    mm.memory.u8.set(from.memory.u8.subarray(address, address + VCPU_SIZE), copy.address);
    return copy;
  }
  releaseContext(cpu: CpuContext, mm: AddressSpace): void {
    const context = cpu as GuestContext;
    context.leave();
    this.#slots.get(mm.memory)?.free.push(context.home);
  }
}
