/**
 * The interpreter over one address space: compiled modules (shared by all address spaces of the process), an instance
 * bound to the memory, the code space, and vCPU allocation.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { exitOpcodes } from '../translator/ir/bytecode.ts';
import {
  COUNTER,
  exitReason,
  missSlot,
  SLOT_LIMIT,
  SYSCALL_IMPORT,
  VCPU,
  VCPU_SIZE,
  VCPUS,
} from '../translator/ir/layout.ts';
import type { MemoryChecks } from '../translator/wasm/region-access.ts';
import type { Isa } from '../kernel/task/cpu-context.ts';
import { slotName } from '../translator/ir/print.ts';
import { EngineFrontEnd } from './block-cache.ts';
import { type CodeCache, MemoryCache } from './cache/code-cache.ts';
import type { ChunkHelpers } from './code-chunks.ts';
import type { CodeStats } from './code-blocks.ts';
import { CodeSpace } from './code-space.ts';
import { type FlagReader, type GuestContext, type IsaRuntime, isaRuntime } from './isa.ts';
import { Compiler } from './jit/compiler.ts';
import type { Misses } from './jit/linkage.ts';
import { compileInBaseline, compileLazily, isBaselineOnly } from './jit/v8-flags.ts';
import { RegionStats } from './jit/region-stats.ts';
import { createRegionTable } from './jit/region-table.ts';
import { Regions } from './jit/regions.ts';
import type { Ticker } from './jit/ticker.ts';
import { type Difference, Verifier } from './jit/verifier.ts';
import type { LinearMemory } from './linear-memory.ts';
import { counterInto } from './node-host.ts';
import { packageRoot } from './package-root.ts';

export type Run = (ip: number, budget: number) => number;

interface Modules {
  interpreter: WebAssembly.Module;
  helpers: WebAssembly.Module;
}

interface IsaModules {
  baseline: Modules | null;
  optimised: Modules | null;
  requested: boolean;
}

/** Compiled once a process and ISA: at once, by V8's baseline compiler; then by its optimising one, in a worker. */
const modulesOf = new Map<IsaRuntime, IsaModules>();

/** An empty custom section: V8 knows modules by their bytes, and would hand out the one it has. */
const MARK = Uint8Array.of(0, 2, 1, 0x6f);

const readModule = (name: string): Buffer => readFileSync(join(packageRoot(), 'dist/wasm', name));
const HELPERS = 'helpers.wasm';

/** Translation of hot code. */
export interface JitOptions {
  ticker: Ticker;
  /** Entries of a block after which it is hot. */
  threshold: number;
  checks: MemoryChecks;
  /** Translations of earlier runs. */
  cache?: CodeCache | null;
  /** As in RegionsOptions. */
  onError: (stack: string) => void;
  /** --jit=verify: told of the first difference between a region and the interpreter. */
  onDifference?: (engine: Engine, difference: Difference) => never;
  /** As in RegionsOptions. */
  fault?: string;
  onText?: (text: string) => void;
  nameOf?: (memory: LinearMemory, pc: number) => string | null;
}

/** Bytes of host stack for regions: V8's limit less what the interpreter and JavaScript need. */
const regionStack = (): number => {
  const flag = process.execArgv.find((a) => a.startsWith('--stack-size='));
  return (flag ? Number(flag.slice('--stack-size='.length)) : 984) * 1024 - 320 * 1024;
};

/** What all engines of a run count together. */
export class EngineTotals {
  /** How often guest code was left, by exitReason. */
  readonly exits = new Uint32Array(Object.keys(exitReason).length);
  readonly code: CodeStats = { blocks: 0, stored: 0, guestInstructions: 0, invalidated: 0, flushes: 0 };
  readonly regions = new RegionStats();
}

export interface EngineOptions {
  /** Default: the engine counts for itself. */
  totals?: EngineTotals;
  /** Default: one of its own. */
  compiler?: Compiler;
  jit?: JitOptions;
  /** Run the IR verifier on every block. */
  verifyIr?: boolean;
  /** IR passes to leave out. */
  disabledPasses?: readonly string[];
}

