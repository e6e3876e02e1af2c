/** Runs the helpers for x87 and exact SSE on recorded cases (tools/record-x87.ts), without an interpreter. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { ADDRESS_MASK, PAGE_TABLE, VCPUS } from '../../../src/translator/ir/layout.ts';
import type { LiftContext } from '../../../src/translator/x86_64/lift.ts';
import { exactSse } from '../../../src/translator/x86_64/ops-softfloat.ts';
import { CC_OP, CC_RES, FCW, FSW, FTOP, FTW, fpr, gpr, MXCSR, xmm } from '../../../src/translator/x86_64/state.ts';

const root = join(import.meta.dirname, '../../..');
/** Guest address of the operand in memory. */
export const OPERAND = 0x1_0000;
export const CPU = VCPUS;

// biome-ignore lint/suspicious/noExplicitAny: the exports are as many as there are helpers.
type Exports = Record<string, any>;

export interface HelperMachine {
  helpers: Exports;
  u8: Uint8Array;
  view: DataView;
}

export function helperMachine(): HelperMachine {
  const memory = new WebAssembly.Memory({ initial: 65536, maximum: 65536, shared: true });
  const module = new WebAssembly.Module(readFileSync(join(root, 'dist/wasm/helpers.wasm')));
  const instance = new WebAssembly.Instance(module, { env: { memory } });
  const u8 = new Uint8Array(memory.buffer);
  u8.fill(0xff, ADDRESS_MASK, ADDRESS_MASK + 8);
  u8[PAGE_TABLE + (OPERAND >> 12)] = 3;
  return { helpers: instance.exports, u8, view: new DataView(memory.buffer) };
}

export function recorded(name: string, size: number): Uint8Array[] {
  const bytes = gunzipSync(readFileSync(join(root, 'test/fixtures', `${name}.bin.gz`)));
  return Array.from({ length: bytes.length / size }, (_, k) => bytes.subarray(k * size, (k + 1) * size));
}

const hex = (a: Uint8Array): string =>
  [...a]
    .map((x) => x.toString(16).padStart(2, '0'))
    .reverse()
    .join('');
const C0_TO_C2 = 7;

/** What an x87 case comes to, as text: status, tags, flags, the three registers it may change, memory. */
export interface X87Outcome {
  status: number;
  rest: string;
  registers: [string, string, string];
}
export interface X87Case {
  name: string;
  input: string;
  roundToNearest: boolean;
  got: X87Outcome;
  want: X87Outcome;
}

