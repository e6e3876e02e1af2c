/** The decoder against iced-x86: what is an instruction, and how long it is, over all opcodes and over random bytes. */
import { Code, CpuidFeature, Decoder, DecoderOptions, Mnemonic } from 'iced-x86';
import { describe, expect, it } from 'vitest';
import { type Decoded, decode } from '../../../src/translator/x86_64/decode.ts';
import '../../../src/translator/x86_64/index.ts';
import { rows } from '../../../src/translator/x86_64/row.ts';

const features = new Set<number>([
  CpuidFeature.INTEL8086,
  CpuidFeature.INTEL186,
  CpuidFeature.INTEL286,
  CpuidFeature.INTEL386,
  CpuidFeature.INTEL486,
  CpuidFeature.X64,
  CpuidFeature.FPU,
  CpuidFeature.FPU287,
  CpuidFeature.FPU387,
  CpuidFeature.TSC,
  CpuidFeature.MSR,
  CpuidFeature.RDPMC,
  CpuidFeature.CPUID,
  CpuidFeature.CX8,
  CpuidFeature.CMPXCHG16B,
  CpuidFeature.CMOV,
  CpuidFeature.CLFSH,
  CpuidFeature.MMX,
  CpuidFeature.FXSR,
  CpuidFeature.SSE,
  CpuidFeature.SSE2,
  CpuidFeature.SSE3,
  CpuidFeature.SSSE3,
  CpuidFeature.SSE4_1,
  CpuidFeature.SSE4_2,
  CpuidFeature.POPCNT,
  CpuidFeature.SYSCALL,
  CpuidFeature.PAUSE,
  CpuidFeature.MULTIBYTENOP,
  // Not in CPUID, but no-operations there: ENDBR64 and PREFETCHW.
  CpuidFeature.CET_IBT,
  CpuidFeature.PREFETCHW,
]);
/** Valid in 64-bit mode and yet not decoded: far transfers, which leave the one code segment there is. */
const left = /^(Retf.*|Jmp_m16.*|Call_m16.*)$/;
/**
 * Forms of instructions that need not decode: MOV to and from control registers with a memory form's ModRM, which the CPU
 * reads as registers (SIGILL, not SIGSEGV), and 0F 0D with a register, invalid on AMD's CPUs.
 */
const optional = /^(Mov_(r64_[cd]r|[cd]r_r64)|Reservednop_.*_0F0D)$/;
const options =
  DecoderOptions.ForceReservedNop | DecoderOptions.NoWbnoinvd | DecoderOptions.NoMPFX_0FBC | DecoderOptions.NoMPFX_0FBD;

/** What differs between the two decoders, in words; null when nothing does. */
function difference(bytes: Uint8Array): string | null {
  const decoder = new Decoder(64, bytes, options);
  const i = decoder.decode();
  try {
    const name = Code[i.code]!;
    const exists = i.code !== Code.INVALID && [...i.cpuidFeatures()].every((f) => features.has(f)) && !left.test(name);
    const d = decode(bytes, 0, bytes.length);
    const told = (text: string): string =>
      `${Buffer.from(bytes.subarray(0, Math.max(i.length, 8))).toString('hex')} ${name}: ${text}`;
    if (typeof d === 'string') {
      if (exists && !optional.test(name)) return told(d);
      return null;
    }
    // Control and debug registers beyond those that exist end in #UD, too, when lifted.
    if (!exists && /^mov [cd]r$/.test(d.row.mnemonic) && d.reg >= 8) return null;
    if (!exists) return told(`decodes as ${d.row.encoding} ${d.row.mnemonic}`);
    if (d.next !== i.length) return told(`length ${d.next}, not ${i.length}`);
    return nameDiffers(d, Mnemonic[i.mnemonic]!.toLowerCase()) ? told(`named ${d.row.mnemonic}`) : null;
  } finally {
    i.free();
    decoder.free();
  }
}

