/** ioctl_tty(2): what every terminal understands. A pseudoterminal's master passes on what concerns the slave. */
import { errno, sysError } from '../abi/errno.ts';
import { SIGTTOU } from '../abi/signals.ts';
import type { Process } from '../task/process.ts';
import type { Task } from '../task/task.ts';
import { decodeTermios, DISABLED, encodeTermios, TERMIOS2_SIZE, TERMIOS_SIZE, VSTART, VSTOP } from './termios.ts';
import { controllingTty, type Tty } from './tty-device.ts';
import { groupNamed, pidSeenBy } from '../ns/pid.ts';

const CAP_SYS_ADMIN = 21;

export const ttyRequests = {
  TCGETS: 0x5401,
  TCSETS: 0x5402,
  TCSETSW: 0x5403,
  TCSETSF: 0x5404,
  TCSBRK: 0x5409,
  TCXONC: 0x540a,
  TCFLSH: 0x540b,
  TIOCEXCL: 0x540c,
  TIOCNXCL: 0x540d,
  TIOCSCTTY: 0x540e,
  TIOCGPGRP: 0x540f,
  TIOCSPGRP: 0x5410,
  TIOCOUTQ: 0x5411,
  TIOCSTI: 0x5412,
  TIOCGWINSZ: 0x5413,
  TIOCSWINSZ: 0x5414,
  FIONREAD: 0x541b,
  TIOCNOTTY: 0x5422,
  TIOCSETD: 0x5423,
  TIOCGETD: 0x5424,
  TCSBRKP: 0x5425,
  TIOCGSID: 0x5429,
  TIOCGDEV: 0x80045432,
  TIOCGEXCL: 0x80045440,
  TCGETS2: 0x802c542a,
  TCSETS2: 0x402c542b,
  TCSETSW2: 0x402c542c,
  TCSETSF2: 0x402c542d,
} as const;
const R = ttyRequests;

/**
 * `arg` is a guest address or an int, by request. `asMaster`: asked of a pseudoterminal's master, for whom no foreground is
 * checked. Throws ENOTTY for requests a terminal does not have.
 */
export function ttyIoctl(task: Task, terminal: Tty, request: number, arg: number, asMaster = false): number {
  const { mem } = task;
  const change = (): void => {
    if (!asMaster) terminal.checkForeground(task, SIGTTOU);
  };
  const int = arg | 0;
  switch (request >>> 0) {
    case R.TCGETS:
      mem.copyOut(arg, encodeTermios(terminal.termios));
      return 0;
    case R.TCGETS2:
      mem.copyOut(arg, encodeTermios(terminal.termios, TERMIOS2_SIZE));
      return 0;
    case R.TCSETS:
    case R.TCSETSW:
    case R.TCSETSF:
      change();
      terminal.setTermios(decodeTermios(mem.copyIn(arg, TERMIOS_SIZE)), request === R.TCSETSF);
      return 0;
    case R.TCSETS2:
    case R.TCSETSW2:
    case R.TCSETSF2:
      change();
      terminal.setTermios(decodeTermios(mem.copyIn(arg, TERMIOS2_SIZE)), request >>> 0 === R.TCSETSF2);
      return 0;
    case R.TIOCGWINSZ: {
      const { rows, columns, xpixel, ypixel } = terminal.size;
      mem.copyOut(arg, new Uint8Array(new Uint16Array([rows, columns, xpixel, ypixel]).buffer));
      return 0;
    }
    case R.TIOCSWINSZ: {
      const bytes = mem.copyIn(arg, 8);
      const [rows, columns, xpixel, ypixel] = new Uint16Array(bytes.buffer, bytes.byteOffset, 4);
      terminal.setSize({ rows: rows!, columns: columns!, xpixel: xpixel!, ypixel: ypixel! });
      return 0;
    }
    case R.FIONREAD:
      mem.writeU32(arg, terminal.availableInput);
      return 0;
    case R.TIOCOUTQ:
      mem.writeU32(arg, terminal.queuedOutput);
      return 0;
    case R.TCFLSH:
      change();
      if (int < 0 || int > 2) throw sysError(errno.EINVAL);
      if (int !== 1) terminal.flushInput();
      if (int !== 0) terminal.flushOutput();
      return 0;
    case R.TCXONC:
      change();
      return flowControl(terminal, int);
    case R.TCSBRK:
    case R.TCSBRKP:
      // Output has left when write returns, and a break means nothing here.
      change();
      return 0;
    case R.TIOCEXCL:
    case R.TIOCNXCL:
      terminal.exclusive = request === R.TIOCEXCL;
      return 0;
    case R.TIOCGEXCL:
      mem.writeU32(arg, terminal.exclusive ? 1 : 0);
      return 0;
    case R.TIOCGDEV:
      mem.writeU32(arg, terminal.rdev);
      return 0;
    case R.TIOCSTI:
      // dev.tty.legacy_tiocsti is 0.
      throw sysError(errno.EIO);
    case R.TIOCGETD:
      mem.writeU32(arg, 0);
      return 0;
    case R.TIOCSETD:
      // N_TTY is the only line discipline.
      if (mem.readI32(arg) !== 0) throw sysError(errno.EINVAL);
      return 0;
    default:
      return jobControl(task, terminal, request >>> 0, arg, asMaster);
  }
}

