/** Disassembly for --dump and error messages, by the iced-x86 package, which is loaded on first use. */

let iced: Promise<typeof import('iced-x86')> | null = null;

export interface DisassembledInstruction {
  pc: number;
  bytes: Uint8Array;
  /** Intel syntax; `(bad)` for a byte no instruction begins with. */
  text: string;
}

/** Disassembles `code`, the guest bytes from address `pc` on (copied: they may be shared memory). */
export async function disassemble(code: Uint8Array, pc: number): Promise<DisassembledInstruction[]> {
  iced ??= import('iced-x86');
  const { Code, Decoder, DecoderOptions, Formatter, FormatterSyntax } = await iced;
  const bytes = new Uint8Array(code);
  // CPUID has no BMI1 and no LZCNT: F3 0F BC and F3 0F BD are BSF and BSR.
  const decoder = new Decoder(64, bytes, DecoderOptions.NoMPFX_0FBC | DecoderOptions.NoMPFX_0FBD);
  const formatter = new Formatter(FormatterSyntax.Intel);
  try {
    formatter.spaceAfterOperandSeparator = true;
    formatter.hexPrefix = '0x';
    formatter.hexSuffix = '';
    formatter.uppercaseHex = false;
    formatter.branchLeadingZeros = false;
    decoder.ip = BigInt(pc);
    const list: DisassembledInstruction[] = [];
    let at = 0;
    while (at < bytes.length) {
      decoder.position = at;
      decoder.ip = BigInt(pc + at);
      const instruction = decoder.decode();
      const bad = instruction.code === Code.INVALID;
      const length = bad ? 1 : instruction.length;
      list.push({ pc: pc + at, bytes: bytes.subarray(at, at + length), text: bad ? '(bad)' : formatter.format(instruction) });
      instruction.free();
      at += length;
    }
    return list;
  } finally {
    formatter.free();
    decoder.free();
  }
}

/** The same as lines of `address: bytes  text`. */
export async function disassembly(code: Uint8Array, pc: number): Promise<string> {
  const line = (i: DisassembledInstruction): string =>
    `${i.pc.toString(16)}: ${[...i.bytes].map((b) => b.toString(16).padStart(2, '0')).join(' ').padEnd(30)} ${i.text}`;
  return (await disassemble(code, pc)).map(line).join('\n');
}
