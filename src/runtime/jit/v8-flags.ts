/**
 * Which of V8's compilers makes what. bin/start.cjs has turned the optimising ones off: a run that is short needs nothing more
 * (docs/architecture.md). A run that goes on has modules compiled by workers, and there is no on-stack replacement for Wasm:
 * a loop that begins in baseline code stays in it. So these modules are compiled by the optimising compiler from the start.
 */

import { availableParallelism } from 'node:os';
import { withOwnFlags, withUsualFlags } from './flag-lease.ts';

/** node:v8 brings thirty more modules along, which a short run does without. */
const setFlagsFromString = (flag: string): void => process.getBuiltinModule('node:v8').setFlagsFromString(flag);

const { uktxLauncher } = globalThis as { uktxLauncher?: { baselineOnly: boolean; tiers: boolean; eager: boolean } };

/** Whether Node was started by the launcher: otherwise V8 is left to optimise as it sees fit. */
export const isBaselineOnly = (): boolean => uktxLauncher?.baselineOnly ?? false;

/** From now on functions of modules are compiled when they are called first: the launcher has had the interpreter compiled as a whole. */
export function compileLazily(): void {
  if (!uktxLauncher?.eager) return;
  uktxLauncher.eager = false;
  setFlagsFromString('--wasm-lazy-compilation');
}

/** The first flag alone does not bring back the others, which it implied to be off. */
const WASM_TIERS = ['--no-liftoff-only', '--wasm-tier-up', '--wasm-dynamic-tiering'];

/**
 * For translations of earlier runs: they begin in baseline code, and V8 optimises in the background those functions that have
 * run for some 10 ms. A loop among them gets to the new code when it leaves for attention and comes back.
 */
export function allowWasmTiers(): void {
  if (uktxLauncher) uktxLauncher.tiers = true;
  for (const flag of WASM_TIERS) setFlagsFromString(flag);
}

/** Whether workers translate, and whether the program runs for long enough to have JavaScript optimised. */
let translating = false;
let optimising = false;

/** JavaScript is worth V8's optimising compilers from now on. */
export function optimiseJavaScript(): void {
  optimising = true;
  setFlagsFromString('--maglev');
  if (!translating) setFlagsFromString('--opt');
}

/** Another thread that helps a worker to compile its module would take a processor from the guest. */
const ALONE = availableParallelism() < 4 ? ['--wasm-num-compilation-tasks=1'] : [];

/**
 * While workers translate, Maglev alone optimises JavaScript: TurboFan would take as much processor time for the translator's
 * functions as these take for all of a program's regions, and the guest wants both processors of a small machine.
 */
export function noteTranslating(on: boolean): void {
  if (on === translating || !isBaselineOnly()) return;
  translating = on;
  if (on) {
    allowWasmTiers();
    for (const flag of ['--maglev', '--no-opt', ...ALONE]) setFlagsFromString(flag);
  } else if (optimising) setFlagsFromString('--opt');
}

/**
 * For heaps of threads that are started from now on. The launcher's bound for the young generation is the guest's thread's: as a
 * flag it would come before a worker's own limit. What a worker makes lives as long as one job: a heap that begins small would be
 * collected as a whole twenty times in the first two seconds, and collectors of several threads take time from the guest's.
 */
export function prepareHeaps(): void {
  for (const flag of ['--max-semi-space-size=0', '--initial-old-space-size=48', '--single-threaded-gc'])
    setFlagsFromString(flag);
}

/** The mask covers the first 32 functions of a module: no more regions are put into one. */
const OPTIMISED = ['--wasm-tier-mask-for-testing=-1', '--no-wasm-lazy-compilation'];
const AS_USUAL = ['--wasm-tier-mask-for-testing=0', '--wasm-lazy-compilation'];

const setFlags = (flags: readonly string[]) => (): void => {
  for (const flag of flags) setFlagsFromString(flag);
};
const compile = (wasm: Uint8Array) => (): WebAssembly.Module => new WebAssembly.Module(wasm as Uint8Array<ArrayBuffer>);

/** Compiles a module with the optimising compiler, all of it, before it returns. */
export const compileOptimised = (wasm: Uint8Array): WebAssembly.Module =>
  withOwnFlags(setFlags(OPTIMISED), setFlags(AS_USUAL), compile(wasm));

/** Compiles a module's functions when they are called first, with the baseline compiler, whatever workers do meanwhile. */
export const compileInBaseline = (wasm: Uint8Array): WebAssembly.Module =>
  withUsualFlags(setFlags(AS_USUAL), compile(wasm));
