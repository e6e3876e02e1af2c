/**
 * One row per AArch64 encoding. Decoder, lifter and the random-instruction tests read the same row.
 *
 * An encoding is 32 characters, most significant bit first; blanks are for the eye. `0` and `1` are fixed bits, `-` are
 * ignored ones, and each letter names a field, whose bits are concatenated where they stand apart. Letters are used as the
 * Arm manual's: `d n m a t` registers, `z` sf, `q` Q, `i` immediate, `c` condition; `s` sizes; others as the row wants.
 *
 * Two rows may match one word only if one is the special case of the other (every word it matches, the other does, too):
 * then the special one wins. test/translator/aarch64/table.test.ts checks it.
 */
import type { LiftContext } from './lift.ts';

export type Lift = (c: LiftContext) => void;

export interface Attributes {
  /** Not for the random tests, with the reason. */
  noFuzz?: string;
}

export interface Field {
  /** Runs of bits, most significant first. */
  runs: { shift: number; mask: number; width: number }[];
  width: number;
}

export interface Row extends Attributes {
  /** 32 characters without blanks. */
  encoding: string;
  mnemonic: string;
  lift: Lift;
  mask: number;
  value: number;
  /** Number of fixed bits. */
  fixed: number;
}

export const rows: Row[] = [];

/** Defines an encoding. `lift` may find a word unallocated: `LiftContext.undefined()`. */
export function ins(encoding: string, mnemonic: string, lift: Lift, attributes: Attributes = {}): void {
  const bits = encoding.replaceAll(' ', '');
  if (bits.length !== 32) throw new Error(`${mnemonic}: ${encoding} has ${bits.length} bits`);
  let mask = 0;
  let value = 0;
  let fixed = 0;
  for (let k = 0; k < 32; k++) {
    const ch = bits.charCodeAt(k);
    mask <<= 1;
    value <<= 1;
    if (ch === 0x30 || ch === 0x31) {
      mask |= 1;
      value |= ch & 1;
      fixed++;
    }
  }
  rows.push({ encoding: bits, mnemonic, lift, mask, value, fixed, ...attributes });
}

const fieldsOf = new Map<Row, Map<string, Field>>();

/** The field a letter of the encoding names. */
export function field(row: Row, letter: string): Field {
  let fields = fieldsOf.get(row);
  if (!fields) {
    fields = new Map();
    fieldsOf.set(row, fields);
    const runs = row.encoding.matchAll(/([a-zA-Z])\1*/g);
    for (const { 0: text, 1: name, index } of runs) {
      const width = text.length;
      let f = fields.get(name!);
      if (!f) {
        f = { runs: [], width: 0 };
        fields.set(name!, f);
      }
      f.runs.push({ shift: 32 - index - width, mask: 2 ** width - 1, width });
      f.width += width;
    }
  }
  const f = fields.get(letter);
  if (!f) throw new Error(`${row.mnemonic}: no field ${letter}`);
  return f;
}

/** Unsigned value of a field in an instruction word. */
export function extract(f: Field, word: number): number {
  let v = 0;
  for (const { shift, mask, width } of f.runs) v = v * 2 ** width + ((word >>> shift) & mask);
  return v;
}
