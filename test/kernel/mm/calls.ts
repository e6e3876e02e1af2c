/** Memory calls as a guest makes them: through the rows, on a task with an address space and a few descriptors. */
import { errnoName, errno, SysError, sysError } from '../../../src/kernel/abi/errno.ts';
import type { OpenFile } from '../../../src/kernel/fs/open-file.ts';
import { AddressSpace } from '../../../src/kernel/mm/address-space.ts';
import { UserMemory } from '../../../src/kernel/mm/user-memory.ts';
import { mmRows } from '../../../src/kernel/syscalls/mm.ts';
import type { Task } from '../../../src/kernel/task/task.ts';
import { FakeGuestMemory } from './fake-guest-memory.ts';
import { fakeTask } from './mem-file.ts';
import { PidNamespace } from '../../../src/kernel/ns/pid.ts';
import { initialUserNamespace } from '../../../src/kernel/ns/user.ts';

export class Guest {
  readonly memory = new FakeGuestMemory();
  readonly mm = new AddressSpace(this.memory);
  readonly mem = new UserMemory(this.memory);
  readonly files = new Map<number, OpenFile>();
  readonly task: Task & { diagnostics: string[] };

  constructor(options: { root?: boolean } = {}) {
    this.task = fakeTask(options);
    const get = (fd: number): OpenFile => {
      const file = this.files.get(fd);
      if (!file) throw sysError(errno.EBADF);
      return file;
    };
    const kernel = {
      ...this.task.kernel,
      process: (pid: number) => (pid === 1 ? { leader: this.task } : null),
      task: () => null,
    };
    Object.assign(this.task, { mm: this.mm, mem: this.mem, files: { get }, kernel });
    Object.assign(this.task.process, { pidNs: new PidNamespace(null, initialUserNamespace) });
    this.mm.limits = this.task.process;
  }

  /** Result of a call; a failure is its errno's name. */
  call(name: string, ...args: number[]): number | string {
    const handler = mmRows.find((r) => r.name === name)!.handler!;
    try {
      const result = handler(this.task, ...args);
      if (result instanceof Promise) throw new Error('a promise: use callAsync');
      return result;
    } catch (e) {
      if (e instanceof SysError) return errnoName(e.errno);
      throw e;
    }
  }
  async callAsync(name: string, ...args: number[]): Promise<number | string> {
    const handler = mmRows.find((r) => r.name === name)!.handler!;
    try {
      return await handler(this.task, ...args);
    } catch (e) {
      if (e instanceof SysError) return errnoName(e.errno);
      throw e;
    }
  }
  mmap(address: number, length: number, prot: number, flags: number, fd = -1, offset = 0): number {
    const result = this.call('mmap', address, length, prot, flags, fd, offset);
    if (typeof result !== 'number') throw new Error(`mmap: ${result}`);
    return result;
  }
  /** `start-end prot flags offset name` of each VMA, in pages from `base`. */
  maps(base = 0): string[] {
    return this.mm.vmas().map((v) => {
      const prot = `${v.prot & 1 ? 'r' : '-'}${v.prot & 2 ? 'w' : '-'}${v.prot & 4 ? 'x' : '-'}${v.shared ? 's' : 'p'}`;
      return `${(v.start - base) / 4096}-${(v.end - base) / 4096} ${prot} ${v.offset / 4096} ${v.label}`.trim();
    });
  }
}
