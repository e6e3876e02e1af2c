/** Guest memory accesses of regions: address, checks by mode, effect. See docs/regions.md. */
import type { Inst } from '../ir/block.ts';
import type { Expr, ExprBuilder } from '../ir/expr.ts';
import { ADDRESS_MASK, PAGE_READ, PAGE_TABLE, PAGE_WRITE, RUNTIME_BASE, SLOT_ZERO } from '../ir/layout.ts';
import { significantBits } from '../region/known-bits.ts';
import type { Check, CheckOptions, Checks } from '../region/checks.ts';
import type { RegisterUnits } from '../region/units.ts';
import { type Assembler, types } from './assembler.ts';
import type { Locals } from './builder.ts';
import { keepOld } from './region-journal.ts';
import type { RegionRegisters } from './region-registers.ts';
import { type StackAccess, stackAccesses } from './stack-window.ts';

const { i32, i64 } = types;

/** The page that no guest maps: addresses in it are refused in every mode but `none`. */
const NULL_PAGES = 0x10000;
const TWO32 = 2 ** 32;

export type MemoryChecks = 'none' | 'null' | 'range' | 'full';

export interface RegionOptions {
  checks: MemoryChecks;
  /** Stores look at the page table, because the guest has pages that are writable and executable. */
  watchStores: boolean;
  /** For --jit=verify: the region writes down what it does (region-journal.ts), and is left when that is enough. */
  verify?: boolean;
  /** A mistake to be made on purpose, for tests of --jit=verify (region/faults.ts). */
  fault?: string;
  /** See ExprBuilder. */
  x86Nans: boolean;
  /** The host's relaxed multiply-add rounds once. */
  fusedMadd: boolean;
}

/** Which accesses are checked so that a refused one has exact state; null: none. */
export function checkedBy({ checks, watchStores }: Pick<RegionOptions, 'checks' | 'watchStores'>): CheckOptions | null {
  const loads = checks === 'range' || checks === 'full';
  return loads || watchStores ? { loads, apart: watchStores } : null;
}

export class GuestAccess {
  readonly #m: Assembler;
  readonly #registers: RegionRegisters;
  readonly #units: RegisterUnits;
  readonly #options: RegionOptions;
  /** Address that is being checked, and whether it is refused; -1 when nothing is checked. */
  readonly #address: number;
  readonly #refused: number;
  /** First bytes of what the checks of a block cover, by their numbers. */
  readonly #pointers: number[] = [];
  /** Pointer of a store whose old bytes are kept. */
  readonly #kept: number;
  /** Address that the stack accesses of the block being emitted are computed from. */
  readonly #frame: number;
  #stack: ReadonlyMap<Inst, StackAccess> = new Map();
  /** Of the block being emitted. */
  #checks: Checks = new Map();
  readonly #locals: Locals;