/**
 * Times that the interpreter, not optimised yet, has used up its whole budget: some 20 ms without a system call or code that is new.
 * Programs that only start, do what they have to and end never do.
 */
const COMPUTES_AFTER = 10;

export interface SyscallCaller {
  /**
   * Makes the system call that the registers of the thread that runs describe, called by regions. 0 when they may go on with
   * the code behind it; otherwise they leave for `exitReason.syscall`, and the call is made already.
   */
  callInPlace(): number;
}

export class Engine {
  readonly memory: LinearMemory;
  readonly code: CodeSpace;
  readonly isa: IsaRuntime;
  readonly front: EngineFrontEnd;
  /** Changes once, with `optimise`; all state is in the memory. */
  run!: Run;
  #interpreter!: Run;
  verifier: Verifier | null = null;
  /** Computes the arithmetic flags from their lazy form. */
  flags!: FlagReader;
  readonly regions: Regions | null;
  /** Translations of earlier runs, of code in this memory. */
  readonly cache: MemoryCache | null;
  /** How often guest code was left, by exitReason. */
  readonly exits: Uint32Array;
  readonly #table = createRegionTable();
  #imports!: WebAssembly.Imports;
  /** What table slots without a region hold. */
  #misses: Misses | null = null;
  /** Number of the memory for the ticker. */
  readonly #ticker: { ticker: Ticker; memory: number } | null;
  /** Who makes the system calls of regions: the thread that runs. */
  caller: SyscallCaller | null = null;
  #vcpus = 0;
  readonly #compiler: Compiler;
  #ticks = 0;
  readonly #modules: IsaModules;
  #optimised: boolean;

  constructor(memory: LinearMemory, options: EngineOptions, isa: Isa = 'x86_64') {
    this.memory = memory;
    this.isa = isaRuntime(isa);
    this.front = EngineFrontEnd.of(this.isa, {
      verify: options.verifyIr ?? false,
      disabledPasses: options.disabledPasses ?? [],
    });
    const totals = options.totals ?? new EngineTotals();
    this.exits = totals.exits;
    this.code = new CodeSpace(memory, this.front, totals.code);
    const compile = (name: string): WebAssembly.Module => compileInBaseline(readModule(name));
    const modules = modulesOf.get(this.isa) ?? { baseline: null, optimised: null, requested: false };
    modulesOf.set(this.isa, modules);
    this.#modules = modules;
    if (!modules.baseline) {
      const interpreter = compile(this.isa.interpreter);
      compileLazily();
      modules.baseline = { interpreter, helpers: compile(HELPERS) };
    }
    this.#optimised = modules.optimised !== null;
    this.#instantiate(modules.optimised ?? modules.baseline);
    const { jit, compiler } = options;
    const onDifference = jit?.onDifference;
    const verify = onDifference !== undefined;
    this.#compiler = compiler ?? new Compiler(1);
    this.#ticker = jit ? { ticker: jit.ticker, memory: jit.ticker.addMemory(memory.memory) } : null;
    this.cache = jit?.cache ? new MemoryCache(jit.cache, memory, isa, this.front) : null;
    if (!options.verifyIr) this.code.source = this.cache;
    this.regions = jit
      ? new Regions(
          memory,
          this.code,
          this.#compiler,
          { isa, ...jit, verify, cache: this.cache, stats: totals.regions },
          () => ({
            imports: this.#imports,
            optimised: this.#optimised,
            table: this.#table,
            misses: this.#misses!,
            onFloatUse: () => this.front.noteFloatUse(),
          }),
        )
      : null;
    if (this.regions && jit && !onDifference) this.regions.onFirst = () => jit.ticker.start();
    if (!this.regions || !onDifference) return;
    const { regions } = this;
    this.verifier = new Verifier({
      memory,
      code: this.code,
      front: this.front,
      run: () => this.#interpreter,
      flags: () => this.flags,
      exact: () => regions.checks === 'full',
      nameOf: (slot) => slotName(slot, this.isa.slotNames),
      onDifference: (difference) => onDifference(this, difference),
    });
    this.run = this.verifier.run;
  }

