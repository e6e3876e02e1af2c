/** What System V shared memory, semaphores and message queues have in common (sysvipc(7), ipc/util.c): keys, identifiers, rights. */
import { errno, sysError } from '../abi/errno.ts';
import { CAP_SYS_ADMIN } from '../task/credentials.ts';
import type { Task } from '../task/task.ts';

const CAP_IPC_OWNER = 15;
export const IPC_PRIVATE = 0;
export const IPC_CREAT = 0o1000;
export const IPC_EXCL = 0o2000;
export const IPC_NOWAIT = 0o4000;
export const IPC_RMID = 0;
export const IPC_SET = 1;
export const IPC_STAT = 2;
export const IPC_INFO = 3;

/** An identifier is an index and a sequence number above it (IPCMNI_SHIFT). */
const INDEX_BITS = 15;
const MAX_SEQUENCE = 0xffff;
/** sizeof(struct ipc64_perm). */
export const IPC_PERM_SIZE = 48;

/** Seconds of the clock times are told in. */
export const nowSeconds = (task: Task): number => task.kernel.host.realtime()[0];

/** struct ipc_perm, and what else all three kinds of objects need. */
export abstract class IpcObject {
  id = -1;
  sequence = 0;
  key: number;
  uid: number;
  gid: number;
  readonly cuid: number;
  readonly cgid: number;
  /** Permission bits. */
  mode: number;
  /** Last change, seconds since the epoch. */
  changeTime: number;

  constructor(task: Task, key: number, mode: number) {
    const { euid, egid } = task.cred;
    this.key = key;
    this.uid = this.cuid = euid;
    this.gid = this.cgid = egid;
    this.mode = mode & 0o777;
    this.changeTime = nowSeconds(task);
  }

  /** `wanted` has the bits of one class, as in a mode's last digit. */
  allows(task: Task, wanted: number): boolean {
    const { cred } = task;
    const owner = cred.euid === this.uid || cred.euid === this.cuid;
    const group = cred.egid === this.gid || cred.egid === this.cgid || cred.groups.includes(this.gid);
    const granted = owner ? this.mode >> 6 : group ? this.mode >> 3 : this.mode;
    return (wanted & ~granted & 7) === 0 || cred.capableIn(task.ns.ipc.owner!, CAP_IPC_OWNER);
  }
  /** Throws EACCES. */
  check(task: Task, wanted: number): void {
    if (!this.allows(task, wanted)) throw sysError(errno.EACCES);
  }
  /** IPC_SET and IPC_RMID are for owner and creator. Throws EPERM. */
  checkOwner(task: Task): void {
    const { euid } = task.cred;
    if (euid !== this.uid && euid !== this.cuid && !task.cred.capableIn(task.ns.ipc.owner!, CAP_SYS_ADMIN))
      throw sysError(errno.EPERM);
  }

  /** struct ipc64_perm, as `reader` knows the ids. */
  encodePerm(view: DataView, reader: Task): void {
    const { key, mode, sequence } = this;
    const { userNs } = reader.cred;
    const [uid, cuid] = [this.uid, this.cuid].map((id) => userNs.shown('uid', id));
    const [gid, cgid] = [this.gid, this.cgid].map((id) => userNs.shown('gid', id));
    for (const [i, v] of ([key, uid, gid, cuid, cgid, mode] as number[]).entries())
      view.setUint32(i * 4, v >>> 0, true);
    view.setUint16(24, sequence, true);
  }
  /** The fields IPC_SET takes from a struct ipc64_perm. */
  set(task: Task, view: DataView): void {
    const { userNs } = task.cred;
    const uid = userNs.toKernel('uid', view.getUint32(4, true));
    const gid = userNs.toKernel('gid', view.getUint32(8, true));
    if (uid === null || gid === null) throw sysError(errno.EINVAL);
    this.uid = uid;
    this.gid = gid;
    this.mode = (this.mode & ~0o777) | (view.getUint32(20, true) & 0o777);
    this.changeTime = nowSeconds(task);
  }
}

/** The objects of one kind. */
export class IpcTable<T extends IpcObject> {
  readonly #slots: (T | undefined)[] = [];
  readonly #byKey = new Map<number, T>();
  readonly #limit: number;
  #nextSequence = 0;

  /** `limit`: objects there may be (SHMMNI and the like). */
  constructor(limit: number) {
    this.#limit = limit;
  }
  get count(): number {
    let n = 0;
    for (const slot of this.#slots) if (slot) n++;
    return n;
  }
  /** Highest index in use, 0 when there is none, as the INFO commands return. */
  get highest(): number {
    for (let i = this.#slots.length - 1; i >= 0; i--) if (this.#slots[i]) return i;
    return 0;
  }
  *objects(): Generator<T> {
    for (const slot of this.#slots) if (slot) yield slot;
  }

  /**
   * shmget(2) and its kin: the object with this key, or a new one. `check` looks at an existing one (size, EINVAL), `make`
   * makes one. Throws ENOENT, EEXIST, EACCES, ENOSPC.
   */
  get(task: Task, key: number, flags: number, check: (object: T) => void, make: () => T): T {
    const have = key === IPC_PRIVATE ? undefined : this.#byKey.get(key);
    if (have) {
      if ((flags & (IPC_CREAT | IPC_EXCL)) === (IPC_CREAT | IPC_EXCL)) throw sysError(errno.EEXIST);
      check(have);
      have.check(task, ((flags >> 6) | (flags >> 3) | flags) & 7);
      return have;
    }
    if (key !== IPC_PRIVATE && !(flags & IPC_CREAT)) throw sysError(errno.ENOENT);
    return this.#add(make());
  }
  #add(object: T): T {
    let index = 0;
    while (this.#slots[index]) index++;
    if (index >= this.#limit) throw sysError(errno.ENOSPC);
    object.sequence = this.#nextSequence;
    this.#nextSequence = (this.#nextSequence + 1) & MAX_SEQUENCE;
    object.id = object.sequence * 2 ** INDEX_BITS + index;
    if (object.id > 0x7fff_ffff) {
      object.sequence = 0;
      object.id = index;
    }
    this.#slots[index] = object;
    if (object.key !== IPC_PRIVATE) this.#byKey.set(object.key, object);
    return object;
  }

  tryFind(id: number): T | null {
    if (id < 0) return null;
    const object = this.#slots[id % 2 ** INDEX_BITS];
    return object?.id === id ? object : null;
  }
  /** Throws EINVAL for an identifier that never was, EIDRM for one whose place has been given to another. */
  find(id: number): T {
    if (id < 0) throw sysError(errno.EINVAL);
    const object = this.#slots[id % 2 ** INDEX_BITS];
    if (!object) throw sysError(errno.EINVAL);
    if (object.id !== id) throw sysError(errno.EIDRM);
    return object;
  }
  /** By index, for SHM_STAT and its kin. Throws EINVAL. */
  at(index: number): T {
    const object = index >= 0 ? this.#slots[index] : undefined;
    if (!object) throw sysError(errno.EINVAL);
    return object;
  }
  /** It can no longer be found by its key. */
  forgetKey(object: T): void {
    if (this.#byKey.get(object.key) === object) this.#byKey.delete(object.key);
    object.key = IPC_PRIVATE;
  }
  remove(object: T): void {
    if (this.#byKey.get(object.key) === object) this.#byKey.delete(object.key);
    const index = object.id % 2 ** INDEX_BITS;
    if (this.#slots[index] === object) this.#slots[index] = undefined;
  }
}
