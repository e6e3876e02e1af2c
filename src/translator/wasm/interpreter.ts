/**
 * Generates the interpreter: one Wasm function with a loop around one br_table, a case per form of the op table. It is
 * built once, at build time; guest memory accesses are checked against the page table, so that its faults are exact.
 */
import binaryen from 'binaryen';
import { Bytecode, exitLayout, type Form, isMemory, stubLayout } from '../ir/bytecode.ts';
import type { Expr, OperandType } from '../ir/expr.ts';
import {
  ADDRESS_MASK,
  exitReason,
  JUMP_CACHE,
  JUMP_CACHE_ENTRIES,
  LEFT,
  PAGE_READ,
  PAGE_TABLE,
  PAGE_WRITE,
  keptParam,
  keptResult,
  regionType,
  SLOT_CALLED,
  SLOT_ENTERED,
  SLOT_EXIT_ARG,
  SLOT_EXIT_IP,
  SLOT_FAULT_ACCESS,
  SLOT_FAULT_ADDRESS,
  SLOT_LIMIT,
  SLOT_PC,
  SLOT_STACK,
  SLOT_STOP,
  SLOT_WHY,
  trap,
  VCPU,
} from '../ir/layout.ts';
import type { OpTable } from '../ir/op.ts';
import { compareExpr, compareOperand } from '../ir/ops/integer.ts';
import type { RegionAbi } from '../region/abi.ts';
import {
  cacheOffset,
  createBuilder,
  type ImportedHelper,
  Locals,
  regionEntry,
  slotLoad,
  slotStore,
} from './builder.ts';
import { overBinaryen } from './over-binaryen.ts';

/** Exported as `run(ip, budget) -> exit reason`; `budget` is how many block exits may be taken. */
const IP = 0;
const BUDGET = 1;

/** Bytes of host stack that an interpreter called by a region is charged. */
const INTERPRETER_FRAME = 4096;
/** Exits of blocks after which it goes back to the runtime: about a millisecond. */
const INNER_BUDGET = 0x10000;

const regionParams = binaryen.createType(regionType.params.map((type) => binaryen[type]));
const regionResults = binaryen.createType(regionType.results.map((type) => binaryen[type]));

/** The table of regions, whose slots are never null and of their type (runtime/jit/region-table.ts). */
const DECLARATIONS = `(module
  (type $region (func (param ${regionType.params.join(' ')}) (result ${regionType.results.join(' ')})))
  (import "env" "table" (table $table 0 (ref $region))))`;

class InterpreterGenerator {
  readonly m = overBinaryen(DECLARATIONS);
  readonly code: Bytecode;
  readonly locals = new Locals(this.m.types, 2);
  readonly address = this.locals.add('i64');
  readonly helpers = new Map<string, ImportedHelper>();
  readonly b = createBuilder(
    this.m,
    this.locals,
    {
      cpu: () => this.cpu(),
      read: (slot, type) => slotLoad(this.m, type, slot, this.cpu()),
      write: (slot, type, value) => slotStore(this.m, type, slot, this.cpu(), value),
    },
    this.helpers,
  );

  readonly abi: RegionAbi;

  constructor(table: OpTable, abi: RegionAbi) {
    this.code = new Bytecode(table);
    this.abi = abi;
  }
  cpu = (): Expr => this.m.i32.const(VCPU);
  ip = (): Expr => this.m.local.get(IP, binaryen.i32);
  guestAddress = (): Expr => this.m.local.get(this.address, binaryen.i64);
  /** The slot whose number stands in the code: relative to VCPU. */
  slotNumber(at: number): Expr {
    return this.m.i32.load16_u(at, 2, this.ip());
  }
  operand(type: OperandType, at: number): Expr {
    return slotLoad(this.m, type, VCPU, this.slotNumber(at));
  }
  advance(size: number): Expr[] {
    return [this.m.local.set(IP, this.m.i32.add(this.ip(), this.m.i32.const(size))), this.m.br('next')];
  }
  leave(reason: number): Expr {
    return this.m.return(this.m.i32.const(reason));
  }
  saveIp(): Expr {
    return this.m.i32.store(SLOT_EXIT_IP, 4, this.cpu(), this.ip());
  }