  constructor(m: Assembler, registers: RegionRegisters, units: RegisterUnits, locals: Locals, options: RegionOptions) {
    this.#m = m;
    this.#registers = registers;
    this.#units = units;
    this.#options = options;
    this.#locals = locals;
    const checked = checkedBy(options) !== null;
    this.#address = checked ? locals.add('i64') : -1;
    this.#refused = checked ? locals.add('i32') : -1;
    this.#frame = locals.add('i32');
    this.#kept = options.verify ? locals.add('i32') : -1;
  }
  beginBlock(insts: readonly Inst[], checks: Checks): void {
    this.#checks = checks;
    if (!checkedBy(this.#options)) this.#stack = stackAccesses(insts, this.#units);
  }

  /** A guest memory access: checks, then its effect. `leave`: leaves the region, with the state before the instruction. */
  emit(inst: Inst, b: ExprBuilder, leave: () => Expr): Expr[] {
    const m = this.#m;
    const { op } = inst;
    const { checks } = this.#options;
    const base = inst.inputs[0]!;
    const disp = BigInt(inst.imm);
    const out: Expr[] = [];
    const wrapped = (e: Expr, add: bigint): Expr => {
      const n = Number(BigInt.asIntN(32, add));
      return n === 0 ? e : m.i32.add(e, m.i32.const(n));
    };
    const low = (): Expr => (base === SLOT_ZERO ? m.i32.const(0) : m.i32.wrap(this.#registers.read(base, 'i64')));
    let pointer: Expr;
    m.guestOffset = 0;
    const stack = this.#stack.get(inst);
    const checked = this.#checks.get(inst);
    if (checked) {
      if (checked.before) out.push(...this.#check(checked.before, leave));
      pointer = this.#pointer(checked.check);
      m.guestOffset = checked.at - checked.check.from;
    } else if (stack) {
      m.guestOffset = stack.offset;
      if (stack.opens === null) pointer = m.local.get(this.#frame, i32);
      else pointer = m.local.tee(this.#frame, wrapped(low(), BigInt(stack.opens)), i32);
    } else if (checks === 'none') pointer = wrapped(low(), disp);
    else {
      // An address that leads to the first pages wraps to the end of the memory, and with the offset beyond it.
      const near = disp > BigInt(-NULL_PAGES) && disp < BigInt(NULL_PAGES) && base !== SLOT_ZERO;
      if (near && disp >= 0n && base === this.#units.abi.sp) {
        m.guestOffset = Number(disp);
        pointer = low();
      } else if (near) {
        // V8 computes the pointer once for all accesses relative to one base.
        m.guestOffset = NULL_PAGES + Number(disp);
        pointer = wrapped(low(), BigInt(-NULL_PAGES));
      } else {
        m.guestOffset = NULL_PAGES;
        pointer = wrapped(low(), disp - BigInt(NULL_PAGES));
      }
    }
    if (op.kind === 'rmw') {
      // The op looks at the pointer alone for whether its address is aligned.
      const beyond = m.guestOffset % op.bytes;
      pointer = wrapped(pointer, BigInt(beyond));
      m.guestOffset -= beyond;
    }
    if (this.#options.verify && op.kind !== 'load') {
      out.push(
        m.local.set(this.#kept, pointer),
        ...keepOld(m, () => m.local.get(this.#kept, i32), m.guestOffset, op.bytes),
      );
      pointer = m.local.get(this.#kept, i32);
    }
    const halves = this.halvesAccess(inst, pointer);
    if (halves) out.push(...halves);
    else {
      const inputs = inst.inputs.slice(1).map((slot, k) => this.#registers.read(slot, op.inputs[k + 1]!));
      const value = op.sem(b, pointer, ...inputs);
      out.push(
        op.result
          ? this.#registers.writeResult(inst.d, op.result, value, significantBits(inst, this.#registers.bitsOf))
          : value,
      );
    }
    m.guestOffset = 0;
    return out;
  }
  /** Loads and stores of a double held in its own local. */
  halvesAccess(inst: Inst, pointer: Expr): Expr[] | null {
    const m = this.#m;
    const { name } = inst.op;
    if (name === 'load.v128.z64') {
      const to = this.#registers.halves(inst.d);
      return to && [m.local.set(to.low, m.f64.load(m.guestOffset, 1, pointer)), m.local.set(to.high, m.i64.const(0n))];
    }
    if (name === 'store.i64' && (inst.inputs[1]! & 15) === 0) {
      const from = this.#registers.halves(inst.inputs[1]!);
      return from && [m.f64.store(m.guestOffset, 1, pointer, m.local.get(from.low, types.f64))];
    }
    return null;
  }
  /** Of the first byte that a check covers, behind the check. */
  #pointer({ index }: Check): Expr {
    while (this.#pointers.length <= index) this.#pointers.push(this.#locals.add('i32'));
    return this.#m.local.get(this.#pointers[index]!, i32);
  }
  /** Checks what is about to be accessed, and leaves the region if any of it is refused. */
  #check(checks: readonly Check[], leave: () => Expr): Expr[] {
    const m = this.#m;
    const out: Expr[] = [];
    let refused: Expr | null = null;
    for (const check of checks) {
      const { slot, from, align, alignedAt } = check;
      const isConstant = slot === SLOT_ZERO && from >= 0 && from < TWO32;
      const value = slot === SLOT_ZERO ? m.i64.const(0n) : this.#registers.read(slot, 'i64');
      const pointer = this.#pointer(check);
      const to = this.#pointers[check.index]!;
      if (isConstant) out.push(m.local.set(to, m.i32.const(from | 0)));
      else
        out.push(
          m.local.set(this.#address, m.i64.add(value, m.i64.const(BigInt.asIntN(64, BigInt(from))))),
          m.local.set(to, m.i32.wrap(m.local.get(this.#address, i64))),
        );
      const full = this.#options.checks === 'full' || (check.writes && this.#options.watchStores);
      let lacking = full ? this.#notGranted(check, isConstant) : this.#outOfRange(check, isConstant);
      if (align > 1)
        lacking = m.i32.or(
          lacking,
          m.i32.and(m.i32.add(pointer, m.i32.const(alignedAt - from)), m.i32.const(align - 1)),
        );
      if (refused) out.push(m.local.set(this.#refused, refused));
      refused = refused ? m.i32.or(m.local.get(this.#refused, i32), lacking) : lacking;
    }
    out.push(m.if(refused!, leave()));
    return out;
  }
  #outOfRange({ from, bytes }: Check, isConstant: boolean): Expr {
    const m = this.#m;
    const address = isConstant
      ? m.i64.const(BigInt(from))
      : m.i64.and(m.local.get(this.#address, i64), m.i64.load(ADDRESS_MASK, 8, m.i32.const(0)));
    return m.i64.gt_u(
      m.i64.sub(address, m.i64.const(BigInt(NULL_PAGES))),
      m.i64.const(BigInt(RUNTIME_BASE - NULL_PAGES - bytes)),
    );
  }
  /** Non-zero unless the page table grants the access: its first and last page; there are no others. */
  #notGranted(check: Check, isConstant: boolean): Expr {
    const m = this.#m;
    const { from, bytes, reads, writes } = check;
    const need = (reads ? PAGE_READ : 0) | (writes ? PAGE_WRITE : 0);
    const page = (offset: number): Expr => {
      if (isConstant) return m.i32.load8_u(PAGE_TABLE + (((from + offset) % TWO32) >>> 12), 1, m.i32.const(0));
      const a = this.#pointer(check);
      const at = offset === 0 ? a : m.i32.add(a, m.i32.const(offset));
      return m.i32.load8_u(PAGE_TABLE, 1, m.i32.shr_u(at, m.i32.const(12)));
    };
    const isOne = bytes === 1 || (isConstant && from >>> 12 === (from + bytes - 1) >>> 12);
    const have = isOne ? page(0) : m.i32.and(page(0), page(bytes - 1));
    const lacking = m.i32.and(m.i32.xor(have, m.i32.const(need)), m.i32.const(need));
    if (isConstant) return lacking;
    const high = m.i32.wrap(m.i64.shr_u(m.local.get(this.#address, i64), m.i64.const(32n)));
    return m.i32.or(lacking, m.i32.and(high, m.i32.load(ADDRESS_MASK + 4, 4, m.i32.const(0))));
  }
}
