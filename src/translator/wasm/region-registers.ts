/**
 * Registers and temporaries of a region in Wasm locals. A general register is an i64. A vector register is a v128, or, where
 * the region uses mostly its low double, an f64 and an i64: then arithmetic on it needs no lane instructions.
 */
import type { Expr, OperandType, WasmType } from '../ir/expr.ts';
import { wasmTypeOf } from '../ir/expr.ts';
import { CONST, SLOT_ZERO, TEMPS, VCPU, VECTOR_TEMPS } from '../ir/layout.ts';
import type { Inst } from '../ir/block.ts';
import type { Region } from '../region/discover.ts';
import { isZeroing, type RegisterUnits, type Units } from '../region/units.ts';
import { type Assembler, types } from './assembler.ts';
import { type Locals, type SlotAccess, slotLoad, slotStore } from './builder.ts';

type Place =
  | { kind: 'integer'; index: number }
  | { kind: 'vector'; index: number }
  | { kind: 'pair'; low: number; high: number }
  | { kind: 'plain'; type: WasmType; index: number };

/**
 * The low part of a general register that has been written alone: locals that hold it, and the register as it was before.
 * Reading the part needs no more, and writing it again nothing of what was put together for the first time.
 */
interface LowPart {
  readonly type: 'i8' | 'i16';
  readonly value: number;
  readonly before: number;
}

/** How the instructions of a guest instruction use a temporary. */
interface TempUse {
  readonly type: WasmType;
  /** Always as a value of that type, from its first byte on. */
  alike: boolean;
  /** Bits. */
  read: number;
  leastWritten: number;
  mostWritten: number;
}
const widthOf = (type: OperandType): number =>
  type === 'i8' || type === 's8'
    ? 8
    : type === 'i16' || type === 's16'
      ? 16
      : type === 'i64' || type === 'f64'
        ? 64
        : 32;

const ZEROS = new Array<number>(16).fill(0);
const BYTE = 0xff;
const WORD = 0xffff;

export class RegionRegisters implements SlotAccess {
  readonly #m: Assembler;
  readonly #units: RegisterUnits;
  readonly #locals: Locals;
  readonly #integers = new Map<number, Place>();
  readonly #vectors = new Map<number, Place>();
  /** By the register's local, in the block being emitted. */
  readonly #lowParts = new Map<number, LowPart>();
  /** So many low bits of it may be set, where that is known. */
  readonly #bits = new Map<number, number>();
  readonly #partLocals = new Map<number, { value: number; before: number }>();
  /** Slots written since it was emptied. */
  readonly assigned = new Set<number>();
  /** Of the guest instruction being emitted, by slot (vector temporaries: by their base). */
  #temps = new Map<number, Place>();

