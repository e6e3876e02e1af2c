/**
 * `--jit=verify`: runs each region, undoes what it did, has the interpreter do the same, and compares. Takes the place of the
 * interpreter's `run`, so that the loop around it (thread.ts) is as always.
 *
 * A step enters a region as the interpreter would. Regions made for this write down the blocks they run and what their stores
 * overwrite (translator/wasm/region-journal.ts); they call each other, loop and return as usual, and are left when the trace
 * has some number of blocks, which changes from step to step, so that they are left at all places, and run through all. Nothing
 * interprets in between: jump caches stay empty, so a place without a region leads back here. Then, with memory and registers
 * as they were, the interpreter runs the same blocks one by one, each made of the guest's bytes anew and without any pass.
 * Control must go the same way, and at the end all registers and all bytes stored to must be the same, but for flags that
 * regions leave alone because nobody asks for them. The run goes on with the interpreter's result.
 */
import type { Block } from '../../translator/ir/block.ts';
import {
  exitReason,
  ISA_STATE,
  JOURNAL,
  JOURNAL_ENTRY,
  RUNTIME_BASE,
  SLOT_EXIT_IP,
  SLOT_JOURNAL,
  SLOT_PC,
  SLOT_TRACE,
  SLOT_TRACE_END,
  TEMPS,
  TRACE,
  VCPU,
} from '../../translator/ir/layout.ts';
import { DeadRegisters } from '../../translator/region/dead.ts';
import { bytesStored, pieces } from '../../translator/region/journal.ts';
import { RegisterUnits, type Units } from '../../translator/region/units.ts';
import type { CodeBlock } from '../code-blocks.ts';
import type { CodeSpace } from '../code-space.ts';
import type { FlagReader, GuestFrontEnd } from '../isa.ts';
import type { LinearMemory } from '../linear-memory.ts';

type Run = (ip: number, budget: number) => number;

/** Blocks after which a step is over, one after the other; beyond them a region goes on to where it can be left. */
const LENGTHS = [1, 40, 3, 200, 8, 2, 20, 1000, 5, 100];
/** Steps between looks of the thread loop at signals and the clock. */
const STEPS = 200;
const TWO32 = 0x1_0000_0000;
/** Blocks: as many as a region may have. */
const ALL_OF_A_REGION = 2000;

/** A piece of code of the trace, as the interpreter runs it. */
interface Span {
  readonly code: CodeBlock;
  readonly block: Block;
  /** Entries that its stores make in the journal. */
  readonly entries: number;
  /** It reads a clock: no two runs are the same. */
  readonly clock: boolean;
  /** What it does to the flags, as far as regions are free with them. */
  readonly flags: 'set' | 'kept' | 'given up';
}

/** Code [pc, end) that a region has run. */
export interface Step {
  readonly pc: number;
  readonly end: number;
}

/** What a region did otherwise than the interpreter. */
export interface Difference {
  /** Where the region was entered, and the blocks that ran, up to the one at whose end the difference was seen. */
  entry: number;
  trace: Step[];
  /** One line each. */
  findings: string[];
}

export interface VerifierParts {
  memory: LinearMemory;
  code: CodeSpace;
  front: GuestFrontEnd;
  /** Of the interpreter. */
  run: () => Run;
  flags: () => FlagReader;
  /** Whether regions made now notice what the interpreter notices of memory accesses. */
  exact: () => boolean;
  nameOf: (slot: number) => string;
  onDifference: (difference: Difference) => never;
}

export class Verifier {
  readonly #parts: VerifierParts;
  readonly #units: RegisterUnits;
  /** By start, then by end. */
  #spans = new Map<number, Map<number, Span>>();
  #generation = -1;
  #step = 0;
  readonly #before = new Uint8Array(TEMPS);
  readonly #result = new Uint8Array(TEMPS);
  #stored = new Uint8Array(0);
  /** Steps compared, and the blocks in them. */
  readonly stats = { steps: 0, blocks: 0, uncompared: 0 };

  constructor(parts: VerifierParts) {
    this.#parts = parts;
    this.#units = new RegisterUnits(parts.front.abi);
    parts.code.isolated = true;
  }

