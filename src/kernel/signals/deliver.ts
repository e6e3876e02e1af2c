/**
 * Signal delivery at the return to user mode (kernel/signal.c, arch/x86/kernel/signal.c): takes pending signals, builds
 * handler frames, does default actions, and decides what becomes of an interrupted system call.
 */
import { errno, SysError } from '../abi/errno.ts';
import type { SigInfo } from '../abi/siginfo.ts';
import {
  defaultAction,
  SA_NODEFER,
  SA_RESETHAND,
  SA_RESTART,
  SI_USER,
  SIGBUS,
  SIGFPE,
  SIGILL,
  SIGKILL,
  signalName,
  SIGSEGV,
  SIGSTOP,
  SIGSYS,
  SIGTRAP,
  SS_AUTODISARM,
  SS_DISABLE,
} from '../abi/signals.ts';
import type { ExitStatus } from '../task/exit-status.ts';
import type { GuestTask } from '../task/guest-task.ts';
import { isOrphanedGroup } from '../task/process.ts';
import { CONTINUE, type UserModeAction } from '../task/run-control.ts';
import { describeSigInfo } from './describe.ts';
import { setupFrameAarch64 } from './frame-aarch64.ts';
import { setupFrameX86_64 } from './frame-x86_64.ts';
import { SigSet } from './sigset.ts';
import { SIG_DFL, SIG_IGN, type SigAction } from './state.ts';
import { endNamespace } from '../ns/pid.ts';

/** Faults of the current instruction go first, so that their frame shows that instruction's pc. */
const SYNCHRONOUS = [SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS];

export function deliverSignals(task: GuestTask): UserModeAction {
  const { process } = task;
  for (;;) {
    if (process.groupExit || task.exitCode !== null) return leave(task);
    if (process.stopSignal !== 0) return { kind: 'wait', until: process.resumed };
    const info = dequeueSignal(task, task.signals.blocked);
    if (!info) break;
    const action = task.sighand.get(info.signo);
    task.kernel.trace(task, `--- ${signalName(info.signo)} ${describeSigInfo(info)} ---`);
    if (action.handler === SIG_IGN && info.signo !== SIGKILL && info.signo !== SIGSTOP) continue;
    if (action.handler !== SIG_DFL && action.handler !== SIG_IGN) callHandler(task, info, action);
    else doDefault(task, info.signo);
  }
  if (task.restart !== 0) restartSyscall(task, task.restart);
  const { saved } = task.signals;
  if (saved) {
    task.signals.blocked = saved;
    task.signals.saved = null;
    // The mask that comes back may let through what the temporary one held.
    if (task.signalPending()) return deliverSignals(task);
  }
  return CONTINUE;
}

function leave(task: GuestTask): UserModeAction {
  const { process, mm, kernel } = task;
  const status: ExitStatus = process.groupExit ?? {
    kind: 'exited',
    code: process.leaderExitCode ?? task.exitCode ?? 0,
  };
  if (process.tasks.size === 1 && mm.users === 1 && !task.flushed) {
    // Whoever waits for the process finds in the files what it stored in its mappings.
    task.flushed = true;
    const wait = mm.flush(task);
    if (wait instanceof Promise) return { kind: 'wait', until: wait };
  }
  if (process.tasks.size === 1 && process.isNamespaceInit) {
    const wait = endNamespace(process);
    if (wait) return { kind: 'wait', until: wait };
  }
  const last = task.leave();
  if (!last) return { kind: 'exit', status: process.exitStatus };
  // Nobody needs the first process's memory after it.
  if (process !== kernel.init) kernel.releaseMemory(mm);
  process.finish(status);
  return { kind: 'exit', status };
}

/** Takes the next signal that `blocked` lets through: own faults, then own signals, then the process's, lowest first. */
export function dequeueSignal(task: GuestTask, blocked: SigSet): SigInfo | null {
  const own = task.signals;
  for (const signo of SYNCHRONOUS) {
    if (!own.set.has(signo) || blocked.has(signo)) continue;
    const info = own.take(signo);
    if (info) return info;
  }
  for (const queue of [own, task.process.signals]) {
    const signo = queue.set.difference(blocked).lowest();
    if (signo !== 0) return queue.take(signo);
  }
  return null;
}

function doDefault(task: GuestTask, signo: number): void {
  // What was blocked when it came, and is not any more.
  if (task.process.unkillable && signo !== SIGSTOP) return;
  const action = defaultAction(signo);
  switch (action) {
    case 'ignore':
    case 'continue':
      return;
    case 'stop':
      // What a terminal sends stops nobody who could not be continued by a shell.
      if (signo === SIGSTOP || !isOrphanedGroup(task.kernel, task.process.pgid)) task.process.stop(signo);
      return;
    case 'term':
    case 'core':
      // No core file is ever written, so the status never has the core bit.
      task.process.exitGroup({ kind: 'killed', signal: signo, core: false });
      return;
  }
}

