/**
 * The x86-64 signal frame, struct rt_sigframe (arch/x86/kernel/signal.c, asm/sigcontext.h). From the new stack pointer:
 *   0 pretcode | 8 ucontext (304) | 312 siginfo (128) | ... the FXSAVE area, 64-aligned, above.
 * No XSAVE: UC_FP_XSTATE is never set and the FP state has 512 bytes.
 */
import { errno, sysError } from '../abi/errno.ts';
import { encodeSigInfo, type SigInfo } from '../abi/siginfo.ts';
import { SA_ONSTACK, SA_RESTORER, SS_AUTODISARM, SS_DISABLE, SS_ONSTACK } from '../abi/signals.ts';
import type { GuestTask } from '../task/guest-task.ts';
import { SigSet } from './sigset.ts';
import type { SigAction } from './state.ts';

const UCONTEXT = 8;
const UC_STACK = UCONTEXT + 16;
const UC_MCONTEXT = UCONTEXT + 40;
const UC_SIGMASK = UCONTEXT + 296;
const SIGINFO = 312;
const FRAME_SIZE = 440;

/** UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS. */
const UC_FLAGS = 6;
const RED_ZONE = 128;
const USER_CS = 0x33;
const USER_SS = 0x2b;

const EFLAGS_DF = 0x400n;
const EFLAGS_TF = 0x100n;
const EFLAGS_RF = 0x1_0000n;
/** FIX_EFLAGS of signal.c without TF, which nothing here obeys: AC RF OF DF SF ZF AF PF CF. */
const FIX_EFLAGS = 0x4_0000n | 0x1_0000n | 0x800n | 0x400n | 0x80n | 0x40n | 0x10n | 0x4n | 0x1n;

/** General registers in the order of struct sigcontext, by encoding number: r8..r15 rdi rsi rbp rbx rdx rax rcx rsp. */
const GREG_ORDER = [8, 9, 10, 11, 12, 13, 14, 15, 7, 6, 5, 3, 2, 0, 1, 4];
const SC_RIP = 128;
const SC_EFLAGS = 136;
const SC_SELECTORS = 144;
const SC_ERR = 152;
const SC_TRAPNO = 160;
const SC_OLDMASK = 168;
const SC_CR2 = 176;
const SC_FPSTATE = 184;

const RAX = 0;
const RDX = 2;
const RSI = 6;
const RDI = 7;

/** Pushes the frame and sets the registers so that the handler runs. Throws EFAULT when the stack cannot hold it. */
export function setupFrameX86_64(task: GuestTask, info: SigInfo, action: SigAction, savedMask: SigSet): void {
  const { cpu, mem, signals } = task;
  if (!(action.flags & SA_RESTORER)) throw sysError(errno.EFAULT);

  let sp = cpu.sp - RED_ZONE;
  const nested = signals.onAltStack(cpu.sp);
  let entering = false;
  if (action.flags & SA_ONSTACK && !signals.onAltStack(sp) && signals.altStack.size > 0) {
    sp = signals.altStack.sp + signals.altStack.size;
    entering = true;
  }
  const fpstate = roundDown(sp - cpu.fpStateSize, 64);
  const frame = roundDown(fpstate - FRAME_SIZE, 16) - 8;
  // A frame that would leave the alternate stack is refused rather than written beyond it.
  const { altStack } = signals;
  if ((nested || entering) && !(frame > altStack.sp && frame - altStack.sp <= altStack.size))
    throw sysError(errno.EFAULT);
  if (frame < 0) throw sysError(errno.EFAULT);

  const area = mem.writable(frame, fpstate + cpu.fpStateSize - frame);
  const view = new DataView(area.buffer, area.byteOffset, area.byteLength);
  area.fill(0, 0, FRAME_SIZE);
  setI64(view, 0, action.restorer);
  setI64(view, UCONTEXT, UC_FLAGS);
  setI64(view, UC_STACK, altStack.sp);
  // __save_altstack stores the flags as set: SS_ONSTACK is sigaltstack(2)'s to compute.
  view.setUint32(UC_STACK + 8, altStack.flags, true);
  setI64(view, UC_STACK + 16, altStack.size);
  writeSigcontext(task, view, fpstate, savedMask);
  view.setUint32(UC_SIGMASK, savedMask.lo, true);
  view.setUint32(UC_SIGMASK + 4, savedMask.hi, true);
  area.set(encodeSigInfo(info), SIGINFO);
  const fp = area.subarray(fpstate - frame, fpstate - frame + cpu.fpStateSize);
  fp.fill(0);
  cpu.saveFpState(fp);
  mem.written(frame, area.length);

  cpu.setGpr(RDI, BigInt(info.signo));
  cpu.setGpr(RSI, BigInt(frame + SIGINFO));
  cpu.setGpr(RDX, BigInt(frame + UCONTEXT));
  cpu.setGpr(RAX, 0n);
  cpu.sp = frame;
  cpu.pc = action.handler < 0 ? action.handler + 2 ** 64 : action.handler;
  cpu.setFlags(cpu.getFlags() & ~(EFLAGS_DF | EFLAGS_TF | EFLAGS_RF));
}

