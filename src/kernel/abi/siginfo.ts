/** siginfo_t: 128 bytes, laid out by si_code as include/uapi/asm-generic/siginfo.h does on 64-bit machines. */
import {
  SI_KERNEL,
  SI_TIMER,
  SI_TKILL,
  SI_USER,
  SIGBUS,
  SIGCHLD,
  SIGFPE,
  SIGILL,
  SIGSEGV,
  SIGTRAP,
} from './signals.ts';

export const SIGINFO_SIZE = 128;

/**
 * Why a signal was sent. `raw` holds all 128 bytes as rt_sigqueueinfo(2) gave them; else the other fields are encoded by
 * signal and code. Addresses and values are unsigned 64-bit integers (rounded above 2^53 for addresses).
 */
export interface SigInfo {
  readonly signo: number;
  readonly code: number;
  readonly errno?: number;
  readonly pid?: number;
  readonly uid?: number;
  /** sigval: of SI_QUEUE and SI_TIMER. */
  readonly value?: bigint;
  /** si_addr of faults. */
  readonly address?: number;
  /** si_band and si_fd of a signal that F_SETSIG asked for. */
  readonly poll?: { readonly band: number; readonly fd: number };
  /** SIGCHLD. */
  readonly status?: number;
  readonly utime?: number;
  readonly stime?: number;
  readonly timerId?: number;
  readonly overrun?: number;
  readonly raw?: Uint8Array;
  /** Faults on x86-64: vector and error code, for the signal frame. */
  readonly trapno?: number;
  readonly err?: number;
}

const isFault = (signo: number): boolean =>
  signo === SIGSEGV || signo === SIGBUS || signo === SIGILL || signo === SIGFPE || signo === SIGTRAP;

/** The 128 bytes the guest sees. */
export function encodeSigInfo(info: SigInfo): Uint8Array {
  const out = new Uint8Array(SIGINFO_SIZE);
  if (info.raw) {
    out.set(info.raw.subarray(0, SIGINFO_SIZE));
    new DataView(out.buffer).setInt32(0, info.signo, true);
    return out;
  }
  const view = new DataView(out.buffer);
  view.setInt32(0, info.signo, true);
  view.setInt32(4, info.errno ?? 0, true);
  view.setInt32(8, info.code, true);
  if (info.code === SI_TIMER) {
    view.setInt32(16, info.timerId ?? 0, true);
    view.setInt32(20, info.overrun ?? 0, true);
    view.setBigUint64(24, info.value ?? 0n, true);
  } else if (info.poll) {
    setU64(view, 16, info.poll.band);
    view.setInt32(24, info.poll.fd, true);
  } else if (info.code > SI_USER && info.code !== SI_KERNEL && isFault(info.signo)) {
    setU64(view, 16, info.address ?? 0);
  } else if (info.code > SI_USER && info.code !== SI_KERNEL && info.signo === SIGCHLD) {
    view.setInt32(16, info.pid ?? 0, true);
    view.setUint32(20, info.uid ?? 0, true);
    view.setInt32(24, info.status ?? 0, true);
    setU64(view, 32, info.utime ?? 0);
    setU64(view, 40, info.stime ?? 0);
  } else if (info.code !== SI_KERNEL) {
    view.setInt32(16, info.pid ?? 0, true);
    view.setUint32(20, info.uid ?? 0, true);
    if (info.code !== SI_USER && info.code !== SI_TKILL) view.setBigUint64(24, info.value ?? 0n, true);
  }
  return out;
}

function setU64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value >>> 0, true);
  view.setUint32(offset + 4, Math.floor(value / 0x1_0000_0000) >>> 0, true);
}