/** handle_signal: settles an interrupted call, then enters the handler. */
function callHandler(task: GuestTask, info: SigInfo, action: SigAction): void {
  const { signals } = task;
  if (task.restart !== 0) {
    const again =
      task.restart === errno.ERESTARTNOINTR ||
      (task.restart === errno.ERESTARTSYS && (action.flags & SA_RESTART) !== 0);
    if (again) restartSyscall(task, errno.ERESTARTNOINTR);
    else {
      task.restart = 0;
      task.cpu.setResult(-errno.EINTR);
    }
  }
  const maskToSave = signals.saved ?? signals.blocked;
  if (action.flags & SA_RESETHAND) task.sighand.set(info.signo, { ...action, handler: SIG_DFL });
  try {
    if (task.cpu.isa === 'x86_64') setupFrameX86_64(task, info, action, maskToSave);
    else setupFrameAarch64(task, info, action, maskToSave);
  } catch (e) {
    if (!(e instanceof SysError)) throw e;
    // force_sigsegv: a frame that cannot be written is a fault, and one of SIGSEGV's own is fatal.
    if (info.signo === SIGSEGV)
      task.sighand.set(SIGSEGV, { handler: SIG_DFL, flags: 0, restorer: 0, mask: new SigSet() });
    forceSignal(task, { signo: SIGSEGV, code: 0x80 });
    return;
  }
  if (signals.altStack.flags & SS_AUTODISARM) signals.altStack = { sp: 0, flags: SS_DISABLE, size: 0 };
  signals.saved = null;
  const blocked = maskAfterEntry(signals.blocked, action, info.signo);
  signals.blocked = blocked;
}

function maskAfterEntry(blocked: SigSet, action: SigAction, signo: number): SigSet {
  const next = blocked.union(action.mask);
  if (!(action.flags & SA_NODEFER)) next.add(signo);
  return next.withoutKillStop();
}

/** Makes the interrupted call be made again, or for ERESTART_RESTARTBLOCK, restart_syscall(2) in its place. */
function restartSyscall(task: GuestTask, code: number): void {
  const { cpu } = task;
  task.restart = 0;
  // The result register was left alone, so it still holds the number (x86-64) or first argument (AArch64).
  const x86 = cpu.isa === 'x86_64';
  if (code === errno.ERESTART_RESTARTBLOCK) cpu.setGpr(x86 ? 0 : 8, x86 ? 219n : 128n);
  cpu.pc -= x86 ? 2 : 4;
}

/** force_sig: a signal that cannot be blocked or ignored; if it is, it kills. */
export function forceSignal(task: GuestTask, info: SigInfo): void {
  const { signo } = info;
  const blocked = task.signals.blocked.has(signo);
  if (blocked || task.sighand.get(signo).handler === SIG_IGN) {
    task.sighand.set(signo, { handler: SIG_DFL, flags: 0, restorer: 0, mask: new SigSet() });
    if (blocked) {
      const mask = task.signals.blocked.clone();
      mask.remove(signo);
      task.signals.blocked = mask;
    }
  }
  // Its own fault ends even process 1 of a PID namespace.
  if (task.sighand.get(signo).handler === SIG_DFL) task.process.unkillable = false;
  task.kernel.stats.signals++;
  task.signals.push(info);
}

export interface Fault {
  /** SIGSEGV, SIGBUS, SIGFPE, SIGILL or SIGTRAP. */
  signo: number;
  /** si_code: SEGV_MAPERR, FPE_INTDIV, ... */
  code: number;
  /** si_addr: the faulting data address, or the instruction's for SIGILL, SIGFPE and SIGTRAP. */
  address: number;
  /** x86-64 vector and error code, for the signal frame. */
  trapno?: number;
  err?: number;
}

const PAGE_FAULT = 14;

/**
 * The guest's current instruction (at `cpu.pc`) has faulted. The runtime calls `beforeUserMode` next, which enters the
 * handler or kills the process.
 */
export function raiseFault(task: GuestTask, fault: Fault): void {
  task.syscallNumber = -1;
  task.trapno = fault.trapno ?? 0;
  task.trapErr = fault.err ?? 0;
  if (task.trapno === PAGE_FAULT) task.faultAddress = fault.address;
  const code = fault.code === SI_USER ? 0x80 : fault.code;
  forceSignal(task, { signo: fault.signo, code, address: fault.address });
}
