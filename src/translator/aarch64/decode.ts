/** Instruction decoder: the row of an instruction word, found by two steps of table lookup. */
import { type Row, rows } from './row.ts';

/** Rows in order of specialisation, or by bits 15..10 where there are many. */
type Bucket = { list: Row[]; split: (Row[] | undefined)[] | null };

/** More rows than this in one bucket are looked up by bits 15..10, too. */
const SPLIT = 12;

/** By bits 28..21. */
let buckets: (Bucket | undefined)[] | null = null;

function build(): (Bucket | undefined)[] {
  const table = new Array<Bucket | undefined>(256).fill(undefined);
  const ordered = [...rows].sort((a, b) => b.fixed - a.fixed);
  for (const row of ordered) {
    const mask = (row.mask >>> 21) & 255;
    const value = (row.value >>> 21) & 255;
    // Every value of the free bits, by counting through the complement of the mask.
    const free = ~mask & 255;
    let k = 0;
    do {
      (table[value | k] ??= { list: [], split: null }).list.push(row);
      k = (k - free) & free;
    } while (k !== 0);
  }
  return table;
}

/** The row of a word, null when it is unallocated. */
export function decode(word: number): Row | null {
  buckets ??= build();
  const bucket = buckets[(word >>> 21) & 255];
  if (!bucket) return null;
  let { list } = bucket;
  if (list.length > SPLIT) {
    bucket.split ??= new Array<Row[] | undefined>(64).fill(undefined);
    const at = (word >>> 10) & 63;
    list = bucket.split[at] ??= list.filter((r) => (((r.value >>> 10) ^ at) & (r.mask >>> 10) & 63) === 0);
  }
  for (const row of list) if ((word & row.mask) === row.value) return row;
  return null;
}