  /** As the interpreter's. */
  run = (ip: number, _budget: number): number => {
    const { code } = this.#parts;
    const run = this.#parts.run();
    let at = ip;
    for (let n = 0; n < STEPS; n++) {
      const place = code.blockAt(at);
      if (place && place.exit === null && code.stubs.hasRegion(place.pc)) {
        const reason = this.#compare(place.pc, at);
        if (reason !== exitReason.attention || n === STEPS - 1) return reason;
        const pc = this.#pc();
        // Off the region's way, or no way on: the thread loop knows what then.
        if (!code.stubs.hasRegion(pc)) return reason;
        at = code.countedEntry(pc, 0);
        if (at === 0 || this.#traceLength() === 0) return reason;
        continue;
      }
      const reason = run(at, 1);
      if (reason !== exitReason.tick) return reason;
      at = this.#u32(VCPU + SLOT_EXIT_IP);
    }
    return exitReason.tick;
  };

  #u32(address: number): number {
    return this.#parts.memory.u32[address >>> 2]!;
  }
  #set(address: number, value: number): void {
    this.#parts.memory.u32[address >>> 2] = value;
  }
  #pc(): number {
    return this.#u32(VCPU + SLOT_PC + 4) * TWO32 + this.#u32(VCPU + SLOT_PC);
  }
  #setPc(pc: number): void {
    this.#set(VCPU + SLOT_PC, pc % TWO32);
    this.#set(VCPU + SLOT_PC + 4, Math.floor(pc / TWO32));
  }
  #traceLength(): number {
    return (this.#u32(VCPU + SLOT_TRACE) - TRACE) / 8;
  }

  /** One step: the region at `entry`, whose stub is at `ip`, and the interpreter. Returns why code was left. */
  #compare(entry: number, ip: number): number {
    const { memory, onDifference } = this.#parts;
    const { u8 } = memory;
    const run = this.#parts.run();
    this.#before.set(u8.subarray(VCPU, VCPU + TEMPS));
    this.#set(VCPU + SLOT_TRACE, TRACE);
    this.#set(VCPU + SLOT_TRACE_END, TRACE + LENGTHS[this.#step++ % LENGTHS.length]! * 8);
    this.#set(VCPU + SLOT_JOURNAL, JOURNAL);
    let left: number | null;
    try {
      left = run(ip, 1);
    } catch (e) {
      // A pointer into the first pages; where that was the trace does not tell.
      if (!(e instanceof WebAssembly.RuntimeError)) throw e;
      left = null;
    }
    const leftAt = this.#pc();
    this.#result.set(u8.subarray(VCPU, VCPU + TEMPS));
    const entries = (this.#u32(VCPU + SLOT_JOURNAL) - JOURNAL) / JOURNAL_ENTRY;
    const trace = this.#trace();
    this.#undo(entries);
    u8.set(this.#before, VCPU);
    this.#set(VCPU + SLOT_TRACE, TRACE + trace.length * 8);

    const differ = (upTo: number, ...findings: string[]): never =>
      onDifference({ entry, trace: trace.slice(0, upTo), findings });
    const hex = (n: number): string => `0x${n.toString(16)}`;
    let pc = entry;
    let reason: number = exitReason.attention;
    let stores = 0;
    let clock = false;
    const spans: Span[] = [];
    for (const [k, { pc: start, end }] of trace.entries()) {
      if (start !== pc && !clock) differ(k, `the region goes on at ${hex(start)}, the interpreter at ${hex(pc)}`);
      // Left within: before an instruction that is not for regions.
      const within = k === trace.length - 1 && left === exitReason.interpret && leftAt >= start && leftAt < end;
      const stop = within ? leftAt : end;
      if (start !== pc || stop === start) break;
      const span = this.#span(start, stop);
      if (!span) return differ(k + 1, `no straight code from ${hex(start)} to ${hex(stop)}`);
      spans.push(span);
      stores += span.entries;
      clock ||= span.clock;
      reason = run(span.code.ip, 2);
      if (reason === exitReason.fault || reason === exitReason.trap) {
        // Only with exact accesses do regions see it, and leave before it. The run goes on with what the interpreter found.
        if (this.#parts.exact()) differ(k + 1, `the interpreter is stopped (reason ${reason}), the region was not`);
        this.stats.uncompared++;
        return reason;
      }
      pc = this.#pc();
    }
    this.#setPc(pc);
    if (left === null) {
      if (!clock) differ(trace.length, 'the region makes an access that is refused, the interpreter does not');
    }
    if (reason !== exitReason.miss) this.#set(VCPU + SLOT_EXIT_IP, 0);
    if (clock) {
      this.stats.uncompared++;
      return reason === exitReason.syscall ? reason : exitReason.miss;
    }
    if (pc !== leftAt) differ(trace.length, `the region is left for ${hex(leftAt)}, the interpreter is at ${hex(pc)}`);
    if ((left === exitReason.syscall) !== (reason === exitReason.syscall))
      differ(trace.length, 'only one of them comes to a system call');
    const findings = [...this.#registers(spans, pc), ...this.#memory(entries)];
    if (stores !== entries) findings.push(`the region has made ${entries} stores, the interpreter ${stores}`);
    if (findings.length > 0) differ(trace.length, ...findings);
    this.stats.steps++;
    this.stats.blocks += trace.length;
    return left ?? exitReason.miss;
  }

  #trace(): Step[] {
    return Array.from({ length: this.#traceLength() }, (_, k) => ({
      pc: this.#u32(TRACE + k * 8),
      end: this.#u32(TRACE + k * 8 + 4),
    }));
  }

  /** Keeps what the region has stored, and brings back what was there before. */
  #undo(entries: number): void {
    const { u8 } = this.#parts.memory;
    if (this.#stored.length < entries * 16) this.#stored = new Uint8Array(entries * 32);
    for (let k = 0; k < entries; k++) {
      const at = JOURNAL + k * JOURNAL_ENTRY;
      const address = this.#u32(at);
      this.#stored.set(u8.subarray(address, address + this.#u32(at + 4)), k * 16);
    }
    for (let k = entries - 1; k >= 0; k--) {
      const at = JOURNAL + k * JOURNAL_ENTRY;
      if (this.#u32(at) < RUNTIME_BASE) u8.copyWithin(this.#u32(at), at + 8, at + 8 + this.#u32(at + 4));
    }
  }
  /** Bytes the region has stored to that the interpreter has left otherwise. */
  #memory(entries: number): string[] {
    const { u8 } = this.#parts.memory;
    const out = new Set<string>();
    const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
    for (let k = 0; k < entries; k++) {
      const address = this.#u32(JOURNAL + k * JOURNAL_ENTRY);
      const length = this.#u32(JOURNAL + k * JOURNAL_ENTRY + 4);
      let same = true;
      for (let n = 0; n < length; n++) if (u8[address + n] !== this.#stored[k * 16 + n]) same = false;
      if (same) continue;
      const [region, interpreter] = [
        this.#stored.subarray(k * 16, k * 16 + length),
        u8.slice(address, address + length),
      ];
      out.add(`bytes at 0x${address.toString(16)}: region ${text(region)}, interpreter ${text(interpreter)}`);
    }
    return [...out];
  }

  /** Registers that differ. */
  #registers(spans: readonly Span[], pc: number): string[] {
    const { memory, nameOf } = this.#parts;
    const now = memory.u8.subarray(VCPU, VCPU + TEMPS);
    if (Buffer.compare(now.subarray(ISA_STATE), this.#result.subarray(ISA_STATE)) === 0) return [];
    const { front, code } = this.#parts;
    const { abi } = front;
    const reader = { bytes: memory.u8, limit: (at: number): number => code.limit(at) };
    // What the code there does not ask for regions need not have written back.
    const dead = new DeadRegisters(front, reader, this.#units, []).at(pc);
    const view = new DataView(this.#result.buffer);
    const out: string[] = [];
    const free = dead | (this.#areGivenUp(spans) ? this.#copiesOfFlags(spans.at(-1)!.block) : 0n);
    let flags = false;
    for (let slot = ISA_STATE; slot < TEMPS; slot += 8) {
      const region = view.getBigInt64(slot, true);
      const interpreter = memory.i64[(VCPU + slot) >>> 3]!;
      if (region === interpreter) continue;
      if (slot >= abi.flags.first && slot <= abi.flags.last) flags = true;
      else if ((this.#units.of(slot) & free) === 0n)
        out.push(`${nameOf(slot)}: region ${hex64(region)}, interpreter ${hex64(interpreter)}`);
    }
    // A region knows of all its blocks what they do to flags.
    const deadFlags = (): Units => new DeadRegisters(front, reader, this.#units, [], ALL_OF_A_REGION).at(pc);
    if (flags && !this.#flagsFree(spans, dead) && !this.#flagsFree(spans, deadFlags())) {
      const read = (get: (slot: number) => bigint): number => {
        const [op, a, b, result] = [0, 8, 16, 24].map((at) => get(abi.flags.first + at));
        return this.#parts.flags()(Number(op), a!, b!, result!);
      };
      const region = read((slot) => view.getBigInt64(slot, true));
      const interpreter = read((slot) => memory.i64[(VCPU + slot) >>> 3]!);
      if (region !== interpreter)
        out.push(`flags: region 0x${(region >>> 0).toString(16)}, interpreter 0x${(interpreter >>> 0).toString(16)}`);
    }
    return out;
  }
  /** Whether regions may have left the flags alone: nobody asks for them, or a return has given them up. */
  #flagsFree(spans: readonly Span[], dead: Units): boolean {
    return this.#areGivenUp(spans) || (this.#units.flags & ~dead) === 0n;
  }
  #areGivenUp(spans: readonly Span[]): boolean {
    return spans.findLast(({ flags }) => flags !== 'kept')?.flags === 'given up';
  }
  /** Registers that the system call at the end of a block puts the flags into (x86-64: r11). */
  #copiesOfFlags({ insts, exit, exitPc }: Block): Units {
    if (exit.kind !== 'syscall') return 0n;
    let copies = 0n;
    const temps = new Set<number>();
    for (const inst of insts) {
      if (inst.pc !== exitPc || inst.op.result === null) continue;
      const copied =
        (this.#units.reads(inst) & this.#units.flags) !== 0n || inst.inputs.some((slot) => temps.has(slot));
      if (!copied) continue;
      temps.add(inst.d);
      copies |= this.#units.writes(inst);
    }
    return copies;
  }

  #span(pc: number, end: number): Span | null {
    const { code } = this.#parts;
    if (this.#generation !== code.stats.flushes) {
      this.#generation = code.stats.flushes;
      this.#spans.clear();
    }
    let byEnd = this.#spans.get(pc);
    if (!byEnd) {
      byEnd = new Map();
      this.#spans.set(pc, byEnd);
    }
    const known = byEnd.get(end);
    if (known && !known.code.dead) return known;
    const made = code.span(pc, end);
    if (!made) return null;
    const { block } = made;
    let entries = 0;
    for (const inst of block.insts) entries += [...pieces(bytesStored(inst) ?? 0)].length;
    const clock = block.insts.some(
      ({ op }) => op.kind === 'state' && op.reads.length === 0 && op.writes.length === 0 && op.result !== null,
    );
    const span: Span = { ...made, entries, clock, flags: this.#flagsOf(block) };
    byEnd.set(end, span);
    return span;
  }
  #flagsOf({ insts, exit }: Block): Span['flags'] {
    const { flags, abi } = this.#units;
    const setters = insts.filter((inst) => (this.#units.writes(inst) & flags) !== 0n);
    const last = setters.at(-1);
    if (exit.kind === 'ret' && last?.op.name.startsWith('flags.') && last.inputs[0] === abi.sp) return 'given up';
    // What takes over part of the old flags leaves that part as it was.
    const first = insts.find((inst) => ((this.#units.writes(inst) | this.#units.reads(inst)) & flags) !== 0n);
    return last && first && (this.#units.reads(first) & flags) === 0n ? 'set' : 'kept';
  }
}

const hex64 = (n: bigint): string => `0x${BigInt.asUintN(64, n).toString(16)}`;
