/** The control calls of System V IPC: shmctl(2), semctl(2), msgctl(2). */
import { errno, sysError } from '../abi/errno.ts';
import { IPC_INFO, IPC_RMID, IPC_SET, IPC_STAT, type IpcObject, nowSeconds } from '../ipc/ids.ts';
import { MSGMAX, MSGMNB, MSGMNI } from '../ipc/msg.ts';
import { ipcOf } from '../ipc/namespace.ts';
import { type SemaphoreSet, SEMMNI, SEMMNS, SEMMSL, SEMOPM, SEMVMX } from '../ipc/sem.ts';
import { SHMMAX, SHMMNI } from '../ipc/shm.ts';
import { PAGE_SIZE } from '../mm/guest-memory.ts';
import { pageUp } from '../mm/layout.ts';
import { RLIMIT_MEMLOCK } from '../task/rlimits.ts';
import { CAP_SYS_RESOURCE } from '../task/credentials.ts';
import type { Task } from '../task/task.ts';
import { pidSeenBy } from '../ns/pid.ts';

const CAP_IPC_LOCK = 14;

const common = { IPC_RMID, IPC_SET, IPC_STAT, IPC_INFO };
const SHM = { ...common, SHM_LOCK: 11, SHM_UNLOCK: 12, SHM_STAT: 13, SHM_INFO: 14, SHM_STAT_ANY: 15 };
const SEM = {
  ...common,
  GETPID: 11,
  GETVAL: 12,
  GETALL: 13,
  GETNCNT: 14,
  GETZCNT: 15,
  SETVAL: 16,
  SETALL: 17,
  SEM_STAT: 18,
  SEM_INFO: 19,
  SEM_STAT_ANY: 20,
};
const MSG = { ...common, MSG_STAT: 11, MSG_INFO: 12, MSG_STAT_ANY: 13 };
/** Names of the commands, for traces. */
export const ipcCommands = { shm: SHM, sem: SEM, msg: MSG } as const;

const int32s = (...values: number[]): Uint8Array => new Uint8Array(new Int32Array(values).buffer);
const uint64s = (...values: (number | bigint)[]): Uint8Array =>
  new Uint8Array(new BigUint64Array(values.map(BigInt)).buffer);

