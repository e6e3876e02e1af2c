/** `--dump`: guest blocks as they are translated, with their assembly and IR. */
import type { Engine } from '../runtime/engine.ts';
import type { NodeHost } from '../runtime/node-host.ts';
import { printBlock } from '../translator/ir/print.ts';
import { formatDisassembly, loadDisassembler } from '../translator/x86_64/disassemble.ts';

export interface DumpOptions {
  what: readonly ('asm' | 'ir' | 'wat')[];
  /** Guest addresses [from, to). */
  range: readonly [number, number];
}

/** Makes the function that has an engine's blocks printed to stderr. */
export async function blockDumper({ what, range }: DumpOptions, host: NodeHost): Promise<(engine: Engine) => void> {
  const disassemble = what.includes('asm') ? await loadDisassembler() : null;
  return (engine) => {
    const { listing, slotNames } = engine.isa;
    engine.code.onTranslate = (block) => {
      if (block.pc < range[0] || block.pc >= range[1]) return;
      const code = engine.memory.u8.subarray(block.pc, block.end);
      if (disassemble && listing) host.raw(`${listing(code, block.pc)}\n`);
      else if (disassemble) host.raw(`${formatDisassembly(disassemble(code, block.pc))}\n`);
      if (what.includes('ir')) host.raw(`${printBlock(block, slotNames)}\n`);
    };
  };
}
