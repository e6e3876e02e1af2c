/**
 * Programs of random instructions with branches, loops and short functions, run under qemu-aarch64 and under `bin/uktx` with functions
 * translated early: `node tools/fuzz-aarch64.ts [--checks none|null|range|full] SEED...`. Needs aarch64-linux-gnu-gcc and a built checkout.
 * The instructions are those of the recorded fixtures, each function gets all registers from memory and leaves them there.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readFixtures } from '../test/translator/aarch64/fixtures.ts';
import { initialState, type Profile, Random } from '../test/translator/aarch64/machine-state.ts';

const FUNCTIONS = 24;
const LEAVES = 16;
const LENGTH = 50;
/** Register contents; each function runs on each of them ROUNDS times, so that it becomes hot. */
const SETS = 48;
const ROUNDS = 400;
const SIGTRAP = 5;
const profiles: readonly Profile[] = ['integer', 'f32', 'f64', 'f16'];
/** Memory that x28 leads to, in bytes. */
const MEMORY = 512;
const BASE = 28;
const [GENERAL, NZCV, DATA] = [512, 760, 768];
const SET_BYTES = DATA + MEMORY;
const conditions = 'eq ne hs lo mi pl vs vc hi ls ge lt gt le'.split(' ');

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, k) => from + k);
const lines = (list: readonly number[], line: (k: number) => string): string => list.map(line).join('\n');

/** A field of an encoding: 32 characters, the highest bit first. */
const fieldOf = (encoding: string, word: number, letter: string): number | null => {
  const from = encoding.indexOf(letter);
  if (from < 0) return null;
  const width = encoding.lastIndexOf(letter) + 1 - from;
  return (word >>> (32 - from - width)) & (2 ** width - 1);
};
const withField = (encoding: string, word: number, letter: string, value: number): number => {
  const shift = 31 - encoding.lastIndexOf(letter);
  const mask = 2 ** (encoding.lastIndexOf(letter) + 1 - encoding.indexOf(letter)) - 1;
  return ((word & ~(mask << shift)) | ((value & mask) << shift)) >>> 0;
};

interface Choice {
  word: number;
  /** It may change the base register. */
  writesBase: boolean;
}

/** An instruction of a fixture as a program may have it: null when it would use a register that it must not, or any address. */
function adapted(file: string, encoding: string, word: number): Choice | null {
  const isLoad = file === 'load';
  for (const letter of ['t', 'd', 'm', 'a', ...(isLoad ? [] : ['n'])]) {
    const register = fieldOf(encoding, word, letter);
    if (register === BASE) return null;
    // Where 31 is the stack pointer: that differs from run to run.
    if (register === 31 && (file === 'immediate' || encoding.includes('ooo'))) return null;
  }
  if (!isLoad) return { word, writesBase: false };
  // Relative to the pc, with a register added, exclusive.
  if (!encoding.includes('n') || encoding.includes('ooo') || /^..001000/.test(encoding)) return null;
  const small = encoding.includes('i')
    ? withField(encoding, word, 'i', (fieldOf(encoding, word, 'i') ?? 0) & 15)
    : word;
  const writesBase = !/^..11.?.01|^..11.000..........{1}00/.test(encoding);
  return { word: withField(encoding, small, 'n', BASE), writesBase };
}

/** By row, instructions that end without a fault. */
const choices = ['simd', 'float', 'register', 'immediate', 'load']
  .flatMap((file) => readFixtures(file).map((section) => ({ file, ...section })))
  .filter(({ key }) => !/ (mrs|msr|dc|ic|brk)/.test(key))
  .map(({ file, key, vectors }) => {
    const encoding = key.split(' ')[0]!;
    const usable = vectors.filter((v) => v.outcome.signal === SIGTRAP && v.vector.words.length === 1);
    return usable.flatMap(({ vector }) => adapted(file, encoding, vector.words[0]!) ?? []);
  })
  .filter((list) => list.length > 0);

/** Code of a run of instructions, with branches among them. The address of the memory lies at [sp, #base]. */
class Routine {
  readonly #r: Random;
  readonly #name: string;
  readonly lines: string[] = [];
  #labels = 0;
  base = 16;

