/** Guest memory accesses of regions: address, checks by mode, effect. See docs/regions.md. */
import type { Inst } from '../ir/block.ts';
import type { Expr, ExprBuilder } from '../ir/expr.ts';
import { ADDRESS_MASK, PAGE_READ, PAGE_TABLE, PAGE_WRITE, RUNTIME_BASE, SLOT_ZERO } from '../ir/layout.ts';
import { significantBits } from '../region/known-bits.ts';
import type { RegisterUnits } from '../region/units.ts';
import { type Assembler, types } from './assembler.ts';
import type { Locals } from './builder.ts';
import { keepOld } from './region-journal.ts';
import type { RegionRegisters } from './region-registers.ts';
import { type StackAccess, stackAccesses } from './stack-window.ts';

const { i32, i64 } = types;

/** The page that no guest maps: addresses in it are refused in every mode but `none`. */
const NULL_PAGES = 0x10000;

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

/** Whether accesses are checked so that a refused one has exact state. */
export const isExact = (options: RegionOptions): boolean =>
  options.checks === 'range' || options.checks === 'full' || options.watchStores;

export class GuestAccess {
  readonly #m: Assembler;
  readonly #registers: RegionRegisters;
  readonly #units: RegisterUnits;
  readonly #options: RegionOptions;
  readonly #address: number;
  /** Local that holds the pc of the instruction whose access is being checked; -1 when nothing is. */
  readonly #faultPc: number;
  /** Pointer of a store whose old bytes are kept. */
  readonly #kept: number;
  /** Address that the stack accesses of the block being emitted are computed from. */
  readonly #frame: number;
  #stack: ReadonlyMap<Inst, StackAccess> = new Map();
  /** Where refused accesses of the block being emitted go. */
  faultLabel = '';

  constructor(m: Assembler, registers: RegionRegisters, units: RegisterUnits, locals: Locals, options: RegionOptions) {
    this.#m = m;
    this.#registers = registers;
    this.#units = units;
    this.#options = options;
    this.#address = locals.add('i64');
    this.#frame = locals.add('i32');
    this.#faultPc = isExact(options) ? locals.add('i32') : -1;
    this.#kept = options.verify ? locals.add('i32') : -1;
  }
  beginBlock(insts: readonly Inst[]): void {
    if (!isExact(this.#options)) this.#stack = stackAccesses(insts, this.#units);
  }
  faultPc(): Expr {
    return this.#m.local.get(this.#faultPc, i32);
  }

  /** A guest memory access: checks, then its effect. */
  emit(inst: Inst, b: ExprBuilder): Expr[] {
    const m = this.#m;
    const { op } = inst;
    const checks =
      op.kind !== 'load' && this.#options.watchStores && this.#options.checks !== 'full'
        ? 'full'
        : this.#options.checks;
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
    if (stack) {
      m.guestOffset = stack.offset;
      if (stack.opens === null) pointer = m.local.get(this.#frame, i32);
      else pointer = m.local.tee(this.#frame, wrapped(low(), BigInt(stack.opens)), i32);
    } else if (checks === 'none') pointer = wrapped(low(), disp);
    else if (checks === 'null') {
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
    } else {
      out.push(
        m.local.set(
          this.#address,
          m.i64.and(
            m.i64.add(
              base === SLOT_ZERO ? m.i64.const(0n) : this.#registers.read(base, 'i64'),
              m.i64.const(BigInt.asIntN(64, disp)),
            ),
            m.i64.load(ADDRESS_MASK, 8, m.i32.const(0)),
          ),
        ),
        m.local.set(this.#faultPc, m.i32.const(inst.pc | 0)),
        m.br_if(this.faultLabel, checks === 'range' ? this.outOfRange(op.bytes) : this.refused(inst)),
      );
      // Without exact faults a misaligned operand is not refused.
      if (op.align > 0)
        out.push(m.br_if(this.faultLabel, m.i32.and(m.i32.wrap(this.address()), m.i32.const(op.align - 1))));
      pointer = m.i32.wrap(this.address());
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
  address = (): Expr => this.#m.local.get(this.#address, i64);
  outOfRange(bytes: number): Expr {
    const m = this.#m;
    return m.i64.gt_u(
      m.i64.sub(this.address(), m.i64.const(BigInt(NULL_PAGES))),
      m.i64.const(BigInt(RUNTIME_BASE - NULL_PAGES - bytes)),
    );
  }
  /** Non-zero unless the page table grants the access. */
  refused({ op }: Inst): Expr {
    const m = this.#m;
    const need = op.kind === 'load' ? PAGE_READ : op.kind === 'store' ? PAGE_WRITE : PAGE_READ | PAGE_WRITE;
    const page = (offset: number): Expr => {
      const a = m.i32.wrap(this.address());
      const at = offset === 0 ? a : m.i32.add(a, m.i32.const(offset));
      return m.i32.load8_u(PAGE_TABLE, 1, m.i32.shr_u(at, m.i32.const(12)));
    };
    const have = op.bytes === 1 ? page(0) : m.i32.and(page(0), page(op.bytes - 1));
    const lacking = m.i32.and(m.i32.xor(have, m.i32.const(need)), m.i32.const(need));
    return m.i32.or(lacking, m.i32.wrap(m.i64.shr_u(this.address(), m.i64.const(32n))));
  }
}
