/** ioctl_tty(2). */
import { errno, sysError } from '../abi/errno.ts';
import { SIGTTOU } from '../abi/signals.ts';
import type { Process } from '../task/process.ts';
import type { Task } from '../task/task.ts';
import { decodeTermios, encodeTermios, TERMIOS2_SIZE, TERMIOS_SIZE } from './termios.ts';
import type { Terminal, TtyFile } from './tty.ts';

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
  TIOCGETD: 0x5424,
  TCSBRKP: 0x5425,
  TIOCGSID: 0x5429,
  TCGETS2: 0x802c542a,
  TCSETS2: 0x402c542b,
  TCSETSW2: 0x402c542c,
  TCSETSF2: 0x402c542d,
} as const;
const R = ttyRequests;

/** `arg` is a guest address or an int, by request. Throws ENOTTY for requests a terminal does not have. */
export function ttyIoctl(task: Task, file: TtyFile, request: number, arg: number): number {
  const { terminal } = file;
  const { mem } = task;
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
      return setTermios(task, terminal, arg, TERMIOS_SIZE, request === R.TCSETSF);
    case R.TCSETS2:
    case R.TCSETSW2:
    case R.TCSETSF2:
      return setTermios(task, terminal, arg, TERMIOS2_SIZE, request === R.TCSETSF2);
    case R.TIOCGWINSZ: {
      const { rows, columns, xpixel, ypixel } = terminal.size;
      mem.copyOut(arg, new Uint8Array(new Uint16Array([rows, columns, xpixel, ypixel]).buffer));
      return 0;
    }
    case R.TIOCSWINSZ: {
      const bytes = mem.copyIn(arg, 8);
      const [rows, columns, xpixel, ypixel] = new Uint16Array(bytes.buffer, bytes.byteOffset, 4) as unknown as [
        number,
        number,
        number,
        number,
      ];
      terminal.setSize({ rows, columns, xpixel, ypixel });
      return 0;
    }
    case R.FIONREAD:
      mem.writeU32(arg, terminal.availableInput);
      return 0;
    case R.TIOCOUTQ:
      mem.writeU32(arg, 0);
      return 0;
    case R.TCFLSH:
      return flush(task, terminal, arg);
    case R.TCSBRK:
    case R.TCSBRKP:
    case R.TCXONC:
      // Output has left us when write returns; breaks and suspended output mean nothing to the host's terminal.
      terminal.checkForeground(task, SIGTTOU);
      if (request === R.TCXONC && (arg < 0 || arg > 3)) throw sysError(errno.EINVAL);
      return 0;
    case R.TIOCEXCL:
    case R.TIOCNXCL:
      return 0;
    case R.TIOCSTI:
      // dev.tty.legacy_tiocsti is 0.
      throw sysError(errno.EIO);
    case R.TIOCGETD:
      mem.writeU32(arg, 0);
      return 0;
    default:
      return jobControl(task, terminal, request >>> 0, arg);
  }
}

function setTermios(task: Task, terminal: Terminal, arg: number, size: number, drop: boolean): number {
  terminal.checkForeground(task, SIGTTOU);
  terminal.setTermios(decodeTermios(task.mem.copyIn(arg, size)), drop);
  return 0;
}

function flush(task: Task, terminal: Terminal, queue: number): number {
  terminal.checkForeground(task, SIGTTOU);
  if (queue < 0 || queue > 2) throw sysError(errno.EINVAL);
  if (queue !== 1) terminal.flushInput();
  return 0;
}

function jobControl(task: Task, terminal: Terminal, request: number, arg: number): number {
  const { process } = task;
  switch (request) {
    case R.TIOCGPGRP:
      mustControl(terminal, process);
      task.mem.writeU32(arg, terminal.pgrp);
      return 0;
    case R.TIOCGSID:
      mustControl(terminal, process);
      task.mem.writeU32(arg, terminal.session);
      return 0;
    case R.TIOCSPGRP:
      return setForeground(task, terminal, arg);
    case R.TIOCSCTTY:
      return setControlling(task, terminal, arg);
    case R.TIOCNOTTY:
      mustControl(terminal, process);
      process.ttyDev = 0;
      // A session leader that lets go frees the terminal for another session.
      if (process.pid === terminal.session) {
        terminal.session = 0;
        terminal.pgrp = 0;
      }
      return 0;
    default:
      throw sysError(errno.ENOTTY);
  }
}

function mustControl(terminal: Terminal, process: Process): void {
  if (!terminal.isControllingOf(process)) throw sysError(errno.ENOTTY);
}

function setForeground(task: Task, terminal: Terminal, arg: number): number {
  const { process } = task;
  terminal.checkForeground(task, SIGTTOU);
  mustControl(terminal, process);
  const pgrp = task.mem.readI32(arg);
  if (pgrp < 0) throw sysError(errno.EINVAL);
  const members = [...task.kernel.processes.values()].filter((p) => p.pgid === pgrp);
  if (members.length === 0) throw sysError(errno.ESRCH);
  if (!members.some((p) => p.sid === process.sid)) throw sysError(errno.EPERM);
  terminal.pgrp = pgrp;
  return 0;
}

function setControlling(task: Task, terminal: Terminal, steal: number): number {
  const { process } = task;
  if (terminal.isControllingOf(process) && process.sid === process.pid) return 0;
  if (process.sid !== process.pid || process.ttyDev !== 0) throw sysError(errno.EPERM);
  if (terminal.session !== 0 && !(steal === 1 && task.cred.capable(CAP_SYS_ADMIN))) throw sysError(errno.EPERM);
  terminal.session = process.sid;
  terminal.pgrp = process.pgid;
  process.ttyDev = terminal.rdev;
  return 0;
}
