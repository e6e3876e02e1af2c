/** System calls about memory (man-pages section 2: mmap, mprotect, mremap, madvise, msync, mincore, mlock, brk, ...). */
import { errno, sysError } from '../abi/errno.ts';
import { O_PATH } from '../fs/open-file.ts';
import { GUEST_LIMIT, PAGE_SIZE, PROT_READ, PROT_WRITE } from '../mm/guest-memory.ts';
import { pageUp } from '../mm/layout.ts';
import { madvise, msync } from '../mm/madvise.ts';
import { mlock, mlockall, munlock, munlockall } from '../mm/mlock.ts';
import * as mman from '../mm/mman.ts';
import { after } from '../mm/promise.ts';
import type { UserMemory } from '../mm/user-memory.ts';
import type { Task } from '../task/task.ts';
import { row, type SyscallRow } from './row.ts';
import { processNamed, threadNamed } from '../ns/pid.ts';

const { MAP_ANONYMOUS, TASK_SIZE } = mman;
const TWO32 = 0x1_0000_0000;

const protNames = {
  PROT_READ: 1,
  PROT_WRITE: 2,
  PROT_EXEC: 4,
  PROT_SEM: 8,
  PROT_GROWSDOWN: mman.PROT_GROWSDOWN,
  PROT_GROWSUP: mman.PROT_GROWSUP,
};
const mapNames = {
  MAP_SHARED_VALIDATE: 3,
  MAP_SHARED: 1,
  MAP_PRIVATE: 2,
  MAP_FIXED: 0x10,
  MAP_ANONYMOUS,
  MAP_32BIT: 0x40,
  MAP_GROWSDOWN: 0x100,
  MAP_DENYWRITE: 0x800,
  MAP_EXECUTABLE: 0x1000,
  MAP_LOCKED: 0x2000,
  MAP_NORESERVE: 0x4000,
  MAP_POPULATE: 0x8000,
  MAP_NONBLOCK: 0x10000,
  MAP_STACK: 0x20000,
  MAP_HUGETLB: 0x40000,
  MAP_SYNC: 0x80000,
  MAP_FIXED_NOREPLACE: 0x100000,
  MAP_UNINITIALIZED: 0x4000000,
};
const mremapNames = { MREMAP_MAYMOVE: 1, MREMAP_FIXED: 2, MREMAP_DONTUNMAP: 4 };
const msyncNames = { MS_ASYNC: 1, MS_INVALIDATE: 2, MS_SYNC: 4 };
const mclNames = { MCL_CURRENT: 1, MCL_FUTURE: 2, MCL_ONFAULT: 4 };

function mmap(task: Task, address: number, length: number, prot: number, flags: number, fd: number, offset: number) {
  if (offset % PAGE_SIZE !== 0) throw sysError(errno.EINVAL);
  let file = null;
  if (!(flags & MAP_ANONYMOUS)) {
    file = task.files.get(fd);
    if (file.flags & O_PATH) throw sysError(errno.EBADF);
  }
  const { mm } = task;
  const { window } = mm;
  const high = Math.floor(address / TWO32);
  const request = { address: window.low(address), length, prot, flags, file, offset };
  if (high === 0) return mm.mmap(task, request);
  if (flags & (mman.MAP_FIXED | mman.MAP_FIXED_NOREPLACE))
    return after(mm.mmap(task, request), (start) => start + window.part(address));
  const own = window.ask(high, pageUp(length));
  return after(mm.mmap(task, request), (start) => {
    window.placed(high, start, start + pageUp(length));
    return start + own * TWO32;
  });
}

function munmap(task: Task, address: number, length: number) {
  if (address % PAGE_SIZE !== 0 || !(length > 0) || length > TASK_SIZE || address > TASK_SIZE - pageUp(length)) {
    throw sysError(errno.EINVAL);
  }
  const end = Math.min(address + pageUp(length), GUEST_LIMIT);
  return after(task.mm.munmap(task, Math.min(address, GUEST_LIMIT), end), () => 0);
}

function mprotect(task: Task, address: number, length: number, prot: number): number {
  task.mm.mprotect(address, length, prot);
  return 0;
}

function mremap(task: Task, address: number, oldSize: number, newSize: number, flags: number, newAddress: number) {
  const { window } = task.mm;
  const to = window.low(newAddress);
  // What moves by itself stays in the window that it was in.
  const part = window.part(flags & mman.MREMAP_FIXED ? newAddress : address);
  return after(task.mm.mremap(task, window.low(address), oldSize, newSize, flags, to), (start) => start + part);
}

function brk(task: Task, address: number): number {
  return task.mm.brk(address);
}

function madviseCall(task: Task, address: number, length: number, advice: number) {
  return after(madvise(task.mm, task, address, length, advice), () => 0);
}

