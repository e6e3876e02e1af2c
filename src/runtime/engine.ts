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

let modules: Modules | null = null;

function loadModules(): Modules {
  if (modules) return modules;
  const compile = (name: string): WebAssembly.Module => {
    return new WebAssembly.Module(readFileSync(join(packageRoot(), 'dist/wasm', name)));
  };
  modules = { interpreter: compile('interpreter-x86_64.wasm'), helpers: compile('helpers.wasm') };
  return modules;
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
  readonly run: Run;
  /** Computes rflags' arithmetic bits from their lazy form. */
  readonly flags: FlagReader;
  #vcpus = 0;

  constructor(memory: LinearMemory, options: EngineOptions = {}) {
    this.memory = memory;
    this.front = new X86FrontEnd({ verify: options.verifyIr ?? false, disabledPasses: options.disabledPasses ?? [] });
    this.code = new CodeSpace(memory, this.front);
    const { interpreter, helpers } = loadModules();
    const env = { memory: memory.memory, abort: helperAbort };
    const helperExports = new WebAssembly.Instance(helpers, { env }).exports;
    const instance = new WebAssembly.Instance(interpreter, {
      env,
      helpers: { ...helperExports, host_tsc: hostTsc } as WebAssembly.ModuleImports,
    });
    const built = (instance.exports.table_hash as { value: number }).value;
    if (built !== this.front.bytecode.hash) throw new Error("dist/wasm is of another version than the program: run 'npm run build'");
    this.run = instance.exports.run as Run;
    this.flags = helperExports.x86_eflags as FlagReader;
    this.front.onFloatUse = helperExports.x86_float_used as () => void;
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
