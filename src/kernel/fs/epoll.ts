/**
 * epoll(7). As in fs/eventpoll.c there is an interest list and a ready list: a wake-up of a file puts its item on the
 * ready list, and a wait looks at the items there. Level-triggered items stay on it until they are found not ready.
 */
import { errno, sysError } from '../abi/errno.ts';
import type { Task } from '../task/task.ts';
import { type OpenFile, O_RDWR, OpenFile as OpenFileBase, POLLIN, POLLRDNORM } from './open-file.ts';
import { POLL_ALWAYS } from './poll.ts';
import { anonInode } from './pseudo.ts';

export const EPOLLEXCLUSIVE = 1 << 28;
export const EPOLLWAKEUP = 1 << 29;
export const EPOLLONESHOT = 1 << 30;
export const EPOLLET = 1 << 31;
/** Bits of `events` that are no events. */
const PRIVATE_BITS = EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE;
/** What may stand beside EPOLLEXCLUSIVE (EPOLLEXCLUSIVE_OK_BITS). */
const EXCLUSIVE_OK =
  0x001 | 0x004 | 0x008 | 0x010 | 0x040 | 0x080 | 0x100 | 0x200 | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE;
const MAX_NESTS = 4;

/** Where events go: struct epoll_event as words. */
export interface EventBuffer {
  readonly words: Uint32Array;
  /** Words of an event, and the word of it where the user's data begins. */
  readonly stride: number;
  readonly data: number;
}

interface Item {
  readonly file: OpenFile;
  readonly fd: number;
  /** Event bits asked for with the private ones; 0 but for private bits when disabled by EPOLLONESHOT. */
  events: number;
  dataLo: number;
  dataHi: number;
  /** It is on the ready list. */
  ready: boolean;
  readonly woken: (bits: number) => void;
  readonly forget: () => void;
}

export class EpollFile extends OpenFileBase {
  /** By file, then by descriptor number: one file may be watched under several. */
  readonly #items = new Map<OpenFile, Map<number, Item>>();
  #ready: Item[] = [];
  /** Epoll files that watch this one. */
  readonly #parents = new Set<EpollFile>();