export const X87_CASE_BYTES = 82;
/** Runs a record of `struct x87_case`. */
export function runX87(m: HelperMachine, c: Uint8Array): X87Case {
  const { helpers, u8, view } = m;
  const d = new DataView(c.buffer, c.byteOffset, c.length);
  const [op, modrm, fcw, top, codes, tags, flags] = [
    c[0]!,
    c[1]!,
    d.getUint16(2, true),
    c[4]! & 7,
    c[4]! >> 4,
    c[5]!,
    d.getUint16(6, true) & 0x8d5,
  ];
  const r = (modrm >> 3) & 7;
  const onMemory = modrm < 0xc0;
  // ST(1) where ModRM names no register.
  const i =
    onMemory || (op === 1 && modrm >= 0xd0) || (op === 6 && modrm === 0xd9) || (op === 2 && modrm === 0xe9)
      ? 1
      : modrm & 7;
  const at = (n: number): number => CPU + fpr((top + n) & 7);
  u8.fill(0, CPU, CPU + 0x400);
  view.setUint32(CPU + FCW, fcw, true);
  view.setUint32(CPU + FSW, ((codes & C0_TO_C2) << 8) | ((codes & 8) << 11), true);
  view.setUint32(CPU + FTOP, top, true);
  view.setUint32(CPU + FTW, tags, true);
  view.setUint32(CPU + CC_RES, flags, true);
  for (let n = 0; n < 8; n++) {
    view.setBigUint64(at(n), 0xc000_0000_0000_0000n, true);
    view.setUint16(at(n) + 8, 0x3fff + n, true);
  }
  u8.set(c.subarray(18, 28), at(i));
  u8.set(c.subarray(8, 18), at(0));
  u8.set(c.subarray(28, 38), OPERAND);
  const word = BigInt((op << 8) | modrm);
  let exit: number;
  if (onMemory) exit = helpers.x87_memory(CPU, BigInt(OPERAND), word);
  else if ((op === 2 || op === 3) && r < 4)
    exit = helpers.x87_fcmov(
      CPU,
      helpers.x86_cond(0, 0n, 0n, BigInt(flags), [2, 4, 6, 10][r]! | (op === 3 ? 1 : 0)),
      word,
    );
  else exit = helpers.x87_register(CPU, word);
  const now = helpers.x86_eflags(view.getUint32(CPU + CC_OP, true), 0n, 0n, view.getBigUint64(CPU + CC_RES, true));
  const registers = [0, i, 7].map((n) => hex(u8.slice(at(n), at(n) + 10)));
  const opcode = (0xd8 | op).toString(16);
  return {
    name: onMemory
      ? `${opcode} /${r} mem`
      : op === 1 && modrm >= 0xd0
        ? `${opcode} ${modrm.toString(16)}`
        : `${opcode} /${r} reg`,
    input: `fcw ${fcw.toString(16)} top ${top} codes ${codes} tags ${tags.toString(16)} st0 ${hex(c.subarray(8, 18))} st${i} ${hex(c.subarray(18, 28))} memory ${hex(c.subarray(28, 38))}`,
    roundToNearest: (fcw & 0xc00) === 0,
    got: {
      status: view.getUint32(CPU + FSW, true) | (view.getUint32(CPU + FTOP, true) << 11),
      rest: `exit ${exit} tags ${view.getUint32(CPU + FTW, true)} flags ${(now & 0xd5) | (((now >> 11) & 1) << 1)} memory ${hex(u8.slice(OPERAND, OPERAND + 10))}`,
      registers: registers as X87Outcome['registers'],
    },
    want: {
      status: d.getUint16(38, true),
      rest: `exit 0 tags ${c[40]} flags ${c[41]} memory ${hex(c.subarray(72, 82))}`,
      registers: [hex(c.subarray(42, 52)), hex(c.subarray(52, 62)), hex(c.subarray(62, 72))],
    },
  };
}

/** Distance of two numbers of one sign in units of the last place; Infinity across signs. */
export function ulps(a: string, b: string): number {
  const [x, y] = [a, b].map((s) => BigInt(`0x${s}`)) as [bigint, bigint];
  if (x >> 79n !== y >> 79n) return Number.POSITIVE_INFINITY;
  const ordinal = (n: bigint): bigint => (((n >> 64n) & 0x7fffn) << 63n) + (n & 0x7fff_ffff_ffff_ffffn);
  const n = ordinal(x) - ordinal(y);
  return Number(n < 0n ? -n : n);
}

// SSE: the instructions of tools/native/record-x87.c, in its order, as op name, destination and inputs.
const [X0, X1, RAX] = [xmm(0), xmm(1), gpr(0)];
const formatOf = { ps: 'f32x4', pd: 'f64x2', ss: 'f32', sd: 'f64' } as const;
const suffixes = ['ps', 'pd', 'ss', 'sd'] as const;
const predicates = ['eq', 'lt', 'le', 'unord', 'neq', 'nlt', 'nle', 'ord'];

interface SseOp {
  name: string;
  op: (imm: number) => string;
  d: number;
  inputs: number[];
  /** The immediate is ROUNDPS's. */
  rounds?: boolean;
}
const sseOps: SseOp[] = [];
const sse = (
  name: string,
  op: string | ((imm: number) => string),
  d: number,
  inputs: number[],
  rounds = false,
): void => {
  sseOps.push({ name, op: typeof op === 'string' ? () => op : op, d, inputs, rounds });
};
for (const name of ['add', 'mul', 'sub', 'min', 'div', 'max', 'sqrt'])
  for (const s of suffixes) sse(name + s, `x86.${formatOf[s]}.${name}`, X0, name === 'sqrt' ? [X1] : [X0, X1]);
