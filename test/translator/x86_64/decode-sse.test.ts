/** The decoder against iced-x86 over the whole encoding space of MMX and SSE to SSE4.2. */
import { Code, CpuidFeature, Decoder, DecoderOptions, Mnemonic } from 'iced-x86';
import { beforeAll, describe, expect, it } from 'vitest';
import { type DecodeResult, decode } from '../../../src/translator/x86_64/decode.ts';
import '../../../src/translator/x86_64/index.ts';

const sets = new Set<number>([
  CpuidFeature.MMX,
  CpuidFeature.SSE,
  CpuidFeature.SSE2,
  CpuidFeature.SSE3,
  CpuidFeature.SSSE3,
  CpuidFeature.SSE4_1,
  CpuidFeature.SSE4_2,
]);
/** Of these sets by CPUID, but not vector instructions: control, fences, prefetches, CRC32, x87. */
const elsewhere = /^(emms|ldmxcsr|stmxcsr|[lms]fence|clflush|prefetch.*|pause|crc32|fisttp|reservednop.*)$/;
/** One row serves both sizes under the name of the smaller. */
const aliases: Record<string, string> = {
  pextrq: 'pextrd',
  pinsrq: 'pinsrd',
  pcmpestrm64: 'pcmpestrm',
  pcmpestri64: 'pcmpestri',
};

interface Encoding {
  bytes: Uint8Array;
  text: string;
  length: number;
  code: string;
  mnemonic: string;
  ours: boolean;
  decoded: DecodeResult;
}

const encodings: Encoding[] = [];
/** Prefix, optional REX.W, opcode and ModRM (with a SIB byte, displacement and immediate from the tail) of maps 1 to 3. */
beforeAll(() => {
  const tail = [0x24, 0x05, 0x66, 0x0f, 0x3a, 0x77, 0x01, 0x02];
  for (const prefix of [[], [0x66], [0xf3], [0xf2]])
    for (const rex of [[], [0x48]])
      for (const map of [[0x0f], [0x0f, 0x38], [0x0f, 0x3a]])
        for (let opcode = 0; opcode < 256; opcode++) {
          if (map.length === 1 && (opcode === 0x38 || opcode === 0x3a || opcode === 0x0f)) continue;
          for (let modrm = 0; modrm < 256; modrm += rex.length ? 17 : 1) {
            const bytes = Uint8Array.from([...prefix, ...rex, ...map, opcode, modrm, ...tail]);
            const decoder = new Decoder(64, bytes, DecoderOptions.None);
            const i = decoder.decode();
            const mnemonic = Mnemonic[i.mnemonic]!.toLowerCase();
            const features = [...i.cpuidFeatures()];
            const ours =
              features.some((f) => sets.has(f)) && features.every((f) => sets.has(f)) && !elsewhere.test(mnemonic);
            encodings.push({
              bytes,
              text: Buffer.from(bytes).toString('hex'),
              length: i.length,
              code: Code[i.code]!,
              mnemonic,
              ours,
              decoded: decode(bytes, 0, bytes.length),
            });
            i.free();
            decoder.free();
          }
        }
});

describe('MMX and SSE decoding', () => {
  it('decodes every encoding, with its length and name', () => {
    const wrong: string[] = [];
    let count = 0;
    for (const e of encodings) {
      if (!e.ours) continue;
      count++;
      const d = e.decoded;
      if (typeof d === 'string') wrong.push(`${e.text} ${e.code}: ${d}`);
      else if (d.next !== e.length) wrong.push(`${e.text} ${e.code}: length ${d.next}, not ${e.length}`);
      else if (d.row.mnemonic !== (aliases[e.mnemonic] ?? e.mnemonic) && !/^mov[dq]$/.test(e.mnemonic))
        wrong.push(`${e.text} ${e.code}: ${d.row.mnemonic}`);
    }
    expect(wrong.slice(0, 20)).toEqual([]);
    expect(count).toBeGreaterThan(80_000);
  });

  it('decodes nothing else to a row with vector operands', () => {
    const wrong: string[] = [];
    for (const e of encodings) {
      const d = e.decoded;
      if (e.ours || typeof d === 'string') continue;
      if (d.row.operands.some((o) => 'VWUPQN'.includes(o.kind)))
        wrong.push(`${e.text} is ${e.code}, not ${d.row.mnemonic}`);
    }
    expect(wrong.slice(0, 20)).toEqual([]);
  });

  it('needs all bytes of an instruction', () => {
    for (let k = 0; k < encodings.length; k += 97) {
      const e = encodings[k]!;
      if (!e.ours) continue;
      expect(decode(e.bytes, 0, e.length - 1), e.text).toBe('fetch');
    }
  });
});
