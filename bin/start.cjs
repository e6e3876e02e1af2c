// Loads the bundle of the command line with the bytecode of what earlier runs needed of it (bytecode.cjs); where that is missing and
// can be written, this run writes it.
const fs = require('node:fs');
const path = require('node:path');
// The bundle needs these; once V8's flags are changed their own bytecode would not serve.
require('node:os');
void require('node:util').parseArgs;
const v8 = require('node:v8');
const { load } = require('./bytecode.cjs');

const folder = path.join(__dirname, '../dist/cli');
const file = `${folder}/main.cjs`;
/**
 * Baseline compilers only: the runtime turns the optimising ones on for programs that run long enough. Not on Node's command
 * line: V8 takes no bytecode that was made with other flags, and that of Node's own modules was made with none.
 */
const BASELINE = [
  '--no-opt',
  '--no-maglev',
  // What is compiled while the next compiler is off counts its calls all the same.
  '--force-emit-interrupt-budget-checks',
  '--liftoff-only',
  '--no-wasm-tier-up',
  '--no-wasm-dynamic-tiering',
];
const USUAL = [
  '--opt',
  '--maglev',
  '--no-force-emit-interrupt-budget-checks',
  '--no-liftoff-only',
  '--wasm-tier-up',
  '--wasm-dynamic-tiering',
  '--wasm-lazy-compilation',
];
const setFlags = (flags) => {
  for (const flag of flags) v8.setFlagsFromString(flag);
};

const { script, save } = load(`${folder}/main`, process.pid);
/** What the bundle knows of all this; `baselineOnly`: it began without V8's optimising compilers; `tiers`: they are on by now; `eager`: WebAssembly is compiled as a whole. */
const launcher = { baselineOnly: true, tiers: false, eager: false, saveCode: null };
globalThis.uktxLauncher = launcher;
if (save) {
  /** Called at the end, and before optimised code replaces bytecode. */
  launcher.saveCode = () => {
    launcher.saveCode = null;
    if (!launcher.tiers) setFlags(USUAL);
    save();
    if (!launcher.tiers) setFlags(BASELINE);
  };
  process.on('exit', () => launcher.saveCode?.());
}
setFlags(BASELINE);
// While the bundle is evaluated, other threads compile the interpreter. V8 knows modules by their bytes, and hands this one out
// when the runtime asks for it; Node 24 begins with it too late.
if (process.argv[2] === 'run' && Number.parseInt(process.versions.node, 10) >= 26) {
  try {
    const interpreter = fs.readFileSync(`${folder}/../wasm/interpreter-x86_64.wasm`);
    setFlags(['--no-wasm-lazy-compilation']);
    launcher.eager = true;
    WebAssembly.compile(interpreter).catch(() => {});
  } catch {
    // The runtime says so when it cannot read it.
  }
}
// Compilers keep the processors busy when a run begins: a collection by several threads waits for those that were pushed aside.
setFlags(['--no-parallel-scavenge']);
const bundle = { exports: {} };
/** Modules of Node are the same for everybody; what lies beside the bundle is looked up from there. */
let fromBundle;
const requireThere = (name) => {
  if (name.startsWith('node:')) return require(name);
  fromBundle ??= require('node:module').createRequire(file);
  return fromBundle(name);
};
script.runInThisContext()(bundle.exports, requireThere, bundle, file, folder);
