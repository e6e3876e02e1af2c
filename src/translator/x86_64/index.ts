/** The x86-64 front end: its rows and its IR ops. */
import { OpTable } from '../ir/op.ts';
import { defineIntegerOps } from '../ir/ops/integer.ts';
import { defineMemoryOps } from '../ir/ops/memory.ts';
import { defineVectorOps } from '../ir/ops/vector.ts';
import { defineFlagOps } from './ops-flags.ts';
import './rows-basic.ts';

/** The op table of the x86-64 engine; op numbers follow definition order. */
export function createOpTable(): OpTable {
  const t = new OpTable();
  defineIntegerOps(t);
  defineMemoryOps(t);
  defineVectorOps(t);
  defineFlagOps(t);
  return t;
}