  /** To be called before guest code runs on a vCPU of this memory. */
  enter(vcpu: GuestContext): void {
    const { optimised } = this.#modules;
    if (!this.#optimised && optimised) {
      this.#optimised = true;
      this.#instantiate(optimised);
      this.regions?.relink();
    }
    vcpu.enter();
    this.memory.u32[(VCPU + SLOT_LIMIT) >>> 2] = 0;
    this.#ticker?.ticker.run(this.#ticker.memory);
  }

  /** `isAlone`: nothing but the guest's thread wants the processor. */
  noteStep(isAlone: boolean): void {
    if (!isAlone || this.#compiler.isBusy) this.#ticker?.ticker.stir();
  }

  #instantiate({ interpreter, helpers }: Modules): void {
    const env = { memory: this.memory.memory, abort: helperAbort };
    const helperExports = new WebAssembly.Instance(helpers, { env }).exports;
    const cell = new BigInt64Array(this.memory.memory.buffer, COUNTER, 1);
    const helperImports = {
      ...helperExports,
      host_counter: counterInto(cell),
      [SYSCALL_IMPORT]: () => this.caller!.callInPlace(),
    } as WebAssembly.ModuleImports;
    this.#imports = { env: { memory: this.memory.memory }, helpers: helperImports };
    const { run, miss_call, miss_jump, table_hash, first_exit } = new WebAssembly.Instance(interpreter, {
      env: {
        memory: this.memory.memory,
        table: this.#table,
        region_stack: new WebAssembly.Global({ value: 'i32' }, regionStack()),
      },
      helpers: helperImports,
    }).exports;
    const before = this.#misses;
    this.#misses = { call: miss_call!, jump: miss_jump! };
    for (let k = 0; k < this.#table.length; k++) {
      const held = this.#table.get(k);
      if (k === missSlot.call || held === before?.call) this.#table.set(k, miss_call);
      else if (k === missSlot.jump || held === before?.jump) this.#table.set(k, miss_jump);
    }
    this.front.expectHash((table_hash as { value: number }).value);
    this.code.exits = exitOpcodes((first_exit as { value: number }).value);
    this.#interpreter = run as Run;
    if (!this.verifier) this.run = this.#interpreter;
    this.flags = helperExports[this.isa.flagReader] as FlagReader;
    this.code.useChunks(helperExports as unknown as ChunkHelpers);
    if (!this.isa.floatUsed) return;
    const useFloat = helperExports[this.isa.floatUsed] as () => void;
    if (this.front.floatUsed) useFloat();
    else this.front.onFloatUse = useFloat;
  }

  /** The interpreter has used up its budget. */
  noteTick(): void {
    this.#ticks++;
  }
  /** The program spends its time in code that it has run before, and the cache has none of it. */
  get computes(): boolean {
    return this.#ticks >= COMPUTES_AFTER && !this.cache?.isWarm();
  }
  /**
   * Has V8 optimise the interpreter. It would begin with that within the first milliseconds, and its compiler works on
   * this one large function for some 50 ms that a process cannot leave before; a program that is done by then is better
   * off without. So bin/start.cjs leaves baseline compilers only, and the runtime calls this for a program that goes on.
   */
  optimise(): void {
    const modules = this.#modules;
    if (modules.requested || !isBaselineOnly()) return;
    modules.requested = true;
    const wasm = [this.isa.interpreter, HELPERS].map((name) => Buffer.concat([readModule(name), MARK]));
    if (this.regions && !this.cache?.isWarm()) this.#compiler.prepare();
    this.#compiler.optimise(wasm, ([interpreter, helpers]) => {
      modules.optimised = { interpreter: interpreter!, helpers: helpers! };
    });
  }

  /** Address of a zeroed vCPU state. */
  allocateVcpu(): number {
    const address = VCPUS + this.#vcpus++ * VCPU_SIZE;
    this.memory.u8.fill(0, address, address + VCPU_SIZE);
    return address;
  }
  /** Registers of a new thread. */
  newContext(): GuestContext {
    return this.isa.createContext(this.memory, this.allocateVcpu(), this.flags);
  }
}

function helperAbort(): never {
  throw new Error('assertion in a helper');
}
