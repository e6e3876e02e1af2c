/**
 * The legacy vsyscall page (arch/x86/entry/vsyscall/vsyscall_64.c, vsyscall=xonly): three functions at fixed addresses
 * beyond what our address space can hold. A call there faults on the fetch, and is carried out here.
 */
import { errno, SysError } from '../abi/errno.ts';
import { SI_KERNEL, SIGSEGV } from '../abi/signals.ts';
import { PROT_WRITE } from '../mm/guest-memory.ts';
import { raiseFault } from '../signals/deliver.ts';
import type { GuestTask } from '../task/guest-task.ts';
import { getcpu } from './sched.ts';
import { gettimeofday, time } from './time.ts';

/** Low halves; the high one is all ones. */
const PAGE = 0xff60_0000;
const SPACING = 0x400;

const RDI = 7;
const RSI = 6;
const RAX = 0;
const TRAP_PAGE_FAULT = 14;
const SEGV_MAPERR = 1;
/** Page-fault error code: a write in user mode. */
const WRITE_FAULT = 6;

/** Sizes of what the two arguments point to, 0 for no pointer; and the call. */
const calls: readonly {
  sizes: readonly [number, number];
  act: (task: GuestTask, a: number, b: number) => number;
}[] = [
  { sizes: [16, 8], act: gettimeofday },
  { sizes: [8, 0], act: (task, tloc) => time(task, tloc) },
  { sizes: [4, 4], act: getcpu },
];

/**
 * Carries out the call whose address was fetched from and returns to its caller, or raises SIGSEGV for its arguments.
 * False when there is no such call.
 */
export function vsyscall(task: GuestTask, low: number, high: number): boolean {
  const call =
    high === 0xffff_ffff && low >= PAGE && (low - PAGE) % SPACING === 0 ? calls[(low - PAGE) / SPACING] : null;
  if (!call || task.cpu.isa !== 'x86_64') return false;
  const { cpu, mem } = task;
  const pointers = [cpu.getGpr(RDI), cpu.getGpr(RSI)].map(Number);
  for (const [k, size] of call.sizes.entries()) {
    const address = pointers[k]!;
    if (size === 0 || address === 0 || mem.accessible(address, size, PROT_WRITE) === size) continue;
    const fault = { signo: SIGSEGV, code: SEGV_MAPERR, address, trapno: TRAP_PAGE_FAULT, err: WRITE_FAULT };
    raiseFault(task, fault);
    return true;
  }
  try {
    const back = mem.readU64(cpu.sp);
    cpu.setGpr(RAX, BigInt(call.act(task, pointers[0]!, pointers[1]!)));
    cpu.sp += 8;
    cpu.pc = back;
  } catch (e) {
    if (!(e instanceof SysError) || e.errno !== errno.EFAULT) throw e;
    raiseFault(task, { signo: SIGSEGV, code: SI_KERNEL, address: 0 });
  }
  return true;
}