  /** Branches to `label` unless the page table grants all of `need` on every page of the access at $address. */
  check(bytes: number, need: number, label: string): Expr {
    const { m } = this;
    const page = (offset: number): Expr => {
      const a = m.i32.wrap(this.guestAddress());
      const at = offset === 0 ? a : m.i32.add(a, m.i32.const(offset));
      return m.i32.load8_u(PAGE_TABLE, 1, m.i32.shr_u(at, m.i32.const(12)));
    };
    const have = bytes === 1 ? page(0) : m.i32.and(page(0), page(bytes - 1));
    const lacking = m.i32.and(m.i32.xor(have, m.i32.const(need)), m.i32.const(need));
    return m.br_if(label, m.i32.or(lacking, m.i32.wrap(m.i64.shr_u(this.guestAddress(), m.i64.const(32n)))));
  }

  form(f: Form): Expr[] {
    const { m, b } = this;
    const { op } = f;
    this.locals.reset();
    const inputs = f.inputAt.map((at, k) => this.operand(op.inputs[k]!, at));
    if (f.constant) inputs.push(slotLoad(m, op.inputs.at(-1)!, f.immAt, this.ip()));
    const body: Expr[] = [];
    const finish = (value: Expr): void => {
      body.push(op.result ? slotStore(m, op.result, VCPU, this.slotNumber(f.resultAt), value) : value);
    };
    if (isMemory(op)) {
      const address = m.i64.add(inputs[0]!, m.i64.load(f.immAt, 1, this.ip()));
      body.push(m.local.set(this.address, m.i64.and(address, m.i64.load(ADDRESS_MASK, 8, m.i32.const(0)))));
      if (op.align)
        body.push(m.br_if('misaligned', m.i32.and(m.i32.wrap(this.guestAddress()), m.i32.const(op.align - 1))));
      if (op.kind === 'load') body.push(this.check(op.bytes, PAGE_READ, 'fault_read'));
      else body.push(this.check(op.bytes, op.kind === 'rmw' ? PAGE_READ | PAGE_WRITE : PAGE_WRITE, 'fault_write'));
      finish(op.sem(b, m.i32.wrap(this.guestAddress()), ...inputs.slice(1)));
    } else if (op.kind === 'helper') {
      const status = this.locals.take('i32');
      body.push(m.local.set(status, op.sem(b, ...inputs)));
      const get = (): Expr => m.local.get(status, binaryen.i32);
      body.push(m.if(get(), m.block(null, [this.saveIp(), m.return(get())])));
    } else finish(op.sem(b, ...inputs));
    return [...body, ...this.advance(f.size)];
  }

  /** Takes one from the budget and goes on at IP, or returns `tick`. */
  spend(): Expr[] {
    const { m } = this;
    return [
      m.local.set(BUDGET, m.i32.sub(m.local.get(BUDGET, binaryen.i32), m.i32.const(1))),
      m.br('next', m.local.get(BUDGET, binaryen.i32)),
      this.saveIp(),
      this.leave(exitReason.tick),
    ];
  }
  setPcFromCode(): Expr {
    return this.m.i64.store(SLOT_PC, 8, this.cpu(), this.m.i64.load(exitLayout.pc, 1, this.ip()));
  }

  /** Calls a helper that finds code of earlier runs (src/helpers/code.ts). */
  codeHelper(name: string, of: Expr, type: binaryen.Type): Expr {
    this.helpers.set(name, { name, params: [type], result: binaryen.i32 });
    return this.m.call(name, [of], binaryen.i32);
  }

