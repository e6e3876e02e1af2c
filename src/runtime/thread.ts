/**
 * The loop that runs one guest thread: translated code until it needs something, then the runtime or the kernel. It is
 * synchronous for as long as nothing has to wait.
 */
import { SIGFPE, SIGILL, SIGSEGV, SIGTRAP, SI_KERNEL } from '../kernel/abi/signals.ts';
import { GUEST_LIMIT, PAGE_SIZE } from '../kernel/mm/guest-memory.ts';
import { type Fault, raiseFault } from '../kernel/signals/deliver.ts';
import { dispatchSyscall } from '../kernel/syscalls/dispatch.ts';
import type { ExitStatus } from '../kernel/task/exit-status.ts';
import type { GuestTask } from '../kernel/task/guest-task.ts';
import {
  exitReason,
  PAGE_EXEC,
  PAGE_GUEST_WRITE,
  PAGE_MAPPED,
  PAGE_TABLE,
  PAGE_WRITE,
  SLOT_EXIT_ARG,
  SLOT_EXIT_IP,
  SLOT_FAULT_ACCESS,
  SLOT_FAULT_ADDRESS,
  trap,
} from '../translator/ir/layout.ts';
import { FCW, FSW, MXCSR } from '../translator/x86_64/state.ts';
import type { Engine } from './engine.ts';
import type { X86Context } from './x86-context.ts';

/** Block exits between looks at the clock: some milliseconds. */
const BUDGET = 200_000;
/** System calls between looks at the clock. */
const CALLS_PER_LOOK = 256;
/** Time after which a program is worth optimised code, in milliseconds from its start. */
const OPTIMISE_AFTER_MS = 60;
/** Guest time after which the host's event loop gets a turn, in milliseconds. */
const SLICE_MS = 4;

const TRAP_PAGE_FAULT = 14;
const TRAP_GENERAL_PROTECTION = 13;
/** Page-fault error code bits (SDM volume 3, section 4.7). */
const PF_PRESENT = 1;
const PF_WRITE = 2;
const PF_USER = 4;
const PF_FETCH = 16;
const SEGV_ACCERR = 2;