/** TCOOFF, TCOON, TCIOFF, TCION. */
function flowControl(terminal: Tty, action: number): number {
  switch (action) {
    case 0:
    case 1:
      terminal.setOutputStopped(action === 0);
      return 0;
    case 2:
    case 3: {
      const c = terminal.termios.cc[action === 2 ? VSTOP : VSTART]!;
      if (c !== DISABLED) terminal.sendCharacter(c);
      return 0;
    }
    default:
      throw sysError(errno.EINVAL);
  }
}

function jobControl(task: Task, terminal: Tty, request: number, arg: number, asMaster: boolean): number {
  const { process } = task;
  switch (request) {
    case R.TIOCGPGRP:
      if (!asMaster) mustControl(terminal, process);
      task.mem.writeU32(arg, pidSeenBy(task, terminal.pgrp));
      return 0;
    case R.TIOCGSID:
      if (!asMaster) mustControl(terminal, process);
      if (terminal.session === 0) throw sysError(errno.ENOTTY);
      task.mem.writeU32(arg, pidSeenBy(task, terminal.session));
      return 0;
    case R.TIOCSPGRP:
      return setForeground(task, terminal, arg);
    case R.TIOCSCTTY:
      return setControlling(task, terminal, arg);
    case R.TIOCNOTTY:
      mustControl(terminal, process);
      if (process.pid === terminal.session) terminal.leaveSession(false);
      process.ttyDev = 0;
      return 0;
    default:
      throw sysError(errno.ENOTTY);
  }
}

function mustControl(terminal: Tty, process: Process): void {
  if (!terminal.isControllingOf(process)) throw sysError(errno.ENOTTY);
}

function setForeground(task: Task, terminal: Tty, arg: number): number {
  const { process } = task;
  terminal.checkForeground(task, SIGTTOU);
  mustControl(terminal, process);
  const number = task.mem.readI32(arg);
  if (number < 0) throw sysError(errno.EINVAL);
  const pgrp = groupNamed(task, number);
  const members = [...task.kernel.processes.values()].filter((p) => p.pgid === pgrp);
  if (members.length === 0) throw sysError(errno.ESRCH);
  if (!members.some((p) => p.sid === process.sid)) throw sysError(errno.EPERM);
  terminal.pgrp = pgrp;
  return 0;
}

function setControlling(task: Task, terminal: Tty, steal: number): number {
  const { process } = task;
  if (terminal.isControllingOf(process) && process.sid === process.pid) return 0;
  if (process.sid !== process.pid || controllingTty(process) !== null) throw sysError(errno.EPERM);
  if (terminal.session !== 0) {
    if (!(steal === 1 && task.cred.capable(CAP_SYS_ADMIN))) throw sysError(errno.EPERM);
    // session_clear_tty: the former session loses it without a signal.
    for (const p of task.kernel.processes.values())
      if (p.sid === terminal.session && p.ttyDev === terminal.rdev) p.ttyDev = 0;
  }
  terminal.takeSession(process);
  return 0;
}
