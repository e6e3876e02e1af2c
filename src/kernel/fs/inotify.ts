/** inotify(7): a queue of file events, and the watches that fill it (fs/notify/inotify). */
import { errno, sysError } from '../abi/errno.ts';
import { latin1Bytes } from '../mm/user-memory.ts';
import type { Task } from '../task/task.ts';
import type { Path } from './fs-context.ts';
import { addMark, type FileEvent, type Mark, removeMark, watchKey } from './notify.ts';
import { type MaybePromise, O_NONBLOCK, O_RDONLY, OpenFile, POLLIN, POLLRDNORM } from './open-file.ts';
import { anonInode } from './pseudo.ts';

export const IN_ALL_EVENTS = 0xfff;
export const IN_UNMOUNT = 0x2000;
export const IN_Q_OVERFLOW = 0x4000;
export const IN_IGNORED = 0x8000;
export const IN_ONLYDIR = 0x0100_0000;
export const IN_DONT_FOLLOW = 0x0200_0000;
export const IN_EXCL_UNLINK = 0x0400_0000;
export const IN_MASK_CREATE = 0x1000_0000;
export const IN_MASK_ADD = 0x2000_0000;
export const IN_ONESHOT = 0x8000_0000;

/** fs.inotify.max_queued_events, max_user_instances and max_user_watches. */
export const MAX_QUEUED_EVENTS = 16384;
export const MAX_USER_INSTANCES = 128;
export const MAX_USER_WATCHES = 65536;

/** sizeof(struct inotify_event): names are padded to multiples of it. */
const HEADER = 16;
const FIONREAD = 0x541b;
/** Bits of a watch that the caller decides about later calls with. */
const KEPT = IN_ALL_EVENTS | IN_UNMOUNT | IN_EXCL_UNLINK | (IN_ONESHOT | 0);

interface QueuedEvent {
  readonly wd: number;
  readonly mask: number;
  readonly cookie: number;
  readonly name: string | null;
}

const nameLength = (name: string | null): number =>
  name === null ? 0 : Math.ceil((name.length + 1) / HEADER) * HEADER;

class Watch implements Mark {
  readonly wd: number;
  readonly key: string;
  /** Keeps the place, and with it the inode's identity, alive. */
  readonly place: Path;
  mask: number;
  orphan = 0;
  readonly #file: InotifyFile;

  constructor(file: InotifyFile, wd: number, key: string, place: Path, mask: number) {
    this.#file = file;
    this.wd = wd;
    this.key = key;
    this.place = place;
    this.mask = mask;
  }
  tell(event: FileEvent): void {
    if ((event.mask & this.mask & IN_ALL_EVENTS) === 0) return;
    if (event.unlinked && event.name !== null && this.mask & IN_EXCL_UNLINK) return;
    this.#file.queue({ wd: this.wd, mask: event.mask >>> 0, cookie: event.cookie, name: event.name });
    if (this.mask & (IN_ONESHOT | 0)) this.#file.drop(this);
  }
  gone(): void {
    this.#file.drop(this);
  }
}

export class InotifyFile extends OpenFile {
  readonly #watches = new Map<number, Watch>();
  readonly #byKey = new Map<string, Watch>();
  #queue: QueuedEvent[] = [];
  #nextWd = 1;
  readonly #onRelease: () => void;

