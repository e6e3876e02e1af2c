/** System V shared memory (ipc/shm.c): segments are files without a name that shmat(2) maps shared. */
import { errno, sysError } from '../abi/errno.ts';
import { detachedPath } from '../fs/fs-context.ts';
import type { MemFile } from '../fs/mem-file.ts';
import { O_RDONLY, O_RDWR, type OpenFile } from '../fs/open-file.ts';
import { Tmpfs } from '../fs/tmpfs.ts';
import type { Kernel } from '../kernel.ts';
import type { AddressSpace } from '../mm/address-space.ts';
import { GUEST_LIMIT, PAGE_SIZE } from '../mm/guest-memory.ts';
import { pageUp } from '../mm/layout.ts';
import { MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_SHARED } from '../mm/mman.ts';
import { after } from '../mm/promise.ts';
import type { Task } from '../task/task.ts';
import { IPC_PERM_SIZE, IpcObject, IpcTable, nowSeconds } from './ids.ts';
import { pidSeenBy } from '../ns/pid.ts';

export const SHM_RDONLY = 0o10000;
export const SHM_RND = 0o20000;
export const SHM_REMAP = 0o40000;
export const SHM_EXEC = 0o100000;
export const SHM_DEST = 0o1000;
export const SHM_LOCKED = 0o2000;
export const SHMMNI = 4096;
/** ULONG_MAX - (1 << 24). */
export const SHMMAX = 0xffff_ffff_feff_ffffn;
const PROT_READ = 1;
const PROT_WRITE = 2;
const PROT_EXEC = 4;

export class ShmSegment extends IpcObject {
  /** Bytes asked for; the mapping has whole pages. */
  readonly size: number;
  readonly file: MemFile;
  readonly creator: number;
  attachTime = 0;
  detachTime = 0;
  lastPid = 0;
  /** IPC_RMID: goes with the last mapping. */
  destroyed = false;
  locked = false;
  readonly #kernel: Kernel;

  constructor(task: Task, key: number, size: number, mode: number, fs: Tmpfs) {
    super(task, key, mode);
    this.size = size;
    this.creator = task.process.pid;
    this.#kernel = task.kernel;
    this.file = fs.newFile(0o777, task.cred.euid, task.cred.egid);
    this.file.data.truncate(pageUp(size));
  }
  get name(): string {
    return `/SYSV${(this.key >>> 0).toString(16).padStart(8, '0')}`;
  }
  /** shm_nattch: mappings of all processes. */
  get attached(): number {
    const spaces = new Set<AddressSpace>();
    for (const task of this.#kernel.tasks.values()) if (!task.dead) spaces.add(task.mm);
    let count = 0;
    for (const mm of spaces) count += this.mappings(mm).length;
    return count;
  }
  /** Start addresses of the attachments in one address space; one may consist of several areas. */
  mappings(mm: AddressSpace): { start: number; end: number }[] {
    const found: { start: number; end: number; origin: number }[] = [];
    for (const vma of mm.vmas()) {
      if (vma.file?.inode !== this.file) continue;
      const origin = vma.start - vma.offset;
      const last = found.at(-1);
      if (last && last.origin === origin) last.end = vma.end;
      else found.push({ start: vma.start, end: vma.end, origin });
    }
    return found;
  }
  open(flags: number): OpenFile {
    const file = this.file.open(flags);
    file.location = detachedPath(this.file, this.name);
    file.location.dentry.deleted = true;
    return file;
  }

  /** struct shmid64_ds. */
  /** As `reader` sees it. */
  encode(reader: Task): Uint8Array {
    const out = new Uint8Array(112);
    const view = new DataView(out.buffer);
    this.encodePerm(view, reader);
    const state = (this.destroyed ? SHM_DEST : 0) | (this.locked ? SHM_LOCKED : 0);
    view.setUint32(20, this.mode | state, true);
    view.setBigUint64(IPC_PERM_SIZE, BigInt(this.size), true);
    const times = [this.attachTime, this.detachTime, this.changeTime];
    for (const [i, t] of times.entries()) view.setBigInt64(56 + i * 8, BigInt(t), true);
    view.setInt32(80, pidSeenBy(reader, this.creator), true);
    view.setInt32(84, pidSeenBy(reader, this.lastPid), true);
    view.setBigUint64(88, BigInt(this.attached), true);
    return out;
  }
}

export class SharedMemory {
  readonly table = new IpcTable<ShmSegment>(SHMMNI);
  readonly #fs = new Tmpfs();