  exits(): Map<number, Expr[]> {
    const { m, code } = this;
    const cases = new Map<number, Expr[]>();
    cases.set(code.exits.jump, [m.local.set(IP, m.i32.load(exitLayout.jumpIp, 4, this.ip())), ...this.spend()]);
    for (const f of code.branches) {
      const type = compareOperand(f.compare, f.width);
      const right = f.constant ? slotLoad(m, type, exitLayout.imm, this.ip()) : this.operand(type, exitLayout.b);
      const condition = compareExpr(this.b, f.compare, f.width, this.operand(type, exitLayout.slot), right);
      // Without a host branch on the guest's condition: the link word is chosen by address.
      const link = m.i32.add(this.ip(), m.i32.shl(m.i32.eqz(condition), m.i32.const(2)));
      cases.set(f.opcode, [m.local.set(IP, m.i32.load(exitLayout.taken, 4, link)), ...this.spend()]);
    }
    const entry = this.locals.add('i32');
    const pc = (): Expr => this.guestAddress();
    const entryGet = (): Expr => m.local.get(entry, binaryen.i32);
    cases.set(code.exits.indirect, [m.local.set(this.address, this.operand('i64', exitLayout.slot)), m.br('lookup')]);
    const found = (): Expr =>
      m.if(
        m.i64.eq(m.i64.load32_u(JUMP_CACHE, 4, entryGet()), pc()),
        m.block(null, [m.local.set(IP, m.i32.load(JUMP_CACHE + 4, 4, entryGet())), m.br('resume')]),
      );
    this.lookup = [
      m.if(
        m.i64.gt_u(m.i64.load(this.abi.sp, 8, this.cpu()), m.i64.load(SLOT_STOP, 8, this.cpu())),
        m.block(null, [m.i64.store(SLOT_PC, 8, this.cpu(), pc()), this.leave(exitReason.stopped)]),
      ),
      m.local.set(entry, cacheOffset(m, pc, JUMP_CACHE_ENTRIES)),
      found(),
      m.local.set(entry, m.i32.xor(entryGet(), m.i32.const(8))),
      found(),
      m.local.set(entry, this.codeHelper('return_code', pc(), binaryen.i64)),
      m.if(entryGet(), m.block(null, [m.local.set(IP, entryGet()), m.br('resume')])),
      m.i64.store(SLOT_PC, 8, this.cpu(), pc()),
      this.saveIp(),
      this.leave(exitReason.miss),
    ];
    const counter = (): Expr => m.i32.load(stubLayout.counter, 4, this.ip());
    const stubPc = (): Expr => m.i64.load32_u(stubLayout.pc, 4, this.ip());
    const count = m.i32.store(stubLayout.counter, 4, this.ip(), m.i32.sub(counter(), m.i32.const(1)));
    cases.set(code.exits.count, [
      count,
      m.if(
        m.i32.eqz(counter()),
        m.block(null, [this.saveIp(), m.i64.store(SLOT_PC, 8, this.cpu(), stubPc()), this.leave(exitReason.hot)]),
      ),
      m.local.set(IP, m.i32.load(stubLayout.ip, 4, this.ip())),
      m.br('next'),
    ]);
    cases.set(code.exits.enter, this.enterRegion(stubPc, counter));
    cases.set(code.exits.syscall, [this.setPcFromCode(), this.leave(exitReason.syscall)]);
    cases.set(code.exits.trap, [
      this.saveIp(),
      m.i32.store(SLOT_EXIT_ARG, 4, this.cpu(), m.i32.load16_u(exitLayout.slot, 2, this.ip())),
      this.leave(exitReason.trap),
    ]);
    cases.set(code.exits.link, [
      m.local.set(entry, this.codeHelper('link_code', this.ip(), binaryen.i32)),
      m.if(entryGet(), m.block(null, [m.local.set(IP, entryGet()), m.br('next')])),
      m.i32.store(SLOT_EXIT_ARG, 4, this.cpu(), m.i32.load(exitLayout.linkAddress, 4, this.ip())),
      this.setPcFromCode(),
      this.leave(exitReason.link),
    ]);
    cases.set(code.exits.stale, [this.setPcFromCode(), this.leave(exitReason.miss)]);
    return cases;
  }

