/**
 * Programs of random integer, SSE and floating-point instructions with branches, loops and short functions, run by this CPU and under
 * `bin/uktx` with functions translated early: `node tools/fuzz-x86_64.ts [--checks none|null|range|full] SEED...`. Needs x86-64
 * Linux, gcc and a built checkout. Each function gets all registers from memory and leaves them there.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import '../src/translator/x86_64/index.ts';
import { decode } from '../src/translator/x86_64/decode.ts';
import { type Row, rows } from '../src/translator/x86_64/row.ts';
import { CF } from '../src/translator/x86_64/state.ts';
import { assemble, conditionReads, type Place, transfers } from '../test/instructions/encodings.ts';
import { makeState, Random } from '../test/instructions/machine-state.ts';
import { readsOf, setsAll } from '../test/instructions/sequences.ts';

const FUNCTIONS = 24;
const LEAVES = 16;
const LENGTH = 40;
const SETS = 32;
/** Each function runs on each set so often, so that it becomes hot. */
const ROUNDS = 200;
const MEMORY = 256;
/** Of a set: vectors, general registers, flags, memory. Its outcome is laid out like that, too. */
const [GENERAL, RFLAGS, DATA] = [256, 384, 512];
/** In an outcome the frame's memory and the MMX registers lie behind. */
const SET_BYTES = DATA + 2 * MEMORY + 64;
/** In the functions' frames. */
const [FRAME, COUNTERS, FRAME_BYTES] = [0x100, 0x300, 0x408];
const [RSP, R15] = [4, 15];
const profiles = ['integer', 'small', 'f32', 'f64', 'alike'] as const;
const names = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ');
const conditions = 'o no b ae e ne be a s ns p np l ge le g'.split(' ');

const without =
  /^(div|idiv|str|sldt|smsw|l?sl|lar|ver[rw]|cpuid|rdtsc.*|rdrand|rdseed|xgetbv|cld|std|lahf|xlat|push.*|pop.*|enter|leave|ldmxcsr|stmxcsr|fx.*|xsave.*|xrstor.*|[mls]fence|prefetch.*|clflush.*|pause|maskmov.*|rcp.*|rsqrt.*|movs|stos|lods|scas|cmps|lds|les|rd[fg]sbase|wr[fg]sbase|int.?|icebp|ud.*|hlt|f(2xm1|yl2x.*|p?tan|patan|sin|cos|sincos|nst(env|sw|cw)|ld(env|cw)|nsave|rstor|xsave|xrstor|stpnce|nclex|ninit|wait))$/;
const usable = rows.filter(
  (row) =>
    (row.noFuzz === undefined || row.noFuzz === 'x87 has tests of its own') &&
    !transfers.has(row.mnemonic) &&
    !without.test(row.mnemonic) &&
    row.operands.every((o) => !'OJ'.includes(o.kind)),
);
/** Those of x87 and MMX, whose registers are the same, are for some functions only. */
const isOld = (row: Row): boolean =>
  (row.map === 0 && row.opcode >= 0xd8 && row.opcode <= 0xdf) || row.operands.some((o) => 'PQN'.includes(o.kind));
const byMnemonic = [...Map.groupBy(usable, (row) => row.mnemonic).values()];

const range = (to: number): number[] => Array.from({ length: to }, (_, k) => k);

/** Memory of a function's own. */
interface Frame {
  /** Where it begins, relative to the stack pointer. */
  at: number;
  size: number;
  /** To 16 bytes. */
  aligned: boolean;
}

/** Code of a run of instructions. */
class Routine {
  readonly #r: Random;
  readonly #old: boolean;
  readonly #name: string;
  readonly lines: string[] = [];
  /** Flags that the code so far leaves undefined. */
  undefinedFlags = 0;
  /** Labels that branches go to, further on, with what was undefined there. */
  #ahead: { label: string; left: number; undefinedFlags: number }[] = [];
  #labels = 0;
  frame: Frame;

