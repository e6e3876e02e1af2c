/**
 * Whether this host's floating point makes NaNs as x86 processors do: the default NaN is negative, of two operands the first
 * one that is NaN is quieted and handed on (SDM volume 1, section 4.8.3.5 and table 4-7). WebAssembly leaves these bits to
 * the host; where they are right, translated code need not look at every result.
 */
import { Assembler, types } from './assembler.ts';

type Unary = (a: bigint) => bigint;
type Binary = (a: bigint, b: bigint) => bigint;

const QUIET = 0x8_0000_0000_0000n;
const DEFAULT = 0xfff8_0000_0000_0000n;
const INFINITY = 0x7ff0_0000_0000_0000n;
const ONE = 0x3ff0_0000_0000_0000n;
const FIRST = 0x7ff8_0000_0000_1230n;
const SECOND = 0xfff8_0000_4560_0000n;
const SIGNALLING = 0x7ff0_0000_789a_0000n;

let result: boolean | null = null;

export function hostNansAreX86(): boolean {
  result ??= probe();
  return result;
}

function probe(): boolean {
  const m = new Assembler();
  const { i64 } = types;
  const argument = (k: number): number => m.f64.reinterpret(m.local.get(k, i64));
  const names = ['add', 'sub', 'mul', 'div'] as const;
  for (const name of names) {
    const value = m.i64.reinterpret(m.f64[name](argument(0), argument(1)));
    m.addFunction(name, [i64, i64], [i64], [], value);
    // Singles by way of their own arithmetic, which must agree with that of doubles on what is a NaN.
    const single = m.f64.promote(m.f32[name](m.f32.demote(argument(0)), m.f32.demote(argument(1))));
    m.addFunction(`${name}32`, [i64, i64], [i64], [], m.i64.reinterpret(single));
  }
  m.addFunction('sqrt', [i64], [i64], [], m.i64.reinterpret(m.f64.sqrt(argument(0))));
  for (const name of [...names, ...names.map((n) => `${n}32`), 'sqrt']) m.addExport(name);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m.emitBinary()));

  const same = (value: bigint, wanted: bigint): boolean => BigInt.asUintN(64, value) === wanted;
  const cut = (n: bigint): bigint => n & ~0x1fff_ffffn;
  for (const name of names) {
    const f = exports[name] as Binary;
    const f32 = exports[`${name}32`] as Binary;
    const fine =
      same(f(FIRST, SECOND), FIRST) &&
      same(f(SECOND, FIRST), SECOND) &&
      same(f(ONE, SECOND), SECOND) &&
      same(f(FIRST, ONE), FIRST) &&
      same(f(SIGNALLING, SECOND), SIGNALLING | QUIET) &&
      same(f(ONE, SIGNALLING), SIGNALLING | QUIET) &&
      same(f32(SECOND, FIRST), cut(SECOND)) &&
      same(f32(ONE, SECOND), cut(SECOND));
    if (!fine) return false;
  }
  const call = (name: string, a: bigint, b: bigint): bigint => (exports[name] as Binary)(a, b);
  return (
    same(call('sub', INFINITY, INFINITY), DEFAULT) &&
    same(call('add', INFINITY, INFINITY | (1n << 63n)), DEFAULT) &&
    same(call('mul', 0n, INFINITY), DEFAULT) &&
    same(call('div', 0n, 0n), DEFAULT) &&
    same(call('sub32', INFINITY, INFINITY), DEFAULT) &&
    same((exports.sqrt as Unary)(ONE | (1n << 63n)), DEFAULT) &&
    same((exports.sqrt as Unary)(SIGNALLING), SIGNALLING | QUIET)
  );
}
