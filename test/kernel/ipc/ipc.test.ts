import { describe, expect, it } from 'vitest';
import { SIGALRM } from '../../../src/kernel/abi/signals.ts';
import { ipcOf } from '../../../src/kernel/ipc/namespace.ts';
import { semTable, shmTable } from '../../../src/kernel/ipc/proc.ts';
import { sendSignal } from '../../../src/kernel/signals/send.ts';
import { Credentials } from '../../../src/kernel/task/credentials.ts';
import { BAD, DATA, Machine } from '../syscalls/harness.ts';

const IPC_CREAT = 0o1000;
const IPC_NOWAIT = 0o4000;
const SEM_UNDO = 0x1000;

function sembuf(m: Machine, ...ops: [number, number, number][]): number {
  const out = new Int16Array(ops.flat());
  m.mem.copyOut(DATA, new Uint8Array(out.buffer));
  return DATA;
}

describe('System V semaphores', () => {
  it('do all operations or none', () => {
    const m = new Machine();
    const id = m.call('semget', 5, 2, IPC_CREAT | 0o600);
    // The upper half of the register belongs to nobody.
    m.call('semctl', id, 0, 16, 0x7fff_1234_0000_0003n);
    expect(m.try('semop', id, sembuf(m, [0, -1, 0], [1, -1, IPC_NOWAIT]), 2)).toBe('EAGAIN');
    expect(m.call('semctl', id, 0, 12, 0)).toBe(3);
    expect(m.try('semop', id, sembuf(m, [0, -1, 0], [1, 1, 0]), 2)).toBe(0);
    expect([m.call('semctl', id, 0, 12, 0), m.call('semctl', id, 1, 12, 0)]).toEqual([2, 1]);
    expect(m.try('semop', id, sembuf(m, [7, 1, 0]), 1)).toBe('EFBIG');
    expect(m.try('semop', id, sembuf(m, [0, 32767, 0]), 1)).toBe('ERANGE');
    expect(m.try('semop', id, BAD, 1)).toBe('EFAULT');
    expect(m.try('semop', id, DATA, 501)).toBe('E2BIG');
    expect(semTable(m.task)).toContain(' 600 ');
  });
  it('wait, and are interrupted or removed', async () => {
    const m = new Machine();
    const id = m.call('semget', 0, 1, 0o600);
    const waiting = m.tryAsync('semop', id, sembuf(m, [0, -1, 0]), 1);
    expect(m.call('semctl', id, 0, 14, 0)).toBe(1);
    m.call('semctl', id, 0, 16, 1);
    expect(await waiting).toBe(0);
    const second = m.tryAsync('semop', id, sembuf(m, [0, -1, 0]), 1);
    m.call('semctl', id, 0, 0, 0);
    expect(await second).toBe('EIDRM');
    const third = m.call('semget', 0, 1, 0o600);
    m.handle(SIGALRM, 0x1000_0000);
    const interrupted = m.tryAsync('semop', third, sembuf(m, [0, -1, 0]), 1);
    sendSignal(m.task, SIGALRM);
    expect(await interrupted).toBe('EINTR');
  });
  it('undo what a process did when it ends', () => {
    const m = new Machine();
    const id = m.call('semget', 0, 1, 0o600);
    m.call('semop', id, sembuf(m, [0, 5, SEM_UNDO]), 1);
    m.call('semop', id, sembuf(m, [0, -2, 0]), 1);
    ipcOf(m.task).sem.exit(m.task.process);
    expect(m.call('semctl', id, 0, 12, 0)).toBe(0);
  });
});

describe('System V identifiers', () => {
  it('are found by key, protected by mode, and never the same twice', () => {
    const m = new Machine();
    expect(m.try('msgget', 9, 0)).toBe('ENOENT');
    const id = m.call('msgget', 9, IPC_CREAT | 0o600);
    expect(m.call('msgget', 9, 0)).toBe(id);
    expect(m.try('msgget', 9, IPC_CREAT | 0o2000)).toBe('EEXIST');
    m.task.cred = new Credentials(2000, 2000);
    expect(m.try('msgget', 9, 0o400)).toBe('EACCES');
    expect(m.try('msgctl', id, 0, 0)).toBe('EPERM');
    m.task.cred = new Credentials(1000, 1000);
    expect(m.try('msgctl', id, 0, 0)).toBe(0);
    expect(m.call('msgget', 9, IPC_CREAT | 0o600)).not.toBe(id);
    expect(m.try('msgctl', id, 2, DATA)).toBe('EIDRM');
    expect(m.try('msgctl', -1, 2, DATA)).toBe('EINVAL');
  });
});

describe('System V messages', () => {
  it('go by type', async () => {
    const m = new Machine();
    const id = m.call('msgget', 0, 0o600);
    const send = (type: number, text: string): number | string => {
      m.mem.writeU64(DATA, type);
      m.cString(text, DATA + 8);
      return m.try('msgsnd', id, DATA, text.length, IPC_NOWAIT);
    };
    const receive = (type: number, flags = IPC_NOWAIT, size = 100): string => {
      const n = m.try('msgrcv', id, DATA + 512, size, type, flags);
      return typeof n === 'number' ? Buffer.from(m.mem.copyIn(DATA + 520, n)).toString() : n;
    };
    for (const [type, text] of [
      [3, 'c'],
      [1, 'a'],
      [2, 'bbb'],
    ] as const)
      expect(send(type, text)).toBe(0);
    expect(send(0, 'x')).toBe('EINVAL');
    expect(receive(-2)).toBe('a');
    expect(receive(2, IPC_NOWAIT, 1)).toBe('E2BIG');
    expect(receive(2, IPC_NOWAIT | 0o10000, 1)).toBe('b');
    expect(receive(9)).toBe('ENOMSG');
    expect(receive(0)).toBe('c');
    for (let k = 0; k < 2; k++) expect(send(1, 'x'.repeat(8192))).toBe(0);
    expect(send(1, 'y')).toBe('EAGAIN');
    m.load('msgsnd', [id, DATA, 2 ** 40, 0]);
    expect(m.try('msgsnd', id, DATA, 2 ** 40, 0)).toBe('EINVAL');
  });
});

describe('System V shared memory', () => {
  it('is mapped, counted, and kept until the last mapping goes', () => {
    const m = new Machine({ memorySize: 0x1000_0000 });
    m.task.mm.layout = { ...m.task.mm.layout };
    const id = m.call('shmget', 7, 5000, IPC_CREAT | 0o600);
    const at = m.call('shmat', id, 0x300_0000, 0);
    expect(at).toBe(0x300_0000);
    m.mem.writeU32(at + 4, 1234);
    expect(shmTable(m.task)).toMatch(/ 5000 +100 +100 +1 /);
    expect(m.try('shmat', id, 0x300_0000, 0)).toBe('EINVAL');
    expect(m.call('shmctl', id, 0, 0)).toBe(0);
    expect(m.try('shmget', 7, 0, 0)).toBe('ENOENT');
    expect(m.try('shmctl', id, 2, DATA)).toBe(0);
    expect(m.mem.readU32(DATA + 20)).toBe(0o1600);
    expect(m.try('shmdt', at + 4096)).toBe('EINVAL');
    expect(m.try('shmdt', at)).toBe(0);
    expect(m.try('shmctl', id, 2, DATA)).toBe('EINVAL');
    expect(m.try('shmget', 0, 2 ** 50, 0o600)).toBe('ENOMEM');
    expect(m.try('shmget', 0, 0, 0o600)).toBe('EINVAL');
  });
});
