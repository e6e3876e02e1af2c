/** Disassembly for --dump and error messages, by the iced-x86 package, which is loaded on first use. */

let iced: Promise<typeof import('iced-x86')> | null = null;

export interface DisassembledInstruction {
  pc: number;
  bytes: Uint8Array;
  /** Intel syntax; `(bad)` for a byte no instruction begins with. */
  text: string;
}

/** `code` are the guest bytes from address `pc` on (copied: they may be shared memory). */
export type Disassembler = (code: Uint8Array, pc: number) => DisassembledInstruction[];

/** Loads the package; disassembling itself is synchronous. */
export async function loadDisassembler(): Promise<Disassembler> {
  iced ??= import('iced-x86');
  const package_ = await iced;
  return (code, pc) => decodeAll(package_, code, pc);
}

/** Disassembles `code` once. */
export async function disassemble(code: Uint8Array, pc: number): Promise<DisassembledInstruction[]> {
  return (await loadDisassembler())(code, pc);
}

function decodeAll(package_: typeof import('iced-x86'), code: Uint8Array, pc: number): DisassembledInstruction[] {
  const { Code, Decoder, DecoderOptions, Formatter, FormatterSyntax } = package_;
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
      list.push({
        pc: pc + at,
        bytes: bytes.subarray(at, at + length),
        text: bad ? '(bad)' : formatter.format(instruction),
      });
      instruction.free();
      at += length;
    }
    return list;
  } finally {
    formatter.free();
    decoder.free();
  }
}

/** As lines of `address: bytes  text`. */
export const formatDisassembly = (list: readonly DisassembledInstruction[]): string =>
  list
    .map(
      (i) =>
        `${i.pc.toString(16)}: ${[...i.bytes]
          .map((b) => b.toString(16).padStart(2, '0'))
          .join(' ')
          .padEnd(30)} ${i.text}`,
    )
    .join('\n');

/** The same as text. */
export async function disassembly(code: Uint8Array, pc: number): Promise<string> {
  return formatDisassembly(await disassemble(code, pc));
}
