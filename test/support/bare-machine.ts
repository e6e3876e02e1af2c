/** A vCPU without a kernel: code bytes in, registers out. */
import { Engine, type EngineOptions } from '../../src/runtime/engine.ts';
import { LinearMemory } from '../../src/runtime/linear-memory.ts';
import { X86Context } from '../../src/runtime/x86-context.ts';
import { exitReason, SLOT_EXIT_ARG, SLOT_EXIT_IP, SLOT_FAULT_ADDRESS } from '../../src/translator/ir/layout.ts';

export const CODE = 0x10_0000;
export const DATA = 0x20_0000;
export const STACK_TOP = 0x31_0000;

export type Stop =
  | { kind: 'trap'; trap: number; pc: number }
  | { kind: 'fault'; address: number; pc: number }
  | { kind: 'syscall'; next: number };

export class BareMachine {
  readonly memory = new LinearMemory();
  readonly engine: Engine;
  readonly cpu: X86Context;

  /** Maps code (rwx), data (rw, 64 KiB) and a stack (rw, 64 KiB). */
  constructor(options: EngineOptions = { verifyIr: true }) {
    this.engine = new Engine(this.memory, options);
    this.cpu = new X86Context(this.memory, this.engine.allocateVcpu(), this.engine.flags);
    this.engine.enter(this.cpu);
    this.memory.protect(CODE, CODE + 0x1_0000, 7);
    this.memory.protect(DATA, DATA + 0x1_0000, 3);
    this.memory.protect(STACK_TOP - 0x1_0000, STACK_TOP, 3);
    this.cpu.reset(CODE, STACK_TOP);
  }
  load(code: readonly number[], at = CODE): void {
    this.memory.u8.set(code, at);
    this.memory.written(at, at + code.length);
  }
  /** Runs from `cpu.pc` to a trap, a fault or a system call. Stores to watched pages are handled as the thread loop does. */
  run(budget = 1_000_000): Stop {
    const { engine, cpu, memory } = this;
    const word = (slot: number): number => memory.u32[(cpu.address + slot) >>> 2]!;
    let ip = 0;
    for (let exits = 0; exits < 10_000; exits++) {
      ip ||= engine.code.entry(cpu.pc, cpu.flavour);
      if (ip === 0) return { kind: 'fault', address: cpu.pc, pc: cpu.pc };
      const reason = engine.run(ip, budget);
      ip = 0;
      const where = () => engine.code.locate(word(SLOT_EXIT_IP))!;
      switch (reason) {
        case exitReason.miss:
          break;
        case exitReason.link:
          ip = engine.code.link(word(SLOT_EXIT_ARG), cpu.pc, cpu.flavour);
          break;
        case exitReason.tick:
          ip = word(SLOT_EXIT_IP);
          break;
        case exitReason.mode:
          engine.code.useFlavour(cpu.flavour);
          break;
        case exitReason.syscall:
          return { kind: 'syscall', next: cpu.pc };
        case exitReason.trap:
          return { kind: 'trap', trap: word(SLOT_EXIT_ARG), pc: where().pc };
        case exitReason.fault: {
          const { pc, block } = where();
          const address = word(SLOT_FAULT_ADDRESS);
          if (!engine.code.holdsCode(address >>> 12)) return { kind: 'fault', address, pc };
          engine.code.invalidate(address & ~4095, (address & ~4095) + 4096);
          ip = block.dead || block.transient ? engine.code.singleStep(pc, cpu.flavour) : word(SLOT_EXIT_IP);
          break;
        }
      }
    }
    throw new Error('the code does not come to an end');
  }
}