  constructor(r: Random, name: string, frame: Frame) {
    this.#r = r;
    this.#old = r.chance(30);
    this.#name = name;
    this.frame = frame;
  }
  /** Two thirds in memory that a register leads to, the rest in the frame, if there is one. */
  readonly #place: Place = (bytes) => {
    const r = this.#r;
    const { at, size, aligned } = this.frame;
    const base = r.chance(65) || bytes > size || (bytes === 16 && !aligned) ? R15 : RSP;
    const offset = r.below((base === RSP ? size : MEMORY) - bytes + 1);
    const disp = r.chance(75) || bytes === 16 ? offset - (offset % bytes) : offset;
    return { base, disp: base === RSP ? disp + at : disp };
  };
  #instruction(): boolean {
    const r = this.#r;
    const row: Row = r.pick(r.chance(50) ? r.pick(byMnemonic) : usable);
    if (isOld(row) && !this.#old) return false;
    // With REX.W CMPXCHG8B has 16 bytes, which are aligned.
    const place: Place = row.mnemonic === 'cmpxchg8b' ? () => this.#place(16) : this.#place;
    const made = assemble(row, r, r.below(12), place);
    if (!made || readsOf(row) & this.undefinedFlags) return false;
    const { code, a } = made;
    // A bit may lie anywhere, and where the frame lies differs from run to run.
    if (a.memory && (/^bt/.test(row.mnemonic) || row.mnemonic === 'lea')) return false;
    const bytes = Uint8Array.from(code);
    const decoded = decode(bytes, 0, bytes.length);
    if (typeof decoded === 'string' || decoded.row !== row || decoded.next !== bytes.length) return false;
    const written = decoded.mem ? [decoded.reg] : [decoded.reg, decoded.rm];
    if (written.includes(RSP) || written.includes(R15)) return false;
    this.lines.push(`  .byte ${code.join(',')} # ${row.mnemonic}`);
    this.undefinedFlags = (setsAll.test(row.mnemonic) ? 0 : this.undefinedFlags) | (row.undefinedFlags ?? 0);
    return true;
  }
  /** So many instructions, with branches among them. */
  run(length: number): void {
    const r = this.#r;
    for (let n = 0; n < length; ) {
      const undefinedFlags = this.undefinedFlags;
      if (r.chance(12)) {
        const at = r.below(16);
        if (!(conditionReads[at >> 1]! & undefinedFlags)) {
          const label = `.L${this.#name}_${this.#labels++}`;
          this.lines.push(`  j${conditions[at]} ${label}`);
          this.#ahead.push({ label, left: 1 + r.below(6), undefinedFlags });
        }
      }
      if (!this.#instruction()) continue;
      n++;
      this.#arrive(false);
    }
    this.#arrive(true);
  }
  #arrive(all: boolean): void {
    for (const ahead of this.#ahead)
      if (--ahead.left === 0 || all) {
        this.lines.push(`${ahead.label}:`);
        this.undefinedFlags |= ahead.undefinedFlags;
        ahead.left = 0;
      }
    this.#ahead = this.#ahead.filter((a) => a.left > 0);
  }
  defineFlags(): void {
    if (this.undefinedFlags !== 0)
      this.lines.push(`  cmp $${this.#r.below(128)}, %${this.#r.pick(['rax', 'r9d', 'bx', 'cl'])}`);
    this.undefinedFlags = 0;
  }
  loop(times: number, counter: number, body: () => void): void {
    const label = `.L${this.#name}_loop${this.#labels++}`;
    this.defineFlags();
    this.lines.push(`  movl $${times}, ${counter}(%rsp)`, `${label}:`);
    body();
    // DEC leaves the carry flag.
    if (this.undefinedFlags & CF) this.defineFlags();
    this.lines.push(`  decl ${counter}(%rsp)`, `  jnz ${label}`);
    this.undefinedFlags = 0;
  }
  /** Directly, or through a pointer. */
  call(leaf: number, insn = 'call'): void {
    this.defineFlags();
    this.lines.push(this.#r.chance(70) ? `  ${insn} leaf${leaf}` : `  ${insn} *leaves + ${8 * leaf}(%rip)`);
  }
  /** An early way out. */
  leaveIf(condition: number, how: readonly string[]): void {
    if (conditionReads[condition >> 1]! & this.undefinedFlags) return;
    const label = `.L${this.#name}_${this.#labels++}`;
    this.lines.push(`  j${conditions[condition ^ 1]} ${label}`, ...how, `${label}:`);
  }
}

/** A function that others call: with registers saved or not, ways out, memory of its own, calls, or a jump in a call's place. */
function leafOf(n: number, r: Random): string {
  const name = `leaf${n}`;
  const pushed = r.chance(50) ? [] : ['rbx', 'rbp', 'r12', 'r13', 'r14'].filter(() => r.chance(40));
  const size = r.chance(70) ? 0 : 8 * (2 + r.below(8));
  const routine = new Routine(r, name, { at: 0, size: 0, aligned: false });
  const restore = [
    ...(size > 0 ? [`  lea ${size}(%rsp), %rsp`] : []),
    ...pushed.toReversed().map((x) => `  pop %${x}`),
  ];
  const { lines } = routine;
  if (r.chance(30)) routine.run(1 + r.below(3));
  lines.push(...pushed.map((x) => `  push %${x}`));
  if (size > 0) lines.push(`  lea -${size}(%rsp), %rsp`);
  for (let at = 0; at < size; at += 8) lines.push(`  mov %${names[r.below(4)]}, ${at}(%rsp)`);
  routine.frame = { at: 0, size, aligned: false };
  const parts = 1 + r.below(3);
  for (let k = 0; k < parts; k++) {
    routine.run(1 + r.below(8));
    if (r.chance(40)) {
      routine.defineFlags();
      routine.leaveIf(r.below(16), [...restore, '  ret']);
    }
    if (n > 0 && r.chance(20)) routine.call(r.below(n));
  }
  routine.defineFlags();
  lines.push(...restore);
  if (n > 0 && r.chance(15)) routine.call(r.below(n), 'jmp');
  else lines.push('  ret');
  return [`${name}:`, ...lines].join('\n');
}

const saved = ['rbx', 'rbp', 'r12', 'r13', 'r14', 'r15'];

/** Called with a set in rdi and a place for the outcome in rsi. */
function functionOf(name: string, r: Random): string {
  const routine = new Routine(r, name, { at: FRAME, size: MEMORY, aligned: true });
  const parts = 2 + r.below(4);
  for (const part of range(parts)) {
    const body = (): void => {
      routine.run(Math.ceil(LENGTH / parts));
      if (r.chance(40)) routine.call(r.below(LEAVES));
    };
    if (r.chance(35)) routine.loop(1 + r.below(5), COUNTERS + 8 * part, body);
    else body();
  }
  const others = range(16).filter((k) => k !== RSP && k !== R15);
  return `
.globl ${name}
${name}:
${saved.map((x) => `  push %${x}`).join('\n')}
  sub $${FRAME_BYTES}, %rsp
  lea ${DATA}(%rsi), %r15
  mov %rdi, %rbx
  lea ${DATA}(%rbx), %rsi
  mov %r15, %rdi
  mov $${MEMORY / 8}, %ecx
  rep movsq
  lea ${DATA}(%rbx), %rsi
  lea ${FRAME}(%rsp), %rdi
  mov $${MEMORY / 8}, %ecx
  rep movsq
${range(16)
  .map((k) => `  movups ${k * 16}(%rbx), %xmm${k}`)
  .join('\n')}
${range(8)
  .map((k) => `  movq ${GENERAL + 8 * k}(%rbx), %mm${k}`)
  .join('\n')}
${r.chance(50) ? '  emms' : '  fninit'}
  push ${RFLAGS}(%rbx)
  popf
${others
  .filter((k) => k !== 3)
  .map((k) => `  mov ${GENERAL + k * 8}(%rbx), %${names[k]}`)
  .join('\n')}
  mov ${GENERAL + 24}(%rbx), %rbx
${routine.lines.join('\n')}
${others.map((k) => `  mov %${names[k]}, ${GENERAL + k * 8 - DATA}(%r15)`).join('\n')}
  pushf
  pop %rax
  and $${0x8d5 & ~routine.undefinedFlags}, %eax
  mov %rax, ${RFLAGS - DATA}(%r15)
${range(16)
  .map((k) => `  movups %xmm${k}, ${k * 16 - DATA}(%r15)`)
  .join('\n')}
  lea ${FRAME}(%rsp), %rsi
  lea ${MEMORY}(%r15), %rdi
  mov $${MEMORY / 8}, %ecx
  rep movsq
${range(8)
  .map((k) => `  movq %mm${k}, ${8 * k}(%rdi)`)
  .join('\n')}
  fninit
  add $${FRAME_BYTES}, %rsp
${saved
  .toReversed()
  .map((x) => `  pop %${x}`)
  .join('\n')}
  ret
`;
}

function setOf(r: Random, profile: (typeof profiles)[number]): string {
  const { gpr, rflags, fx, data } = makeState(r.word(), profile, []);
  const words = (bytes: Uint8Array): bigint[] => [...new BigUint64Array(bytes.slice().buffer)];
  const all = [
    ...words(fx.subarray(160, 416)),
    ...gpr,
    (rflags & 0x8d5n) | 2n,
    ...range(15).map(() => 0n),
    ...words(data),
  ];
  return [...all, ...range(SET_BYTES / 8 - all.length).map(() => 0n)].map((v) => `  .quad ${v}`).join('\n');
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
    const routines = range(FUNCTIONS).map((k) => `f${k}`);
    const source = [
      '.text',
      ...range(LEAVES).map((k) => leafOf(k, r)),
      ...routines.map((name) => functionOf(name, r)),
      '.data\n.balign 64\n.globl sets, functions\nsets:',
      ...range(SETS).map((k) => setOf(r, profiles[k % profiles.length]!)),
      'functions:',
      ...routines.map((name) => `  .quad ${name}`),
      'leaves:',
      ...range(LEAVES).map((k) => `  .quad leaf${k}`),
      '.section .note.GNU-stack,"",@progbits\n',
    ];
    const [assembly, c, program] = ['f.s', 'main.c', `fuzz-${seed}`].map((file) => join(folder, file)) as [
      string,
      string,
      string,
    ];
    writeFileSync(assembly, source.join('\n'));
    writeFileSync(c, main);
    execFileSync('gcc', ['-O1', '-static', '-o', program, assembly, c], { stdio: 'inherit' });
    const options = { encoding: 'utf8', maxBuffer: 2 ** 26 } as const;
    const wanted = execFileSync(program, options).split('\n');
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
