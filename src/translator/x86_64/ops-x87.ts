/** Guest ops for x87: calls of the helpers in src/helpers/x87.ts, see rows-x87.ts. */
import { helperOp, type OpTable } from '../ir/op.ts';
import { CC_A, CC_B, CC_OP, CC_RES, gpr, RAX } from './state.ts';

/** FSTSW AX and FCOMI are the only ones that write to registers beside those of the x87 unit. */
const touched = [gpr(RAX), CC_OP, CC_A, CC_B, CC_RES];
const slots = { reads: touched, writes: touched };
const none = { reads: [], writes: [] };

export function defineX87Ops(t: OpTable): void {
  helperOp(
    t,
    'x86.x87',
    'i64',
    'x87_register',
    'x87 instruction on registers: ModRM and low opcode bits in bits 0 to 10, address of the instruction in bits 32 to 63',
    slots,
  );
  helperOp(
    t,
    'x86.x87.mem',
    'i64 i64',
    'x87_memory',
    'x87 instruction on memory at input 0; input 1 as for x86.x87, with bit 11 for 16-bit operand size',
    slots,
  );
  helperOp(t, 'x86.fcmov', 'i32 i64', 'x87_fcmov', 'FCMOVcc with the condition in input 0', none);
  helperOp(t, 'x86.fwait', '', 'x87_wait', 'raises a pending x87 exception', none);
  helperOp(t, 'x86.emms', '', 'x87_emms', 'empties the x87 tag word', none);
}