  constructor(r: Random, name: string) {
    this.#r = r;
    this.#name = name;
  }
  #label = (): string => `.L${this.#name}_${this.#labels++}`;
  /** A branch that may be taken. */
  #branch(label: string): string {
    const r = this.#r;
    const register = r.below(BASE);
    switch (r.below(4)) {
      case 0:
        return `  ${r.pick(['cbz', 'cbnz'])} ${r.pick(['w', 'x'])}${register}, ${label}`;
      case 1:
        return `  ${r.pick(['tbz', 'tbnz'])} x${register}, #${r.below(64)}, ${label}`;
      default:
        return `  b.${r.pick(conditions)} ${label}`;
    }
  }
  run(length: number): void {
    const r = this.#r;
    let ahead: { label: string; left: number }[] = [];
    for (let n = 0; n < length; n++) {
      if (r.chance(12)) {
        const label = this.#label();
        this.lines.push(this.#branch(label));
        ahead.push({ label, left: 1 + r.below(6) });
      }
      const { word, writesBase } = r.pick(r.pick(choices));
      this.lines.push(`  .word 0x${(word >>> 0).toString(16)}`);
      if (writesBase) this.lines.push(`  ldr x${BASE}, [sp, #${this.base}]`);
      for (const branch of ahead) if (--branch.left === 0 || n + 1 === length) this.lines.push(`${branch.label}:`);
      ahead = ahead.filter((branch) => branch.left > 0 && n + 1 < length);
    }
  }
  loop(times: number, counter: number, body: () => void): void {
    const label = this.#label();
    const store = `  str x27, [sp, #${counter}]`;
    this.lines.push(`  mov x27, #${times}`, store, `${label}:`);
    body();
    this.lines.push(`  ldr x27, [sp, #${counter}]`, '  sub x27, x27, #1', store, `  cbnz x27, ${label}`);
  }
  leaveIf(how: readonly string[]): void {
    const label = this.#label();
    this.lines.push(this.#branch(label), ...how, `${label}:`);
  }
  /** Directly, or through a pointer. */
  call(leaf: number): void {
    if (this.#r.chance(70)) this.lines.push(`  bl leaf${leaf}`);
    else this.lines.push(`  ldr x30, =leaf${leaf}`, '  blr x30');
  }
}

/** A function that others call: with registers saved, ways out, and calls. */
function leafOf(n: number, r: Random): string {
  const name = `leaf${n}`;
  const routine = new Routine(r, name);
  const pairs = ['x29, x30', ...['x19, x20', 'x21, x22', 'd8, d9'].filter(() => r.chance(40))];
  const size = 16 * (pairs.length + 1);
  routine.base = size - 16;
  const restore = [...pairs.map((pair, k) => `  ldp ${pair}, [sp, #${16 * k}]`), `  add sp, sp, #${size}`, '  ret'];
  const { lines } = routine;
  lines.push(`  sub sp, sp, #${size}`, ...pairs.map((pair, k) => `  stp ${pair}, [sp, #${16 * k}]`));
  lines.push(`  str x${BASE}, [sp, #${routine.base}]`);
  for (let parts = 1 + r.below(3); parts > 0; parts--) {
    routine.run(1 + r.below(8));
    if (r.chance(40)) routine.leaveIf(restore);
    if (n > 0 && r.chance(20)) routine.call(r.below(n));
  }
  lines.push(...restore, '  .ltorg');
  return [`${name}:`, ...lines].join('\n');
}

/** Called with a set in x0 and a place for the outcome in x1; of both 32 vectors, then x0..x30, NZCV, memory. */
function routine(name: string, r: Random): string {
  const callee = range(19, 31);
  const vectors = range(8, 16);
  const body = new Routine(r, name);
  const parts = 2 + r.below(4);
  for (const part of range(0, parts)) {
    const one = (): void => {
      body.run(Math.ceil(LENGTH / parts));
      if (r.chance(40)) body.call(r.below(LEAVES));
    };
    if (r.chance(35)) body.loop(1 + r.below(5), 32 + 8 * part, one);
    else one();
  }
  return `
.globl ${name}
${name}:
  sub sp, sp, #0x300
${lines(callee, (k) => `  str x${k}, [sp, #${k * 8}]`)}
${lines(vectors, (k) => `  str q${k}, [sp, #${256 + k * 16}]`)}
  str x1, [sp]
  add x${BASE}, x1, #${DATA}
  str x${BASE}, [sp, #16]
  add x2, x0, #${DATA}
${lines(range(0, MEMORY / 32), (k) => `  ldp q0, q1, [x2, #${k * 32}]\n  stp q0, q1, [x${BASE}, #${k * 32}]`)}
  msr nzcv, xzr
${lines(range(0, 32), (k) => `  ldr q${k}, [x0, #${k * 16}]`)}
${lines(
  range(0, 31)
    .filter((k) => k !== BASE)
    .reverse(),
  (k) => `  ldr x${k}, [x0, #${GENERAL + k * 8}]`,
)}
${body.lines.join('\n')}
  str x0, [sp, #8]
  ldr x0, [sp]
${lines(range(0, 32), (k) => `  str q${k}, [x0, #${k * 16}]`)}
${lines(
  range(1, 31).filter((k) => k !== BASE),
  (k) => `  str x${k}, [x0, #${GENERAL + k * 8}]`,
)}
  mrs x1, nzcv
  str x1, [x0, #${NZCV}]
  ldr x1, [sp, #8]
  str x1, [x0, #${GENERAL}]
${lines(callee, (k) => `  ldr x${k}, [sp, #${k * 8}]`)}
${lines(vectors, (k) => `  ldr q${k}, [sp, #${256 + k * 16}]`)}
  add sp, sp, #0x300
  ret
  .ltorg
`;
}

function contents(r: Random, profile: Profile): string {
  const state = initialState(r.word(), profile, []);
  const halves = new BigUint64Array(state.vectors.buffer);
  const memory = range(0, MEMORY / 8).map((k) => halves[(k * 7) & 63]! ^ state.gpr[k & 31]!);
  return [...halves, ...state.gpr, ...memory].map((v) => `  .quad ${v}`).join('\n');
}

const main = `
#include <stdio.h>
extern unsigned long sets[${SETS}][${SET_BYTES / 8}];
extern void (*functions[${FUNCTIONS}])(void *, void *);
int main(void) {
  static unsigned long out[${SET_BYTES / 8}] __attribute__((aligned(64)));
  for (int f = 0; f < ${FUNCTIONS}; f++)
    for (int round = 0; round < ${ROUNDS}; round++)
      for (int s = 0; s < ${SETS}; s++) {
        functions[f](sets[s], out);
        if (round && round < ${ROUNDS - 1}) continue;
        unsigned long h = 14695981039346656037ul;
        for (int k = 0; k < ${SET_BYTES / 8}; k++) h = (h ^ out[k]) * 1099511628211ul, h ^= h >> 29;
        printf("function %d round %d set %d: %lx\\n", f, round, s, h);
      }
}
`;

const { values, positionals } = parseArgs({ options: { checks: { type: 'string' } }, allowPositionals: true });
const folder = mkdtempSync(join(tmpdir(), 'uktx-fuzz-'));
try {
  for (const seed of positionals) {
    const r = new Random(Number(seed));
    const names = range(0, FUNCTIONS).map((k) => `f${k}`);
    const source = [
      '.text',
      ...range(0, LEAVES).map((k) => leafOf(k, r)),
      ...names.map((name) => routine(name, r)),
      '.data\n.balign 64\n.globl sets, functions\nsets:',
      ...range(0, SETS).map((k) => contents(r, profiles[k % profiles.length]!)),
      'functions:',
      ...names.map((name) => `  .quad ${name}`),
      '',
    ];
    const [assembly, c, program] = ['f.s', 'main.c', 'program'].map((file) => join(folder, file)) as [
      string,
      string,
      string,
    ];
    writeFileSync(assembly, source.join('\n'));
    writeFileSync(c, main);
    execFileSync('aarch64-linux-gnu-gcc', ['-O1', '-static', '-o', program, assembly, c], { stdio: 'inherit' });
    const options = { encoding: 'utf8', maxBuffer: 2 ** 26 } as const;
    const wanted = execFileSync('qemu-aarch64', ['-cpu', 'cortex-a76', program], options).split('\n');
    const args = ['run', `--memory-checks=${values.checks ?? 'null'}`, '--cache=off', program];
    const env = { UKTX_JIT_THRESHOLD: '20', ...process.env };
    const found = execFileSync(join(import.meta.dirname, '../bin/uktx'), args, { ...options, env }).split('\n');
    const bad = wanted.filter((line, k) => line !== found[k]);
    console.log(`${seed}: ${bad.length} of ${wanted.length - 1} differ`);
    for (const line of bad.slice(0, 5)) console.log(`  ${line}`);
    if (bad.length > 0) process.exitCode = 1;
  }
} finally {
  if (process.env.KEEP) console.log(folder);
  else rmSync(folder, { recursive: true, force: true });
}
