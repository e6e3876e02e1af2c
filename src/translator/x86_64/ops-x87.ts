/** Guest ops for x87: calls of the helpers in src/helpers/x87.ts, see rows-x87.ts. */
import { helperOp, type OpTable } from '../ir/op.ts';

export function defineX87Ops(t: OpTable): void {
  helperOp(
    t,
    'x86.x87',
    'i64',
    'x87_register',
    'x87 instruction on registers: ModRM and low opcode bits in bits 0 to 10, address of the instruction in bits 32 to 63',
  );
  helperOp(
    t,
    'x86.x87.mem',
    'i64 i64',
    'x87_memory',
    'x87 instruction on memory at input 0; input 1 as for x86.x87, with bit 11 for 16-bit operand size',
  );
  helperOp(t, 'x86.fcmov', 'i32 i64', 'x87_fcmov', 'FCMOVcc with the condition in input 0');
  helperOp(t, 'x86.fwait', '', 'x87_wait', 'raises a pending x87 exception');
  helperOp(t, 'x86.emms', '', 'x87_emms', 'empties the x87 tag word');
}
