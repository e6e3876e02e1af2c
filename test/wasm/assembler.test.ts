/** The assembler against binaryen: every instruction must read back as what it was meant to be. */
import binaryen from 'binaryen';
import { describe, expect, it } from 'vitest';
import { Assembler, types } from '../../src/translator/wasm/assembler.ts';
import { opcodes } from '../../src/translator/wasm/opcodes.ts';

/** The module as binaryen reads it. */
function read(wasm: Uint8Array): string {
  const module = binaryen.readBinary(wasm);
  try {
    return module.emitText();
  } finally {
    module.dispose();
  }
}

/** Types of the operands, which the table leaves to those who validate: found by trying. */
const candidates = ['i32', 'i64', 'f32', 'f64', 'v128'] as const;
function* combinations(count: number): Iterable<number[]> {
  if (count === 0) yield [];
  else for (const rest of combinations(count - 1)) for (const t of candidates) yield [types[t], ...rest];
}

function isValid(wasm: Uint8Array<ArrayBuffer>): boolean {
  try {
    new WebAssembly.Module(wasm);
    return true;
  } catch {
    return false;
  }
}

const m = new Assembler();

function build(k: number, params: readonly number[]): Uint8Array<ArrayBuffer> {
  const op = opcodes[k]!;
  m.reset();
  m.importGlobal('unused');
  const [first, ...rest] = params.map((type, n) => m.local.get(n, type));
  // biome-ignore lint/suspicious/noExplicitAny: the path of an instruction is data here.
  const make = op.path.split('.').reduce((at: any, name) => at[name], m);
  const immediates = op.immediate === 'memory' ? (op.code >>> 16 === 0xfe ? [8] : [8, 1]) : [];
  const value =
    op.immediate === 'lane'
      ? make(first, 1, ...rest)
      : make(...immediates, ...(first === undefined ? [] : [first]), ...rest);
  const results = op.result === 'none' ? [] : [types[op.result]];
  m.addFunction('f', params, results, [], value);
  m.addExport('f');
  return m.emitBinary();
}

/** `i32.trunc_s_sat.f64` is i32.trunc_sat_f64_s in the text format, and so on. */
function textName(path: string): string {
  return path
    .replace(/^(i32)\.wrap$/, '$1.wrap_i64')
    .replace(/^i64\.extend_([su])$/, 'i64.extend_i32_$1')
    .replace(/\.(trunc)_([su])_sat\.(\w+)$/, '.$1_sat_$3_$2')
    .replace(/\.(trunc|convert)_([su])\.(\w+)$/, '.$1_$3_$2')
    .replace(/^f32\.demote$/, 'f32.demote_f64')
    .replace(/^f64\.promote$/, 'f64.promote_f32')
    .replace(/^(i32|i64)\.reinterpret$/, (_, t) => `${t}.reinterpret_f${t.slice(1)}`)
    .replace(/^(f32|f64)\.reinterpret$/, (_, t) => `${t}.reinterpret_i${t.slice(1)}`)
    .replace('_saturate_', '_sat_')
    .replace(/\.rmw(\d+)_u\.(\w+)$/, '.rmw$1.$2_u');
}

describe('the assembler', () => {
  it.each(opcodes.map((op, k) => [op.path, k] as const))('%s', (path, k) => {
    const { operands } = opcodes[k]!;
    const fitting = [...combinations(operands)].map((params) => build(k, params)).filter((w) => isValid(w));
    expect(fitting).toHaveLength(1);
    expect(read(fitting[0]!)).toMatch(new RegExp(`\\(${textName(path).replaceAll('.', '\\.')}[ )\\n]`));
  });

  it('writes integers of every length', () => {
    const values = [
      0n,
      63n,
      64n,
      -64n,
      -65n,
      0x7fff_ffffn,
      -0x8000_0000n,
      0x8000_0000n,
      2n ** 53n + 1n,
      -(2n ** 63n),
      2n ** 63n - 1n,
    ];
    const m = new Assembler();
    values.forEach((value, k) => {
      m.addFunction(`l${k}`, [], [types.i64], [], m.i64.const(value));
      m.addFunction(`w${k}`, [], [types.i32], [], m.i32.const(Number(BigInt.asIntN(32, value))));
      for (const name of [`l${k}`, `w${k}`]) m.addExport(name);
    });
    const instance = new WebAssembly.Instance(new WebAssembly.Module(m.emitBinary()));
    values.forEach((value, k) => {
      expect((instance.exports[`l${k}`] as () => bigint)()).toBe(value);
      expect((instance.exports[`w${k}`] as () => number)()).toBe(Number(BigInt.asIntN(32, value)));
    });
  });

  it('branches to the construct that is meant, however deep', () => {
    const m = new Assembler();
    const index = (): number => m.local.get(0, types.i32);
    const answer = (n: number): number => m.return([m.i32.const(n)]);
    const labels = ['zero', 'one', 'two'];
    let nest = [m.if(index(), m.block(null, [m.switch(labels, 'two', index())]), m.br('zero'))];
    labels.forEach((label, k) => {
      nest = [m.block(label, nest), answer(k * 10)];
    });
    m.addFunction('f', [types.i32], [types.i32], [], m.block(null, [...nest, m.unreachable()]));
    m.addExport('f');
    const instance = new WebAssembly.Instance(new WebAssembly.Module(m.emitBinary()));
    expect([0, 1, 2, 99].map((n) => (instance.exports.f as (n: number) => number)(n))).toEqual([0, 10, 20, 20]);
  });

  it('takes up anew after a reset', () => {
    const m = new Assembler();
    const fill = (): Uint8Array => {
      m.addFunction('f', [types.i32], [types.i32], [types.i64], m.i32.add(m.local.get(0, types.i32), m.i32.const(5)));
      m.addExport('f');
      return m.emitBinary();
    };
    const before = fill();
    m.reset();
    expect(fill()).toEqual(before);
  });
});