/** Names that differ by operand size or condition from that of the row that serves them all. */
const families: [RegExp, RegExp][] = [
  [/^jcc$/, /^j/],
  [/^setcc$/, /^set/],
  [/^cmovcc$/, /^cmov/],
  [/^jrcxz$/, /^j[er]cxz$/],
  [/^shl$/, /^sal|shl$/],
  [/^cwde$/, /^(cbw|cwde|cdqe)$/],
  [/^cdq$/, /^(cwd|cdq|cqo)$/],
  [/^(movs|cmps|stos|lods|scas|ins|outs)$/, /^(movs|cmps|stos|lods|scas|ins|outs)[bwdq]$/],
  [/^iret$/, /^iret/],
  [/^(push|pop)f$/, /^(push|pop)f/],
  [/^(push|pop)$/, /^(push|pop)/],
  [/^mov( [cd]r)?$/, /^mov$/],
  [/^icebp$/, /^int1$/],
  [/^cmpxchg8b$/, /^cmpxchg/],
  [/^xchg$/, /^(xchg|nop|pause)$/],
  [/^xlat$/, /^xlatb$/],
  [/^sysret$/, /^sysret/],
  [/^(nop|prefetch|endbr64)$/, /^(nop|reservednop|prefetch.*|endbr.*)$/],
  [/^prefetchw$/, /^(prefetch.*|reservednop)$/],
  [/^fwait$/, /^wait$/],
];
function nameDiffers({ row }: Decoded, theirs: string): boolean {
  // Vector and x87 rows have their own tests.
  if (
    row.operands.some((o) => 'VWUPQN'.includes(o.kind)) ||
    (row.map === 0 && row.opcode >= 0xd8 && row.opcode <= 0xdf)
  )
    return false;
  if (row.mnemonic === theirs) return false;
  if (row.map === 1 && (row.opcode === 0xae || row.opcode === 0x77)) return false;
  return !families.some(([ours, iced]) => ours.test(row.mnemonic) && iced.test(theirs));
}

/** Reproducible bytes. */
function generator(seed: number): () => number {
  let x = seed;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 7) & 0xff;
  };
}

