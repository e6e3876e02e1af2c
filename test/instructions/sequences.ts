/** Vectors of more than one instruction, and of odd prefixes. */
import { decode } from '../../src/translator/x86_64/decode.ts';
import { type Row, rows } from '../../src/translator/x86_64/row.ts';
import { CF, PF, ZF } from '../../src/translator/x86_64/state.ts';
import { assemble, conditionReads, SALT, transfers } from './encodings.ts';
import type { Vector } from './fixtures.ts';
import { hash, Random } from './machine-state.ts';

export const sequenceRows =
  /^(add|or|adc|sbb|and|sub|xor|cmp|test|inc|dec|neg|not|mov|movzx|movsx|movsxd|sh[lr]d?|sar|ro[lr]|rc[lr]|bt.?|setcc|cmovcc|bswap|cwde|cdq|xchg|xadd|cmpxchg|imul|mul|sahf|cmc|clc|stc|popcnt)$/;
export const setsAll = /^(add|or|adc|sbb|and|sub|xor|cmp|test|neg|xadd|cmpxchg|imul|mul|popcnt)$/;

/** Flags an instruction reads. */
export function readsOf(row: Row): number {
  if (row.mnemonic === 'setcc' || row.mnemonic === 'cmovcc') return conditionReads[(row.opcode & 15) >> 1]!;
  if (/^fcmov/.test(row.mnemonic)) return CF | ZF | PF;
  if (/^(adc|sbb|rcl|rcr|cmc)$/.test(row.mnemonic)) return CF;
  return 0;
}

export const SEQUENCES = 'sequences';

/** Runs of a few integer instructions on registers, whose flags depend on one another. */
export function sequenceVectors(count: number, salt = 0): Vector[] {
  const from = rows.filter(
    (row) =>
      sequenceRows.test(row.mnemonic) && row.noFuzz === undefined && row.operands.every((o) => !'MO'.includes(o.kind)),
  );
  const r = new Random(hash(SEQUENCES) + salt);
  const vectors: Vector[] = [];
  for (let index = 0; index < count; index++) {
    const code: number[] = [];
    const length = 3 + r.below(6);
    let undefinedFlags = 0;
    for (let n = 0, tries = 0; n < length && tries < 100; tries++) {
      const row = r.pick(from);
      const made = assemble(row, r, r.below(12));
      if (!made || made.a.memory || made.a.lock || readsOf(row) & undefinedFlags) continue;
      const bytes = Uint8Array.from(made.code);
      const decoded = decode(bytes, 0, bytes.length);
      if (
        typeof decoded === 'string' ||
        decoded.row !== row ||
        decoded.next !== bytes.length ||
        code.length + bytes.length > 60
      )
        continue;
      code.push(...made.code);
      undefinedFlags = (setsAll.test(row.mnemonic) ? 0 : undefinedFlags) | (row.undefinedFlags ?? 0);
      n++;
    }
    vectors.push({
      index: index + salt * SALT,
      profile: 'integer',
      code: Uint8Array.from(code),
      overrides: [],
      undefinedFlags,
    });
  }
  return vectors;
}

export const PREFIXES = 'odd prefixes';

/** LOCK where it is not allowed, prefixes without effect, REX in the wrong place, instructions of 15 and more bytes. */
export function prefixVectors(): Vector[] {
  const r = new Random(hash(PREFIXES));
  const vectors: Vector[] = [];
  const add = (code: readonly number[]): void => {
    const bytes = Uint8Array.from(code);
    const decoded = decode(bytes, 0, bytes.length);
    const undefinedFlags = typeof decoded === 'string' ? 0 : (decoded.row.undefinedFlags ?? 0);
    vectors.push({ index: vectors.length, profile: 'integer', code: bytes, overrides: [], undefinedFlags });
  };
  for (const row of rows) {
    if (row.lock || row.noFuzz !== undefined || transfers.has(row.mnemonic)) continue;
    const made = assemble(row, r, 0);
    if (made && made.code.length < 15) add([0xf0, ...made.code]);
  }
  const from = rows.filter(
    (row) =>
      sequenceRows.test(row.mnemonic) &&
      row.noFuzz === undefined &&
      row.mnemonic !== 'popcnt' &&
      row.operands.every((o) => !'MO'.includes(o.kind)),
  );
  for (let n = 0; n < 600; n++) {
    const made = assemble(r.pick(from), r, r.below(12));
    if (!made || made.a.memory) continue;
    const extra = Array.from({ length: 1 + r.below(3) }, () =>
      r.pick([0x2e, 0x36, 0x3e, 0x26, 0x65, 0x64, 0x66, 0x67, 0xf2, 0xf3, 0x40 + r.below(16)]),
    );
    add([...extra, ...made.code].slice(0, 15));
  }
  for (const code of [[0x90], [0x01, 0xc8], [0x48, 0x81, 0xc0, 1, 2, 3, 4], [0x0f, 0xaf, 0xc1]])
    for (let length = 13; length < 18; length++)
      add([...Array.from({ length: length - code.length }, () => 0x66), ...code]);
  return vectors;
}