function writeSigcontext(task: GuestTask, view: DataView, fpstate: number, mask: SigSet): void {
  const { cpu } = task;
  for (const [i, reg] of GREG_ORDER.entries())
    view.setBigUint64(UC_MCONTEXT + i * 8, BigInt.asUintN(64, cpu.getGpr(reg)), true);
  setI64(view, UC_MCONTEXT + 15 * 8, cpu.sp);
  setI64(view, UC_MCONTEXT + SC_RIP, cpu.pc);
  view.setBigUint64(UC_MCONTEXT + SC_EFLAGS, BigInt.asUintN(64, cpu.getFlags()), true);
  view.setUint16(UC_MCONTEXT + SC_SELECTORS, USER_CS, true);
  view.setUint16(UC_MCONTEXT + SC_SELECTORS + 6, USER_SS, true);
  setI64(view, UC_MCONTEXT + SC_ERR, task.trapErr);
  setI64(view, UC_MCONTEXT + SC_TRAPNO, task.trapno);
  view.setUint32(UC_MCONTEXT + SC_OLDMASK, mask.lo, true);
  view.setUint32(UC_MCONTEXT + SC_OLDMASK + 4, mask.hi, true);
  setI64(view, UC_MCONTEXT + SC_CR2, task.faultAddress);
  setI64(view, UC_MCONTEXT + SC_FPSTATE, fpstate);
}

/** rt_sigreturn(2): restores everything from the frame at sp - 8. Throws EFAULT for a frame that cannot be read. */
export function restoreFrameX86_64(task: GuestTask): void {
  const { cpu, mem, signals } = task;
  const frame = cpu.sp - 8;
  const area = mem.copyIn(frame, SIGINFO);
  const view = new DataView(area.buffer, area.byteOffset, area.byteLength);
  signals.blocked = new SigSet(
    view.getUint32(UC_SIGMASK, true),
    view.getUint32(UC_SIGMASK + 4, true),
  ).withoutKillStop();

  // The FP state first: when it cannot be read, nothing else has changed.
  const fpstate = readU64(view, UC_MCONTEXT + SC_FPSTATE);
  const fp = fpstate === 0 ? initialFpState(cpu.fpStateSize) : mem.copyIn(fpstate, cpu.fpStateSize);
  GREG_ORDER.forEach((reg, i) => {
    if (reg !== 4) cpu.setGpr(reg, view.getBigUint64(UC_MCONTEXT + i * 8, true));
  });
  cpu.sp = readU64(view, UC_MCONTEXT + 15 * 8);
  cpu.pc = readU64(view, UC_MCONTEXT + SC_RIP);
  const flags = view.getBigUint64(UC_MCONTEXT + SC_EFLAGS, true);
  cpu.setFlags((cpu.getFlags() & ~FIX_EFLAGS) | (flags & FIX_EFLAGS));
  cpu.restoreFpState(fp);
  restoreAltStack(task, view);
}

/** restore_altstack: what do_sigaltstack would refuse is ignored. */
function restoreAltStack(task: GuestTask, view: DataView): void {
  const flags = view.getUint32(UC_STACK + 8, true);
  const mode = (flags & ~SS_AUTODISARM) >>> 0;
  if (mode !== 0 && mode !== SS_DISABLE && mode !== SS_ONSTACK) return;
  if (task.signals.onAltStack(task.cpu.sp)) return;
  const size = readU64(view, UC_STACK + 16);
  if (mode === SS_DISABLE) task.signals.altStack = { sp: 0, flags: SS_DISABLE, size: 0 };
  else if (size >= 2048)
    task.signals.altStack = { sp: readU64(view, UC_STACK), flags: (flags & SS_AUTODISARM) >>> 0, size };
}

/** FXSAVE image after FNINIT: FCW 0x37f, MXCSR 0x1f80, all else zero (tags abridged: 0 is empty). */
function initialFpState(size: number): Uint8Array {
  const fp = new Uint8Array(size);
  const view = new DataView(fp.buffer);
  view.setUint16(0, 0x37f, true);
  view.setUint32(24, 0x1f80, true);
  return fp;
}

const roundDown = (n: number, unit: number): number => Math.floor(n / unit) * unit;

const readU64 = (view: DataView, at: number): number =>
  view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);

function setI64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000) >>> 0, true);
}
