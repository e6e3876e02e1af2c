/** The engine of each address space, and the registers of threads in it. */
import type { AddressSpace } from '../kernel/mm/address-space.ts';
import type { GuestMemory } from '../kernel/mm/guest-memory.ts';
import { Engine, type EngineOptions } from './engine.ts';
import { LinearMemory } from './linear-memory.ts';
import { X86Context } from './x86-context.ts';

export class EngineTable {
  readonly #options: EngineOptions;
  readonly #engines = new WeakMap<GuestMemory, Engine>();
  /** Called once for each engine made. */
  onCreate: ((engine: Engine) => void) | null = null;

  constructor(options: EngineOptions) {
    this.#options = options;
  }
  of(memory: GuestMemory): Engine {
    let engine = this.#engines.get(memory);
    if (!engine) {
      if (!(memory instanceof LinearMemory)) throw new Error('this memory has no engine');
      engine = new Engine(memory, this.#options);
      this.#engines.set(memory, engine);
      this.onCreate?.(engine);
    }
    return engine;
  }
  /** Registers for a new thread in `mm`. */
  newContext(mm: AddressSpace): X86Context {
    const memory = mm.memory as LinearMemory;
    const engine = this.of(memory);
    return new X86Context(memory, engine.allocateVcpu(), engine.flags);
  }
}
