/** IR ops of AArch64 integer instructions that generic ops do not cover. */
import type { Expr, ExprBuilder } from '../ir/expr.ts';
import { type OpTable, pure } from '../ir/op.ts';

const widths = ['i32', 'i64'] as const;
type Width = (typeof widths)[number];
const num = (m: ExprBuilder, w: Width, n: bigint): Expr =>
  w === 'i64' ? m.constI64(n) : m.constI32(Number(BigInt.asIntN(32, n)));

/** Swaps neighbouring groups of `step` bits; `mask` selects the low one of each pair. */
function swap(m: ExprBuilder, w: Width, value: Expr, step: bigint, mask: bigint): Expr {
  return m.bind(w, value, (v) =>
    m[w].or(
      m[w].and(m[w].shr_u(v(), num(m, w, step)), num(m, w, mask)),
      m[w].shl(m[w].and(v(), num(m, w, mask)), num(m, w, step)),
    ),
  );
}

export function defineA64IntegerOps(t: OpTable): void {
  for (const w of widths) {
    const sig = `${w} ${w} -> ${w}`;
    const zero = (m: ExprBuilder): Expr => num(m, w, 0n);
    pure(t, `a64.udiv.${w}`, sig, 'unsigned quotient, 0 for a division by zero', (m, a, b) =>
      m.bind(w, a, (x) => m.bind(w, b, (y) => m.if(m[w].eqz(y()), zero(m), m[w].div_u(x(), y())))),
    );
    pure(
      t,
      `a64.sdiv.${w}`,
      sig,
      'signed quotient, 0 for a division by zero; the least number by -1 is itself',
      (m, a, b) =>
        m.bind(w, a, (x) =>
          m.bind(w, b, (y) =>
            m.if(
              m[w].eqz(y()),
              zero(m),
              m.if(m[w].eq(y(), num(m, w, -1n)), m[w].sub(zero(m), x()), m[w].div_s(x(), y())),
            ),
          ),
        ),
    );
    pure(t, `a64.rev16.${w}`, `${w} -> ${w}`, 'bytes swapped in each half-word', (m, a) =>
      swap(m, w, a, 8n, 0x00ff_00ff_00ff_00ffn),
    );
    pure(t, `a64.rbit.${w}`, `${w} -> ${w}`, 'bits in reverse order', (m, a) => {
      let v = a;
      for (const [step, mask] of [
        [1n, 0x5555_5555_5555_5555n],
        [2n, 0x3333_3333_3333_3333n],
        [4n, 0x0f0f_0f0f_0f0f_0f0fn],
        [8n, 0x00ff_00ff_00ff_00ffn],
      ] as const)
        v = swap(m, w, v, step, mask);
      if (w === 'i32') return m.i32.rotl(v, m.constI32(16));
      return m.i64.rotl(swap(m, w, v, 16n, 0x0000_ffff_0000_ffffn), m.constI64(32n));
    });
  }
  for (const poly of ['crc32', 'crc32c'])
    for (const bits of [8, 16, 32, 64])
      pure(
        t,
        `a64.${poly}.${bits}`,
        `i32 ${bits === 64 ? 'i64' : `i${bits}`} -> i32`,
        `${poly === 'crc32' ? 'CRC-32' : 'CRC-32C'} of ${bits / 8} bytes, least significant first`,
        (m, acc, value) =>
          m.helper(`a64_${poly}`, [acc, bits === 64 ? value : m.i64.extend_u(value), m.constI32(bits / 8)], 'i32'),
      );
}
