/** Runs test vectors through the interpreter, or as translated regions, and compares with what the CPU did. */
import { LinearMemory } from '../../src/runtime/linear-memory.ts';
import { Engine } from '../../src/runtime/engine.ts';
import type { MemoryChecks } from '../../src/translator/wasm/region-access.ts';
import { regionOptions } from './region-options.ts';
import { X86Context } from '../../src/runtime/x86-context.ts';
import {
  exitReason,
  PAGE_WRITE,
  SLOT_EXIT_ARG,
  SLOT_EXIT_IP,
  SLOT_FAULT_ACCESS,
  SLOT_FAULT_ADDRESS,
  trap,
} from '../../src/translator/ir/layout.ts';
import { disassemble } from '../../src/translator/x86_64/disassemble.ts';
import { FP_EXACT } from '../../src/translator/x86_64/state.ts';
import { initialState, type Outcome, type Vector } from './fixtures.ts';
import {
  CODE,
  CODE_PAGE,
  DATA,
  DATA_BYTES,
  DATA_PAGE,
  FX_BYTES,
  fxCompared,
  GS_BASE,
  type MachineState,
  PAGE,
} from './machine-state.ts';

const PROT_READ = 1;
const PROT_WRITE = 2;
const PROT_EXEC = 4;
const [SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV] = [4, 5, 7, 8, 11];
const signalOf: Record<number, number> = {
  [trap.invalidOpcode]: SIGILL,
  [trap.divide]: SIGFPE,
  [trap.breakpoint]: SIGTRAP,
  [trap.debug]: SIGTRAP,
  [trap.privileged]: SIGSEGV,
  [trap.overflow]: SIGSEGV,
  [trap.x87]: SIGFPE,
  [trap.simd]: SIGFPE,
  [trap.protection]: SIGSEGV,
};
const FLAGS = 0xdd5n;
const INT3 = 0xcc;

export class Replayer {
  readonly memory = new LinearMemory();
  readonly engine: Engine;
  readonly #context: X86Context;
  readonly #codePage = new Uint8Array(PAGE).fill(INT3);
  readonly #dataPage = new Uint8Array(PAGE);

