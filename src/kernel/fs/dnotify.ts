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
import type { OpenFile } from './open-file.ts';

const DN_MULTISHOT = 0x8000_0000;
/** DN_ACCESS, DN_MODIFY, DN_CREATE, DN_DELETE, DN_RENAME, DN_ATTRIB: the events behind each bit. */
const EVENTS = [IN_ACCESS, IN_MODIFY, IN_CREATE | IN_MOVED_TO, IN_DELETE | IN_MOVED_FROM, IN_MOVED_FROM, IN_ATTRIB];

class DirectoryMark implements Mark {
  orphan = 0;
  mask = 0;
  multishot = false;
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
    sendSignal(this.#process, this.#signal() || SIGIO, { code: SI_KERNEL });
    if (!this.multishot) this.mask = 0;
  }
  gone(): void {
    removeMark(this.#key, this);
  }
}

const marks = new WeakMap<OpenFile, DirectoryMark>();

/** F_NOTIFY: `asked` has DN_* bits, 0 ends it. Throws ENOTDIR, EINVAL. */
export function notifyDirectory(file: OpenFile, process: Process, asked: number, signal: () => number): number {
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
  mark.mask |= events;
  mark.multishot = (asked & DN_MULTISHOT) !== 0;
  return 0;
}