/** Monotonic milliseconds. The global `performance` loads modules that a short run does not need. */
function nowMs(): number {
  const [sec, nsec] = process.hrtime();
  return sec * 1000 + nsec / 1e6;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class ThreadRunner {
  readonly #task: GuestTask;
  readonly #engineOf: (task: GuestTask) => Engine;
  #engine: Engine;
  #context: X86Context;
  readonly #start = nowMs();
  #lastTurn = this.#start;
  #calls = 0;

  /** `engineOf` gives the engine of the task's current address space: execve(2) changes it. */
  constructor(task: GuestTask, engineOf: (task: GuestTask) => Engine) {
    this.#task = task;
    this.#engineOf = engineOf;
    this.#engine = engineOf(task);
    this.#context = task.cpu as X86Context;
  }

  /** Runs the thread to its end. The status is the process's, null while other threads of it live. */
  async run(): Promise<ExitStatus | null> {
    const task = this.#task;
    let ip = 0;
    for (;;) {
      const action = task.beforeUserMode();
      if (action.kind === 'exit') return action.status;
      if (action.kind === 'wait') {
        await action.until;
        continue;
      }
      this.#engine = this.#engineOf(task);
      this.#context = task.cpu as X86Context;
      ip = this.#runCode(ip);
      while (ip < 0) {
        // A system call: synchronous ones that leave nothing to do go straight back to the code.
        const result = dispatchSyscall(task);
        if (typeof result !== 'number') await result;
        ip = 0;
        if (++this.#calls >= CALLS_PER_LOOK) {
          this.#calls = 0;
          if (nowMs() - this.#lastTurn > SLICE_MS) break;
        }
        if (task.restart !== 0 || task.syscallNumber < 0 || task.signalPending()) break;
        ip = this.#runCode(0);
      }
      const now = nowMs();
      if (now - this.#start > OPTIMISE_AFTER_MS) this.#engine.optimise();
      if (now - this.#lastTurn > SLICE_MS) {
        await turn();
        this.#lastTurn = nowMs();
        ip = 0;
      }
    }
  }

  #slot(slot: number): number {
    return this.#engine.memory.u32[(this.#context.address + slot) >>> 2]!;
  }

  /**
   * Runs guest code. Returns -1 at a system call, otherwise 0 with `pc` set, when signals and the clock want looking at.
   */
  #runCode(ip: number): number {
    const { code, run } = this.#engine;
    const context = this.#context;
    const cpu = context.address;
    let flavour = context.flavour;
    let at = ip;
    code.useFlavour(flavour);
    for (;;) {
      if (at === 0) {
        if (code.full) code.flush();
        at = code.entry(context.pc, flavour);
        if (at === 0) {
          this.#fetchFault(context.pc);
          return 0;
        }
      }
      const reason = run(cpu, at, BUDGET);
      at = 0;
      switch (reason) {
        case exitReason.miss:
          if (!code.full) at = code.cachedEntry(context.pc, flavour);
          break;
        case exitReason.link: {
          const linkAddress = this.#slot(SLOT_EXIT_ARG);
          if (code.full) break;
          at = code.entry(context.pc, flavour);
          if (at !== 0) code.link(linkAddress, at);
          break;
        }
        case exitReason.syscall:
          return -1;
        case exitReason.tick: {
          const block = code.blockAt(this.#slot(SLOT_EXIT_IP));
          // A transient block cannot be where a tick stops: nothing links to it.
          context.pc = block ? block.pc : context.pc;
          return 0;
        }
        case exitReason.fault:
          at = this.#memoryFault();
          if (at === 0) return 0;
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
    }
  }

  #fault(fault: Fault): void {
    raiseFault(this.#task, fault);
  }

  /** Handles a refused access: code to go on at when it was a store to a page with translations, else 0 after a signal. */
  #memoryFault(): number {
    const { code, memory } = this.#engine;
    const context = this.#context;
    const ip = this.#slot(SLOT_EXIT_IP);
    const where = code.locate(ip);
    if (!where) throw new Error('a memory fault outside translated code');
    context.pc = where.pc;
    const at = (context.address + SLOT_FAULT_ADDRESS) >>> 2;
    const low = memory.u32[at]!;
    const high = memory.u32[at + 1]!;
    const write = (this.#slot(SLOT_FAULT_ACCESS) & PAGE_WRITE) !== 0;
    if (high !== 0) {
      const canonical = high < 0x8000 || high >= 0xffff_8000;
      if (canonical) this.#pageFault(high * 0x1_0000_0000 + low, write, false);
      else this.#fault({ signo: SIGSEGV, code: SI_KERNEL, address: 0, trapno: TRAP_GENERAL_PROTECTION, err: 0 });
      return 0;
    }
    // The access may begin in an accessible page and end in another.
    const bytes = where.inst?.op.bytes || 1;
    const need = write ? PAGE_GUEST_WRITE : 1;
    const pages = [Math.floor(low / PAGE_SIZE), Math.floor((low + bytes - 1) / PAGE_SIZE)];
    for (const page of pages) {
      const bits = page < GUEST_LIMIT / PAGE_SIZE ? memory.u8[PAGE_TABLE + page]! : 0;
      if (bits & need) continue;
      this.#pageFault(Math.max(low, page * PAGE_SIZE), write, (bits & PAGE_MAPPED) !== 0);
      return 0;
    }
    // Allowed to the guest: the page is watched because code was translated from it.
    for (const page of pages) code.invalidate(page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
    return where.block.dead || where.block.transient ? code.singleStep(where.pc, context.flavour) : ip;
  }

  #pageFault(address: number, write: boolean, present: boolean): void {
    // The address space knows SIGBUS (a mapped page beyond the end of its file) from SIGSEGV.
    const { signo, code } = this.#task.mm.faultInfo(address);
    this.#fault({
      signo,
      code,
      address,
      trapno: TRAP_PAGE_FAULT,
      err: (present ? PF_PRESENT : 0) | (write ? PF_WRITE : 0) | PF_USER,
    });
  }

  #fetchFault(pc: number): void {
    const page = Math.floor(pc / PAGE_SIZE);
    const bits = pc < GUEST_LIMIT ? this.#engine.memory.u8[PAGE_TABLE + page]! : 0;
    // A block may begin in an executable page and need bytes of the next one.
    const address = bits & PAGE_EXEC ? (page + 1) * PAGE_SIZE : pc;
    const { signo, code } = this.#task.mm.faultInfo(address);
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
    const number = this.#slot(SLOT_EXIT_ARG);
    // INT3 and INT1 are traps: the handler sees the address of the next instruction.
    const behind = number === trap.breakpoint || number === trap.debug;
    this.#context.pc = behind ? where.block.end : where.pc;
    this.#fault(this.#trapFault(number, this.#context.pc));
  }

  /** Synchronous exceptions (SDM volume 3, chapter 6) as the signals Linux makes of them. */
  #trapFault(number: number, address: number): Fault {
    switch (number) {
      case trap.invalidOpcode:
        return { signo: SIGILL, code: 2 /* ILL_ILLOPN */, address, trapno: 6, err: 0 };
      case trap.divide:
        return { signo: SIGFPE, code: 1 /* FPE_INTDIV */, address, trapno: 0, err: 0 };
      case trap.breakpoint:
        return { signo: SIGTRAP, code: SI_KERNEL, address: 0, trapno: 3, err: 0 };
      case trap.debug:
        return { signo: SIGTRAP, code: 1 /* TRAP_BRKPT */, address, trapno: 1, err: 0 };
      case trap.x87: {
        const code = floatingPointCode(this.#slot(FSW), this.#slot(FCW));
        return { signo: SIGFPE, code, address, trapno: 16, err: 0 };
      }
      case trap.simd: {
        const mxcsr = this.#slot(MXCSR);
        return { signo: SIGFPE, code: floatingPointCode(mxcsr, mxcsr >> 7), address, trapno: 19, err: 0 };
      }
      case trap.overflow:
        return { signo: SIGSEGV, code: SI_KERNEL, address: 0, trapno: 4, err: 0 };
      default:
        return { signo: SIGSEGV, code: SI_KERNEL, address: 0, trapno: TRAP_GENERAL_PROTECTION, err: 0 };
    }
  }
}

/** si_code of the first unmasked exception flag, in the order Linux looks at them (arch/x86 fpu__exception_code). */
function floatingPointCode(status: number, mask: number): number {
  const raised = status & ~mask & 0x3f;
  if (raised & 0x01) return 7; // FPE_FLTINV
  if (raised & 0x04) return 3; // FPE_FLTDIV
  if (raised & 0x08) return 4; // FPE_FLTOVF
  if (raised & 0x12) return 5; // FPE_FLTUND
  if (raised & 0x20) return 6; // FPE_FLTRES
  return 0;
}
