/**
 * Programs of random Advanced SIMD and floating-point instructions, run under qemu-aarch64 and under `bin/uktx` with functions
 * translated early: `node tools/fuzz-aarch64.ts SEED...`. Needs aarch64-linux-gnu-gcc and a built checkout. The instructions
 * are those of the recorded fixtures, each function gets all registers from memory and leaves them there.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readFixtures } from '../test/translator/aarch64/fixtures.ts';
import { initialState, type Profile, Random } from '../test/translator/aarch64/machine-state.ts';

const FUNCTIONS = 24;
const LENGTH = 50;
/** Register contents; each function runs on each of them ROUNDS times, so that it becomes hot. */
const SETS = 48;
const ROUNDS = 700;
const SIGTRAP = 5;
const profiles: readonly Profile[] = ['integer', 'f32', 'f64', 'f16'];

/** By row, words that end without a fault. */
const words = ['simd', 'float']
  .flatMap(readFixtures)
  .map(({ vectors }) => vectors.filter((v) => v.outcome.signal === SIGTRAP).map((v) => v.vector.words[0]!))
  .filter((list) => list.length > 0);

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, k) => from + k);
const lines = (list: readonly number[], line: (k: number) => string): string => list.map(line).join('\n');

/** Called with the registers' contents in x0 and a place for the outcome in x1; of both 32 vectors, then x0..x30. */
function routine(name: string, r: Random): string {
  const callee = range(19, 31);
  const vectors = range(8, 16);
  return `
.globl ${name}
${name}:
  sub sp, sp, #0x300
${lines(callee, (k) => `  str x${k}, [sp, #${k * 8}]`)}
${lines(vectors, (k) => `  str q${k}, [sp, #${256 + k * 16}]`)}
  str x1, [sp]
${lines(range(0, 32), (k) => `  ldr q${k}, [x0, #${k * 16}]`)}
${lines(range(0, 31).reverse(), (k) => `  ldr x${k}, [x0, #${512 + k * 8}]`)}
${lines(range(0, LENGTH), () => `  .word ${r.pick(r.pick(words)) >>> 0}`)}
  str x0, [sp, #8]
  ldr x0, [sp]
${lines(range(0, 32), (k) => `  str q${k}, [x0, #${k * 16}]`)}
${lines(range(1, 31), (k) => `  str x${k}, [x0, #${512 + k * 8}]`)}
  mrs x1, nzcv
  str x1, [x0, #760]
  ldr x1, [sp, #8]
  str x1, [x0, #512]
${lines(callee, (k) => `  ldr x${k}, [sp, #${k * 8}]`)}
${lines(vectors, (k) => `  ldr q${k}, [sp, #${256 + k * 16}]`)}
  add sp, sp, #0x300
  ret
`;
}

function contents(r: Random, profile: Profile): string {
  const state = initialState(r.word(), profile, []);
  const halves = new BigUint64Array(state.vectors.buffer);
  return [...halves, ...state.gpr].map((v) => `  .quad ${v}`).join('\n');
}

const main = `
#include <stdio.h>
extern unsigned long sets[${SETS}][96];
extern void (*functions[${FUNCTIONS}])(void *, void *);
int main(void) {
  static unsigned long out[96];
  for (int f = 0; f < ${FUNCTIONS}; f++)
    for (int round = 0; round < ${ROUNDS}; round++)
      for (int s = 0; s < ${SETS}; s++) {
        functions[f](sets[s], out);
        if (round && round < ${ROUNDS - 1}) continue;
        unsigned long h = 14695981039346656037ul;
        for (int k = 0; k < 96; k++) h = (h ^ out[k]) * 1099511628211ul, h ^= h >> 29;
        printf("function %d round %d set %d: %lx\\n", f, round, s, h);
      }
}
`;

const folder = mkdtempSync(join(tmpdir(), 'uktx-fuzz-'));
try {
  for (const seed of process.argv.slice(2)) {
    const r = new Random(Number(seed));
    const names = range(0, FUNCTIONS).map((k) => `f${k}`);
    const source = [
      '.text',
      ...names.map((name) => routine(name, r)),
      '.data\n.balign 16\n.globl sets, functions\nsets:',
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
    const env = { ...process.env, UKTX_JIT_THRESHOLD: '20' };
    const found = execFileSync(join(import.meta.dirname, '../bin/uktx'), ['run', program], { ...options, env }).split(
      '\n',
    );
    const bad = wanted.filter((line, k) => line !== found[k]);
    console.log(`${seed}: ${bad.length} of ${wanted.length - 1} differ`);
    for (const line of bad.slice(0, 5)) console.log(`  ${line}`);
    if (bad.length > 0) process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