  get(task: Task, key: number, size: number, flags: number): number {
    this.sweep();
    const segment = this.table.get(
      task,
      key,
      flags,
      (have) => {
        if (size > have.size) throw sysError(errno.EINVAL);
      },
      () => {
        if (!(size >= 1 && BigInt(size) <= SHMMAX)) throw sysError(errno.EINVAL);
        // More than the guest's address space, or than memory, can ever hold.
        if (size > GUEST_LIMIT) throw sysError(errno.ENOMEM);
        return new ShmSegment(task, key, size, flags, this.#fs);
      },
    );
    return segment.id;
  }

  /** Segments that were removed go with their last mapping. */
  sweep(): void {
    for (const segment of [...this.table.objects()]) {
      if (segment.destroyed && segment.attached === 0) this.#drop(segment);
    }
  }
  #drop(segment: ShmSegment): void {
    this.table.remove(segment);
    segment.file.dropLink();
  }
  /** IPC_RMID. */
  destroy(segment: ShmSegment): void {
    segment.destroyed = true;
    this.table.forgetKey(segment);
    this.sweep();
  }

  /** shmat(2): the address. Throws EINVAL, EACCES, ENOMEM, EIDRM. */
  attach(task: Task, id: number, address: number, flags: number): number | Promise<number> {
    this.sweep();
    let at = address;
    if (at !== 0 && at % PAGE_SIZE !== 0) {
      if (!(flags & SHM_RND)) throw sysError(errno.EINVAL);
      at -= at % PAGE_SIZE;
      if (at === 0 && flags & SHM_REMAP) throw sysError(errno.EINVAL);
    } else if (at === 0 && flags & SHM_REMAP) throw sysError(errno.EINVAL);
    const segment = this.table.find(id);
    const readOnly = (flags & SHM_RDONLY) !== 0;
    const prot = PROT_READ | (readOnly ? 0 : PROT_WRITE) | (flags & SHM_EXEC ? PROT_EXEC : 0);
    segment.check(task, (readOnly ? 4 : 6) | (flags & SHM_EXEC ? 1 : 0));
    const length = pageUp(segment.size);
    if (at !== 0 && !(flags & SHM_REMAP) && task.mm.list.overlaps(at, at + length)) throw sysError(errno.EINVAL);
    const fixed = at === 0 ? 0 : flags & SHM_REMAP ? MAP_FIXED : MAP_FIXED_NOREPLACE;
    const file = segment.open(readOnly ? O_RDONLY : O_RDWR);
    const done = (place: number): number => {
      segment.attachTime = nowSeconds(task);
      segment.lastPid = task.process.pid;
      return place;
    };
    let place: number | Promise<number>;
    try {
      place = task.mm.mmap(task, { address: at, length, prot, flags: MAP_SHARED | fixed, file, offset: 0 });
    } catch (e) {
      file.unref();
      throw e;
    }
    // From here on the mapping holds the file.
    if (place instanceof Promise) return place.then(done).finally(() => file.unref());
    file.unref();
    return done(place);
  }

  /** shmdt(2). Throws EINVAL where no attachment starts. */
  detach(task: Task, address: number): number | Promise<number> {
    const vma = task.mm.find(address);
    const segment = vma && [...this.table.objects()].find((s) => s.file === vma.file?.inode);
    if (!segment || !vma || vma.start !== address || vma.offset !== 0) throw sysError(errno.EINVAL);
    const range = segment.mappings(task.mm).find((m) => m.start === address)!;
    return after(task.mm.munmap(task, range.start, range.end), () => {
      segment.detachTime = nowSeconds(task);
      segment.lastPid = task.process.pid;
      this.sweep();
      return 0;
    });
  }
}
