import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { errno } from '../../../src/kernel/abi/errno.ts';
import {
  SA_NODEFER,
  SA_ONSTACK,
  SA_RESETHAND,
  SA_RESTART,
  SA_SIGINFO,
  SIGALRM,
  SIGCHLD,
  SIGCONT,
  SIGINT,
  SIGKILL,
  SIGSEGV,
  SIGSTOP,
  SIGTERM,
  SIGUSR1,
  SIGUSR2,
} from '../../../src/kernel/abi/signals.ts';
import { raiseFault } from '../../../src/kernel/signals/deliver.ts';
import { sendSignal } from '../../../src/kernel/signals/send.ts';
import { shellStatus, waitStatus } from '../../../src/kernel/task/exit-status.ts';
import { BAD, DATA, HANDLER, Machine, named, RESTORER, sigmask, STACK_TOP } from '../syscalls/harness.ts';

let m: Machine;
beforeEach(() => {
  vi.useFakeTimers();
  m = new Machine();
});
afterEach(() => {
  vi.useRealTimers();
});

const RSP = 4;
/** Offsets from the frame (where the handler's rsp points), as in struct rt_sigframe. */
const UC = 8;
const MCONTEXT = UC + 40;
const SIGINFO = 312;

describe('the x86-64 signal frame', () => {
  beforeEach(() => {
    m.handle(SIGUSR1, SA_SIGINFO);
    for (let i = 0; i < 16; i++) if (i !== RSP) m.cpu.setGpr(i, 0x1111_1111_1111_1111n * BigInt(i));
    m.cpu.pc = 0x40_1234;
    m.cpu.flags = 0xed7n; // CF PF AF ZF SF DF OF IF
    m.cpu.fp.fill(0x5a);
  });

  it('has the layout Linux gives it', () => {
    const sp = m.cpu.sp;
    sendSignal(m.task, SIGUSR1, { code: 0, pid: 77, uid: 88 });
    expect(m.toUserMode()).toEqual({ kind: 'continue' });
    const frame = m.cpu.sp;
    const { mem, cpu } = m;
    expect(cpu.pc).toBe(HANDLER);
    // As after a call: the stack is misaligned by the return address, and the red zone is left alone.
    expect(frame % 16).toBe(8);
    expect(frame).toBeLessThan(sp - 128 - 512);
    expect(mem.readU64(frame)).toBe(RESTORER);
    expect(cpu.getGpr(7)).toBe(BigInt(SIGUSR1));
    expect(cpu.getGpr(6)).toBe(BigInt(frame + SIGINFO));
    expect(cpu.getGpr(2)).toBe(BigInt(frame + UC));
    expect(cpu.getGpr(0)).toBe(0n);
    expect(cpu.getGpr(3)).toBe(0x3333_3333_3333_3333n);
    expect(cpu.getFlags() & 0x400n).toBe(0n);
    // uc_flags: UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS, no UC_FP_XSTATE.
    expect(mem.readU64(frame + UC)).toBe(6);
    const greg = (i: number): bigint => mem.readBigU64(frame + MCONTEXT + i * 8);
    const order = [8, 9, 10, 11, 12, 13, 14, 15, 7, 6, 5, 3, 2, 0, 1];
    for (const [i, reg] of order.entries())
      expect(greg(i)).toBe(BigInt.asUintN(64, 0x1111_1111_1111_1111n * BigInt(reg)));
    expect(greg(15)).toBe(BigInt(sp));
    expect(greg(16)).toBe(0x40_1234n);
    expect(greg(17)).toBe(0xed7n);
    expect(greg(18)).toBe(0x002b_0000_0000_0033n);
    const fpstate = Number(greg(23));
    expect(fpstate % 64).toBe(0);
    expect(fpstate + 512).toBeLessThanOrEqual(sp - 128);
    expect(mem.readU8(fpstate)).toBe(0x5a);
    expect([0, 4, 8, 16, 20].map((o) => mem.readI32(frame + SIGINFO + o))).toEqual([SIGUSR1, 0, 0, 77, 88]);
  });

  it('comes back through rt_sigreturn with every register', () => {
    const before = { gpr: [...m.cpu.gpr], pc: m.cpu.pc, flags: m.cpu.flags };
    sendSignal(m.task, SIGUSR1);
    m.toUserMode();
    expect(m.task.signals.blocked.has(SIGUSR1)).toBe(true);
    m.cpu.fp.fill(0);
    for (let i = 8; i < 16; i++) m.cpu.setGpr(i, 1n);
    m.returnFromHandler();
    expect([...m.cpu.gpr]).toEqual(before.gpr);
    expect(m.cpu.pc).toBe(before.pc);
    expect(m.cpu.flags).toBe(before.flags);
    expect(m.cpu.fp[100]).toBe(0x5a);
    expect(m.task.signals.blocked.has(SIGUSR1)).toBe(false);
    expect(m.toUserMode()).toEqual({ kind: 'continue' });
    expect(m.task.syscallNumber).toBe(-1);
  });

  it('lets the handler change what comes back, but not the system flags', () => {
    sendSignal(m.task, SIGUSR1);
    m.toUserMode();
    const frame = m.cpu.sp;
    m.mem.writeU64(frame + MCONTEXT + 16 * 8, 0x40_5678);
    m.mem.writeU64(frame + MCONTEXT + 13 * 8, 42);
    m.mem.writeBigU64(frame + MCONTEXT + 17 * 8, 0x3_3fffn);
    m.mem.writeBigU64(frame + UC + 296, sigmask(SIGUSR2, SIGKILL));
    m.returnFromHandler();
    expect(m.cpu.pc).toBe(0x40_5678);
    expect(m.cpu.getGpr(0)).toBe(42n);
    // TF, IOPL, NT and VM stay as they were.
    expect(m.cpu.flags & 0x3_7100n).toBe(0x1_0000n);
    expect([...m.task.signals.blocked]).toEqual([SIGUSR2]);
  });

  it('kills when the stack cannot hold the frame', () => {
    m.cpu.sp = BAD;
    sendSignal(m.task, SIGUSR1);
    expect(m.toUserMode()).toEqual({ kind: 'exit', status: { kind: 'killed', signal: SIGSEGV, core: false } });
  });

  it('kills at rt_sigreturn from a bad frame', () => {
    m.cpu.sp = BAD;
    m.cpu.setGpr(0, 15n);
    m.call(15);
    expect(m.toUserMode()).toEqual({ kind: 'exit', status: { kind: 'killed', signal: SIGSEGV, core: false } });
  });

  it('needs a restorer, as Linux does', () => {
    const action = m.task.sighand.get(SIGUSR1);
    m.task.sighand.set(SIGUSR1, { ...action, flags: SA_SIGINFO });
    sendSignal(m.task, SIGUSR1);
    expect(m.toUserMode().kind).toBe('exit');
  });

  it('stacks frames of several signals, lowest number first', () => {
    m.handle(SIGUSR2);
    sendSignal(m.task, SIGUSR2);
    sendSignal(m.task, SIGUSR1);
    m.toUserMode();
    // SIGUSR1 was entered first, so SIGUSR2's frame lies on top of it and runs first.
    expect(m.cpu.getGpr(7)).toBe(BigInt(SIGUSR2));
    m.returnFromHandler();
    expect(m.cpu.pc).toBe(HANDLER);
    expect(m.cpu.getGpr(7)).toBe(BigInt(SIGUSR1));
  });
});

