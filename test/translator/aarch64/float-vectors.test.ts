/** What the recorded vectors of floating-point rows hold: every rounding mode, flush to zero, default NaN, all kinds of operands. */
import { describe, expect, it } from 'vitest';
import '../../../src/translator/aarch64/index.ts';
import { extract, field, type Row, rows } from '../../../src/translator/aarch64/row.ts';
import { fixtureFiles, readFixtures } from './fixtures.ts';
import { FPCR_PLACE, initialState } from './machine-state.ts';
import { formatOf, has, isFloat, type Kind, keyOf, kinds, type Vector } from './vectors.ts';

const formats = { f16: [16, 5], f32: [32, 8], f64: [64, 11] } as const;

function kindOf(bits: bigint, width: number, exponentBits: number): Kind {
  const fractionBits = width - 1 - exponentBits;
  const exponent = (bits >> BigInt(fractionBits)) & ((1n << BigInt(exponentBits)) - 1n);
  const fraction = bits & ((1n << BigInt(fractionBits)) - 1n);
  if (exponent === 0n) return fraction === 0n ? 'zero' : 'subnormal';
  if (exponent !== (1n << BigInt(exponentBits)) - 1n) return 'normal';
  if (fraction === 0n) return 'infinity';
  return fraction >> BigInt(fractionBits - 1) ? 'quiet NaN' : 'signalling NaN';
}

/** Kinds of the lowest lane of the vector registers that the instruction reads. */
function operandKinds(row: Row, { words, seed, profile, overrides }: Vector): Kind[] {
  const { vectors } = initialState(seed, profile, overrides);
  const view = new DataView(vectors.buffer, vectors.byteOffset);
  const [width, exponentBits] = formats[formatOf(row)];
  return ['n', 'm', 'a']
    .filter((letter) => has(row, letter))
    .map((letter) => {
      const bits = view.getBigUint64(extract(field(row, letter), words[0]!) * 16, true);
      return kindOf(BigInt.asUintN(width, bits), width, exponentBits);
    });
}
/** Its operand is a general register. */
const fromInteger = (row: Row): boolean => /^[su]cvtf/.test(row.mnemonic);

describe('vectors of AArch64 floating-point rows', () => {
  const sections = new Map(
    fixtureFiles()
      .flatMap(readFixtures)
      .map((s) => [s.key, s.vectors.map(({ vector }) => vector)]),
  );
  const float = rows.filter((row) => row.noFuzz === undefined && isFloat(row));
  it('there are such rows', () => expect(float.length).toBeGreaterThan(100));

  it('are recorded under every rounding mode, flush to zero, and default NaN', () => {
    const missing: string[] = [];
    for (const row of float) {
      const modes = sections.get(keyOf(row))!.map(({ overrides }) => {
        const fpcr = overrides.find(([place]) => place === FPCR_PLACE)?.[1] ?? 0n;
        return Number(fpcr >> 22n) & 15;
      });
      const has = (what: string, found: (mode: number) => boolean): void => {
        if (!modes.some(found)) missing.push(`${keyOf(row)}: ${what}`);
      };
      for (let rounding = 0; rounding < 4; rounding++) has(`rounding mode ${rounding}`, (m) => (m & 3) === rounding);
      has('flush to zero', (m) => (m & 4) !== 0);
      has('default NaN', (m) => (m & 8) !== 0);
    }
    expect(missing).toEqual([]);
  });
  it('have zeros, subnormals, normal numbers, infinities, and NaNs of both kinds as operands', () => {
    const missing: string[] = [];
    for (const row of float.filter((r) => !fromInteger(r))) {
      const seen = new Set(sections.get(keyOf(row))!.flatMap((vector) => operandKinds(row, vector)));
      for (const kind of kinds) if (!seen.has(kind)) missing.push(`${keyOf(row)}: ${kind}`);
    }
    expect(missing).toEqual([]);
  });
});