  /** `checks`: each vector becomes a region, with its memory accesses checked in this way; null: the interpreter runs all. */
  constructor(checks: MemoryChecks | null = null) {
    const { memory } = this;
    const engine = new Engine(memory, { verifyIr: true, ...(checks && regionOptions(checks)) });
    this.engine = engine;
    if (engine.regions) engine.regions.onFirst = null;
    this.#context = new X86Context(memory, engine.allocateVcpu(), engine.flags);
    engine.enter(this.#context);
    memory.protect(CODE_PAGE, CODE_PAGE + PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
    memory.protect(DATA_PAGE, DATA_PAGE + PAGE, PROT_READ | PROT_WRITE);
  }

  #slot(slot: number): number {
    return this.memory.u32[(this.#context.address + slot) >>> 2]!;
  }

  /** `exact`: in the exact floating-point mode whatever MXCSR says. */
  run(key: string, vector: Vector, exact: boolean): Outcome & { stray: boolean } {
    const { memory, engine } = this;
    const { code } = engine;
    const c = this.#context;
    const s = initialState(key, vector);
    if (code.full) code.flush();
    this.#codePage.fill(INT3);
    this.#codePage.set(vector.code, CODE - CODE_PAGE);
    memory.u8.set(this.#codePage, CODE_PAGE);
    memory.written(CODE_PAGE, CODE_PAGE + PAGE);
    this.#dataPage.set(s.data, DATA - DATA_PAGE);
    memory.u8.set(this.#dataPage, DATA_PAGE);
    c.reset(CODE, 0);
    for (let k = 0; k < 16; k++) c.setGpr(k, s.gpr[k]!);
    c.setFlags(s.rflags);
    c.gsBase = GS_BASE;
    c.restoreFpState(s.fx);
    if (exact) memory.u32[(c.address + FP_EXACT) >>> 2] = 1;

    const end = this.#runToSignal();
    const gpr = new BigUint64Array(16);
    for (let k = 0; k < 16; k++) gpr[k] = c.getGpr(k);
    const fx = new Uint8Array(FX_BYTES);
    c.saveFpState(fx);
    for (let k = 0; k < FX_BYTES; k++) if (!fxCompared[k]) fx[k] = s.fx[k]!;
    const data = memory.u8.slice(DATA, DATA + DATA_BYTES);
    let stray = false;
    for (let at = DATA_PAGE; at < DATA; at += 8) if (memory.i64[at >>> 3] !== 0n) stray = true;
    return { ...end, state: { gpr, rflags: (c.getFlags() & FLAGS) | 0x202n, fx, data }, stray };
  }

  #runToSignal(): { signal: number; pc: number; address: bigint | null } {
    const { code, regions, run } = this.engine;
    const c = this.#context;
    let at = regions ? code.countedEntry(c.pc, c.flavour) : 0;
    code.stubs.recount(c.pc, 1);
    code.useFlavour(c.flavour);
    for (let steps = 0; steps < 1000; steps++) {
      if (at === 0) at = code.entry(c.pc, c.flavour);
      if (at === 0) return { signal: SIGSEGV, pc: c.pc, address: BigInt(c.pc) };
      const reason = run(at, 1000);
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
          return { signal: signalOf[this.#slot(SLOT_EXIT_ARG)] ?? 0, pc: where.pc, address: null };
        }
        case exitReason.fault: {
          const where = code.locate(this.#slot(SLOT_EXIT_IP))!;
          return { signal: SIGSEGV, pc: where.pc, address: this.#faultAddress(where.inst?.op.bytes || 1) };
        }
        default:
          throw new Error(`the interpreter returned ${reason} at ${c.pc.toString(16)}`);
      }
    }
    throw new Error('no end');
  }

  /** The first byte that may not be accessed; null when the address is not canonical. */
  #faultAddress(bytes: number): bigint | null {
    const { memory } = this;
    const at = (this.#context.address + SLOT_FAULT_ADDRESS) >>> 2;
    const low = memory.u32[at]!;
    const high = memory.u32[at + 1]!;
    if (high >= 0x8000 && high < 0xffff_8000) return null;
    const need = this.#slot(SLOT_FAULT_ACCESS) & PAGE_WRITE ? PROT_WRITE : PROT_READ;
    if (high === 0) {
      const next = (Math.floor(low / PAGE) + 1) * PAGE;
      const allowed = memory.protection(low);
      if (allowed >= 0 && allowed & need && low + bytes > next) return BigInt(next);
    }
    return (BigInt(high) << 32n) | BigInt(low);
  }
}

const registers = [
  'rax',
  'rcx',
  'rdx',
  'rbx',
  'rsp',
  'rbp',
  'rsi',
  'rdi',
  'r8',
  'r9',
  'r10',
  'r11',
  'r12',
  'r13',
  'r14',
  'r15',
];
const hex = (v: bigint | number): string => `0x${v.toString(16)}`;
const flagNames: [bigint, string][] = [
  [1n, 'CF'],
  [4n, 'PF'],
  [0x10n, 'AF'],
  [0x40n, 'ZF'],
  [0x80n, 'SF'],
  [0x100n, 'TF'],
  [0x400n, 'DF'],
  [0x800n, 'OF'],
];
const flags = (f: bigint): string =>
  flagNames
    .filter(([bit]) => f & bit)
    .map(([, name]) => name)
    .join(' ') || '-';
const bytes = (b: Uint8Array): string => Buffer.from(b).toString('hex');

/** Little-endian value of bytes, most significant first. */
const value = (b: Uint8Array): string => bytes(b.slice().reverse());

/** The parts of an FXSAVE image. */
const fxParts: [string, number, number][] = [
  ['fcw', 0, 2],
  ['fsw', 2, 4],
  ['tags', 4, 5],
  ['mxcsr', 24, 28],
  ...Array.from({ length: 8 }, (_, k): [string, number, number] => [`st${k}`, 32 + 16 * k, 42 + 16 * k]),
  ...Array.from({ length: 16 }, (_, k): [string, number, number] => [`xmm${k}`, 160 + 16 * k, 176 + 16 * k]),
];

interface Options {
  /** Sticky flags of MXCSR are kept. */
  sticky: boolean;
  undefinedFlags: number;
}

/** Lines that say what differs, `name: before, expected, got`; empty when all is as it should be. */
function differences(before: MachineState, want: Outcome, got: Outcome & { stray: boolean }, o: Options): string[] {
  const lines: string[] = [];
  const line = (name: string, was: string, expected: string, found: string): void => {
    if (expected !== found) lines.push(`${name}: before ${was}, expected ${expected}, got ${found}`);
  };
  // A non-canonical address based on RSP or RBP is #SS, which the thread runner, not the engine, tells from #GP.
  if (!(want.signal === SIGBUS && got.signal === SIGSEGV && got.address === null))
    line('signal', '-', String(want.signal), String(got.signal));
  if (want.pc !== got.pc) line('pc', hex(CODE), hex(want.pc), hex(got.pc));
  line(
    'fault address',
    '-',
    want.address === null ? 'none' : hex(want.address),
    got.address === null ? 'none' : hex(got.address),
  );
  for (const [k, name] of registers.entries())
    if (want.state.gpr[k] !== got.state.gpr[k])
      line(name, hex(before.gpr[k]!), hex(want.state.gpr[k]!), hex(got.state.gpr[k]!));
  const compared = FLAGS & ~BigInt(o.undefinedFlags & 0xffff);
  line('rflags', flags(before.rflags), flags(want.state.rflags & compared), flags(got.state.rflags & compared));
  // Text is made only for what differs.
  const vary = (name: string, part: (s: MachineState) => Uint8Array, text: (b: Uint8Array) => string): void => {
    const [expected, found] = [part(want.state), part(got.state)];
    if (Buffer.compare(expected, found) !== 0) line(name, text(part(before)), text(expected), text(found));
  };
  for (const [name, from, to] of fxParts) {
    const part = (s: MachineState): Uint8Array => {
      if (name !== 'mxcsr' && name !== 'fsw') return s.fx.subarray(from, to);
      const b = s.fx.slice(from, to);
      if (name === 'mxcsr' && !o.sticky) b[0]! &= 0xc0;
      if (name === 'fsw') b[1]! &= ~(o.undefinedFlags >> 24);
      return b;
    };
    vary(name, part, value);
  }
  for (let k = 0; k < DATA_BYTES; k += 8) vary(`data+${hex(k)}`, (s) => s.data.subarray(k, k + 8), bytes);
  if (got.stray) lines.push('the data page changed outside of the buffer');
  return lines;
}

const mxcsrOf = (s: MachineState): number => new DataView(s.fx.buffer, s.fx.byteOffset).getUint32(24, true);
/** Whether a vector begins in a mode that the fast floating point does not have (sticky flags alone are no mode). */
export const needsExact = (key: string, v: Vector): boolean => (mxcsrOf(initialState(key, v)) & ~0x3f) !== 0x1f80;

/** Null, or a report: instruction, operands of interest, and what differs. */
export async function check(
  replayer: Replayer,
  key: string,
  vector: Vector,
  want: Outcome,
  exact: boolean,
): Promise<string | null> {
  const before = initialState(key, vector);
  let lines: string[];
  try {
    const got = replayer.run(key, vector, exact);
    lines = differences(before, want, got, { sticky: exact, undefinedFlags: vector.undefinedFlags });
  } catch (e) {
    lines = [`the host failed: ${(e as Error).message}`];
  }
  if (lines.length === 0) return null;
  const text = (await disassemble(vector.code, CODE)).map((i) => i.text).join('; ');
  const general = registers.map((name, k) => `${name}=${hex(before.gpr[k]!)}`).join(' ');
  const vectors = /xmm/.test(text)
    ? `\n  ${fxParts
        .filter(([n]) => new RegExp(`\\b${n}\\b`).test(text))
        .map(([n, from, to]) => `${n}=${value(before.fx.subarray(from, to))}`)
        .join(' ')} mxcsr=${value(before.fx.subarray(24, 28))}`
    : '';
  return `${key} #${vector.index}: ${bytes(vector.code)}  ${text}\n  ${general}${vectors}\n  ${lines.join('\n  ')}`;
}
