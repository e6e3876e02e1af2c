/** struct sigaction and stack_t of the raw system calls (asm/signal.h; the same layout on x86-64 and AArch64). */
import type { UserMemory } from '../mm/user-memory.ts';
import { SigSet } from '../signals/sigset.ts';
import type { AltStack, SigAction } from '../signals/state.ts';

const SIGACTION_SIZE = 32;
const STACK_SIZE = 24;

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const getI64 = (v: DataView, at: number): number => v.getInt32(at + 4, true) * 0x1_0000_0000 + v.getUint32(at, true);
const getU64 = (v: DataView, at: number): number => v.getUint32(at + 4, true) * 0x1_0000_0000 + v.getUint32(at, true);
const setI64 = (v: DataView, at: number, n: number): void => {
  v.setUint32(at, n >>> 0, true);
  v.setUint32(at + 4, Math.floor(n / 0x1_0000_0000) >>> 0, true);
};

/** { handler, unsigned long flags, restorer, 64-bit mask }. */
export function readSigaction(mem: UserMemory, addr: number): SigAction {
  const v = viewOf(mem.bytes(addr, SIGACTION_SIZE));
  return {
    handler: getI64(v, 0),
    flags: v.getUint32(8, true),
    restorer: getI64(v, 16),
    mask: new SigSet(v.getUint32(24, true), v.getUint32(28, true)),
  };
}

export function writeSigaction(mem: UserMemory, addr: number, action: SigAction): void {
  const bytes = mem.writable(addr, SIGACTION_SIZE);
  const v = viewOf(bytes);
  setI64(v, 0, action.handler);
  setI64(v, 8, action.flags);
  setI64(v, 16, action.restorer);
  v.setUint32(24, action.mask.lo, true);
  v.setUint32(28, action.mask.hi, true);
  mem.written(addr, SIGACTION_SIZE);
}

/** { ss_sp, int ss_flags, pad, ss_size }. */
export function readStack(mem: UserMemory, addr: number): AltStack {
  const v = viewOf(mem.bytes(addr, STACK_SIZE));
  return { sp: getU64(v, 0), flags: v.getUint32(8, true), size: getU64(v, 16) };
}

export function writeStack(mem: UserMemory, addr: number, s: AltStack): void {
  const bytes = mem.writable(addr, STACK_SIZE);
  const v = viewOf(bytes);
  setI64(v, 0, s.sp);
  v.setUint32(8, s.flags, true);
  v.setUint32(12, 0, true);
  setI64(v, 16, s.size);
  mem.written(addr, STACK_SIZE);
}
