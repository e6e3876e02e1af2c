/** System V IPC: shmget(2), shmat(2), shmctl(2), semget(2), semop(2), semctl(2), msgget(2), msgsnd(2), msgrcv(2), msgctl(2). */
import { errno, sysError } from '../abi/errno.ts';
import { readValidTimespec, timespecMs } from '../abi/time-structs.ts';
import { IPC_CREAT, IPC_EXCL, IPC_NOWAIT } from '../ipc/ids.ts';
import { MSG_COPY, MSG_EXCEPT, MSG_NOERROR, MSGMAX } from '../ipc/msg.ts';
import { ipcOf } from '../ipc/namespace.ts';
import { SEM_UNDO, type SemOp, SEMOPM } from '../ipc/sem.ts';
import { SHM_EXEC, SHM_RDONLY, SHM_REMAP, SHM_RND } from '../ipc/shm.ts';
import { after } from '../mm/promise.ts';
import type { Task } from '../task/task.ts';
import { ipcCommands, msgctl, semctl, shmctl } from './ipc-control.ts';
import { row, type SyscallRow } from './row.ts';

// Shared memory.

const shmget = (task: Task, key: number, size: number, flags: number): number =>
  ipcOf(task).shm.get(task, key, size, flags);
const shmat = (task: Task, id: number, address: number, flags: number): number | Promise<number> =>
  ipcOf(task).shm.attach(task, id, address, flags);
const shmdt = (task: Task, address: number): number | Promise<number> => ipcOf(task).shm.detach(task, address);

// Semaphores.

const SEMBUF_SIZE = 6;

const semget = (task: Task, key: number, count: number, flags: number): number =>
  ipcOf(task).sem.get(task, key, count, flags);

function semtimedop(task: Task, id: number, sops: number, count: number, timeout: number): number | Promise<number> {
  if (count < 1 || id < 0) throw sysError(errno.EINVAL);
  if (count > SEMOPM) throw sysError(errno.E2BIG);
  const bytes = task.mem.copyIn(sops, count * SEMBUF_SIZE);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const ms = timeout === 0 ? null : timespecMs(readValidTimespec(task.mem, timeout));
  const ops: SemOp[] = [];
  for (let at = 0; at < bytes.length; at += SEMBUF_SIZE) {
    const flags = view.getInt16(at + 4, true);
    ops.push({ index: view.getUint16(at, true), op: view.getInt16(at + 2, true), flags });
  }
  return ipcOf(task).sem.operate(task, id, ops, ms);
}
const semop = (task: Task, id: number, sops: number, count: number): number | Promise<number> =>
  semtimedop(task, id, sops, count, 0);

// Message queues.

const msgget = (task: Task, key: number, flags: number): number => ipcOf(task).msg.get(task, key, flags);

/** struct msgbuf: a long type, then the text. */
function msgsnd(task: Task, id: number, message: number, size: number, flags: number): number | Promise<number> {
  const type = task.mem.readI64(message);
  if (size > MSGMAX || id < 0 || type < 1) throw sysError(errno.EINVAL);
  return ipcOf(task).msg.send(task, id, { type, data: task.mem.copyIn(message + 8, size) }, flags);
}

function msgrcv(
  task: Task,
  id: number,
  buffer: number,
  size: number,
  type: number,
  flags: number,
): number | Promise<number> {
  // ssize_t: a negative size.
  if (id < 0 || size >= 2 ** 63) throw sysError(errno.EINVAL);
  return after(ipcOf(task).msg.receive(task, id, size, type, flags), (message) => {
    const data = message.data.subarray(0, size);
    task.mem.writeBigU64(buffer, BigInt(message.type));
    task.mem.copyOut(buffer + 8, data);
    return data.length;
  });
}

const getFlags = { IPC_CREAT, IPC_EXCL };
const receiveFlags = { IPC_NOWAIT, MSG_NOERROR, MSG_EXCEPT, MSG_COPY };

export const ipcRows: SyscallRow[] = [
  row('shmget', 29, 194, 'key:int size:size shmflg:flags', shmget, {
    flagNames: { shmflg: getFlags },
    note: 'no huge pages',
  }),
  row('shmat', 30, 196, 'shmid:int shmaddr:ptr shmflg:flags', shmat, {
    hexResult: true,
    support: 'partial',
    flagNames: { shmflg: { SHM_RDONLY, SHM_RND, SHM_REMAP, SHM_EXEC } },
    note: 'a second writable attachment of a segment in one process is ENOMEM',
  }),
  row('shmctl', 31, 195, 'shmid:int cmd:flags buf:ptr', shmctl, { flagNames: { cmd: ipcCommands.shm } }),
  row('shmdt', 67, 197, 'shmaddr:ptr', shmdt),
  row('semget', 64, 190, 'key:int nsems:int semflg:flags', semget, { flagNames: { semflg: getFlags } }),
  row('semop', 65, 193, 'semid:int sops:instruct nsops:size', semop),
  row('semctl', 66, 191, 'semid:int semnum:int cmd:flags arg:ulong', semctl, { flagNames: { cmd: ipcCommands.sem } }),
  row('semtimedop', 220, 192, 'semid:int sops:instruct nsops:size timeout:timespec', semtimedop),
  row('msgget', 68, 186, 'key:int msgflg:flags', msgget, { flagNames: { msgflg: getFlags } }),
  row('msgsnd', 69, 189, 'msqid:int msgp:instruct msgsz:size msgflg:flags', msgsnd, {
    flagNames: { msgflg: { IPC_NOWAIT } },
  }),
  row('msgrcv', 70, 188, 'msqid:int msgp:outstruct msgsz:size msgtyp:long msgflg:flags', msgrcv, {
    flagNames: { msgflg: receiveFlags },
  }),
  row('msgctl', 71, 187, 'msqid:int cmd:flags buf:ptr', msgctl, { flagNames: { cmd: ipcCommands.msg } }),
];

/** For traces. */
export const semFlagNames: Readonly<Record<string, number>> = { IPC_NOWAIT, SEM_UNDO };