  /** Goes on at the guest address in $address. */
  lookup: Expr[] = [];

  /** Calls the region of the stub at IP and goes on at the pc it returns. */
  enterRegion(stubPc: () => Expr, slot: () => Expr): Expr[] {
    const { m, abi } = this;
    this.locals.vars.push(regionResults);
    const result = this.locals.vars.length + 1;
    const first = this.address;
    const cacheEntry = this.locals.add('i32');
    const entered = this.locals.add('i64');
    const at = (): Expr => m.local.get(cacheEntry, binaryen.i32);
    const host = m.i32.load(SLOT_STACK, 4, this.cpu());
    const registers = [
      ...[abi.sp, ...abi.params].map((s) => m.i64.load(s, 8, this.cpu())),
      ...abi.kept.map((s) => m.f64.load(s, 8, this.cpu())),
    ];
    return [
      // Indirect jumps of regions find this one from now on.
      m.local.set(cacheEntry, regionEntry(m, stubPc)),
      m.i32.store(0, 4, at(), m.i32.wrap(stubPc())),
      m.i32.store(4, 4, at(), slot()),
      m.local.set(entered, m.i64.load(SLOT_ENTERED, 8, this.cpu())),
      m.i64.store(SLOT_ENTERED, 8, this.cpu(), m.i64.load(abi.sp, 8, this.cpu())),
      m.local.set(result, m.call_indirect('table', slot(), [host, ...registers], regionParams, regionResults)),
      m.local.set(first, m.tuple.extract(m.local.get(result, regionResults), 0)),
      m.i64.store(SLOT_ENTERED, 8, this.cpu(), m.local.get(entered, binaryen.i64)),
      m.if(
        m.i32.eq(m.i32.wrap(this.guestAddress()), m.i32.const(LEFT | 0)),
        m.return(m.i32.load(SLOT_WHY, 4, this.cpu())),
      ),
      m.i64.store(abi.sp, 8, this.cpu(), m.i64.shr_u(this.guestAddress(), m.i64.const(32n))),
      m.i64.store(abi.result, 8, this.cpu(), m.tuple.extract(m.local.get(result, regionResults), 1)),
      ...abi.kept.map((s, k) =>
        m.f64.store(s, 8, this.cpu(), m.tuple.extract(m.local.get(result, regionResults), keptResult + k)),
      ),
      m.local.set(first, m.i64.and(this.guestAddress(), m.i64.const(0xffff_ffffn))),
      m.br('lookup', m.i32.eqz(m.i32.load(SLOT_LIMIT, 4, this.cpu()))),
      m.i64.store(SLOT_PC, 8, this.cpu(), this.guestAddress()),
      this.leave(exitReason.attention),
    ];
  }