  constructor(nonblocking: boolean, onRelease: () => void) {
    super(O_RDONLY | (nonblocking ? O_NONBLOCK : 0));
    this.inode = anonInode;
    this.path = 'anon_inode:inotify';
    this.#onRelease = onRelease;
  }
  protected override release(): void {
    for (const watch of this.#watches.values()) removeMark(watch.key, watch);
    this.#onRelease();
  }
  get watchCount(): number {
    return this.#watches.size;
  }

  /** inotify_add_watch(2): a new watch, or a changed one of the same inode. Throws EEXIST, ENOSPC. */
  add(place: Path, mask: number): number {
    const key = watchKey(place.dentry.inode);
    const have = this.#byKey.get(key);
    if (have) {
      if (mask & IN_MASK_CREATE) throw sysError(errno.EEXIST);
      have.mask = (mask & IN_MASK_ADD ? have.mask : 0) | (mask & KEPT);
      return have.wd;
    }
    if (this.#watches.size >= MAX_USER_WATCHES) throw sysError(errno.ENOSPC);
    const watch = new Watch(this, this.#nextWd++, key, place, mask & KEPT);
    this.#watches.set(watch.wd, watch);
    this.#byKey.set(key, watch);
    addMark(key, watch);
    return watch.wd;
  }
  /** inotify_rm_watch(2). Throws EINVAL. */
  remove(wd: number): void {
    const watch = this.#watches.get(wd);
    if (!watch) throw sysError(errno.EINVAL);
    this.drop(watch);
  }
  drop(watch: Watch): void {
    if (this.#watches.get(watch.wd) !== watch) return;
    this.#watches.delete(watch.wd);
    this.#byKey.delete(watch.key);
    removeMark(watch.key, watch);
    this.queue({ wd: watch.wd, mask: IN_IGNORED, cookie: 0, name: null });
  }

  queue(event: QueuedEvent): void {
    const last = this.#queue.at(-1);
    const same =
      last &&
      last.wd === event.wd &&
      last.mask === event.mask &&
      last.name === event.name &&
      last.cookie === event.cookie;
    if (same && event.mask !== IN_IGNORED) return;
    if (this.#queue.length >= MAX_QUEUED_EVENTS) {
      if (last!.mask === IN_Q_OVERFLOW) return;
      this.#queue.push({ wd: -1, mask: IN_Q_OVERFLOW, cookie: 0, name: null });
    } else this.#queue.push(event);
    this.waiters.wake(POLLIN | POLLRDNORM);
  }

  override read(task: Task, dst: Uint8Array, _position: number | null): MaybePromise<number> {
    if (this.#queue.length > 0) return this.#take(dst);
    if (this.nonblocking) throw sysError(errno.EAGAIN);
    return this.#waitAndRead(task, dst);
  }
  async #waitAndRead(task: Task, dst: Uint8Array): Promise<number> {
    for (;;) {
      const result = await task.wait([this.waiters], () => this.#queue.length > 0, null);
      if (this.#queue.length > 0) return this.#take(dst);
      if (result === 'signal') throw sysError(errno.ERESTARTSYS);
    }
  }
  /** As many whole events as fit; EINVAL when not even one does. */
  #take(dst: Uint8Array): number {
    let at = 0;
    let count = 0;
    const view = new DataView(dst.buffer, dst.byteOffset, dst.length);
    for (const { wd, mask, cookie, name } of this.#queue) {
      const length = nameLength(name);
      if (at + HEADER + length > dst.length) break;
      view.setInt32(at, wd, true);
      view.setUint32(at + 4, mask, true);
      view.setUint32(at + 8, cookie, true);
      view.setUint32(at + 12, length, true);
      if (name !== null) {
        dst.fill(0, at + HEADER, at + HEADER + length);
        dst.set(latin1Bytes(name), at + HEADER);
      }
      at += HEADER + length;
      count++;
    }
    if (count === 0) throw sysError(errno.EINVAL);
    this.#queue.splice(0, count);
    return at;
  }

  override poll(): number {
    return this.#queue.length > 0 ? POLLIN | POLLRDNORM : 0;
  }
  override lseek(): number {
    return 0;
  }
  override ioctl(task: Task, request: number, arg: number): number {
    if (request !== FIONREAD) throw sysError(errno.ENOTTY);
    task.mem.writeU32(
      arg,
      this.#queue.reduce((sum, e) => sum + HEADER + nameLength(e.name), 0),
    );
    return 0;
  }
  /** For /proc/PID/fdinfo. */
  fdinfo(): string {
    const hex = (n: number): string => (n >>> 0).toString(16);
    return [...this.#watches.values()]
      .map(({ wd, key, mask }) => {
        const [dev, ino] = key.split(':').map(Number) as [number, number];
        return `inotify wd:${hex(wd)} ino:${ino.toString(16)} sdev:${dev.toString(16)} mask:${hex(mask & IN_ALL_EVENTS)} ignored_mask:0 \n`;
      })
      .join('');
  }
}
