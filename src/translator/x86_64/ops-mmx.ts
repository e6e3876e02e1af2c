/** Guest ops for MMX. Arithmetic is done by the SSE ops on registers widened to 128 bits. */
import { type OpTable, pure, state } from '../ir/op.ts';
import { mmxEnterSlots } from './sse-operands.ts';
import { FTOP, FTW } from './state.ts';

export function defineMmxOps(t: OpTable): void {
  state(t, 'x86.mmx.enter', '->', { writes: mmxEnterSlots }, 'x87 top 0 and all registers valid', (m) =>
    m.seq([m.set(FTOP, 'l32', m.constI32(0)), m.set(FTW, 'l32', m.constI32(0xff))]),
  );
  pure(t, 'x86.mmx.pair', 'i64 i64 -> v128', 'input 0 in the low half, input 1 in the high half', (m, a, b) =>
    m.i64x2.replace_lane(m.i64x2.splat(a), 1, b),
  );
  pure(t, 'x86.mmx.pshufb', 'v128 v128 -> v128', 'PSHUFB of 8 bytes', (m, a, mask) =>
    m.i8x16.swizzle(a, m.v128.and(mask, m.i8x16.splat(m.constI32(0x87)))),
  );
}
