/** Where regions that are reached by pointer are in the table of all regions. */
import type { Expr } from '../ir/expr.ts';
import { callSite } from '../ir/layout.ts';
import { types } from './assembler.ts';
import { regionEntry } from './builder.ts';
import type { RegionEmitter } from './region.ts';

const { i32, i64 } = types;
const LOW = 0xffff_ffffn;

/**
 * Table slot of the region at the pc in local `target`; `otherwise` when it is not in the region cache.
 *
 * A call or jump at `site` looks first at what it has found last, so that the processor guesses its slot as it would guess where a
 * call by pointer leads. Taken from the cache, by the pointer, the slot would have to wait for that: for the slot the callee's
 * instance, for the instance the place where memory begins, and for that place all that the callee reads.
 */
export function slotOf({ m, locals }: RegionEmitter, target: number, otherwise: number, site?: number): Expr {
  const pc = (): Expr => m.local.get(target, i64);
  const entry = locals.take('i64');
  const both = (): Expr => m.local.get(entry, i64);
  const slot = (): Expr => m.i32.wrap(m.i64.shr_u(both(), m.i64.const(32n)));
  const isFor = (): Expr => m.i64.eq(m.i64.and(both(), m.i64.const(LOW)), pc());
  const fromCache = m.local.set(entry, m.i64.load(0, 8, regionEntry(m, pc)));
  if (site === undefined) return m.block(null, [fromCache, m.select(isFor(), slot(), m.i32.const(otherwise))], i32);
  const at = (): Expr => m.i32.const(callSite(site) | 0);
  const keep = m.i64.store(0, 8, at(), both());
  const miss = m.local.set(entry, m.i64.const(BigInt(otherwise) << 32n));
  const lookUp = [fromCache, m.branch(isFor(), keep, miss, { first: false, second: true })];
  return m.block(
    null,
    [
      m.local.set(entry, m.i64.load(0, 8, at())),
      // An empty entry is one for address 0, where there is no code, with the slot for what is missing.
      m.if(m.i32.eqz(isFor()), m.block(null, lookUp)),
      slot(),
    ],
    i32,
  );
}
