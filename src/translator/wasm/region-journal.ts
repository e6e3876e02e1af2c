/**
 * What regions made for --jit=verify do beside their work: they write down the blocks that they run, and the bytes that their
 * stores overwrite, so that the runtime can undo all of it, and have the interpreter do the same again. Neither touches a
 * register or changes what dataflow sees.
 */
import type { Expr } from '../ir/expr.ts';
import { JOURNAL_ENTRY, SLOT_JOURNAL, SLOT_TRACE, SLOT_TRACE_END, VCPU } from '../ir/layout.ts';
import { pieces } from '../region/journal.ts';
import type { Assembler } from './assembler.ts';

/** Keeps the `bytes` bytes at a pointer plus `offset`. An address beyond the memory traps here, as it would with the store. */
export function keepOld(m: Assembler, pointer: () => Expr, offset: number, bytes: number): Expr[] {
  const cpu = (): Expr => m.i32.const(VCPU);
  const entry = (): Expr => m.i32.load(SLOT_JOURNAL, 4, cpu());
  const out: Expr[] = [];
  for (const { at, length } of pieces(bytes)) {
    const from = offset + at;
    const old = {
      1: () => m.i64.store8(8, 1, entry(), m.i64.load8_u(from, 1, pointer())),
      2: () => m.i64.store16(8, 1, entry(), m.i64.load16_u(from, 1, pointer())),
      4: () => m.i64.store32(8, 1, entry(), m.i64.load32_u(from, 1, pointer())),
      8: () => m.i64.store(8, 1, entry(), m.i64.load(from, 1, pointer())),
      16: () => m.v128.store(8, 1, entry(), m.v128.load(from, 1, pointer())),
    }[length]!;
    out.push(
      old(),
      m.i32.store(0, 1, entry(), m.i32.add(pointer(), m.i32.const(from))),
      m.i32.store(4, 1, entry(), m.i32.const(length)),
      m.i32.store(SLOT_JOURNAL, 4, cpu(), m.i32.add(entry(), m.i32.const(JOURNAL_ENTRY))),
    );
  }
  return out;
}

/** Writes down that the guest's code at [pc, end) is run. */
export function noteBlock(m: Assembler, { pc, end }: { pc: number; end: number }): Expr[] {
  const cpu = (): Expr => m.i32.const(VCPU);
  const at = (): Expr => m.i32.load(SLOT_TRACE, 4, cpu());
  return [
    m.i64.store(0, 8, at(), m.i64.const(BigInt.asIntN(64, BigInt(pc) | (BigInt(end) << 32n)))),
    m.i32.store(SLOT_TRACE, 4, cpu(), m.i32.add(at(), m.i32.const(8))),
  ];
}

/** Non-zero once the trace is long enough. */
export function traceIsFull(m: Assembler): Expr {
  const cpu = (): Expr => m.i32.const(VCPU);
  return m.i32.ge_u(m.i32.load(SLOT_TRACE, 4, cpu()), m.i32.load(SLOT_TRACE_END, 4, cpu()));
}