function msyncCall(task: Task, address: number, length: number, flags: number) {
  return after(msync(task.mm, task, address, length, flags), () => 0);
}

/** Every mapped page is resident. The vector is filled up to the first hole. */
function mincore(task: Task, address: number, length: number, vector: number): number {
  if (address % PAGE_SIZE !== 0) throw sysError(errno.EINVAL);
  if (length > TASK_SIZE || address > TASK_SIZE - length) throw sysError(errno.ENOMEM);
  const end = address + pageUp(length);
  let reached = address;
  task.mm.list.each(Math.min(address, GUEST_LIMIT), Math.min(end, GUEST_LIMIT), (_vma, from, to) => {
    if (from === reached) reached = to;
  });
  const pages = (reached - address) / PAGE_SIZE;
  const room = task.mem.accessible(vector, pages, PROT_WRITE);
  if (room > 0) {
    task.mem.writable(vector, room).fill(1);
    task.mem.written(vector, room);
  }
  if (room < pages) throw sysError(errno.EFAULT);
  if (reached < end) throw sysError(errno.ENOMEM);
  return 0;
}

function mlockCall(task: Task, address: number, length: number): number {
  mlock(task.mm, task, address, length);
  return 0;
}
function mlock2(task: Task, address: number, length: number, flags: number): number {
  if (flags & ~mman.MLOCK_ONFAULT) throw sysError(errno.EINVAL);
  return mlockCall(task, address, length);
}
function munlockCall(task: Task, address: number, length: number): number {
  munlock(task.mm, address, length);
  return 0;
}
function mlockallCall(task: Task, flags: number): number {
  mlockall(task.mm, task, flags);
  return 0;
}
function munlockallCall(task: Task): number {
  munlockall(task.mm);
  return 0;
}

// membarrier(2). One host thread runs all guest threads, so every barrier holds already; what remains is registration.
const MEMBARRIER_COMMANDS = {
  MEMBARRIER_CMD_GLOBAL: 1,
  MEMBARRIER_CMD_GLOBAL_EXPEDITED: 2,
  MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED: 4,
  MEMBARRIER_CMD_PRIVATE_EXPEDITED: 8,
  MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED: 16,
  MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE: 32,
  MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: 64,
};
const ALL_COMMANDS = 0x7f;

function membarrier(task: Task, command: number, flags: number): number {
  const { mm } = task;
  if (flags !== 0) throw sysError(errno.EINVAL);
  switch (command) {
    case 0:
      return ALL_COMMANDS;
    case 1:
    case 2:
      return 0;
    case 4:
    case 16:
    case 64:
      mm.membarrier |= command;
      return 0;
    case 8:
    case 32:
      if (!(mm.membarrier & (command << 1))) throw sysError(errno.EPERM);
      return 0;
    default:
      throw sysError(errno.EINVAL);
  }
}

// process_vm_readv(2), process_vm_writev(2).
const IOV_MAX = 1024;
const MAX_RW_COUNT = 0x7fff_f000;

interface Piece {
  base: number;
  length: number;
}

function readIovec(mem: UserMemory, address: number, count: number): Piece[] {
  if (count > IOV_MAX) throw sysError(errno.EINVAL);
  const pieces: Piece[] = [];
  for (let i = 0; i < count; i++) {
    const length = mem.readU64(address + i * 16 + 8);
    if (length >= 2 ** 63) throw sysError(errno.EINVAL);
    if (length > 0) pieces.push({ base: mem.readPointer(address + i * 16), length });
  }
  return pieces;
}

function processVm(
  task: Task,
  pid: number,
  local: [number, number],
  remote: [number, number],
  flags: number,
  write: boolean,
): number {
  if (flags !== 0) throw sysError(errno.EINVAL);
  const mine = readIovec(task.mem, ...local);
  const theirs = readIovec(task.mem, ...remote);
  if (mine.length === 0 || theirs.length === 0) return 0;
  const other = processNamed(task, pid)?.leader ?? threadNamed(task, pid);
  if (!other) throw sysError(errno.ESRCH);
  if (other.cred.uid !== task.cred.uid && !task.cred.capableIn(other.cred.userNs, CAP_SYS_PTRACE))
    throw sysError(errno.EPERM);
  const done = write ? transfer(task.mem, mine, other.mem, theirs) : transfer(other.mem, theirs, task.mem, mine);
  if (done === 0) throw sysError(errno.EFAULT);
  return done;
}
const CAP_SYS_PTRACE = 19;

