/** Runs vectors on the engine, by its interpreter or as translated regions, and compares them with recorded outcomes. */
import { AArch64Context } from '../../../src/runtime/aarch64-context.ts';
import { Engine } from '../../../src/runtime/engine.ts';
import { isaRuntime, loadIsa } from '../../../src/runtime/isa.ts';
import { LinearMemory } from '../../../src/runtime/linear-memory.ts';
import { FPCR, FPSR } from '../../../src/translator/aarch64/state.ts';
import {
  exitReason,
  SLOT_EXIT_ARG,
  SLOT_EXIT_IP,
  SLOT_FAULT_ACCESS,
  SLOT_FAULT_ADDRESS,
} from '../../../src/translator/ir/layout.ts';
import type { MemoryChecks } from '../../../src/translator/wasm/region-access.ts';
import { regionOptions } from '../../instructions/region-options.ts';
import { engineOptions } from './engine-options.ts';
import type { Outcome } from './fixtures.ts';
import { BRK, CODE, CODE_PAGE, DATA, DATA_BYTES, DATA_PAGE, initialState, type MachineState } from './machine-state.ts';
import type { Vector } from './vectors.ts';

const SIGBUS = 7;
const SIGSEGV = 11;
const PAGE = 4096;
const READ = 1;
const WRITE = 2;
/** FPSR.QC: an integer operation saturated. */
const QC = 1 << 27;

await loadIsa('aarch64');

/** The parts of a state that differ from that before. */
export function outcomeOf(
  before: MachineState,
  after: MachineState,
  end: { signal: number; pc: number; address: bigint },
): Outcome {
  const words = (a: Uint8Array, b: Uint8Array): [number, bigint][] => {
    const [x, y] = [a, b].map((s) => new DataView(s.buffer, s.byteOffset, s.length));
    const list: [number, bigint][] = [];
    for (let k = 0; k < a.length; k += 8) {
      const value = y!.getBigUint64(k, true);
      if (value !== x!.getBigUint64(k, true)) list.push([k / 8, value]);
    }
    return list;
  };
  const gpr: [number, bigint][] = [];
  for (let k = 0; k < 32; k++) if (before.gpr[k] !== after.gpr[k]) gpr.push([k, after.gpr[k]!]);
  const { nzcv, fpcr, fpsr } = after;
  return {
    ...end,
    nzcv,
    fpcr,
    fpsr,
    gpr,
    vectors: words(before.vectors, after.vectors),
    data: words(before.data, after.data),
  };
}

export class Replayer {
  readonly memory = new LinearMemory();
  readonly engine: Engine;
  readonly #context: AArch64Context;

