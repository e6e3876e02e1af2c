/**
 * The loop that runs one guest thread: translated code until it needs something, then the runtime or the kernel. It is
 * synchronous for as long as nothing has to wait.
 */
import { BUS_ADRALN, SIGBUS, SIGSEGV, SI_KERNEL } from '../kernel/abi/signals.ts';
import { GUEST_LIMIT, PAGE_SIZE } from '../kernel/mm/guest-memory.ts';
import { type Fault, raiseFault } from '../kernel/signals/deliver.ts';
import { dispatchSyscall } from '../kernel/syscalls/dispatch.ts';
import { vsyscall } from '../kernel/syscalls/vsyscall.ts';
import type { GuestTask } from '../kernel/task/guest-task.ts';
import {
  exitReason,
  PAGE_EXEC,
  PAGE_GUEST_WRITE,
  PAGE_MAPPED,
  PAGE_READ,
  PAGE_WRITE,
  SLOT_CALLED,
  SLOT_EXIT_ARG,
  SLOT_EXIT_IP,
  SLOT_FAULT_ACCESS,
  SLOT_FAULT_ADDRESS,
  SLOT_PC,
  VCPU,
} from '../translator/ir/layout.ts';
import type { Engine, SyscallCaller } from './engine.ts';
import type { GuestContext } from './isa.ts';
import type { Profiler } from './profile.ts';
import { hasUsed, nowMs } from './node-host.ts';

/** Block exits until the interpreter gives up by itself: two milliseconds, before it is optimised. */
const BUDGET = 50_000;
/** Times that code is left, each time with a new budget, between looks at the clock; a power of two. */
const LEAVES_PER_LOOK = 4;
/** System calls between looks at the clock. */
const CALLS_PER_LOOK = 32;
/** Processor time after which a program is worth optimised code, in milliseconds (`usedMs`), whatever it is spent on. */
const OPTIMISE_AFTER_MS = 350;

const TRAP_PAGE_FAULT = 14;
const TRAP_GENERAL_PROTECTION = 13;
/** Page-fault error code bits (SDM volume 3, section 4.7). */
const PF_PRESENT = 1;
const PF_WRITE = 2;
const PF_USER = 4;
const PF_FETCH = 16;
const SEGV_MAPERR = 1;
const SEGV_ACCERR = 2;

/** What a step ends with, beside a promise: the thread goes on when that settles. */
export const SLICE_OVER = Symbol('slice over');
export const ENDED = Symbol('ended');

/** After a system call: straight back to the code, or signals want looking at first. */
const GO_ON = Symbol('go on');
const LOOK = Symbol('look');
type CallOutcome = Promise<unknown> | typeof SLICE_OVER | typeof GO_ON | typeof LOOK;

const started = nowMs();

/**
 * Translated code has used a pointer into the first pages, where nothing looks (docs/regions.md, "Memory accesses"): registers
 * and address are lost. A guest that catches SIGSEGV has its accesses looked at, so that it comes to its end here.
 */
const isWildAccess = (e: unknown): boolean => e instanceof WebAssembly.RuntimeError && /out of bounds/.test(e.message);

/** The same of an atomic access that is not aligned, where the guest's processor would refuse it. */
const isMisaligned = (e: unknown): boolean => e instanceof WebAssembly.RuntimeError && /unaligned/.test(e.message);

/** The guest wants to see its faults, and may go on after them. */
const catchesFaults = ({ sighand }: GuestTask): boolean => sighand.catches(SIGSEGV) || sighand.catches(SIGBUS);

export class ThreadRunner implements SyscallCaller {
  readonly task: GuestTask;
  readonly #engineOf: (task: GuestTask) => Engine;
  readonly #profiler: Profiler | null;
  #engine: Engine;
  #context: GuestContext;
  #sliceEnd = 0;
  /** System calls since the clock was looked at. */
  #calls = 0;
  /** Of a system call that a region has made and could not go on after. */
  #outcome: CallOutcome | null = null;

  /** `engineOf` gives the engine of the task's current address space: execve(2) changes it. */
  constructor(task: GuestTask, engineOf: (task: GuestTask) => Engine, profiler: Profiler | null = null) {
    this.task = task;
    this.#profiler = profiler;
    this.#engineOf = engineOf;
    this.#engine = engineOf(task);
    this.#context = task.cpu as GuestContext;
  }

  /** Runs the thread until it waits, it ends, or `nowMs()` is past `sliceEnd`. */
  step(sliceEnd: number): Promise<unknown> | typeof SLICE_OVER | typeof ENDED {
    const from = nowMs();
    this.task.runningSince = from;
    this.#profiler?.begin();
    try {
      return this.#step(sliceEnd);
    } finally {
      const { task } = this;
      task.runningSince = null;
      const used = nowMs() - from;
      if (task.dead) task.process.addCpuTime(used);
      else task.cpuTime += used;
    }
  }

