/** The AArch64 front end: its rows and its IR ops. */
import { OpTable } from '../ir/op.ts';
import { defineIntegerOps } from '../ir/ops/integer.ts';
import { defineMemoryOps } from '../ir/ops/memory.ts';
import { defineVectorOps } from '../ir/ops/vector.ts';
import { defineA64FloatOps } from './ops-float.ts';
import { defineFlagOps } from './ops-flags.ts';
import { defineA64IntegerOps } from './ops-integer.ts';
import { defineA64MemoryOps } from './ops-memory.ts';
import { defineA64SimdBasicOps } from './ops-simd-basic.ts';
import { defineA64SimdCryptoOps } from './ops-simd-crypto.ts';
import { defineA64SimdIntegerOps } from './ops-simd-integer.ts';
import { defineA64SimdFloatOps } from './ops-simd-float.ts';
import { defineA64SimdMoveOps } from './ops-simd-move.ts';
import { defineA64SoftFloatOps } from './ops-softfloat.ts';
import { defineA64SystemOps } from './ops-system.ts';
import './rows-immediate.ts';
import './rows-register.ts';
import './rows-branch.ts';
import './rows-load.ts';
import './rows-atomic.ts';
import './rows-system.ts';
import './rows-simd-move.ts';
import './rows-simd-load.ts';
import './rows-simd-basic.ts';
import './rows-simd-integer.ts';
import './rows-simd-wide.ts';
import './rows-float.ts';
import './rows-simd-float.ts';
import './rows-simd-crypto.ts';

/** The op table of the AArch64 engine; op numbers follow definition order. */
export function createOpTable(): OpTable {
  const t = new OpTable();
  defineIntegerOps(t);
  defineMemoryOps(t);
  defineVectorOps(t);
  defineFlagOps(t);
  defineA64IntegerOps(t);
  defineA64MemoryOps(t);
  defineA64SystemOps(t);
  defineA64SimdMoveOps(t);
  defineA64SimdBasicOps(t);
  defineA64SimdIntegerOps(t);
  defineA64FloatOps(t);
  defineA64SimdFloatOps(t);
  defineA64SoftFloatOps(t);
  defineA64SimdCryptoOps(t);
  return t;
}