describe('the alternate stack', () => {
  const set = (sp: number, flags: number, size: number): number | string => {
    m.mem.writeU64(DATA, sp);
    m.mem.writeU64(DATA + 8, flags);
    m.mem.writeU64(DATA + 16, size);
    return m.try('sigaltstack', DATA, DATA + 32);
  };
  it('is used by SA_ONSTACK handlers only', () => {
    const stack = DATA + 0x4000;
    expect(set(stack, 0, 0x4000)).toBe(0);
    m.handle(SIGUSR1, SA_ONSTACK);
    m.handle(SIGUSR2);
    sendSignal(m.task, SIGUSR2);
    m.toUserMode();
    expect(m.cpu.sp).toBeGreaterThan(STACK_TOP - 0x2000);
    sendSignal(m.task, SIGUSR1);
    m.toUserMode();
    expect(m.cpu.sp).toBeGreaterThan(stack);
    expect(m.cpu.sp).toBeLessThan(stack + 0x4000);
    expect(m.try('sigaltstack', 0, DATA + 32)).toBe(0);
    expect(m.mem.readU32(DATA + 40)).toBe(1); // SS_ONSTACK
    expect(set(stack, 0, 0x4000)).toBe('EPERM');
    m.returnFromHandler();
    expect(m.try('sigaltstack', 0, DATA + 32)).toBe(0);
    expect(m.mem.readU32(DATA + 40)).toBe(0);
    expect(m.mem.readU64(DATA + 32)).toBe(stack);
  });
  it('is checked', () => {
    expect(set(DATA, 0, 2047)).toBe('ENOMEM');
    expect(set(DATA, 4, 0x4000)).toBe('EINVAL');
    expect(set(DATA, 2, 0)).toBe(0);
    expect(m.mem.readU32(DATA + 40)).toBe(2);
    expect(m.try('sigaltstack', BAD, 0)).toBe('EFAULT');
  });
  it('kills when it overflows', () => {
    set(DATA + 0x4000, 0, 2048);
    m.handle(SIGUSR1, SA_ONSTACK | SA_NODEFER);
    let action = m.toUserMode();
    for (let i = 0; i < 5 && action.kind === 'continue'; i++) {
      sendSignal(m.task, SIGUSR1);
      action = m.toUserMode();
    }
    expect(action).toEqual({ kind: 'exit', status: { kind: 'killed', signal: SIGSEGV, core: false } });
  });
});