  #step(sliceEnd: number): Promise<unknown> | typeof SLICE_OVER | typeof ENDED {
    const { task } = this;
    this.#sliceEnd = sliceEnd;
    this.#calls = 0;
    for (;;) {
      const action = task.beforeUserMode();
      if (action.kind === 'exit') return ENDED;
      if (action.kind === 'wait') return action.until;
      this.#engine = this.#engineOf(task);
      this.#context = task.cpu as GuestContext;
      this.#engine.regions?.setExactFaults(catchesFaults(task), task.mm.kept.program);
      this.#engine.regions?.poll();
      this.#engine.noteStep(task.kernel.tasks.size === 1 && this.#profiler === null);
      while (this.#runCode(0) < 0) {
        const outcome = this.#outcome ?? this.#call();
        this.#outcome = null;
        if (outcome === LOOK) break;
        if (outcome !== GO_ON) return outcome;
      }
      const now = nowMs();
      const worthIt = now - started > OPTIMISE_AFTER_MS && hasUsed(OPTIMISE_AFTER_MS);
      if (worthIt || this.#engine.computes || this.#engine.cache?.expectsLongRun()) this.#engine.optimise();
      if (now > sliceEnd) return SLICE_OVER;
    }
  }

  /** A system call: synchronous ones that leave nothing to do go straight back to the code. */
  #call(): CallOutcome {
    const { task } = this;
    const result = dispatchSyscall(task);
    this.#profiler?.called(task);
    if (typeof result !== 'number') return result;
    this.#engine.regions?.setExactFaults(catchesFaults(task), task.mm.kept.program);
    if (++this.#calls >= CALLS_PER_LOOK) {
      this.#calls = 0;
      if (nowMs() > this.#sliceEnd) return SLICE_OVER;
    }
    return task.restart !== 0 || task.syscallNumber < 0 || task.signalPending() ? LOOK : GO_ON;
  }
  /** A system call of a region, whose callers have frames on the host's stack: as Engine.caller. */
  callInPlace(): number {
    const { code } = this.#engine;
    const { dropped } = code;
    const { pc } = this.#context;
    const outcome = this.#call();
    // Frames of code that is not there any more must not go on, nor any when the call has set all registers.
    if (outcome === GO_ON && code.dropped === dropped && this.#context.pc === pc) return 0;
    this.#outcome = outcome;
    return 1;
  }

  #slot(slot: number): number {
    return this.#engine.memory.u32[(VCPU + slot) >>> 2]!;
  }

