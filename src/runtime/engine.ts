/**
 * The interpreter over one address space: compiled modules (shared by all address spaces of the process), an instance
 * bound to the memory, the code space, and vCPU allocation.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { VCPU_SIZE, VCPUS } from '../translator/ir/layout.ts';
import { X86FrontEnd } from '../translator/x86_64/front-end.ts';
import { CodeSpace } from './code-space.ts';
import type { LinearMemory } from './linear-memory.ts';
import { packageRoot } from './package-root.ts';
import type { FlagReader } from './x86-context.ts';

export type Run = (cpu: number, ip: number, budget: number) => number;

interface Modules {
  interpreter: WebAssembly.Module;
  helpers: WebAssembly.Module;
}

/** The launcher starts Node with this flag: see `Engine.optimise`. */
const BASELINE_ONLY = '--liftoff-only';

/** Compiled once a process, the second for use once `optimise` has been called. */
const modules: { baseline: Modules | null; optimised: Modules | null } = { baseline: null, optimised: null };

/** An empty custom section: V8 knows modules by their bytes, and would hand out the one it has. */
const MARK = Uint8Array.of(0, 2, 1, 0x6f);

function compileModules(mark: Uint8Array): Modules {
  const compile = (name: string): WebAssembly.Module =>
    new WebAssembly.Module(Buffer.concat([readFileSync(join(packageRoot(), 'dist/wasm', name)), mark]));
  return { interpreter: compile('interpreter-x86_64.wasm'), helpers: compile('helpers.wasm') };
}

export interface EngineOptions {
  /** Run the IR verifier on every block. */
  verifyIr?: boolean;
  /** IR passes to leave out. */
  disabledPasses?: readonly string[];
}

export class Engine {
  readonly memory: LinearMemory;
  readonly code: CodeSpace;
  readonly front: X86FrontEnd;
  /** Changes once, with `optimise`; all state is in the memory. */
  run!: Run;
  /** Computes rflags' arithmetic bits from their lazy form. */
  flags!: FlagReader;
  #vcpus = 0;
  #optimised = !process.execArgv.includes(BASELINE_ONLY);

  constructor(memory: LinearMemory, options: EngineOptions = {}) {
    this.memory = memory;
    this.front = new X86FrontEnd({ verify: options.verifyIr ?? false, disabledPasses: options.disabledPasses ?? [] });
    this.code = new CodeSpace(memory, this.front);
    modules.baseline ??= compileModules(new Uint8Array(0));
    this.#instantiate(modules.baseline);
  }

  #instantiate({ interpreter, helpers }: Modules): void {
    const env = { memory: this.memory.memory, abort: helperAbort };
    const helperExports = new WebAssembly.Instance(helpers, { env }).exports;
    const imports = { env, helpers: { ...helperExports, host_tsc: hostTsc } as WebAssembly.ModuleImports };
    const { run, table_hash } = new WebAssembly.Instance(interpreter, imports).exports;
    if ((table_hash as { value: number }).value !== this.front.bytecode.hash)
      throw new Error("dist/wasm is of another version than the program: run 'npm run build'");
    this.run = run as Run;
    this.flags = helperExports.x86_eflags as FlagReader;
    const useFloat = helperExports.x86_float_used as () => void;
    if (this.front.floatUsed) useFloat();
    else this.front.onFloatUse = useFloat;
  }

  /**
   * Lets V8 optimise the interpreter. It would begin with that within the first milliseconds, and its compiler works on
   * this one large function for some 50 ms that a process cannot leave before; a program that is done by then is better
   * off without. So the launcher starts Node with baseline code only, and the runtime calls this for a program that goes on.
   */
  optimise(): void {
    if (this.#optimised) return;
    this.#optimised = true;
    if (!modules.optimised) {
      // The first flag alone does not bring back the second, which it implied to be off.
      for (const flag of ['--no-liftoff-only', '--wasm-dynamic-tiering'])
        process.getBuiltinModule('node:v8').setFlagsFromString(flag);
      modules.optimised = compileModules(MARK);
    }
    this.#instantiate(modules.optimised);
  }

  /** Address of a zeroed vCPU state. */
  allocateVcpu(): number {
    const address = VCPUS + this.#vcpus++ * VCPU_SIZE;
    this.memory.u8.fill(0, address, address + VCPU_SIZE);
    return address;
  }
}

/** Time-stamp counter: nanoseconds, so that a guest which calibrates it finds 1 GHz. */
function hostTsc(): bigint {
  return process.hrtime.bigint();
}

function helperAbort(): never {
  throw new Error('assertion in a helper');
}
