/**
 * The AArch64 signal frame (arch/arm64/kernel/signal.c): struct rt_sigframe { siginfo; ucontext } with the records of
 * sigcontext.__reserved (FPSIMD, end), and above it a frame record {fp, lr} that unwinders follow.
 * The CPU's FP save area is fpsr, fpcr, v0..v31: struct fpsimd_context after its head, 520 bytes.
 */
import { errno, sysError } from '../abi/errno.ts';
import { encodeSigInfo, type SigInfo } from '../abi/siginfo.ts';
import { SA_ONSTACK, SA_RESTORER, SA_SIGINFO, SS_AUTODISARM, SS_DISABLE } from '../abi/signals.ts';
import type { GuestTask } from '../task/guest-task.ts';
import { SigSet } from './sigset.ts';
import type { SigAction } from './state.ts';

const UCONTEXT = 128;
const UC_STACK = UCONTEXT + 16;
const UC_SIGMASK = UCONTEXT + 40;
const UC_MCONTEXT = UCONTEXT + 176;
const SC_REGS = UC_MCONTEXT + 8;
const SC_SP = UC_MCONTEXT + 256;
const SC_PC = UC_MCONTEXT + 264;
const SC_PSTATE = UC_MCONTEXT + 272;
const SC_RESERVED = UC_MCONTEXT + 288;
const FRAME_SIZE = SC_RESERVED + 4096;

const FPSIMD_MAGIC = 0x4650_8001;
const FPSIMD_SIZE = 528;
/** N Z C V. */
const PSTATE_FLAGS = 0xf000_0000n;

export function setupFrameAarch64(task: GuestTask, info: SigInfo, action: SigAction, savedMask: SigSet): void {
  const { cpu, mem, signals } = task;
  const { altStack } = signals;
  const useAlt = (action.flags & SA_ONSTACK) !== 0 && altStack.size > 0 && !signals.onAltStack(cpu.sp);
  const top = useAlt ? altStack.sp + altStack.size : cpu.sp;
  const record = roundDown(top - 16, 16);
  const frame = record - FRAME_SIZE;
  if (frame < 0) throw sysError(errno.EFAULT);
  const restorer = action.flags & SA_RESTORER ? action.restorer : task.process.sigreturnTrampoline;

  const area = mem.writable(frame, record + 16 - frame);
  const view = new DataView(area.buffer, area.byteOffset, area.byteLength);
  area.fill(0);
  if (action.flags & SA_SIGINFO) area.set(encodeSigInfo(info), 0);
  setI64(view, UC_STACK, altStack.sp);
  view.setUint32(UC_STACK + 8, altStack.flags, true);
  setI64(view, UC_STACK + 16, altStack.size);
  view.setUint32(UC_SIGMASK, savedMask.lo, true);
  view.setUint32(UC_SIGMASK + 4, savedMask.hi, true);
  setI64(view, UC_MCONTEXT, task.faultAddress);
  for (let i = 0; i < 31; i++) view.setBigUint64(SC_REGS + i * 8, BigInt.asUintN(64, cpu.getGpr(i)), true);
  setI64(view, SC_SP, cpu.sp);
  setI64(view, SC_PC, cpu.pc);
  view.setBigUint64(SC_PSTATE, BigInt.asUintN(64, cpu.getFlags()), true);
  view.setUint32(SC_RESERVED, FPSIMD_MAGIC, true);
  view.setUint32(SC_RESERVED + 4, FPSIMD_SIZE, true);
  cpu.saveFpState(area.subarray(SC_RESERVED + 8, SC_RESERVED + 8 + cpu.fpStateSize));
  view.setBigUint64(record - frame, BigInt.asUintN(64, cpu.getGpr(29)), true);
  view.setBigUint64(record - frame + 8, BigInt.asUintN(64, cpu.getGpr(30)), true);
  mem.written(frame, area.length);

  cpu.setGpr(0, BigInt(info.signo));
  if (action.flags & SA_SIGINFO) {
    cpu.setGpr(1, BigInt(frame));
    cpu.setGpr(2, BigInt(frame + UCONTEXT));
  }
  cpu.setGpr(29, BigInt(record));
  cpu.setGpr(30, BigInt.asUintN(64, BigInt(restorer)));
  cpu.sp = frame;
  cpu.pc = action.handler < 0 ? action.handler + 2 ** 64 : action.handler;
}

/** rt_sigreturn(2): the frame is at sp. Throws EFAULT for one that cannot be read or holds records it must not. */
export function restoreFrameAarch64(task: GuestTask): void {
  const { cpu, mem, signals } = task;
  if (cpu.sp % 16 !== 0) throw sysError(errno.EFAULT);
  const area = mem.copyIn(cpu.sp, FRAME_SIZE);
  const view = new DataView(area.buffer, area.byteOffset, area.byteLength);
  if (view.getUint32(SC_RESERVED, true) !== FPSIMD_MAGIC || view.getUint32(SC_RESERVED + 4, true) !== FPSIMD_SIZE) {
    throw sysError(errno.EFAULT);
  }
  signals.blocked = new SigSet(
    view.getUint32(UC_SIGMASK, true),
    view.getUint32(UC_SIGMASK + 4, true),
  ).withoutKillStop();
  for (let i = 0; i < 31; i++) cpu.setGpr(i, view.getBigUint64(SC_REGS + i * 8, true));
  cpu.sp = readU64(view, SC_SP);
  cpu.pc = readU64(view, SC_PC);
  cpu.setFlags(view.getBigUint64(SC_PSTATE, true) & PSTATE_FLAGS);
  cpu.restoreFpState(area.subarray(SC_RESERVED + 8, SC_RESERVED + 8 + cpu.fpStateSize));
  const size = readU64(view, UC_STACK + 16);
  const flags = view.getUint32(UC_STACK + 8, true);
  if (signals.onAltStack(cpu.sp)) return;
  if (flags & SS_DISABLE) signals.altStack = { sp: 0, flags: SS_DISABLE, size: 0 };
  else if (size >= 5120) signals.altStack = { sp: readU64(view, UC_STACK), flags: (flags & SS_AUTODISARM) >>> 0, size };
}

const roundDown = (n: number, unit: number): number => Math.floor(n / unit) * unit;

const readU64 = (view: DataView, at: number): number =>
  view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);

function setI64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000) >>> 0, true);
}
