/**
 * Emits one region as a Wasm function: a guest call as a Wasm call, a guest return as a Wasm return of the popped pc. See
 * docs/regions.md for the convention.
 */
import type { Condition, Inst, RegionExit } from '../ir/block.ts';
import type { Expr, OperandType } from '../ir/expr.ts';
import type { Op } from '../ir/op.ts';
import {
  CONST,
  exitReason,
  keptParam,
  keptResult,
  LEFT,
  missSlot,
  regionType,
  SLOT_ENTRY,
  SLOT_LIMIT,
  SLOT_PC,
  SLOT_WHY,
  SYSCALL_IMPORT,
  TEMPS,
  VCPU,
} from '../ir/layout.ts';
import { compareExpr, compareOperand } from '../ir/ops/integer.ts';
import { atReturn, type BlockFlow, type RegionFlow } from '../region/dataflow.ts';
import { bytesStored } from '../region/journal.ts';
import { isDispatch, type Region } from '../region/discover.ts';
import { isAccess } from '../region/checks.ts';
import { flagBits, significantBits } from '../region/known-bits.ts';
import { loadsOnEdge, storesOnEdge } from '../region/placement.ts';
import { isZeroing, type RegisterUnits, type Units } from '../region/units.ts';
import { type Assembler, types } from './assembler.ts';
import { createBuilder, type ImportedHelper, Locals } from './builder.ts';
import { slotOf } from './region-slots.ts';
import { RegionDispatch } from './region-dispatch.ts';
import { GuestAccess, type RegionOptions } from './region-access.ts';
import { keepOld, noteBlock, traceIsFull } from './region-journal.ts';
import { makeReducible } from './reducible.ts';
import { RegionRegisters } from './region-registers.ts';
import { type Edge, type Node, structured } from './structure.ts';

const { i32, i64, f64 } = types;
export const regionParams = regionType.params.map((type) => types[type]);
export const regionResults = regionType.results.map((type) => types[type]);

/** Imported tables: of all regions, and of those elsewhere that the module calls. */
export const [REGIONS, LINKS] = ['table', 'links'];

/** The module a region is put into. */
export interface RegionModule {
  readonly m: Assembler;
  readonly helpers: Map<string, ImportedHelper>;
  /** Name of the function for a pc, if it is in this module. */
  functionOf(pc: number): string | null;
  /** Number of the module's link to a pc elsewhere. */
  linkTo(pc: number): number;
  /** Adds a table for the targets of jumps; gives its offset from the global `tables` on. */
  addTable(table: Uint16Array): number;
  /** What the guest code at `pc` writes before it reads it. */
  deadAt(pc: number): Units;
}

export class RegionEmitter {
  readonly m: Assembler;
  readonly locals = new Locals(types, regionParams.length);
  readonly registers: RegionRegisters;
  readonly access: GuestAccess;
  readonly b;
  readonly makesCalls: boolean;
  /** The first parameter of regions that this one calls. */
  #below = 0;
  /** What a call gives back: stack pointer and pc, the result register, the kept ones. */
  #results: readonly number[] = [];
  readonly #signature: number;
  /** Of indirect jumps that go to the region's own blocks. */
  #dispatch: RegionDispatch | null = null;
  readonly out: RegionModule;
  readonly region: Region;
  readonly flow: RegionFlow;
  readonly flows: ReadonlyMap<number, BlockFlow>;
  readonly units: RegisterUnits;
  readonly options: RegionOptions;

  constructor(out: RegionModule, region: Region, flow: RegionFlow, units: RegisterUnits, options: RegionOptions) {
    this.out = out;
    this.region = region;
    this.flow = flow;
    this.flows = flow.blocks;
    this.units = units;
    this.options = options;
    this.m = out.m;
    this.#signature = out.m.signature(regionParams, regionResults);
    // What writes down its blocks looks at each entry whether that is enough.
    this.makesCalls = options.verify || [...region.blocks.values()].some((block) => block.exit.kind === 'call');
    const { abi } = units;
    this.registers = new RegionRegisters(out.m, units, this.locals, [abi.sp, ...abi.params], region);
    this.access = new GuestAccess(out.m, this.registers, units, this.locals, options);
    const builder = createBuilder(out.m, this.locals, this.registers, out.helpers, options.x86Nans);
    const { i32, i64, f32, f64, v128 } = out.m.guest;
    this.b = { ...builder, i32, i64, f32, f64, v128 };
    if (this.makesCalls) {
      this.#below = this.locals.add('i32');
      this.#results = regionType.results.map((type) => this.locals.add(type));
    }
  }