describe('decoder', () => {
  it('agrees with iced on every opcode, ModRM digit and addressing form, under the prefixes that matter', () => {
    const byte = generator(1);
    const wrong: string[] = [];
    const prefixes = [
      [],
      [0x66],
      [0xf3],
      [0xf2],
      [0xf0],
      [0x48],
      [0x41],
      [0x44],
      [0x67],
      [0x64],
      [0x66, 0x48],
      [0xf3, 0x48],
      [0x66, 0xf2],
      [0x48, 0x66],
      [0x2e],
    ];
    for (const map of [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]]) {
      for (let opcode = 0; opcode < 256; opcode++) {
        for (const prefix of prefixes) {
          for (let form = 0; form < 64; form++) {
            const modrm = [0x00, 0x04, 0x05, 0x44, 0x84, 0xc0, 0xc1, 0xc7][form & 7]! | ((form >> 3) << 3);
            const bytes = Uint8Array.from({ length: 20 }, byte);
            bytes.set([...prefix, ...map, opcode, modrm]);
            const text = difference(bytes);
            if (text) wrong.push(text);
          }
        }
      }
    }
    expect(wrong.length, wrong.slice(0, 20).join('\n')).toBe(0);
  }, 60_000);

  it('agrees with iced on random bytes', () => {
    const byte = generator(2);
    const wrong: string[] = [];
    for (let k = 0; k < 100_000; k++) {
      const bytes = Uint8Array.from({ length: 20 }, byte);
      if (k % 3 === 0) bytes[k % 5] = 0x0f;
      const text = difference(bytes);
      if (text) wrong.push(text);
    }
    expect(wrong.length, wrong.slice(0, 20).join('\n')).toBe(0);
  }, 60_000);

  it('reports the first missing byte, whichever it is', () => {
    // lock add qword fs:[r8 + r9*4 + disp32], imm8
    const code = Uint8Array.of(0x64, 0xf0, 0x4b, 0x83, 0x84, 0x88, 1, 2, 3, 4, 5);
    for (let k = 0; k < code.length; k++) expect(decode(code, 0, k)).toBe('fetch');
    const d = decode(code, 0, code.length) as Decoded;
    expect([d.row.mnemonic, d.next, d.mem, d.imm, d.segment, d.lock, d.size]).toEqual([
      'add',
      11,
      { base: 8, index: 9, scale: 4, disp: 0x04030201 },
      5,
      'fs',
      true,
      8,
    ]);
  });

  it('limits an instruction to 15 bytes', () => {
    const code = new Uint8Array(20).fill(0x66);
    code[14] = 0x90;
    expect((decode(code, 0, 20) as Decoded).next).toBe(15);
    code[14] = 0x66;
    code[15] = 0x90;
    expect(decode(code, 0, 20)).toBe('long');
    expect(decode(code, 0, 15)).toBe('long');
    expect(decode(code, 0, 14)).toBe('fetch');
  });

  it('gives exact immediates, displacements and targets', () => {
    const at = (pc: number, ...bytes: number[]): Decoded => {
      const code = new Uint8Array(pc + 16);
      code.set(bytes, pc);
      return decode(code, pc, pc + bytes.length) as Decoded;
    };
    expect(at(0, 0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 0x88).imm).toBe(-0x77f8_f9fa_fbfc_fdffn);
    expect(at(0, 0x48, 0xb8, 1, 0, 0, 0x80, 0, 0, 0, 0).imm).toBe(0x8000_0001);
    expect(at(0, 0x48, 0x05, 0xff, 0xff, 0xff, 0xff).imm).toBe(-1);
    expect(at(0, 0x66, 0x05, 0x00, 0x80).imm).toBe(-0x8000);
    expect(at(0, 0x83, 0xc0, 0x80).imm).toBe(-0x80);
    expect(at(0, 0xc8, 0x34, 0xf2, 0x1f)).toMatchObject({ imm: 0xf234, imm2: 0x1f });
    expect(at(0x100, 0xeb, 0x80).imm).toBe(0x100 + 2 - 0x80);
    expect(at(0x100, 0x0f, 0x84, 0, 1, 0, 0).imm).toBe(0x100 + 6 + 0x100);
    expect(at(0x100, 0x8b, 0x05, 0xfc, 0xff, 0xff, 0xff).mem).toEqual({ base: -2, index: -1, scale: 1, disp: 0x102 });
    // The address of a RIP-relative operand counts from the end, after the immediate.
    expect(at(0x100, 0xc7, 0x05, 0, 0, 0, 0, 1, 2, 3, 4).mem!.disp).toBe(0x10a);
    expect(at(0, 0x67, 0xa1, 0xff, 0xff, 0xff, 0xff)).toMatchObject({ imm: 0xffff_ffff, addrsize: true });
  });

  it('gives addresses of the guest where the bytes begin at another address than 0', () => {
    const base = 0xe000_1000;
    const at = (pc: number, ...bytes: number[]): Decoded | string => {
      const code = new Uint8Array(64);
      code.set(bytes, pc - base);
      return decode(code, pc, pc + bytes.length, base);
    };
    expect(at(base + 8, 0x0f, 0x84, 0, 1, 0, 0)).toMatchObject({
      pc: base + 8,
      next: base + 14,
      imm: base + 14 + 0x100,
    });
    expect(at(base, 0xeb, 0x80)).toMatchObject({ next: base + 2, imm: base + 2 - 0x80 });
    expect(at(base + 1, 0xc7, 0x05, 0, 0, 0, 0, 1, 2, 3, 4)).toMatchObject({ mem: { base: -2, disp: base + 11 } });
    expect(at(base, 0x8b)).toBe('fetch');
    expect(decode(new Uint8Array(32).fill(0x66), base + 4, base + 32, base)).toBe('long');
  });

  it('gives near branches a 64-bit operand whatever the prefixes', () => {
    for (const bytes of [
      [0x66, 0xff, 0xe0],
      [0x66, 0xff, 0xd0],
      [0x66, 0xc3],
      [0xff, 0xe0],
      [0x66, 0xe8, 0, 0, 0, 0],
    ]) {
      const code = Uint8Array.from([...bytes, 0, 0, 0, 0]);
      expect((decode(code, 0, code.length) as Decoded).size).toBe(8);
    }
  });
});

describe('rows', () => {
  it('allow LOCK only where the destination is memory', () => {
    for (const row of rows) {
      if (!row.lock) continue;
      expect(['E', 'M'], `${row.encoding} ${row.mnemonic}`).toContain(row.operands[0]!.kind);
      expect(row.mode, `${row.encoding} ${row.mnemonic}`).not.toBe('reg');
    }
  });
});
