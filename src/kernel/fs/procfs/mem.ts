/** /proc/PID/mem: a process's memory as a file whose offsets are addresses (fs/proc/base.c, mem_rw). */
import { errno, sysError } from '../../abi/errno.ts';
import { PROT_WRITE } from '../../mm/guest-memory.ts';
import type { GuestTask } from '../../task/guest-task.ts';
import type { Task } from '../../task/task.ts';
import { S_IFREG } from '../inode.ts';
import { OpenFile } from '../open-file.ts';
import { type PseudoFs, type PseudoInit, PseudoInode } from '../pseudo.ts';

export class MemInode extends PseudoInode {
  readonly #thread: GuestTask;
  constructor(fs: PseudoFs, thread: GuestTask, init: Partial<PseudoInit>) {
    super({ fs, mode: S_IFREG | 0o600, ...init });
    this.#thread = thread;
  }
  override setattr(): void {
    // O_TRUNC does nothing.
  }
  override open(flags: number): OpenFile {
    return new MemFile(flags, this, this.#thread);
  }
}

class MemFile extends OpenFile {
  /** The address space at the time of the open: execve(2) does not change what is read. */
  readonly #mem: GuestTask['mem'];
  readonly #mm: GuestTask['mm'];
  constructor(flags: number, inode: MemInode, thread: GuestTask) {
    super(flags);
    this.inode = inode;
    this.#mem = thread.mem;
    this.#mm = thread.mm;
  }
  override get seekable(): boolean {
    return true;
  }
  override lseek(offset: number, whence: number): number {
    if (whence !== 0 && whence !== 1) throw sysError(errno.EINVAL);
    this.offset = whence === 0 ? offset : this.offset + offset;
    return this.offset;
  }
  override read(_task: Task, dst: Uint8Array, position: number | null): number {
    if (dst.length === 0) return 0;
    const address = position ?? this.offset;
    const n = this.#mem.accessible(address, dst.length, 0);
    if (n === 0) throw sysError(errno.EIO);
    dst.set(this.#mem.guest.u8.subarray(address, address + n));
    if (position === null) this.offset += n;
    return n;
  }
  /** Also writes to private mappings that are read-only to the program (FOLL_FORCE). */
  override write(_task: Task, src: Uint8Array, position: number | null): number {
    if (src.length === 0) return 0;
    const address = position ?? this.offset;
    let n = this.#mem.accessible(address, src.length, 0);
    const vma = n > 0 ? this.#mm.find(address) : null;
    if (!vma || (vma.shared && !(vma.prot & PROT_WRITE))) throw sysError(errno.EIO);
    n = Math.min(n, vma.end - address);
    vma.touched = true;
    vma.pristine = false;
    this.#mem.guest.u8.set(src.subarray(0, n), address);
    this.#mem.guest.written(address, address + n);
    if (position === null) this.offset += n;
    return n;
  }
}