  /** `parameters`: slots that arrive as parameters 1.. (0 is the vCPU). */
  constructor(m: Assembler, units: RegisterUnits, locals: Locals, parameters: readonly number[], region: Region) {
    this.#m = m;
    this.#units = units;
    this.#locals = locals;
    parameters.forEach((slot, k) => this.#integers.set(slot, { kind: 'integer', index: k + 1 }));
    for (const slot of this.#mostlyDouble(region))
      this.#vectors.set(slot, { kind: 'pair', low: locals.add('f64'), high: locals.add('i64') });
  }

  /** Vector registers that the region uses as doubles. */
  #mostlyDouble(region: Region): number[] {
    const score = new Map<number, number>();
    const count = (slot: number, by: number): void => {
      const base = slot & ~15;
      if (this.#isVector(slot)) score.set(base, (score.get(base) ?? 0) + by);
    };
    const weigh = (slot: number, type: OperandType): void => {
      if (type === 'f64' || type === 'z64') count(slot, (slot & 15) === 0 ? 1 : -2);
      else if (type === 'i64' && (slot & 15) === 0) count(slot, 0.25);
      else count(slot, -2);
    };
    for (const block of region.blocks.values())
      for (const inst of block.insts) {
        const { op } = inst;
        if (op.name === 'mov.v128' || op.name === 'load.v128.z64' || isZeroing(inst)) continue;
        op.inputs.forEach((type, k) => {
          if (inst.inputs[k] !== CONST) weigh(inst.inputs[k]!, type);
        });
        if (op.result) weigh(inst.d, op.result);
      }
    return [...score].filter(([, n]) => n > 0).map(([slot]) => slot);
  }
  #isVector(slot: number): boolean {
    return this.#units.has(slot) && this.#units.abi.vectors.includes(slot & ~15);
  }
  #place(slot: number): Place | null {
    if (slot >= TEMPS) {
      const place = this.#temps.get(slot >= VECTOR_TEMPS ? slot & ~15 : slot & ~7);
      if (!place) throw new Error(`temporary 0x${slot.toString(16)} has no local`);
      return place;
    }
    if (!this.#units.has(slot)) return null;
    if (this.#isVector(slot)) {
      const base = slot & ~15;
      let place = this.#vectors.get(base);
      if (!place) {
        place = { kind: 'vector', index: this.#locals.add('v128') };
        this.#vectors.set(base, place);
      }
      return place;
    }
    const base = slot & ~7;
    let place = this.#integers.get(base);
    if (!place) {
      place = { kind: 'integer', index: this.#locals.add('i64') };
      this.#integers.set(base, place);
    }
    return place;
  }

  /** What is known of the registers so far does not hold any more. */
  beginBlock(): void {
    this.#lowParts.clear();
    this.#bits.clear();
  }
  #forget(index: number): void {
    this.#lowParts.delete(index);
    this.#bits.delete(index);
  }

  /** Gives the temporaries of one guest instruction their locals. `extra`: what the block's exit reads of them. */
  beginInstruction(insts: readonly Inst[], extra: readonly { slot: number; type: OperandType }[]): void {
    const temps = new Map<number, TempUse>();
    const note = (slot: number, type: OperandType, written: boolean): void => {
      if (slot < TEMPS || slot === CONST) return;
      const base = slot >= VECTOR_TEMPS ? slot & ~15 : slot & ~7;
      const wasm = wasmTypeOf(type);
      let use = temps.get(base);
      if (!use) {
        use = { type: wasm, alike: true, read: 0, leastWritten: 64, mostWritten: 0 };
        temps.set(base, use);
      }
      if (wasm !== use.type || slot !== base) use.alike = false;
      const width = widthOf(type);
      if (!written) use.read = Math.max(use.read, width);
      else {
        use.leastWritten = Math.min(use.leastWritten, width);
        use.mostWritten = Math.max(use.mostWritten, width);
      }
    };
    for (const inst of insts) {
      const { inputs, result } = inst.op;
      for (let k = 0; k < inputs.length; k++) note(inst.inputs[k]!, inputs[k]!, false);
      if (result) note(inst.d, result, true);
    }
    for (const { slot, type } of extra) note(slot, type, false);
    this.#temps = new Map();
    for (const [base, { type, alike, read, leastWritten, mostWritten }] of temps) {
      // Of what is written in part nobody may read the rest.
      const whole = leastWritten === mostWritten && read <= leastWritten;
      if (base >= VECTOR_TEMPS) this.#temps.set(base, { kind: 'vector', index: this.#locals.take('v128') });
      else if (alike && type !== 'i64' && whole)
        this.#temps.set(base, { kind: 'plain', type, index: this.#locals.take(type) });
      else this.#temps.set(base, { kind: 'integer', index: this.#locals.take('i64') });
    }
  }

  cpu(): Expr {
    return this.#m.i32.const(VCPU);
  }
  #get(index: number, type: WasmType): Expr {
    return this.#m.local.get(index, types[type]);
  }

  read(slot: number, type: OperandType): Expr {
    if (slot === SLOT_ZERO) return this.#zero(type);
    const place = this.#place(slot);
    if (!place) return slotLoad(this.#m, type, slot, this.cpu());
    switch (place.kind) {
      case 'plain':
        return this.#isWithin(place.index, type)
          ? this.#get(place.index, place.type)
          : this.#narrow(this.#get(place.index, place.type), type);
      case 'integer':
        return (
          this.#readPart(place.index, slot & 7, type) ??
          this.#readInteger(this.#get(place.index, 'i64'), slot & 7, type)
        );
      case 'vector':
        return this.#readVector(this.#get(place.index, 'v128'), slot & 15, type);
      case 'pair':
        return this.#readPair(place, slot & 15, type);
    }
  }
  #zero(type: OperandType): Expr {
    const wasm = wasmTypeOf(type);
    if (wasm === 'v128') return this.#m.v128.const(ZEROS);
    return wasm === 'i64' ? this.#m.i64.const(0n) : this.#m[wasm].const(0);
  }
  /** A low part that a local of its own holds, or that is all there is of the register; null where it must be cut out. */
  #readPart(index: number, offset: number, type: OperandType): Expr | null {
    if (offset !== 0 || !(type === 'i8' || type === 'i16' || type === 's8' || type === 's16')) return null;
    const width = type === 'i8' || type === 's8' ? 8 : 16;
    const part = this.#lowParts.get(index);
    const held = part && (part.type === 'i8' ? 8 : 16) >= width;
    const bits = held ? (part.type === 'i8' ? 8 : 16) : (this.#bits.get(index) ?? 64);
    const e = held ? this.#get(part.value, 'i32') : this.#m.i32.wrap(this.#get(index, 'i64'));
    return bits <= width && (type === 'i8' || type === 'i16') ? e : this.#narrow(e, type);
  }
  /** Whether a local holds no more than a value of an unsigned type. */
  #isWithin(index: number, type: OperandType): boolean {
    return (type === 'i8' || type === 'i16') && (this.#bits.get(index) ?? 64) <= widthOf(type);
  }
  /** An i32 that holds a zero-extended value, as `type`. */
  #narrow(e: Expr, type: OperandType): Expr {
    const { i32 } = this.#m;
    if (type === 'i8') return i32.and(e, i32.const(BYTE));
    if (type === 'i16') return i32.and(e, i32.const(WORD));
    if (type === 's8') return i32.extend8_s(e);
    if (type === 's16') return i32.extend16_s(e);
    return e;
  }
  #readInteger(e: Expr, offset: number, type: OperandType): Expr {
    const { i32, i64, f32, f64 } = this.#m;
    const shifted = offset === 0 ? e : i64.shr_u(e, i64.const(BigInt(offset * 8)));
    if (type === 'i64') return shifted;
    if (type === 'f64') return f64.reinterpret(shifted);
    if (type === 'f32') return f32.reinterpret(i32.wrap(shifted));
    return this.#narrow(i32.wrap(shifted), type);
  }
  #readVector(e: Expr, offset: number, type: OperandType): Expr {
    const m = this.#m;
    switch (type) {
      case 'v128':
        return e;
      case 'i64':
        return m.i64x2.extract_lane(e, offset >> 3);
      case 'f64':
        return m.f64x2.extract_lane(e, offset >> 3);
      case 'f32':
        return m.f32x4.extract_lane(e, offset >> 2);
      case 'i32':
      case 'l32':
        return m.i32x4.extract_lane(e, offset >> 2);
      case 'i16':
        return m.i16x8.extract_lane_u(e, offset >> 1);
      case 's16':
        return m.i16x8.extract_lane_s(e, offset >> 1);
      case 'i8':
        return m.i8x16.extract_lane_u(e, offset);
      case 's8':
        return m.i8x16.extract_lane_s(e, offset);
      case 'z32':
      case 'z64':
        throw new Error(`${type} is a type of results only`);
    }
  }
  #readPair(p: { low: number; high: number }, offset: number, type: OperandType): Expr {
    const m = this.#m;
    if (type === 'f64' && offset === 0) return this.#get(p.low, 'f64');
    if (type === 'i64' || type === 'f64') {
      const e = offset === 0 ? m.i64.reinterpret(this.#get(p.low, 'f64')) : this.#get(p.high, 'i64');
      return type === 'i64' ? e : m.f64.reinterpret(e);
    }
    const both = m.i64x2.replace_lane(m.f64x2.splat(this.#get(p.low, 'f64')), 1, this.#get(p.high, 'i64'));
    return this.#readVector(both, offset, type);
  }

  /** Writes the result of an instruction of the block, of which `bits` bits may be set (region/known-bits.ts). */
  writeResult(slot: number, type: OperandType, value: Expr, bits: number): Expr {
    const place = this.#place(slot);
    const isRegister = place?.kind === 'integer' && slot < TEMPS;
    if ((!isRegister && place?.kind !== 'plain') || (slot & 7) !== 0) return this.write(slot, type, value);
    if (isRegister && (type === 'i8' || type === 'i16')) return this.#writePart(place.index, type, value, bits);
    const set = this.write(slot, type, value);
    this.#bits.set(place.index, bits);
    return set;
  }
  /** How many bits of a slot may be set (region/known-bits.ts); 64: nothing is known. */
  bitsOf = (slot: number): number => {
    const place = (slot & 7) === 0 ? this.#place(slot) : null;
    return place?.kind === 'integer' || place?.kind === 'plain' ? (this.#bits.get(place.index) ?? 64) : 64;
  };
  /** Of a register that an instruction has written beside its result. */
  noteBits(slot: number, bits: number): void {
    const place = this.#place(slot);
    if (place?.kind === 'integer') this.#bits.set(place.index, bits);
  }
  #writePart(index: number, type: 'i8' | 'i16', value: Expr, bits: number): Expr {
    const m = this.#m;
    const width = type === 'i8' ? 8 : 16;
    const known = this.#bits.get(index) ?? 64;
    const old = this.#lowParts.get(index);
    let locals = this.#partLocals.get(index);
    if (!locals) {
      locals = { value: this.#locals.add('i32'), before: this.#locals.add('i64') };
      this.#partLocals.set(index, locals);
    }
    const part = bits <= width ? value : m.i32.and(value, m.i32.const(type === 'i8' ? BYTE : WORD));
    const out = [m.local.set(locals.value, part)];
    const low = (): Expr => m.i64.extend_u(this.#get(locals.value, 'i32'));
    if (known <= width) out.push(m.local.set(index, low()));
    else {
      // Bits that only an earlier, wider part has are in the register as it is.
      if (!old || (old.type === 'i16' && type === 'i8')) out.push(m.local.set(locals.before, this.#get(index, 'i64')));
      const mask = m.i64.const(type === 'i8' ? ~0xffn : ~0xffffn);
      out.push(m.local.set(index, m.i64.or(m.i64.and(this.#get(locals.before, 'i64'), mask), low())));
    }
    this.#lowParts.set(index, { type, ...locals });
    if (known <= width) this.#bits.set(index, width);
    return m.block(null, out);
  }

  write(slot: number, type: OperandType, value: Expr): Expr {
    const m = this.#m;
    this.assigned.add(slot);
    const place = this.#place(slot);
    if (!place) return slotStore(m, type, slot, this.cpu(), value);
    if (place.kind === 'integer') this.#forget(place.index);
    switch (place.kind) {
      case 'plain':
        this.#bits.delete(place.index);
        return m.local.set(place.index, value);
      case 'integer':
        return m.local.set(place.index, this.#mergeInteger(place.index, slot & 7, type, value));
      case 'vector':
        return m.local.set(
          place.index,
          this.#mergeVector(() => this.#get(place.index, 'v128'), slot & 15, type, value),
        );
      case 'pair':
        return this.#writePair(place, slot & 15, type, value);
    }
  }
  #mergeInteger(index: number, offset: number, type: OperandType, value: Expr): Expr {
    const { i32, i64 } = this.#m;
    const bits = offset * 8;
    const into = (width: number, e: Expr): Expr => {
      const mask = ((1n << BigInt(width)) - 1n) << BigInt(bits);
      const placed = bits === 0 ? e : i64.shl(e, i64.const(BigInt(bits)));
      return i64.or(i64.and(this.#get(index, 'i64'), i64.const(BigInt.asIntN(64, ~mask))), placed);
    };
    switch (type) {
      case 'i64':
        return value;
      case 'f64':
        return i64.reinterpret(value);
      case 'i32':
        return i64.extend_u(value);
      case 'l32':
        return into(32, i64.extend_u(value));
      case 'f32':
        return into(32, i64.extend_u(i32.reinterpret(value)));
      case 'i16':
        return into(16, i64.extend_u(i32.and(value, i32.const(WORD))));
      case 'i8':
        return into(8, i64.extend_u(i32.and(value, i32.const(BYTE))));
      default:
        throw new Error(`cannot write ${type} to a general register`);
    }
  }
  #mergeVector(old: () => Expr, offset: number, type: OperandType, value: Expr): Expr {
    const m = this.#m;
    switch (type) {
      case 'v128':
        return value;
      case 'z64':
        return m.f64x2.replace_lane(m.v128.const(ZEROS), 0, value);
      case 'z32':
        return m.f32x4.replace_lane(m.v128.const(ZEROS), 0, value);
      case 'i64':
        return m.i64x2.replace_lane(old(), offset >> 3, value);
      case 'i32':
        return m.i64x2.replace_lane(old(), offset >> 3, m.i64.extend_u(value));
      case 'f64':
        return m.f64x2.replace_lane(old(), offset >> 3, value);
      case 'f32':
        return m.f32x4.replace_lane(old(), offset >> 2, value);
      case 'l32':
        return m.i32x4.replace_lane(old(), offset >> 2, value);
      case 'i16':
        return m.i16x8.replace_lane(old(), offset >> 1, value);
      case 'i8':
        return m.i8x16.replace_lane(old(), offset, value);
      default:
        throw new Error(`cannot write ${type} to a vector register`);
    }
  }
  #writePair(p: { low: number; high: number }, offset: number, type: OperandType, value: Expr): Expr {
    const m = this.#m;
    if ((type === 'f64' || type === 'i64' || type === 'i32') && offset === 0)
      return m.local.set(
        p.low,
        type === 'f64' ? value : m.f64.reinterpret(type === 'i64' ? value : m.i64.extend_u(value)),
      );
    if ((type === 'f64' || type === 'i64') && offset === 8)
      return m.local.set(p.high, type === 'i64' ? value : m.i64.reinterpret(value));
    if (type === 'z64' || type === 'z32') {
      const { f64, i64, i32 } = m;
      const low = type === 'z64' ? value : f64.reinterpret(i64.extend_u(i32.reinterpret(value)));
      return m.block(null, [m.local.set(p.low, low), m.local.set(p.high, i64.const(0n))]);
    }
    const whole = this.#locals.take('v128');
    const merged = type === 'v128' ? value : this.#mergeVector(() => this.#readPair(p, 0, 'v128'), offset, type, value);
    return m.block(null, [
      m.local.set(whole, merged),
      m.local.set(p.low, m.f64x2.extract_lane(this.#get(whole, 'v128'), 0)),
      m.local.set(p.high, m.i64x2.extract_lane(this.#get(whole, 'v128'), 1)),
    ]);
  }

  /**
   * The special moves between vector registers whose halves lie in two locals, which need no vector: null where the inst is
   * none of them.
   */
  moveHalves(inst: Inst): Expr[] | null {
    const { op, d } = inst;
    if (d >= TEMPS || !this.#isVector(d)) return null;
    const to = this.#place(d)!;
    if (to.kind !== 'pair') return null;
    const m = this.#m;
    if (isZeroing(inst)) return [m.local.set(to.low, m.f64.const(0)), m.local.set(to.high, m.i64.const(0n))];
    if (op.name === 'mov.v128' && inst.inputs[0]! < TEMPS) {
      const from = this.#place(inst.inputs[0]!);
      if (from?.kind !== 'pair') return null;
      return [m.local.set(to.low, this.#get(from.low, 'f64')), m.local.set(to.high, this.#get(from.high, 'i64'))];
    }
    return null;
  }
  /** The locals of a register held in halves. */
  halves(slot: number): { low: number; high: number } | null {
    if (slot >= TEMPS || !this.#isVector(slot)) return null;
    const place = this.#place(slot)!;
    return place.kind === 'pair' ? place : null;
  }

  /** Writes registers back to the vCPU state. */
  spill(set: Units): Expr[] {
    const m = this.#m;
    const out: Expr[] = [];
    const slots = this.#units.list(set);
    for (const slot of slots) {
      const place = this.#place(slot)!;
      if (place.kind === 'integer') out.push(m.i64.store(slot, 8, this.cpu(), this.#get(place.index, 'i64')));
      else if (place.kind === 'pair') {
        if ((slot & 15) === 0) out.push(m.f64.store(slot, 8, this.cpu(), this.#get(place.low, 'f64')));
        else out.push(m.i64.store(slot, 8, this.cpu(), this.#get(place.high, 'i64')));
      } else if (place.kind === 'vector') {
        const base = slot & ~15;
        const both = slots.includes(base) && slots.includes(base + 8);
        const e = this.#get(place.index, 'v128');
        if (!both) out.push(m.f64.store(slot, 8, this.cpu(), m.f64x2.extract_lane(e, (slot & 15) >> 3)));
        else if (slot === base) out.push(m.v128.store(base, 8, this.cpu(), e));
      }
    }
    return out;
  }
  /** Reads registers from the vCPU state. What is not in `absent` must stay as it is in its local. */
  reload(set: Units, absent: Units = this.#units.all): Expr[] {
    const m = this.#m;
    const out: Expr[] = [];
    const done = new Set<number>();
    for (const slot of this.#units.list(set)) {
      const place = this.#place(slot)!;
      if (place.kind === 'integer') {
        this.#forget(place.index);
        out.push(m.local.set(place.index, m.i64.load(slot, 8, this.cpu())));
      } else if (place.kind === 'pair') {
        if ((slot & 15) === 0) out.push(m.local.set(place.low, m.f64.load(slot, 8, this.cpu())));
        else out.push(m.local.set(place.high, m.i64.load(slot, 8, this.cpu())));
      } else if (place.kind === 'vector' && !done.has(slot & ~15)) {
        done.add(slot & ~15);
        const alone = (this.#units.access(slot & ~15, 'v128') & ~set & ~absent) !== 0n;
        out.push(
          alone
            ? this.write(slot, 'f64', m.f64.load(slot, 8, this.cpu()))
            : m.local.set(place.index, m.v128.load(slot & ~15, 8, this.cpu())),
        );
      }
    }
    return out;
  }
}
