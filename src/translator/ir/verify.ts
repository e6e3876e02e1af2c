/** Checks a block's form: run after every pass in tests and under UKTX_VERIFY_IR. */
import type { Block, Inst } from './block.ts';
import { CONST, TEMPS, VCPU_SIZE, VECTOR_TEMPS } from './layout.ts';
import { printBlock, printInst, type SlotNames } from './print.ts';

const sizeOf = {
  i8: 1,
  s8: 1,
  i16: 2,
  s16: 2,
  i32: 4,
  l32: 4,
  i64: 8,
  f32: 4,
  f64: 8,
  v128: 16,
  z32: 16,
  z64: 16,
} as const;

/** Throws an Error naming the offending op and printing the block. */
export function verifyBlock(block: Block, names: SlotNames = () => null): void {
  const fail = (inst: Inst | null, message: string): never => {
    throw new Error(
      `IR: ${message}${inst ? ` in \`${printInst(inst, names)}\` at 0x${inst.pc.toString(16)}` : ''}\n${printBlock(block, names)}`,
    );
  };
  const written = new Set<number>();
  let pc = -1;
  const use = (inst: Inst | null, slot: number, size: number): void => {
    if (!Number.isInteger(slot) || slot < 0 || slot + size > VCPU_SIZE) fail(inst, `slot ${slot} is outside the vCPU`);
    if (slot >= TEMPS && !written.has(slot & ~7))
      fail(inst, `${slot >= VECTOR_TEMPS ? 'vector temporary' : 'temporary'} is read before it is written`);
  };
  for (const inst of block.insts) {
    if (inst.pc !== pc) written.clear();
    pc = inst.pc;
    if (inst.inputs.length !== inst.op.inputs.length)
      fail(inst, `takes ${inst.op.inputs.length} inputs, has ${inst.inputs.length}`);
    inst.inputs.forEach((slot, k) => {
      if (slot !== CONST) use(inst, slot, sizeOf[inst.op.inputs[k]!]);
      else if (k !== inst.inputs.length - 1 || !inst.op.constable) fail(inst, `input ${k} may not be a constant`);
    });
    if (!inst.op.result) continue;
    const size = sizeOf[inst.op.result];
    if (inst.d < 0x80 || inst.d + size > VCPU_SIZE) fail(inst, 'result slot is outside the registers');
    for (let at = inst.d & ~7; at < inst.d + size; at += 8) written.add(at);
  }
  const e = block.exit;
  if (block.exitPc !== pc) written.clear();
  if (e.kind === 'branch') {
    use(null, e.condition.a, sizeOf[e.condition.width]);
    if (e.condition.b !== CONST) use(null, e.condition.b, sizeOf[e.condition.width]);
  } else if (e.kind === 'ret' || e.kind === 'indirect' || (e.kind === 'call' && e.target === null))
    use(null, e.slot, 8);
}