/** struct ipc64_perm at the start of what IPC_SET is given. */
function readPerm(task: Task, address: number, size: number): DataView {
  const bytes = task.mem.copyIn(address, size);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** What the STAT commands need besides: by index they return the identifier; the ANY forms ask nobody. */
function readable<T extends IpcObject>(task: Task, object: T, anybody: boolean): T {
  if (!anybody) object.check(task, 4);
  return object;
}

export function shmctl(task: Task, id: number, command: number, buf: number): number {
  if (command < 0 || id < 0) throw sysError(errno.EINVAL);
  const { shm } = ipcOf(task);
  const { table } = shm;
  shm.sweep();
  switch (command) {
    case SHM.IPC_INFO:
      task.mem.copyOut(buf, uint64s(SHMMAX, 1, SHMMNI, SHMMNI, SHMMAX, 0, 0, 0, 0));
      return table.highest;
    case SHM.SHM_INFO: {
      let pages = 0;
      for (const s of table.objects()) pages += pageUp(s.size) / PAGE_SIZE;
      task.mem.copyOut(buf, uint64s(table.count, pages, pages, 0, 0, 0));
      return table.highest;
    }
    case SHM.IPC_STAT:
      task.mem.copyOut(buf, readable(task, table.find(id), false).encode(task));
      return 0;
    case SHM.SHM_STAT:
    case SHM.SHM_STAT_ANY: {
      const segment = readable(task, table.at(id), command === SHM.SHM_STAT_ANY);
      task.mem.copyOut(buf, segment.encode(task));
      return segment.id;
    }
    case SHM.IPC_SET: {
      const perm = readPerm(task, buf, 112);
      const segment = table.find(id);
      segment.checkOwner(task);
      segment.set(task, perm);
      return 0;
    }
    case SHM.IPC_RMID: {
      const segment = table.find(id);
      segment.checkOwner(task);
      shm.destroy(segment);
      return 0;
    }
    case SHM.SHM_LOCK:
    case SHM.SHM_UNLOCK: {
      const segment = table.find(id);
      if (!task.cred.capable(CAP_IPC_LOCK)) {
        const { euid } = task.cred;
        if (euid !== segment.uid && euid !== segment.cuid) throw sysError(errno.EPERM);
        if (command === SHM.SHM_LOCK && task.process.rlimits[RLIMIT_MEMLOCK]!.soft === 0) throw sysError(errno.EPERM);
      }
      segment.locked = command === SHM.SHM_LOCK;
      return 0;
    }
    default:
      throw sysError(errno.EINVAL);
  }
}

/** `arg` is an int or a pointer, by command. */
export function semctl(task: Task, id: number, number: number, command: number, arg: number): number {
  if (id < 0) throw sysError(errno.EINVAL);
  const { sem } = ipcOf(task);
  const { table } = sem;
  switch (command) {
    case SEM.IPC_INFO:
    case SEM.SEM_INFO: {
      const used = command === SEM.SEM_INFO;
      const last = [used ? table.count : 20, SEMVMX, used ? sem.total : SEMVMX];
      task.mem.copyOut(arg, int32s(SEMMNS, SEMMNI, SEMMNS, SEMMNS, SEMMSL, SEMOPM, SEMOPM, ...last));
      return table.highest;
    }
    case SEM.IPC_STAT:
      task.mem.copyOut(arg, readable(task, table.find(id), false).encode(task));
      return 0;
    case SEM.SEM_STAT:
    case SEM.SEM_STAT_ANY: {
      const set = readable(task, table.at(id), command === SEM.SEM_STAT_ANY);
      task.mem.copyOut(arg, set.encode(task));
      return set.id;
    }
    case SEM.IPC_SET: {
      const perm = readPerm(task, arg, 88);
      const set = table.find(id);
      set.checkOwner(task);
      set.set(task, perm);
      return 0;
    }
    case SEM.IPC_RMID: {
      const set = table.find(id);
      set.checkOwner(task);
      table.remove(set);
      set.destroy();
      return 0;
    }
    case SEM.GETALL:
    case SEM.SETALL:
      return semAll(task, table.find(id), command, arg);
    case SEM.GETPID:
    case SEM.GETVAL:
    case SEM.GETNCNT:
    case SEM.GETZCNT:
    case SEM.SETVAL:
      return semOne(task, table.find(id), number, command);
    default:
      throw sysError(errno.EINVAL);
  }
}

function semAll(task: Task, set: SemaphoreSet, command: number, address: number): number {
  set.check(task, command === SEM.GETALL ? 4 : 2);
  if (command === SEM.GETALL) {
    const values = new Uint16Array(set.semaphores.map((s) => s.value));
    task.mem.copyOut(address, new Uint8Array(values.buffer));
    return 0;
  }
  const bytes = task.mem.copyIn(address, set.count * 2);
  const values = new Uint16Array(bytes.buffer, bytes.byteOffset, set.count);
  if (values.some((v) => v > SEMVMX)) throw sysError(errno.ERANGE);
  values.forEach((value, i) => {
    set.semaphores[i] = { value, pid: task.process.pid };
  });
  set.clearUndo(null);
  set.changeTime = nowSeconds(task);
  set.settle();
  return 0;
}

function semOne(task: Task, set: SemaphoreSet, number: number, command: number): number {
  const setting = command === SEM.SETVAL;
  // Of the union only the int counts: the register's upper half may hold anything.
  const value = setting ? task.cpu.argLo(3) | 0 : 0;
  // The value is looked at first (semctl_setval).
  if (setting && (value < 0 || value > SEMVMX)) throw sysError(errno.ERANGE);
  if (setting && !(number >= 0 && number < set.count)) throw sysError(errno.EINVAL);
  set.check(task, setting ? 2 : 4);
  const semaphore = number >= 0 ? set.semaphores[number] : undefined;
  if (!semaphore) throw sysError(errno.EINVAL);
  switch (command) {
    case SEM.GETVAL:
      return semaphore.value;
    case SEM.GETPID:
      return pidSeenBy(task, semaphore.pid);
    case SEM.GETNCNT:
    case SEM.GETZCNT:
      return set.countWaiting(number, command === SEM.GETZCNT);
    default:
      semaphore.value = value;
      semaphore.pid = task.process.pid;
      set.clearUndo(number);
      set.changeTime = nowSeconds(task);
      set.settle();
      return 0;
  }
}

export function msgctl(task: Task, id: number, command: number, buf: number): number {
  if (id < 0 || command < 0) throw sysError(errno.EINVAL);
  const { table } = ipcOf(task).msg;
  switch (command) {
    case MSG.IPC_INFO:
    case MSG.MSG_INFO: {
      let messages = 0;
      let bytes = 0;
      for (const q of table.objects()) {
        messages += q.messages.length;
        bytes += q.bytes;
      }
      const used = command === MSG.MSG_INFO;
      const pool = used ? table.count : (MSGMNI * MSGMNB) / 1024;
      const info = [pool, used ? messages : MSGMNB, MSGMAX, MSGMNB, MSGMNI, 16, used ? bytes : MSGMNB, 0xffff];
      task.mem.copyOut(buf, int32s(...info));
      return table.highest;
    }
    case MSG.IPC_STAT:
      task.mem.copyOut(buf, readable(task, table.find(id), false).encode(task));
      return 0;
    case MSG.MSG_STAT:
    case MSG.MSG_STAT_ANY: {
      const queue = readable(task, table.at(id), command === MSG.MSG_STAT_ANY);
      task.mem.copyOut(buf, queue.encode(task));
      return queue.id;
    }
    case MSG.IPC_SET: {
      const given = readPerm(task, buf, 120);
      const limit = Number(given.getBigUint64(88, true));
      const queue = table.find(id);
      queue.checkOwner(task);
      if (limit > MSGMNB && !task.cred.capable(CAP_SYS_RESOURCE)) throw sysError(errno.EPERM);
      queue.limit = limit;
      queue.set(task, given);
      queue.departures.wake();
      return 0;
    }
    case MSG.IPC_RMID: {
      const queue = table.find(id);
      queue.checkOwner(task);
      table.remove(queue);
      queue.destroy();
      return 0;
    }
    default:
      throw sysError(errno.EINVAL);
  }
}