  /**
   * Runs guest code. Returns -1 at a system call, otherwise 0 with `pc` set, when signals and the clock want looking at.
   */
  #runCode(ip: number): number {
    const context = this.#context;
    let flavour = context.flavour;
    let at = ip;
    this.#engine.enter(context);
    const { code, run, exits } = this.#engine;
    this.#engine.caller = this;
    code.useFlavour(flavour);
    let leaves = 0;
    for (;;) {
      if (at === 0) {
        if (code.full) code.flush();
        at = code.entry(context.pc, flavour);
        if (at === 0) {
          this.#fetchFault(context.pc);
          return 0;
        }
      }
      let reason: number;
      try {
        reason = run(at, BUDGET);
      } catch (e) {
        if (isMisaligned(e)) this.#fault({ signo: SIGBUS, code: BUS_ADRALN, address: 0, trapno: 0, err: 0 });
        else if (isWildAccess(e))
          this.#fault({ signo: SIGSEGV, code: SEGV_MAPERR, address: 0, trapno: TRAP_PAGE_FAULT, err: PF_USER });
        else throw e;
        return 0;
      }
      exits[reason]!++;
      this.#profiler?.left(this.task);
      at = 0;
      switch (reason) {
        case exitReason.miss:
          code.noteMiss(this.#slot(SLOT_EXIT_IP), context.pc, this.#slot(SLOT_CALLED) === context.pc);
          if (!code.full) at = code.cachedEntry(context.pc, flavour);
          break;
        case exitReason.link: {
          const linkAddress = this.#slot(SLOT_EXIT_ARG);
          if (!code.full) at = code.link(linkAddress, context.pc, flavour);
          break;
        }
        case exitReason.syscall:
          return -1;
        case exitReason.tick:
          this.#engine.noteTick();
          context.pc = code.resumePc(this.#slot(SLOT_EXIT_IP)) ?? context.pc;
          return 0;
        case exitReason.hot:
          this.#engine.regions?.request(context.pc);
          break;
        case exitReason.interpret:
          // The instruction at the pc, by the interpreter; not through its region again.
          break;
        case exitReason.attention:
          if (this.#stackOverflow()) this.#pageFault(context.sp - 8, true, false);
          return 0;
        case exitReason.fault:
          at = this.#memoryFault();
          if (at === 0) return 0;
          flavour = context.flavour;
          break;
        case exitReason.trap:
          this.#trap();
          return 0;
        case exitReason.mode:
          flavour = context.flavour;
          code.useFlavour(flavour);
          break;
        default:
          throw new Error(`the interpreter returned ${reason}`);
      }
      if (++leaves % LEAVES_PER_LOOK === 0 && nowMs() > this.#sliceEnd) return 0;
    }
  }

  /** Regions do not look where the stack pointer leads, and are asked here each time their host stack is used up. */
  #stackOverflow(): boolean {
    const page = Math.floor((this.#context.sp - 8) / PAGE_SIZE);
    return !(page >= 0 && page < GUEST_LIMIT / PAGE_SIZE && this.#engine.memory.pages[page]! & PAGE_MAPPED);
  }

  #fault(fault: Fault): void {
    raiseFault(this.task, fault);
  }

  /** Handles a refused access: code to go on at when it was a store to a page with translations, else 0 after a signal. */
  #memoryFault(): number {
    const { code, memory } = this.#engine;
    const context = this.#context;
    const ip = this.#slot(SLOT_EXIT_IP);
    const where = code.locate(ip);
    if (!where) throw new Error('a memory fault outside translated code');
    context.pc = where.pc;
    const at = (VCPU + SLOT_FAULT_ADDRESS) >>> 2;
    const low = memory.u32[at]!;
    const high = memory.u32[at + 1]!;
    const write = (this.#slot(SLOT_FAULT_ACCESS) & PAGE_WRITE) !== 0;
    if (high !== 0) {
      const kind = this.#engine.isa.highAddress(context, high);
      if (kind === 'retry') {
        code.useFlavour(context.flavour);
        return code.entry(where.pc, context.flavour);
      }
      if (kind === 'page') this.#pageFault(high * 0x1_0000_0000 + low, write, false);
      else this.#fault({ signo: SIGSEGV, code: SI_KERNEL, address: 0, trapno: TRAP_GENERAL_PROTECTION, err: 0 });
      return 0;
    }
    // The access may begin in an accessible page and end in another.
    const bytes = where.inst?.op.bytes || 1;
    const need = write ? PAGE_GUEST_WRITE : 1;
    const pages = [Math.floor(low / PAGE_SIZE), Math.floor((low + bytes - 1) / PAGE_SIZE)];
    for (const page of pages) {
      const bits = page < GUEST_LIMIT / PAGE_SIZE ? memory.pages[page]! : 0;
      if (bits & need) continue;
      this.#pageFault(Math.max(low, page * PAGE_SIZE), write, (bits & (PAGE_READ | PAGE_WRITE | PAGE_EXEC)) !== 0);
      return 0;
    }
    // Allowed to the guest: the page is watched because code was translated from it.
    for (const page of pages) code.invalidate(page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
    return where.block.dead || where.block.transient ? code.singleStep(where.pc, context.flavour) : ip;
  }

  #pageFault(address: number, write: boolean, present: boolean): void {
    // The address space knows SIGBUS (a mapped page beyond the end of its file) from SIGSEGV.
    const { signo, code } = this.task.mm.faultInfo(address);
    this.#fault({
      signo,
      code,
      address,
      trapno: TRAP_PAGE_FAULT,
      err: (present ? PF_PRESENT : 0) | (write ? PF_WRITE : 0) | PF_USER,
    });
  }

  #fetchFault(pc: number): void {
    if (vsyscall(this.task, this.#slot(SLOT_PC), this.#slot(SLOT_PC + 4))) return;
    const page = Math.floor(pc / PAGE_SIZE);
    const bits = pc < GUEST_LIMIT ? this.#engine.memory.pages[page]! : 0;
    // A block may begin in an executable page and need bytes of the next one.
    const address = bits & PAGE_EXEC ? (page + 1) * PAGE_SIZE : pc;
    const { signo, code } = this.task.mm.faultInfo(address);
    this.#fault({
      signo,
      code,
      address,
      trapno: TRAP_PAGE_FAULT,
      err: PF_USER | PF_FETCH | (code === SEGV_ACCERR ? PF_PRESENT : 0),
    });
  }

  #trap(): void {
    const where = this.#engine.code.locate(this.#slot(SLOT_EXIT_IP));
    if (!where) throw new Error('a trap outside translated code');
    const { fault, pc } = this.#engine.isa.trap({
      number: this.#slot(SLOT_EXIT_ARG),
      pc: where.pc,
      end: where.block.end,
      inst: where.inst,
      slot: (at) => this.#slot(at),
    });
    this.#context.pc = pc;
    this.#fault(fault);
  }
}