describe('masks and flags', () => {
  it('blocks the signal and sa_mask during the handler', () => {
    m.handle(SIGUSR1, 0, sigmask(SIGUSR2, SIGKILL));
    sendSignal(m.task, SIGUSR1);
    m.toUserMode();
    expect([...m.task.signals.blocked]).toEqual([SIGUSR1, SIGUSR2]);
    sendSignal(m.task, SIGUSR2);
    sendSignal(m.task, SIGUSR1);
    expect(m.task.signalPending()).toBe(false);
  });
  it('SA_NODEFER does not', () => {
    m.handle(SIGUSR1, SA_NODEFER);
    sendSignal(m.task, SIGUSR1);
    m.toUserMode();
    expect([...m.task.signals.blocked]).toEqual([]);
  });
  it('SA_RESETHAND resets', () => {
    m.handle(SIGUSR1, SA_RESETHAND);
    sendSignal(m.task, SIGUSR1);
    expect(m.toUserMode().kind).toBe('continue');
    m.returnFromHandler();
    sendSignal(m.task, SIGUSR1);
    expect(m.toUserMode()).toEqual({ kind: 'exit', status: { kind: 'killed', signal: SIGUSR1, core: false } });
  });
});

describe('default actions', () => {
  it('ignores SIGCHLD, terminates on SIGTERM', () => {
    sendSignal(m.task.process, SIGCHLD);
    expect(m.task.signalPending()).toBe(false);
    sendSignal(m.task.process, SIGTERM);
    const action = m.toUserMode();
    expect(action).toEqual({ kind: 'exit', status: { kind: 'killed', signal: SIGTERM, core: false } });
    if (action.kind !== 'exit') throw new Error();
    expect(waitStatus(action.status!)).toBe(SIGTERM);
    expect(shellStatus(action.status!)).toBe(143);
    expect(m.task.process.exitStatus).not.toBeNull();
    expect(m.kernel.tasks.size).toBe(0);
  });
  it('SIGKILL cannot be blocked', () => {
    m.mem.writeBigU64(DATA, ~0n & 0xffff_ffff_ffff_ffffn);
    expect(m.call('rt_sigprocmask', 2, DATA, 0, 8)).toBe(0);
    sendSignal(m.task.process, SIGTERM);
    expect(m.toUserMode().kind).toBe('continue');
    sendSignal(m.task.process, SIGKILL);
    expect(m.toUserMode()).toMatchObject({ status: { signal: SIGKILL } });
  });
  it('stops and goes on', async () => {
    sendSignal(m.task.process, SIGSTOP);
    const action = m.toUserMode();
    if (action.kind !== 'wait') throw new Error(action.kind);
    let resumed = false;
    void action.until.then(() => {
      resumed = true;
    });
    await Promise.resolve();
    expect(resumed).toBe(false);
    sendSignal(m.task.process, SIGCONT);
    await action.until;
    expect(m.toUserMode()).toEqual({ kind: 'continue' });
  });
  it('SIGKILL gets past a stop', () => {
    sendSignal(m.task.process, SIGSTOP);
    expect(m.toUserMode().kind).toBe('wait');
    sendSignal(m.task.process, SIGKILL);
    expect(m.toUserMode()).toMatchObject({ kind: 'exit', status: { signal: SIGKILL } });
  });
  it('host signals reach the first process', () => {
    m.kernel.hostSignal(SIGINT);
    expect(m.toUserMode()).toMatchObject({ status: { signal: SIGINT } });
  });
});