  /**
   * What table slots without a region hold: runs the guest's code at SLOT_PC in the interpreter until control goes on with
   * the stack pointer above what it is now, which is when the function is left, and returns as its region would have. Where
   * that cannot be, it returns the pc it was called for, so that all callers return, too. So it does where there is but the
   * interpreter to return to: otherwise a loop partly translated would fill the host stack.
   *
   * @param level what is taken off that stack pointer: 1 where a function that is just beginning may be left with the same
   */
  addMiss(name: string, level: bigint, isCall: boolean): void {
    const { m, abi } = this;
    const { i32, i64, f64 } = binaryen;
    const first = regionType.params.length;
    const [reason, stack, entry, stop] = [first, first + 1, first + 2, first + 3];
    const { cpu } = this;
    const spParam = (): Expr => m.local.get(1, i64);
    const pc = (): Expr => m.i64.load(SLOT_PC, 8, cpu());
    const sp = (): Expr => m.i64.load(abi.sp, 8, cpu());
    const results = (...values: Expr[]): Expr => m.return(m.tuple.make(values));
    const left = (why: Expr): Expr =>
      m.block(null, [
        m.i32.store(SLOT_WHY, 4, cpu(), why),
        results(m.i64.const(BigInt(LEFT)), m.i64.const(0n), m.f64.const(0), m.f64.const(0)),
      ]);
    const answer = (): Expr[] => [
      m.if(
        m.i64.ne(m.i64.shr_u(m.i64.or(pc(), sp()), m.i64.const(32n)), m.i64.const(0n)),
        left(m.i32.const(exitReason.interpret)),
      ),
      results(
        m.i64.or(m.i64.shl(sp(), m.i64.const(32n)), pc()),
        m.i64.load(abi.result, 8, cpu()),
        ...abi.kept.map((slot) => m.f64.load(slot, 8, cpu())),
      ),
    ];
    const at = (): Expr => m.local.get(entry, i32);
    const known = (): Expr => m.i64.eq(m.i64.load32_u(JUMP_CACHE, 4, at()), pc());
    const rest = (): Expr => m.i32.sub(m.local.get(0, i32), m.i32.const(INTERPRETER_FRAME));
    const room = m.i32.ge_s(rest(), m.i32.load(SLOT_LIMIT, 4, cpu()));
    const called = m.i64.lt_u(m.i64.sub(spParam(), m.i64.const(level)), m.i64.load(SLOT_ENTERED, 8, cpu()));
    m.addFunction(
      name,
      regionParams,
      regionResults,
      [i32, i32, i32, i64],
      m.block(null, [
        ...[abi.sp, ...abi.params].map((slot, k) => m.i64.store(slot, 8, cpu(), m.local.get(k + 1, i64))),
        ...abi.kept.map((slot, k) => m.f64.store(slot, 8, cpu(), m.local.get(keptParam + k, f64))),
        ...(isCall ? [m.i64.store(SLOT_CALLED, 8, cpu(), pc())] : []),
        m.local.set(entry, cacheOffset(m, pc, JUMP_CACHE_ENTRIES)),
        m.if(m.i32.eqz(known()), m.local.set(entry, m.i32.xor(at(), m.i32.const(8)))),
        m.if(m.i32.eqz(m.i32.and(m.i32.and(known(), room), called)), m.block(null, answer())),
        m.local.set(stop, m.i64.load(SLOT_STOP, 8, cpu())),
        m.i64.store(SLOT_STOP, 8, cpu(), m.i64.sub(spParam(), m.i64.const(level))),
        m.local.set(stack, m.i32.load(SLOT_STACK, 4, cpu())),
        m.i32.store(SLOT_STACK, 4, cpu(), rest()),
        m.local.set(reason, m.call('interpret', [m.i32.load(JUMP_CACHE + 4, 4, at()), m.i32.const(INNER_BUDGET)], i32)),
        m.i64.store(SLOT_STOP, 8, cpu(), m.local.get(stop, i64)),
        m.i32.store(SLOT_STACK, 4, cpu(), m.local.get(stack, i32)),
        m.if(m.i32.ne(m.local.get(reason, i32), m.i32.const(exitReason.stopped)), left(m.local.get(reason, i32))),
        ...answer(),
      ]),
    );
    m.addFunctionExport(name, name);
  }

  /** What the runtime calls: the interpreter with no region around. */
  addRun(): void {
    const { m } = this;
    const { i32 } = binaryen;
    const { cpu } = this;
    m.addFunction(
      'run',
      binaryen.createType([i32, i32]),
      i32,
      [],
      m.block(null, [
        m.i32.store(SLOT_STACK, 4, cpu(), m.global.get('region_stack', i32)),
        m.i64.store(SLOT_STOP, 8, cpu(), m.i64.const(-1n)),
        m.return(m.call('interpret', [m.local.get(IP, i32), m.local.get(BUDGET, i32)], i32)),
      ]),
    );
    m.addFunctionExport('run', 'run');
  }

