/** Decoder, lifter with its passes, and the encoder of interpreter code, over the same machine code. */
import { CodeSpace } from '../../src/runtime/code-space.ts';
import type { Block } from '../../src/translator/ir/block.ts';
import { decode } from '../../src/translator/x86_64/decode.ts';
import { X86FrontEnd } from '../../src/translator/x86_64/front-end.ts';
import type { MicroCase } from './index.ts';
import { loadCorpus } from './corpus.ts';

export function cases(): MicroCase[] {
  const { memory, end, instructions } = loadCorpus();
  const front = new X86FrontEnd();
  const lift = (pc: number): Block | null => front.lift(memory.u8, pc, end, 0, false);
  const blocks = new Map<number, Block>();
  let guest = 0;
  for (let pc = instructions[0]!; pc < instructions.at(-1)!; ) {
    const block = lift(pc);
    if (block === null) break;
    blocks.set(pc, block);
    guest += block.guestInstructions;
    pc = Math.max(block.end, pc + 1);
  }
  const entries = [...blocks.keys()];
  const unit = 'guest instruction';
  // The encoder alone: what it is given was lifted before.
  const code = new CodeSpace(memory, {
    bytecode: front.bytecode,
    lift: (_code, pc) => blocks.get(pc) ?? null,
    liftRegionBlock: () => null,
  });
  return [
    {
      name: 'decode',
      run: () => {
        for (const pc of instructions) decode(memory.u8, pc, end);
      },
      count: instructions.length,
      unit,
    },
    {
      name: 'decode, lift, passes',
      run: () => {
        for (const pc of entries) lift(pc);
      },
      count: guest,
      unit,
    },
    {
      name: 'encode',
      run: () => {
        code.flush();
        for (const pc of entries) code.entry(pc, 0);
      },
      count: guest,
      unit,
    },
  ];
}