  cpu = (): Expr => this.m.i32.const(VCPU);
  sp = (): Expr => this.registers.read(this.units.abi.sp, 'i64');
  /** Arguments for a region that takes this one's place; registers in `absent` are read from the vCPU state. */
  params(absent: Units = 0n, first = 0): Expr[] {
    const { m, units } = this;
    const { sp, params, kept } = units.abi;
    const value =
      (type: 'i64' | 'f64') =>
      (slot: number): Expr =>
        (units.of(slot) & absent) === 0n ? this.registers.read(slot, type) : m[type].load(slot, 8, this.cpu());
    return [m.local.get(first, i32), ...[sp, ...params].map(value('i64')), ...kept.map(value('f64'))];
  }
  /** Takes the kept registers out of the parameters, where they cannot stay: they are integers. */
  takeKept(): Expr[] {
    const { m, units } = this;
    return units.abi.kept.map((slot, k) => this.registers.write(slot, 'f64', m.local.get(keptParam + k, f64)));
  }
  storePc(pc: Expr): Expr {
    return this.m.i64.store(SLOT_PC, 8, this.cpu(), pc);
  }
  constPc = (pc: number): Expr => this.m.i64.const(BigInt(pc));

  /** Leaves with everything in the vCPU; `pc` is stored already. */
  left(why: number, dirty: Units): Expr[] {
    const { m } = this;
    return [
      ...this.registers.spill(dirty),
      m.i32.store(SLOT_WHY, 4, this.cpu(), m.i32.const(why)),
      m.return([m.i64.const(BigInt(LEFT)), m.i64.const(0n), m.f64.const(0), m.f64.const(0)]),
    ];
  }
  interpretAt(pc: number, dirty: Units): Expr {
    return this.m.block(null, [this.storePc(this.constPc(pc)), ...this.left(exitReason.interpret, dirty)]);
  }
  /** Goes on at `pc`, a known address outside of the region. */
  tailTo(pc: number, dirty: Units, polls: boolean, absent: Units): Expr {
    const { m } = this;
    const live = this.neededAt(pc, dirty);
    const out: Expr[] = polls ? [this.poll(this.constPc(pc), live)] : [];
    out.push(...this.registers.spill(live & ~this.units.params));
    const name = this.out.functionOf(pc);
    const params = this.params(absent);
    if (name) out.push(m.returnCall(name, params));
    else out.push(this.storePc(this.constPc(pc)), m.returnCallIndirect(LINKS, this.link(pc), params, this.#signature));
    return m.block(null, out);
  }
  /** Without what the code at `pc` does not ask for. */
  neededAt(pc: number, dirty: Units): Units {
    return dirty & ~this.out.deadAt(pc);
  }
  link(pc: number): Expr {
    return this.m.i32.const(this.out.linkTo(pc));
  }
  /** Leaves if somebody wants attention. */
  poll(pc: Expr, dirty: Units): Expr {
    const { m } = this;
    return m.if(
      this.options.verify ? traceIsFull(m) : m.i32.load(SLOT_LIMIT, 4, this.cpu()),
      m.block(null, [this.storePc(pc), ...this.left(exitReason.attention, dirty)]),
    );
  }
  /** Goes on at an address that is not known before. */
  jumpTo(address: Expr, dirty: Units, absent: Units, site?: number): Expr[] {
    const { m, units, registers } = this;
    const target = this.locals.take('i64');
    const pc = (): Expr => m.local.get(target, i64);
    return [
      m.local.set(target, address),
      this.poll(pc(), dirty),
      ...registers.spill(dirty & ~units.params),
      this.storePc(pc()),
      m.returnCallIndirect(REGIONS, slotOf(this, target, missSlot.jump, site), this.params(absent), this.#signature),
    ];
  }

  /** Registers dirty before the instruction being emitted. */
  dirty: Units = 0n;
  /** Of the block being emitted. */
  #idleFlags: BlockFlow['idleFlags'] = new Map();
  /** Temporaries of the guest instruction being emitted that hold constants. */
  readonly #constants = new Map<number, bigint>();

  /** A byte shuffle whose mask is constant, as most are, has a Wasm instruction of its own. */
  shuffle(inst: Inst): Expr[] | null {
    if (inst.op.name !== 'x86.shuffle') return null;
    const [a, b, mask] = inst.inputs as [number, number, number];
    const low = this.#constants.get(mask);
    const high = this.#constants.get(mask + 8);
    if (low === undefined || high === undefined) return null;
    const lanes = Array.from({ length: 16 }, (_, k) => Number(((k < 8 ? low : high) >> BigInt((k & 7) * 8)) & 0xffn));
    if (lanes.some((lane) => lane > 31)) return null;
    const { registers } = this;
    const value = this.m.i8x16.shuffle(registers.read(a, 'v128'), registers.read(b, 'v128'), lanes);
    return [registers.write(inst.d, 'v128', value)];
  }

  inst(inst: Inst): Expr[] {
    const { m, registers, units } = this;
    const { op } = inst;
    // What is left there to the interpreter.
    const dirty = this.dirty & ~(this.#idleFlags.get(inst) ?? 0n);
    if (isAccess(inst)) return this.access.emit(inst, this.b, () => this.interpretAt(inst.pc, dirty));
    const moved = registers.moveHalves(inst) ?? this.shuffle(inst);
    if (moved) return moved;
    if (isZeroing(inst))
      return [
        registers.writeResult(
          inst.d,
          op.result!,
          op.result === 'v128'
            ? m.v128.const(new Array(16).fill(0))
            : op.result === 'i64'
              ? m.i64.const(0n)
              : m.i32.const(0),
          0,
        ),
      ];
    if (op.name === 'mov.i32' && inst.d < TEMPS && (inst.d & 7) === 0) {
      // Nothing is to be cut off.
      const from = inst.inputs[0]!;
      const bits = from < TEMPS ? registers.bitsOf(from) : 64;
      if (bits <= 32) return [registers.writeResult(inst.d, 'i64', registers.read(from, 'i64'), bits)];
    }
    const inputs = op.inputs.map((type, k) => {
      const slot = inst.inputs[k]!;
      return slot === CONST ? this.constant(type, inst.imm) : registers.read(slot, type);
    });
    if (op.kind !== 'helper') {
      registers.assigned.clear();
      const value = op.sem(this.b, ...inputs);
      if (op.result) return [registers.writeResult(inst.d, op.result, value, significantBits(inst, registers.bitsOf))];
      const bits = flagBits(inst);
      if (bits < 64) for (const slot of op.writes) if (slot !== units.abi.flags.first) registers.noteBits(slot, bits);
      return [value, ...this.#meaningless(op)];
    }
    let touched = 0n;
    let written = 0n;
    for (const slot of op.reads) touched |= units.of(slot);
    for (const slot of op.writes) written |= units.of(slot);
    touched |= written;
    // What it refuses the interpreter does again, from the start of the instruction.
    const leave = m.block(null, [
      this.storePc(this.constPc(inst.pc)),
      ...this.left(exitReason.interpret, dirty & ~touched),
    ]);
    const stored = this.options.verify ? bytesStored(inst) : 0;
    if (stored === null) return [this.interpretAt(inst.pc, dirty)];
    return [
      ...(stored > 0 ? keepOld(m, () => m.i32.wrap(registers.read(inst.inputs[0]!, 'i64')), 0, stored) : []),
      ...registers.spill(this.dirty & touched),
      m.if(op.sem(this.b, ...inputs), leave),
      ...registers.reload(written),
    ];
  }
  /**
   * The parts of the lazy flags that their new kind makes no use of. They are written back with the others: what they were
   * before would be kept for that, in all loops around. What an op reads, too, may stay as it was: flags of a count that may be 0.
   */
  #meaningless({ reads, writes }: Op): Expr[] {
    const { m, registers, units } = this;
    return writes
      .filter(
        (slot) => !(registers.assigned.has(slot) || reads.includes(slot)) && (units.of(slot) & units.flags) !== 0n,
      )
      .map((slot) => registers.write(slot, 'i64', m.i64.const(0n)));
  }
  constant(type: OperandType, imm: number | bigint): Expr {
    const { m } = this;
    if (type === 'i64') return m.i64.const(BigInt.asIntN(64, BigInt(imm)));
    const n = BigInt(imm);
    const bits = type === 'i8' || type === 's8' ? 8 : type === 'i16' || type === 's16' ? 16 : 32;
    const cut = type === 's8' || type === 's16' || bits === 32 ? BigInt.asIntN(bits, n) : BigInt.asUintN(bits, n);
    return m.i32.const(Number(cut));
  }

  /** The instructions of a block. */
  body(flow: BlockFlow): Expr[] {
    const { m } = this;
    const { block } = flow;
    const { verify } = this.options;
    const out: Expr[] = [];
    // A copy of no instruction is where a call leaves it.
    if (verify && block.guestInstructions > 0) out.push(...noteBlock(m, { pc: Math.floor(block.pc), end: block.end }));
    let toNote = verify ? block.callee : undefined;
    this.dirty = flow.dirtyIn;
    this.#idleFlags = flow.idleFlags;
    this.access.beginBlock(block.insts, flow.checks);
    this.registers.beginBlock();
    const { insts } = block;
    let atExit = false;
    for (let k = 0; k < insts.length; ) {
      const { pc } = insts[k]!;
      let end = k + 1;
      while (end < insts.length && insts[end]!.pc === pc) end++;
      const group = insts.slice(k, end);
      if (toNote && pc >= toNote.pc && pc < toNote.end) {
        out.push(...noteBlock(m, toNote));
        toNote = undefined;
      }
      atExit = pc === block.exitPc;
      this.locals.reset();
      this.registers.beginInstruction(group, atExit ? exitOperands(block.exit) : []);
      this.#constants.clear();
      for (const inst of group) {
        if (inst.op.name === 'mov.i64' && inst.inputs[0] === CONST) this.#constants.set(inst.d, BigInt(inst.imm));
        out.push(...this.inst(inst));
        this.dirty |= this.units.writes(inst);
      }
      k = end;
    }
    if (toNote) out.push(...noteBlock(m, toNote));
    if (!atExit) {
      this.locals.reset();
      this.registers.beginInstruction([], exitOperands(block.exit));
    }
    return out;
  }

  condition(c: Condition): Expr {
    const type = compareOperand(c.compare, c.width);
    const right = c.b === CONST ? this.constant(type, c.imm) : this.registers.read(c.b, type);
    return compareExpr(this.b, c.compare, c.width, this.registers.read(c.a, type), right);
  }

  /** Calls the region at `pc`. */
  callKnown(pc: number): Expr[] {
    const { m } = this;
    const name = this.out.functionOf(pc);
    const params = this.params(0n, this.#below);
    if (name) return [this.take(m.call(name, params, types.none))];
    return [this.storePc(this.constPc(pc)), this.take(m.callIndirect(LINKS, this.link(pc), params, this.#signature))];
  }
  /** Keeps what a call gives back. */
  take(call: Expr): Expr {
    return this.m.setAll(this.#results, call);
  }
  /** Compares the pc that a call has given back. */
  returned(returnPc: number): Expr[] {
    const { m, units } = this;
    const result = (k: number): Expr => m.local.get(this.#results[k]!, regionResults[k]!);
    const all = regionResults.map((_, k) => result(k));
    return [
      m.if(m.i32.ne(m.i32.wrap(result(0)), m.i32.const(returnPc | 0)), m.return(all)),
      this.registers.write(units.abi.sp, 'i64', m.i64.shr_u(result(0), m.i64.const(32n))),
      this.registers.write(units.abi.result, 'i64', result(1)),
      ...units.abi.kept.map((slot, k) => this.registers.write(slot, 'f64', result(keptResult + k))),
    ];
  }

  /**
   * Asks the host to make the system call with the callers' frames where they are, and goes on at `next`. It says when that
   * cannot be: then all is left.
   */
  syscall(next: number, dirty: Units): Expr[] {
    const { m, registers } = this;
    const leave = this.left(exitReason.syscall, 0n);
    const ready = [this.storePc(this.constPc(next)), ...registers.spill(dirty)];
    if (this.options.verify) return [...ready, ...leave];
    this.out.helpers.set(SYSCALL_IMPORT, { name: SYSCALL_IMPORT, params: [], result: i32 });
    return [
      ...ready,
      m.if(m.call(SYSCALL_IMPORT, [], i32), m.block(null, leave)),
      this.tailTo(next, 0n, false, this.units.all),
    ];
  }

  /** What ends a block that does not go on inside the region (or only behind a call). */
  exit(flow: BlockFlow): Expr[] {
    const { m, units, registers } = this;
    const { block, dirtyOut } = flow;
    const e = block.exit;
    const outside = (slot: number): Expr => registers.read(slot, 'i64');
    switch (e.kind) {
      case 'jump':
      case 'branch':
        return [];
      case 'syscall':
        return this.syscall(e.next, dirtyOut);
      case 'trap':
        return [this.interpretAt(block.exitPc, dirtyOut)];
      case 'ret': {
        const { results } = units;
        const spilled = atReturn(flow, units);
        const target = this.locals.take('i64');
        const pc = (): Expr => m.local.get(target, i64);
        return [
          m.local.set(target, outside(e.slot)),
          ...registers.spill(spilled & ~results),
          m.if(
            m.i64.ne(m.i64.shr_u(m.i64.or(pc(), this.sp()), m.i64.const(32n)), m.i64.const(0n)),
            m.block(null, [this.storePc(pc()), ...this.left(exitReason.interpret, spilled & results)]),
          ),
          m.return([
            m.i64.or(m.i64.shl(this.sp(), m.i64.const(32n)), pc()),
            registers.read(units.abi.result, 'i64'),
            ...units.abi.kept.map((slot) => registers.read(slot, 'f64')),
          ]),
        ];
      }
      case 'return': {
        const target = this.locals.take('i64');
        const pc = (): Expr => m.local.get(target, i64);
        const elsewhere = m.i64.ne(pc(), this.constPc(e.to));
        const leave = m.block(null, this.jumpTo(pc(), dirtyOut, flow.absentOut));
        return [m.local.set(target, outside(e.slot)), m.if(elsewhere, leave)];
      }
      case 'indirect':
        if (this.#dispatch && isDispatch(block)) return [m.local.set(this.#dispatch.target, outside(e.slot))];
        return this.jumpTo(outside(e.slot), dirtyOut, flow.absentOut, block.exitPc);
      case 'call': {
        const out: Expr[] = [];
        if (e.target === null) {
          const target = this.locals.take('i64');
          const pc = (): Expr => m.local.get(target, i64);
          const found = [
            this.storePc(pc()),
            this.take(
              m.callIndirect(
                REGIONS,
                slotOf(this, target, missSlot.call, block.exitPc),
                this.params(0n, this.#below),
                this.#signature,
              ),
            ),
          ];
          out.push(m.local.set(target, outside(e.slot)), ...registers.spill(dirtyOut & ~units.params));
          if (e.guess === undefined) out.push(...found);
          else {
            const guessed = m.i64.eq(pc(), this.constPc(e.guess));
            out.push(m.if(guessed, m.block(null, this.callKnown(e.guess)), m.block(null, found)));
          }
        } else
          out.push(...registers.spill(this.neededAt(e.target, dirtyOut) & ~units.params), ...this.callKnown(e.target));
        // What the code behind it needs is read on the way there.
        out.push(...this.returned(e.returnPc));
        if (!this.flows.has(e.returnPc))
          out.push(this.tailTo(e.returnPc, units.results, false, units.all & ~units.results));
        return out;
      }
    }
  }

  emit(name: string): void {
    const { m, region, flows, units, registers } = this;
    const pcs = [...flows.keys()];
    const numberOf = new Map(pcs.map((pc, k) => [pc, k]));
    const { dispatch } = region;
    if (dispatch.length > 0) this.#dispatch = new RegionDispatch(this);
    const nodes: Node[] = [];
    for (const flow of flows.values()) nodes.push(this.node(flow, numberOf));
    this.#dispatch?.addNodes(nodes, numberOf);
    const through = this.#dispatch && { node: this.#dispatch.node, label: this.#dispatch.edge };
    const shape = makeReducible(m, nodes, () => this.locals.add('i32'), through);
    const body = structured(m, nodes, shape);
    const entry = flows.get(region.entry)!;
    // A loop to the entry must not run the prologue again: it stands before the body.
    let live = entry.liveIn & ~entry.absentIn;
    if (dispatch.length > 0) live |= this.flow.dispatchDirty;
    for (const pc of dispatch) live |= flows.get(pc)!.liveIn & ~this.flow.dispatchAbsent;
    const dispatches = this.#dispatch ? [this.#dispatch.prologue()] : [];
    const prologue = [
      ...this.takeKept(),
      ...this.enter(),
      ...dispatches,
      ...registers.reload(live & ~units.params),
      // Ways from indirect jumps to the entry may have them in the vCPU state alone.
      ...registers.spill(units.params & entry.absentIn & entry.matters),
    ];
    m.addFunction(
      name,
      regionParams,
      regionResults,
      this.locals.vars,
      m.block(null, [...prologue, ...body, m.unreachable()]),
    );
  }

  /** A block as a node of the control-flow graph: code and ways out. */
  node(flow: BlockFlow, numberOf: ReadonlyMap<number, number>): Node {
    const { block, dirtyOut } = flow;
    const code = [...this.registers.reload(flow.loads & flow.liveIn, flow.absentIn), ...this.body(flow)];
    code.push(...this.registers.spill(flow.early));
    const e = block.exit;
    const edges: Edge[] = [];
    const go = (target: number): void => {
      const to = numberOf.get(target);
      if (to === undefined) {
        // What nobody has gone to yet is not in the module.
        const rare = this.out.functionOf(target) === null;
        // From region to region by entries further and further on, nothing goes in a circle.
        const polls = target <= this.region.entry;
        edges.push({ to: null, code: [this.tailTo(target, dirtyOut, polls, flow.absentOut)], rare });
      } else {
        const pc = Math.floor(target);
        const polls = this.region.polls.get(block.pc)?.includes(target);
        const poll = polls ? [this.poll(this.constPc(pc), this.neededAt(pc, dirtyOut))] : [];
        const next = this.flows.get(target)!;
        const agree = [
          ...this.registers.spill(storesOnEdge(flow, next)),
          ...this.registers.reload(loadsOnEdge(flow, next), flow.absentOut),
        ];
        edges.push({ to, code: [...poll, ...agree] });
      }
    };
    let condition: Expr | null = null;
    if (e.kind === 'jump') go(e.target);
    else if (e.kind === 'branch') {
      if (e.taken !== e.fallthrough) {
        condition = this.condition(e.condition);
        go(e.taken);
      }
      go(e.fallthrough);
    } else {
      code.push(...this.exit(flow));
      if (e.kind === 'call' && numberOf.has(e.returnPc)) go(e.returnPc);
      if (e.kind === 'return') go(e.to);
      if (this.#dispatch && isDispatch(block)) {
        code.push(...this.#dispatch.lookUp());
        condition = this.#dispatch.isElsewhere();
        edges.push(...this.#dispatch.edgesOf(flow));
      }
    }
    return { code, condition, index: null, edges };
  }

  /** Charges the host stack for this frame; leaves when there is not enough, or attention is wanted. */
  enter(): Expr[] {
    const { m, units } = this;
    if (!this.makesCalls) return [];
    let frame = 96;
    for (const type of this.locals.vars) frame += type === types.v128 ? 16 : 8;
    const tooDeep = m.i32.lt_s(m.local.get(this.#below, i32), m.i32.load(SLOT_LIMIT, 4, this.cpu()));
    return [
      m.local.set(this.#below, m.i32.sub(m.local.get(0, i32), m.i32.const(frame))),
      m.if(
        this.options.verify ? m.i32.or(tooDeep, traceIsFull(m)) : tooDeep,
        m.block(null, [
          // Entered at another target than its own pc, SLOT_PC says already where.
          this.region.dispatch.length === 0
            ? this.storePc(this.constPc(this.region.entry))
            : m.if(
                m.i32.load(SLOT_ENTRY, 4, this.cpu()),
                m.i32.store(SLOT_ENTRY, 4, this.cpu(), m.i32.const(0)),
                this.storePc(this.constPc(this.region.entry)),
              ),
          ...this.left(exitReason.attention, units.params),
        ]),
      ),
    ];
  }
}

const exitOperands = (e: RegionExit): { slot: number; type: OperandType }[] => {
  if (e.kind === 'branch') {
    const type = compareOperand(e.condition.compare, e.condition.width);
    return [e.condition.a, e.condition.b].filter((slot) => slot !== CONST).map((slot) => ({ slot, type }));
  }
  return 'slot' in e ? [{ slot: e.slot, type: 'i64' }] : [];
};

/** Adds the function of a region to the module. */
export function emitRegion(
  out: RegionModule,
  name: string,
  region: Region,
  flow: RegionFlow,
  units: RegisterUnits,
  options: RegionOptions,
): void {
  new RegionEmitter(out, region, flow, units, options).emit(name);
}