  /** The faults' common tails. */
  fault(access: number): Expr[] {
    const { m } = this;
    return [
      this.saveIp(),
      m.i64.store(SLOT_FAULT_ADDRESS, 8, this.cpu(), this.guestAddress()),
      m.i32.store(SLOT_FAULT_ACCESS, 4, this.cpu(), m.i32.const(access)),
      this.leave(exitReason.fault),
    ];
  }

  build(): Uint8Array {
    const { m, code } = this;
    // Named features only, as the host must have them (never Features.All).
    m.setFeatures(
      binaryen.Features.Atomics |
        binaryen.Features.BulkMemory |
        binaryen.Features.SIMD128 |
        binaryen.Features.SignExt |
        binaryen.Features.NontrappingFPToInt |
        binaryen.Features.MutableGlobals |
        binaryen.Features.Multivalue |
        binaryen.Features.ReferenceTypes |
        // References of one type.
        binaryen.Features.GC,
    );
    // Bytes of host stack that a region and those it calls may use.
    m.addGlobalImport('region_stack', 'env', 'region_stack', binaryen.i32, false);
    m.setMemory(65536, 65536, null, [], true);
    m.addMemoryImport('0', 'env', 'memory', true);
    const cases: (Expr[] | undefined)[] = [];
    for (const f of code.forms) cases[f.opcode] = this.form(f);
    for (const [opcode, body] of this.exits()) cases[opcode] = body;
    const names = cases.map((_, k) => `op${k}`);
    const switchOn = m.switch(names, 'bad', m.i32.load16_u(0, 2, this.ip()));
    let nest = m.block('op0', [switchOn]);
    for (let k = 0; k < cases.length; k++) {
      const outer = k + 1 < cases.length ? names[k + 1]! : 'bad';
      nest = m.block(outer, [nest, ...cases[k]!]);
    }
    // `resume` is where indirect jumps go on: their budget is spent outside the cases, in one place.
    const body = m.block(null, [
      m.loop(
        'next',
        m.block('misaligned_end', [
          m.block('fault_read', [
            m.block('fault_write', [
              m.block('misaligned', [
                m.block('resume', [m.block('lookup', [nest, m.unreachable()]), ...this.lookup]),
                ...this.spend(),
              ]),
              this.saveIp(),
              m.i32.store(SLOT_EXIT_ARG, 4, this.cpu(), m.i32.const(trap.protection)),
              this.leave(exitReason.trap),
            ]),
            ...this.fault(PAGE_WRITE),
          ]),
          ...this.fault(PAGE_READ),
        ]),
      ),
      m.unreachable(),
    ]);
    m.addFunction('interpret', binaryen.createType([binaryen.i32, binaryen.i32]), binaryen.i32, this.locals.vars, body);
    this.addRun();
    this.addMiss('miss_call', this.abi.returnPops ? 0n : 1n, true);
    this.addMiss('miss_jump', 0n, false);
    for (const h of this.helpers.values())
      m.addFunctionImport(h.name, 'helpers', h.name, binaryen.createType(h.params), h.result);
    m.addGlobal('table_hash', binaryen.i32, false, m.i32.const(code.hash));
    m.addGlobalExport('table_hash', 'table_hash');
    m.addGlobal('first_exit', binaryen.i32, false, m.i32.const(code.firstExit));
    m.addGlobalExport('first_exit', 'first_exit');
    if (!m.validate()) throw new Error('the generated interpreter does not validate');
    return m.emitBinary();
  }
}

/**
 * Wasm bytes of the interpreter for an op table. Imports: env.memory, env.table (regions), env.region_stack, helpers.*.
 * Exports: run, miss (what table slots without a region hold), table_hash and first_exit, of the Bytecode it was built from.
 */
export function generateInterpreter(table: OpTable, abi: RegionAbi): Uint8Array {
  const g = new InterpreterGenerator(table, abi);
  try {
    return g.build();
  } finally {
    g.m.dispose();
  }
}