for (const s of suffixes) sse(`cmp${s}`, (imm) => `x86.${formatOf[s]}.cmp.${predicates[imm]}`, X0, [X0, X1]);
for (const name of ['ucomis', 'comis'])
  for (const [s, f] of [
    ['s', 'f32'],
    ['d', 'f64'],
  ] as const)
    sse(name + s, `x86.${f}.${name}`, RAX, [X0, X1]);
sse('cvtsd2ss', 'x86.f32.demote', X0, [X1]);
sse('cvtss2sd', 'x86.f64.promote', X0, [X1]);
sse('cvtpd2ps', 'x86.f32x4.demote', X0, [X1]);
sse('cvtps2pd', 'x86.f64x2.promote', X0, [X1]);
sse('cvtdq2ps', 'f32x4.convert_i32x4_s', X0, [X1]);
sse('cvtdq2pd', 'f64x2.convert_low_i32x4_s', X0, [X1]);
for (const [s, f] of [
  ['s', 'f32x4'],
  ['d', 'f64x2'],
] as const)
  for (const [t, mode] of [
    ['t', 'trunc'],
    ['', 'nearest'],
  ] as const)
    sse(`cvt${t}p${s}2dq`, `x86.i32x4.${mode}.${f}`, X0, [X1]);
for (const s of suffixes) sse(`round${s}`, `x86.${formatOf[s]}.nearest`, X0, [X1], true);
for (const s of ['ps', 'pd'] as const) sse(`addsub${s}`, `x86.${formatOf[s]}.addsub`, X0, [X0, X1]);
for (const i of ['i32', 'i64'])
  for (const f of ['f32', 'f64']) sse(`cvtsi2${f} ${i}`, `${f}.convert_s.${i}`, X0, [RAX]);
for (const i of ['i32', 'i64'])
  for (const f of ['f32', 'f64'])
    for (const mode of ['trunc', 'nearest']) sse(`cvt${f}2si ${i} ${mode}`, `x86.${i}.${mode}.${f}`, RAX, [X1]);

export const SSE_CASE_BYTES = 56;
export interface SseCase {
  name: string;
  input: string;
  got: string;
  want: string;
}
/** The packed word that exactSse emits. */
function exactWord(op: SseOp, imm: number): bigint {
  let word = 0n;
  const emit = (_name: string, _d: number, _inputs: number[], value: bigint): void => {
    word = value;
  };
  exactSse({ b: { emit } } as unknown as LiftContext, op.op(imm), op.d, op.inputs, op.rounds ? imm : undefined);
  return BigInt.asIntN(64, word);
}
/** Runs a record of `struct sse_case`; null for instructions made of several ops. */
export function runSse(m: HelperMachine, c: Uint8Array): SseCase | null {
  const { helpers, u8, view } = m;
  const op = sseOps[c[0]!];
  if (!op) return null;
  const d = new DataView(c.buffer, c.byteOffset, c.length);
  view.setUint32(CPU + MXCSR, d.getUint16(2, true), true);
  u8.set(c.subarray(4, 20), CPU + X0);
  u8.set(c.subarray(20, 36), CPU + X1);
  u8.set(c.subarray(20, 28), CPU + RAX);
  const trapped = helpers.sse_exact(CPU, exactWord(op, c[1]!)) !== 0;
  let got = `mxcsr ${view.getUint32(CPU + MXCSR, true).toString(16)}${trapped ? ' trapped' : ''}`;
  let want = `mxcsr ${d.getUint16(36, true).toString(16)}${c[38] ? ' trapped' : ''}`;
  if (!trapped && !c[38]) {
    const result = op.d === RAX ? u8.slice(CPU + RAX, CPU + RAX + 8) : u8.slice(CPU + X0, CPU + X0 + 16);
    got += ` ${hex(result)}`;
    want += op.name.includes('comis')
      ? ` ${c[39]!.toString(16).padStart(16, '0')}`
      : ` ${hex(c.subarray(40, 40 + result.length))}`;
  }
  return {
    name: op.name,
    input: `mxcsr ${d.getUint16(2, true).toString(16)} imm ${c[1]} a ${hex(c.subarray(4, 20))} b ${hex(c.subarray(20, 36))}`,
    got,
    want,
  };
}
