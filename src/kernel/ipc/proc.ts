/** /proc/sysvipc (proc(5)): the tables ipcs(1) can be made from. */
import type { Task } from '../task/task.ts';
import { ipcOf } from './namespace.ts';
import { pidSeenBy } from '../ns/pid.ts';

const cell = (value: number, width: number): string => String(value).padStart(width);
const octal = (mode: number, width: number): string => mode.toString(8).padStart(width);

export function shmTable(reader: Task): string {
  const head = `       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap\n`;
  const { shm } = ipcOf(reader);
  shm.sweep();
  const rows = [...shm.table.objects()].map((s) => {
    const state = (s.destroyed ? 0o1000 : 0) | (s.locked ? 0o2000 : 0);
    return `${cell(s.key, 10)} ${cell(s.id, 10)}  ${octal(s.mode | state, 4)} ${cell(s.size, 21)} ${cell(pidSeenBy(reader, s.creator), 5)} ${cell(pidSeenBy(reader, s.lastPid), 5)}  ${cell(s.attached, 5)} ${cell(s.uid, 5)} ${cell(s.gid, 5)} ${cell(s.cuid, 5)} ${cell(s.cgid, 5)} ${cell(s.attachTime, 10)} ${cell(s.detachTime, 10)} ${cell(s.changeTime, 10)} ${cell(s.file.data.allocated, 21)} ${cell(0, 21)}\n`;
  });
  return head + rows.join('');
}

export function semTable(reader: Task): string {
  const head = '       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n';
  const rows = [...ipcOf(reader).sem.table.objects()].map(
    (s) =>
      `${cell(s.key, 10)} ${cell(s.id, 10)}  ${octal(s.mode, 4)} ${cell(s.count, 10)} ${cell(s.uid, 5)} ${cell(s.gid, 5)} ${cell(s.cuid, 5)} ${cell(s.cgid, 5)} ${cell(s.operationTime, 10)} ${cell(s.changeTime, 10)}\n`,
  );
  return head + rows.join('');
}

export function msgTable(reader: Task): string {
  const head =
    '       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n';
  const rows = [...ipcOf(reader).msg.table.objects()].map(
    (q) =>
      `${cell(q.key, 10)} ${cell(q.id, 10)}  ${octal(q.mode, 4)}  ${cell(q.bytes, 10)} ${cell(q.messages.length, 10)} ${cell(pidSeenBy(reader, q.lastSender), 5)} ${cell(pidSeenBy(reader, q.lastReceiver), 5)} ${cell(q.uid, 5)} ${cell(q.gid, 5)} ${cell(q.cuid, 5)} ${cell(q.cgid, 5)} ${cell(q.sendTime, 10)} ${cell(q.receiveTime, 10)} ${cell(q.changeTime, 10)}\n`,
  );
  return head + rows.join('');
}
