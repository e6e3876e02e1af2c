/** The x86-64 front end: its rows and its IR ops. */
import { OpTable } from '../ir/op.ts';
import { defineIntegerOps } from '../ir/ops/integer.ts';
import { defineMemoryOps } from '../ir/ops/memory.ts';
import { defineVectorOps } from '../ir/ops/vector.ts';
import { defineFlagOps } from './ops-flags.ts';
import { defineX86IntegerOps } from './ops-integer.ts';
import { defineX86SystemOps } from './ops-system.ts';
import { defineMmxOps } from './ops-mmx.ts';
import { defineSseOps } from './ops-sse.ts';
import { defineSseFloatOps } from './ops-sse-float.ts';
import { defineSoftFloatOps } from './ops-softfloat.ts';
import { defineX87Ops } from './ops-x87.ts';
import './rows-basic.ts';
import './rows-exchange.ts';
import './rows-muldiv.ts';
import './rows-shift.ts';
import './rows-bit.ts';
import './rows-convert.ts';
import './rows-string.ts';
import './rows-system.ts';
import './rows-sse-move.ts';
import './rows-sse-integer.ts';
import './rows-mmx.ts';
import './rows-sse-float.ts';
import './rows-x87.ts';
import './rows-x87-state.ts';

/** The op table of the x86-64 engine; op numbers follow definition order. */
export function createOpTable(): OpTable {
  const t = new OpTable();
  defineIntegerOps(t);
  defineMemoryOps(t);
  defineVectorOps(t);
  defineFlagOps(t);
  defineX86IntegerOps(t);
  defineX86SystemOps(t);
  defineSseOps(t);
  defineSseFloatOps(t);
  defineMmxOps(t);
  defineSoftFloatOps(t);
  defineX87Ops(t);
  return t;
}