/** Copies piece by piece until one side ends or cannot be accessed. Returns the number of bytes. */
function transfer(source: UserMemory, from: Piece[], target: UserMemory, to: Piece[]): number {
  let done = 0;
  while (from.length > 0 && to.length > 0 && done < MAX_RW_COUNT) {
    const a = from[0]!;
    const b = to[0]!;
    const wanted = Math.min(a.length, b.length, MAX_RW_COUNT - done);
    const n = Math.min(source.accessible(a.base, wanted, PROT_READ), target.accessible(b.base, wanted, PROT_WRITE));
    if (n > 0) {
      target.writable(b.base, n).set(source.bytes(a.base, n));
      target.written(b.base, n);
      done += n;
    }
    if (n < wanted) break;
    advance(from, n);
    advance(to, n);
  }
  return done;
}

function advance(pieces: Piece[], n: number): void {
  const first = pieces[0]!;
  first.base += n;
  first.length -= n;
  if (first.length === 0) pieces.shift();
}

function processVmReadv(
  task: Task,
  pid: number,
  lvec: number,
  lcount: number,
  rvec: number,
  rcount: number,
  flags: number,
): number {
  return processVm(task, pid, [lvec, lcount], [rvec, rcount], flags, false);
}
function processVmWritev(
  task: Task,
  pid: number,
  lvec: number,
  lcount: number,
  rvec: number,
  rcount: number,
  flags: number,
): number {
  return processVm(task, pid, [lvec, lcount], [rvec, rcount], flags, true);
}

const noKeys = 'no protection keys, as on a CPU without PKU';

export const mmRows: SyscallRow[] = [
  row('mmap', 9, 222, 'addr:address length:size prot:flags flags:flags fd:fd offset:ulong', mmap, {
    hexResult: true,
    support: 'partial',
    flagNames: { prot: protNames, flags: mapNames },
    note: 'a second writable mapping of one part of a file in one process is ENOMEM; no huge pages; file contents are copied in at once',
  }),
  row('mprotect', 10, 226, 'addr:ptr len:size prot:flags', mprotect, { flagNames: { prot: protNames } }),
  row('munmap', 11, 215, 'addr:ptr length:size', munmap),
  row('brk', 12, 214, 'addr:ptr', brk, { hexResult: true }),
  row('mremap', 25, 216, 'old_address:address old_size:size new_size:size flags:flags new_address:address', mremap, {
    hexResult: true,
    support: 'partial',
    flagNames: { flags: mremapNames },
    note: 'a shared writable mapping cannot be duplicated (ENOMEM)',
  }),
  row('msync', 26, 227, 'addr:ptr length:size flags:flags', msyncCall, { flagNames: { flags: msyncNames } }),
  row('mincore', 27, 232, 'addr:ptr length:size vec:ptr', mincore, { note: 'every mapped page is resident' }),
  row('madvise', 28, 233, 'addr:ptr length:size advice:int', madviseCall, {
    note: 'advice about paging has no effect',
  }),
  row('mlock', 149, 228, 'addr:ptr len:size', mlockCall),
  row('munlock', 150, 229, 'addr:ptr len:size', munlockCall),
  row('mlockall', 151, 230, 'flags:flags', mlockallCall, { flagNames: { flags: mclNames } }),
  row('munlockall', 152, 231, '', munlockallCall),
  row('mlock2', 325, 284, 'addr:ptr len:size flags:flags', mlock2, { flagNames: { flags: { MLOCK_ONFAULT: 1 } } }),
  row('remap_file_pages', 216, 234, 'addr:ptr size:size prot:flags pgoff:ulong flags:flags', null, {
    note: 'deprecated',
  }),
  row('membarrier', 324, 283, 'cmd:flags flags:uint cpu_id:int', membarrier, {
    flagNames: { cmd: MEMBARRIER_COMMANDS },
    support: 'partial',
    note: 'without the RSEQ commands',
  }),
  row(
    'process_vm_readv',
    310,
    270,
    'pid:pid local_iov:ptr liovcnt:ulong remote_iov:ptr riovcnt:ulong flags:ulong',
    processVmReadv,
  ),
  row(
    'process_vm_writev',
    311,
    271,
    'pid:pid local_iov:ptr liovcnt:ulong remote_iov:ptr riovcnt:ulong flags:ulong',
    processVmWritev,
  ),
  row('process_madvise', 440, 440, 'pidfd:fd vec:ptr vlen:size advice:int flags:uint', null, { note: 'no pidfds' }),
  row('pkey_mprotect', 329, 288, 'addr:ptr len:size prot:flags pkey:int', null, {
    note: noKeys,
    flagNames: { prot: protNames },
  }),
  row('pkey_alloc', 330, 289, 'flags:uint access_rights:uint', null, { note: noKeys }),
  row('pkey_free', 331, 290, 'pkey:int', null, { note: noKeys }),
];