  constructor() {
    super(O_RDWR);
    this.inode = anonInode;
    this.path = 'anon_inode:[eventpoll]';
  }
  protected override release(): void {
    for (const byFd of [...this.#items.values()]) for (const item of [...byFd.values()]) this.#drop(item);
  }
  /** Watched files and the descriptors they were added under, for /proc/PID/fdinfo. */
  *watched(): Generator<{ fd: number; events: number; dataLo: number; dataHi: number; file: OpenFile }> {
    for (const byFd of this.#items.values()) yield* byFd.values();
  }

  #find(file: OpenFile, fd: number): Item | null {
    return this.#items.get(file)?.get(fd) ?? null;
  }

  /** EPOLL_CTL_ADD. Throws EEXIST, EPERM (no readiness), EINVAL (itself, bad EPOLLEXCLUSIVE), ELOOP. */
  add(file: OpenFile, fd: number, events: number, dataLo: number, dataHi: number, task?: Task): void {
    this.#check(file);
    if (events & EPOLLEXCLUSIVE && (file instanceof EpollFile || events & ~EXCLUSIVE_OK)) throw sysError(errno.EINVAL);
    if (file instanceof EpollFile && (file.#reaches(this) || file.#depth() + 1 + this.#height() > MAX_NESTS))
      throw sysError(errno.ELOOP);
    if (this.#find(file, fd)) throw sysError(errno.EEXIST);
    const item: Item = {
      file,
      fd,
      events,
      dataLo,
      dataHi,
      ready: false,
      woken: (bits) => this.#woken(item, bits),
      forget: () => this.#drop(item),
    };
    let byFd = this.#items.get(file);
    if (!byFd) {
      byFd = new Map();
      this.#items.set(file, byFd);
    }
    byFd.set(fd, item);
    if (file instanceof EpollFile) file.#parents.add(this);
    file.waiters.add(item.woken);
    file.onRelease(item.forget);
    this.#look(item, task);
  }
  /** EPOLL_CTL_MOD. Throws ENOENT, and EINVAL where EPOLLEXCLUSIVE is involved. */
  modify(file: OpenFile, fd: number, events: number, dataLo: number, dataHi: number, task?: Task): void {
    this.#check(file);
    if (events & EPOLLEXCLUSIVE) throw sysError(errno.EINVAL);
    const item = this.#find(file, fd);
    if (!item) throw sysError(errno.ENOENT);
    if (item.events & EPOLLEXCLUSIVE) throw sysError(errno.EINVAL);
    item.events = events;
    item.dataLo = dataLo;
    item.dataHi = dataHi;
    this.#look(item, task);
  }
  /** EPOLL_CTL_DEL. Throws ENOENT. */
  remove(file: OpenFile, fd: number): void {
    this.#check(file);
    const item = this.#find(file, fd);
    if (!item) throw sysError(errno.ENOENT);
    this.#drop(item);
  }
  #check(file: OpenFile): void {
    if (!file.pollable) throw sysError(errno.EPERM);
    if (file === this) throw sysError(errno.EINVAL);
  }
  #drop(item: Item): void {
    item.file.waiters.remove(item.woken);
    item.file.offRelease(item.forget);
    const byFd = this.#items.get(item.file);
    byFd?.delete(item.fd);
    if (byFd?.size === 0) {
      this.#items.delete(item.file);
      if (item.file instanceof EpollFile) item.file.#parents.delete(this);
    }
    if (!item.ready) return;
    item.ready = false;
    this.#ready.splice(this.#ready.indexOf(item), 1);
  }

  #reaches(other: EpollFile): boolean {
    if ((this as EpollFile) === other) return true;
    for (const file of this.#items.keys()) if (file instanceof EpollFile && file.#reaches(other)) return true;
    return false;
  }
  /** Levels of epoll files below this one. */
  #depth(): number {
    let deepest = 0;
    for (const file of this.#items.keys())
      if (file instanceof EpollFile) deepest = Math.max(deepest, file.#depth() + 1);
    return deepest;
  }
  /** Levels of epoll files above it. */
  #height(): number {
    let highest = 0;
    for (const parent of this.#parents) highest = Math.max(highest, parent.#height() + 1);
    return highest;
  }

  /** Something may have happened to an item's file. */
  #woken(item: Item, bits: number): void {
    const wanted = item.events & ~PRIVATE_BITS;
    if (wanted === 0) return;
    if (bits !== 0 && (bits & (wanted | POLL_ALWAYS)) === 0) return;
    this.#isReady(item);
  }
  #isReady(item: Item): void {
    if (!item.ready) {
      item.ready = true;
      this.#ready.push(item);
    }
    this.waiters.wake(POLLIN | POLLRDNORM);
  }
  #pollItem(item: Item, task: Task | undefined): number {
    const wanted = item.events & ~PRIVATE_BITS;
    return wanted === 0 ? 0 : item.file.poll(task) & (wanted | POLL_ALWAYS);
  }
  #look(item: Item, task?: Task): void {
    if (this.#pollItem(item, task) !== 0) this.#isReady(item);
  }

  /** Whether a wait would find something. Items on the ready list that are not ready leave it. */
  hasReady(task?: Task): boolean {
    const list = this.#ready;
    let gone = 0;
    while (gone < list.length && this.#pollItem(list[gone]!, task) === 0) list[gone++]!.ready = false;
    if (gone > 0) list.splice(0, gone);
    return list.length > 0;
  }
  /** No more events than that are there. */
  get readyCount(): number {
    return this.#ready.length;
  }

  /** Takes up to `max` events, least recently reported first; how many. */
  collect({ words, stride, data }: EventBuffer, max: number, task?: Task): number {
    const list = this.#ready;
    // Behind those that have not had their turn.
    const again: Item[] = [];
    let count = 0;
    let seen = 0;
    for (; seen < list.length && count < max; seen++) {
      const item = list[seen]!;
      item.ready = false;
      const bits = this.#pollItem(item, task);
      if (bits === 0) continue;
      const at = count++ * stride;
      words[at] = bits;
      // Padding where the data is aligned.
      words[at + 1] = 0;
      words[at + data] = item.dataLo;
      words[at + data + 1] = item.dataHi;
      if (item.events & EPOLLONESHOT) item.events &= PRIVATE_BITS;
      else if (!(item.events & EPOLLET)) {
        item.ready = true;
        again.push(item);
      }
    }
    this.#ready = seen === list.length ? again : [...list.slice(seen), ...again];
    return count;
  }
  /** Puts back what `collect` took, when it could not be told to the guest. */
  uncollect(task?: Task): void {
    for (const byFd of this.#items.values()) for (const item of byFd.values()) this.#look(item, task);
  }

  override lseek(): number {
    return 0;
  }
  override poll(task?: Task): number {
    return this.hasReady(task) ? POLLIN | POLLRDNORM : 0;
  }
}
