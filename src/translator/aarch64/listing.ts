/** Instruction words with the mnemonics of their rows, for --dump: operands are not spelled out. */
import { decode } from './decode.ts';

/** One line an instruction; `code` are the guest bytes from address `pc` on. */
export function listing(code: Uint8Array, pc: number): string {
  const lines: string[] = [];
  for (let k = 0; k + 4 <= code.length; k += 4) {
    const word = code[k]! | (code[k + 1]! << 8) | (code[k + 2]! << 16) | (code[k + 3]! << 24);
    const hex = (word >>> 0).toString(16).padStart(8, '0');
    lines.push(`${(pc + k).toString(16).padStart(8)}  ${hex}  ${decode(word)?.mnemonic ?? '(bad)'}`);
  }
  return lines.join('\n');
}
