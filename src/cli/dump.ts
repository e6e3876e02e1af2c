/** `--dump`: guest blocks as they are translated, with their assembly and IR. */
import type { Engine } from '../runtime/engine.ts';
import type { NodeHost } from '../runtime/node-host.ts';
import { printBlock } from '../translator/ir/print.ts';
import { formatDisassembly, loadDisassembler } from '../translator/x86_64/disassemble.ts';
import { slotNames } from '../translator/x86_64/names.ts';

export interface DumpOptions {
  what: readonly ('asm' | 'ir')[];
  /** Guest addresses [from, to). */
  range: readonly [number, number];
}

/** Makes the function that has an engine's blocks printed to stderr. */
export async function blockDumper({ what, range }: DumpOptions, host: NodeHost): Promise<(engine: Engine) => void> {
  const disassemble = what.includes('asm') ? await loadDisassembler() : null;
  return (engine) => {
    engine.code.onTranslate = (block) => {
      if (block.pc < range[0] || block.pc >= range[1]) return;
      if (disassemble)
        host.raw(`${formatDisassembly(disassemble(engine.memory.u8.subarray(block.pc, block.end), block.pc))}\n`);
      if (what.includes('ir')) host.raw(`${printBlock(block, slotNames)}\n`);
    };
  };
}