describe('faults', () => {
  const fault = { signo: SIGSEGV, code: 1, address: 0xdead_0000, trapno: 14, err: 6 };
  it('enter the handler with the fault in the frame', () => {
    m.handle(SIGSEGV, SA_SIGINFO);
    raiseFault(m.task, fault);
    m.toUserMode();
    const frame = m.cpu.sp;
    expect(m.mem.readU64(frame + SIGINFO + 16)).toBe(0xdead_0000);
    expect([19, 20, 22].map((i) => m.mem.readU64(frame + MCONTEXT + i * 8))).toEqual([6, 14, 0xdead_0000]);
  });
  it('kill when blocked, ignored, or inside their own handler', () => {
    m.handle(SIGSEGV, SA_SIGINFO);
    raiseFault(m.task, fault);
    m.toUserMode();
    raiseFault(m.task, fault);
    expect(m.toUserMode()).toMatchObject({ kind: 'exit', status: { signal: SIGSEGV } });
  });
  it('kill when ignored', () => {
    m.mem.writeU64(DATA, 1);
    m.mem.copyOut(DATA + 8, new Uint8Array(24));
    expect(m.call('rt_sigaction', SIGSEGV, DATA, 0, 8)).toBe(0);
    raiseFault(m.task, fault);
    expect(m.toUserMode()).toMatchObject({ kind: 'exit', status: { signal: SIGSEGV } });
  });
});

describe('interrupted calls', () => {
  const sleep = (): Promise<number | string> => {
    m.mem.writeU64(DATA, 10);
    m.mem.writeU64(DATA + 8, 0);
    return m.tryAsync('nanosleep', DATA, DATA + 16);
  };
  it('EINTR and the remainder, when a handler runs', async () => {
    m.handle(SIGALRM, SA_RESTART);
    const done = sleep();
    await vi.advanceTimersByTimeAsync(4000);
    sendSignal(m.task, SIGALRM);
    expect(await done).toBe('ERESTART_RESTARTBLOCK');
    m.toUserMode();
    expect([m.mem.readU64(DATA + 16), m.mem.readU64(DATA + 24)]).toEqual([6, 0]);
    m.returnFromHandler();
    expect(named(m.cpu.result())).toBe('EINTR');
  });
  it('go on after a stop, with the same deadline', async () => {
    const done = sleep();
    const { pc } = m.cpu;
    await vi.advanceTimersByTimeAsync(4000);
    sendSignal(m.task.process, SIGSTOP);
    await done;
    expect(m.toUserMode().kind).toBe('wait');
    sendSignal(m.task.process, SIGCONT);
    expect(m.toUserMode().kind).toBe('continue');
    expect(m.cpu.pc).toBe(pc - 2);
    expect(m.cpu.syscallNumber()).toBe(219);
    const again = m.tryAsync('restart_syscall');
    await vi.advanceTimersByTimeAsync(5999);
    let over = false;
    void again.then(() => {
      over = true;
    });
    await vi.advanceTimersByTimeAsync(0);
    expect(over).toBe(false);
    await vi.advanceTimersByTimeAsync(2);
    expect(await again).toBe(0);
  });
  it('are made again under SA_RESTART, and end with EINTR without', async () => {
    m.mem.writeU32(DATA, 7);
    for (const [flags, restarts] of [
      [SA_RESTART, true],
      [0, false],
    ] as const) {
      m.handle(SIGUSR1, flags);
      m.cpu.pc = 0x40_1002;
      const done = m.tryAsync('futex', DATA, 128, 7, 0);
      sendSignal(m.task, SIGUSR1);
      expect(await done).toBe('ERESTARTSYS');
      m.toUserMode();
      expect(m.cpu.pc).toBe(HANDLER);
      m.returnFromHandler();
      expect(m.cpu.pc).toBe(restarts ? 0x40_1000 : 0x40_1002);
      expect(m.cpu.result()).toBe(restarts ? 202 : -errno.EINTR);
    }
  });
  it('rt_sigsuspend waits with its mask and gives the old one back', async () => {
    m.handle(SIGUSR1);
    m.mem.writeBigU64(DATA, sigmask(SIGUSR1, SIGUSR2));
    m.call('rt_sigprocmask', 0, DATA, 0, 8);
    m.mem.writeBigU64(DATA, sigmask(SIGUSR2));
    const done = m.tryAsync('rt_sigsuspend', DATA, 8);
    sendSignal(m.task, SIGUSR2);
    sendSignal(m.task, SIGUSR1);
    expect(await done).toBe('ERESTARTNOHAND');
    m.toUserMode();
    expect(m.cpu.pc).toBe(HANDLER);
    expect([...m.task.signals.blocked]).toEqual([SIGUSR1, SIGUSR2]);
    m.returnFromHandler();
    expect([...m.task.signals.blocked]).toEqual([SIGUSR1, SIGUSR2]);
    expect(named(m.cpu.result())).toBe('EINTR');
  });
});
