/** Directory notification by signal (fcntl(2), F_NOTIFY; fs/notify/dnotify). */
import { errno, sysError } from '../abi/errno.ts';
import { SI_KERNEL, SIGIO } from '../abi/signals.ts';
import { sendSignal } from '../signals/send.ts';
import type { Process } from '../task/process.ts';
import { isDirectory } from './namei.ts';
import {
  addMark,
  type FileEvent,
  IN_ACCESS,
  IN_ATTRIB,
  IN_CREATE,
  IN_DELETE,
  IN_MODIFY,
  IN_MOVED_FROM,
  IN_MOVED_TO,
  type Mark,
  removeMark,
  watchKey,
} from './notify.ts';
import { type OpenFile, POLLIN, POLLRDNORM } from './open-file.ts';

/** si_code and si_band of a signal chosen with F_SETSIG (fs/fcntl.c, send_sigio_to_task). */
const POLL_MSG = 3;
const POLLMSG = 0x400;
const MESSAGE = POLLIN | POLLRDNORM | POLLMSG;
const DN_MULTISHOT = 0x8000_0000;
/** DN_ACCESS, DN_MODIFY, DN_CREATE, DN_DELETE, DN_RENAME, DN_ATTRIB: the events behind each bit. */
const EVENTS = [IN_ACCESS, IN_MODIFY, IN_CREATE | IN_MOVED_TO, IN_DELETE | IN_MOVED_FROM, IN_MOVED_FROM, IN_ATTRIB];

class DirectoryMark implements Mark {
  orphan = 0;
  mask = 0;
  multishot = false;
  /** The descriptor that F_NOTIFY was called on. */
  fd = -1;
  readonly #key: string;
  readonly #process: Process;
  /** F_SETSIG at the time of the event; 0 is SIGIO. */
  readonly #signal: () => number;

  constructor(file: OpenFile, process: Process, signal: () => number) {
    this.#key = watchKey(file.inode!);
    this.#process = process;
    this.#signal = signal;
    addMark(this.#key, this);
    file.onRelease(() => this.gone());
  }
  tell(event: FileEvent): void {
    // Only what happens to the directory's entries counts.
    if (event.name === null || (event.mask & this.mask) === 0) return;
    const signo = this.#signal();
    if (signo === 0) sendSignal(this.#process, SIGIO, { code: SI_KERNEL });
    else sendSignal(this.#process, signo, { code: POLL_MSG, poll: { band: MESSAGE, fd: this.fd } });
    if (!this.multishot) this.mask = 0;
  }
  gone(): void {
    removeMark(this.#key, this);
  }
}

const marks = new WeakMap<OpenFile, DirectoryMark>();

/** F_NOTIFY: `asked` has DN_* bits, 0 ends it. Throws ENOTDIR, EINVAL. */
export function notifyDirectory(
  file: OpenFile,
  process: Process,
  fd: number,
  asked: number,
  signal: () => number,
): number {
  let mark = marks.get(file);
  const events = EVENTS.reduce((mask, bits, i) => (asked & (1 << i) ? mask | bits : mask), 0);
  if (events === 0) {
    mark?.gone();
    marks.delete(file);
    return 0;
  }
  if (!file.inode || !isDirectory(file.inode)) throw sysError(errno.ENOTDIR);
  if (!mark) {
    mark = new DirectoryMark(file, process, signal);
    marks.set(file, mark);
  }
  mark.fd = fd;
  mark.mask |= events;
  mark.multishot = (asked & DN_MULTISHOT) !== 0;
  return 0;
}