  /** `checks`: each vector becomes a region, with its memory accesses checked in this way; null: the interpreter runs all. */
  constructor(checks: MemoryChecks | null = null) {
    const { memory } = this;
    const engine = new Engine(memory, { ...engineOptions, ...(checks && regionOptions(checks)) }, 'aarch64');
    this.engine = engine;
    if (engine.regions) engine.regions.onFirst = null;
    memory.protect(CODE_PAGE, CODE_PAGE + PAGE, 7);
    memory.protect(DATA_PAGE, DATA_PAGE + PAGE, 3);
    this.#context = new AArch64Context(memory, engine.allocateVcpu(), engine.flags);
    engine.enter(this.#context);
    for (let k = 0; k < PAGE; k += 4) memory.u32[(CODE_PAGE + k) >>> 2] = BRK;
  }
  #slot(slot: number): number {
    return this.memory.u32[(this.#context.address + slot) >>> 2]!;
  }

  run(vector: Vector, before: MachineState): Outcome {
    const { memory, engine } = this;
    const c = this.#context;
    if (engine.code.full) engine.code.flush();
    memory.written(CODE, CODE + 64);
    for (let k = 0; k < 12; k++) memory.u32[(CODE >>> 2) + k] = vector.words[k] ?? BRK;
    memory.u8.fill(0, DATA_PAGE, DATA_PAGE + PAGE);
    memory.u8.set(before.data, DATA);
    c.reset(CODE, 0);
    for (let k = 0; k < 31; k++) c.setGpr(k, before.gpr[k]!);
    const sp = before.gpr[31]!;
    memory.i64[(c.address + 0x178) >>> 3] = BigInt.asIntN(64, sp);
    c.setFlags(BigInt(before.nzcv));
    const fp = new Uint8Array(c.fpStateSize);
    new DataView(fp.buffer).setUint32(0, before.fpsr, true);
    new DataView(fp.buffer).setUint32(4, before.fpcr, true);
    fp.set(before.vectors, 8);
    c.restoreFpState(fp);
    const end = this.#runToSignal();
    const gpr = new BigUint64Array(32);
    for (let k = 0; k < 31; k++) gpr[k] = c.getGpr(k);
    gpr[31] = BigInt.asUintN(64, memory.i64[(c.address + 0x178) >>> 3]!);
    c.saveFpState(fp);
    const after: MachineState = {
      gpr,
      nzcv: Number(c.getFlags()),
      fpcr: this.#slot(FPCR),
      fpsr: this.#slot(FPSR),
      vectors: fp.subarray(8),
      data: memory.u8.slice(DATA, DATA + DATA_BYTES),
    };
    return outcomeOf(before, after, { ...end, pc: end.pc - CODE });
  }

  #runToSignal(): { signal: number; pc: number; address: bigint } {
    const { engine, memory } = this;
    const { code, regions } = engine;
    const c = this.#context;
    let at = regions ? code.countedEntry(c.pc, c.flavour) : 0;
    code.stubs.recount(c.pc, 1);
    code.useFlavour(c.flavour);
    for (let steps = 0; steps < 1000; steps++) {
      if (at === 0) at = code.entry(c.pc, c.flavour);
      if (at === 0) return { signal: SIGSEGV, pc: c.pc, address: BigInt(c.pc) };
      const reason = engine.run(at, 1000);
      at = 0;
      switch (reason) {
        case exitReason.miss:
        case exitReason.link:
        case exitReason.interpret:
          break;
        case exitReason.hot:
          regions!.request(c.pc);
          at = code.countedEntry(c.pc, c.flavour);
          break;
        case exitReason.mode:
          code.useFlavour(c.flavour);
          break;
        case exitReason.trap: {
          const where = code.locate(this.#slot(SLOT_EXIT_IP))!;
          const site = {
            number: this.#slot(SLOT_EXIT_ARG),
            pc: where.pc,
            end: where.block.end,
            inst: where.inst,
            slot: (slot: number) => this.#slot(slot),
          };
          const { fault, pc } = isaRuntime('aarch64').trap(site);
          return { signal: fault.signo, pc, address: fault.signo === SIGBUS ? BigInt(fault.address) : 0n };
        }
        case exitReason.fault: {
          const where = code.locate(this.#slot(SLOT_EXIT_IP))!;
          const word = (c.address + SLOT_FAULT_ADDRESS) >>> 2;
          const low = memory.u32[word]!;
          const high = memory.u32[word + 1]!;
          if (high !== 0 && isaRuntime('aarch64').highAddress(c, high) === 'retry') {
            code.useFlavour(c.flavour);
            at = code.entry(where.pc, c.flavour);
            break;
          }
          return { signal: SIGSEGV, pc: where.pc, address: this.#firstFaulting(low, high, where.inst?.op.bytes || 1) };
        }
        default:
          throw new Error(`the interpreter returned ${reason} at ${c.pc.toString(16)}`);
      }
    }
    throw new Error('no end');
  }

  /** The first byte that may not be accessed. */
  #firstFaulting(low: number, high: number, bytes: number): bigint {
    const need = this.#slot(SLOT_FAULT_ACCESS) & 2 ? WRITE : READ;
    const next = (Math.floor(low / PAGE) + 1) * PAGE;
    const allowed = high === 0 ? this.memory.protection(low) : -1;
    if (allowed >= 0 && allowed & need && low + bytes > next) return BigInt(next);
    return (BigInt(high) << 32n) | BigInt(low);
  }
}

const hex = (v: bigint | number): string => `0x${v.toString(16)}`;

/** Null, or a report of what differs. `fpsr`: sticky flags are compared. */
export function check(replayer: Replayer, key: string, vector: Vector, want: Outcome): string | null {
  const before = initialState(vector.seed, vector.profile, vector.overrides);
  const lines: string[] = [];
  try {
    const got = replayer.run(vector, before);
    const line = (name: string, expected: string, found: string): void => {
      if (expected !== found) lines.push(`${name}: expected ${expected}, got ${found}`);
    };
    line('signal', String(want.signal), String(got.signal));
    line('pc', hex(want.pc), hex(got.pc));
    line('address', hex(want.address), hex(got.address));
    line('nzcv', hex(want.nzcv >>> 28), hex(got.nzcv >>> 28));
    line('fpcr', hex(want.fpcr), hex(got.fpcr));
    // The sticky flags of floating point are kept in exact mode alone; QC always.
    const kept = before.fpcr === 0 ? QC : -1;
    line('fpsr', hex(want.fpsr & kept), hex(got.fpsr & kept));
    for (const part of ['gpr', 'vectors', 'data'] as const) {
      const all = new Map<number, [bigint | null, bigint | null]>();
      for (const [k, v] of want[part]) all.set(k, [v, null]);
      for (const [k, v] of got[part]) all.set(k, [all.get(k)?.[0] ?? null, v]);
      for (const [k, [w, g]] of all) {
        if (w === g) continue;
        const name =
          part === 'gpr'
            ? k === 31
              ? 'sp'
              : `x${k}`
            : part === 'vectors'
              ? `v${k >> 1}.d[${k & 1}]`
              : `data+${hex(k * 8)}`;
        lines.push(`${name}: expected ${w === null ? 'as before' : hex(w)}, got ${g === null ? 'as before' : hex(g)}`);
      }
    }
  } catch (e) {
    lines.push(`the host failed: ${(e as Error).stack}`);
  }
  if (lines.length === 0) return null;
  const words = vector.words.map((w) => (w >>> 0).toString(16).padStart(8, '0')).join(' ');
  const view = new DataView(before.vectors.buffer);
  const registers = [
    vector.words[0]! & 31,
    (vector.words[0]! >>> 5) & 31,
    (vector.words[0]! >>> 16) & 31,
    (vector.words[0]! >>> 10) & 31,
  ];
  const operands = [...new Set(registers)]
    .map(
      (n) =>
        `x${n}=${hex(before.gpr[n]!)} v${n}=${view.getBigUint64(n * 16 + 8, true).toString(16)}:${view.getBigUint64(n * 16, true).toString(16)}`,
    )
    .join(' ');
  return `${key}: ${words}\n  ${operands} nzcv=${hex(before.nzcv >>> 28)} fpcr=${hex(before.fpcr)}\n  ${lines.join('\n  ')}`;
}
