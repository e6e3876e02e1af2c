import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { errno, errnoName, SysError, sysError } from '../../../src/kernel/abi/errno.ts';
import { O_RDONLY } from '../../../src/kernel/fs/open-file.ts';
import { loadProgram } from '../../../src/kernel/loader/exec.ts';
import { configureLoader } from '../../../src/kernel/loader/options.ts';
import { execRows } from '../../../src/kernel/syscalls/exec.ts';
import { EXEC_DONE } from '../../../src/kernel/syscalls/row-results.ts';
import type { Kernel } from '../../../src/kernel/kernel.ts';
import { RLIMIT_STACK } from '../../../src/kernel/task/rlimits.ts';
import { Guest } from '../mm/calls.ts';
import { MemFile } from '../mm/mem-file.ts';

const P = 4096;
const files = new Map<string, MemFile>();
const opened: string[] = [];

// Finding and opening files is the file system's business; here paths are keys of a map.
vi.mock('../../../src/kernel/loader/executable.ts', () => ({
  AT_FDCWD: -100,
  openExecutable: async (_task: unknown, dirfd: number, name: string) => {
    const path = dirfd === -100 || name.startsWith('/') ? name : `${dirfd}:${name}`;
    opened.push(path);
    const file = files.get(path);
    if (!file) throw sysError(path === '/noexec' ? errno.EACCES : errno.ENOENT);
    return { file: file.ref(), path: { key: path } };
  },
}));

const guestBytes = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../../guests/loader/${name}`, import.meta.url)));

class ExecGuest extends Guest {
  readonly log: string[] = [];
  killed: unknown = null;
  registers = { pc: 0, sp: 0 };
  constructor() {
    super();
    const kernel = Object.assign(this.task.kernel, {
      options: { memoryLimit: 256 << 20 },
      host: { randomFill: (b: Uint8Array) => b.fill(7), diagnostic: () => undefined },
    });
    Object.assign(this.task, {
      kernel,
      cpu: { isa: 'x86_64', reset: (pc: number, sp: number) => Object.assign(this.registers, { pc, sp }) },
      cred: { uid: 5, euid: 5, gid: 6, egid: 6, capable: () => false },
      exitCode: null,
      afterExec: (comm: string) => this.log.push(`comm ${comm}`),
    });
    Object.assign(this.task.files, { closeOnExec: () => this.log.push('close'), getCloexec: (fd: number) => fd === 9 });
    const { rlimits } = this.task.process;
    const process = {
      rlimits,
      pid: this.task.tid,
      tasks: new Map([[1, this.task]]),
      get stackLimit() {
        return rlimits[RLIMIT_STACK]!.soft;
      },
      exitGroup: (status: unknown) => {
        this.killed = status;
      },
    };
    Object.assign(this.task, { process });
  }
  async run(file: string, argv: string[] = [file], extra: object = {}): Promise<string> {
    const result = await loadProgram(this.task, { file, argv, envp: ['E=1'], ...extra });
    return result.ok ? 'ok' : `${errnoName(result.errno)}${result.fatal ? ' fatal' : ''}: ${result.reason}`;
  }
  /** The strings of argv (or envp) on the new stack. */
  strings(which: 'argv' | 'envp'): string[] {
    const { sp } = this.registers;
    const argc = this.mem.readU64(sp);
    const list: string[] = [];
    for (let at = sp + 8 + (which === 'argv' ? 0 : (argc + 1) * 8); this.mem.readU64(at) !== 0; at += 8) {
      list.push(this.mem.readCString(this.mem.readU64(at), 200_000));
    }
    return list;
  }
}

const add = (path: string, content: Uint8Array | string): MemFile => {
  const file = new MemFile(typeof content === 'string' ? Buffer.from(content, 'latin1') : content, O_RDONLY, path);
  files.set(path, file);
  return file;
};

beforeEach(() => {
  files.clear();
  opened.length = 0;
  add('/bin/static', guestBytes('tiny-static'));
  add('/bin/dynamic', guestBytes('tiny-dynamic'));
  add('/lib/ld-tiny.so', guestBytes('tiny-static-pie'));
});

describe('execve', () => {
  it('starts a program', async () => {
    const guest = new ExecGuest();
    expect(await guest.run('/bin/static', ['static', 'a b', '\xff'])).toBe('ok');
    const { mm, registers, task } = guest;
    expect(registers.pc).toBe(0x401000);
    expect(registers.sp % 16).toBe(0);
    expect(guest.strings('argv')).toEqual(['static', 'a b', '\xff']);
    expect(guest.strings('envp')).toEqual(['E=1']);
    expect(guest.log).toEqual(['close', 'comm static']);
    const { process } = task;
    expect(process.exePath).toBe('/bin/static');
    expect(process.exe).toEqual({ key: '/bin/static' });
    expect(guest.mem.readCString(process.argStart)).toBe('static');
    expect(guest.mem.readCString(process.envStart)).toBe('E=1');
    expect(process.envEnd - process.envStart).toBe(4);
    expect(process.auxv.length % 16).toBe(0);
    const stack = mm.vmas().at(-1)!;
    expect([stack.label, stack.end - stack.start, stack.prot]).toEqual(['[stack]', 8 << 20, 3]);
    // At least 64 MiB below the stack are never given out.
    expect(guest.mmap(0, P, 3, 0x22)).toBeLessThanOrEqual(stack.start - (64 << 20));
    expect(mm.memoryLimit).toBe(256 << 20);
  });

  it('gives up the old program only when nothing can fail any more', async () => {
    const guest = new ExecGuest();
    guest.mmap(0x3000_0000, P, 3, 0x32);
    for (const name of ['/missing', '/noexec']) expect(await guest.run(name)).toMatch(/^(ENOENT|EACCES)/);
    add('/bin/bad', 'neither');
    expect(await guest.run('/bin/bad')).toBe('ENOEXEC: not an ELF file');
    files.delete('/lib/ld-tiny.so');
    expect(await guest.run('/bin/dynamic')).toBe('ENOENT: interpreter /lib/ld-tiny.so not found');
    expect(guest.maps(0x3000_0000)).toEqual(['0-1 rw-p 0']);
    expect(guest.log).toEqual([]);
    expect(await guest.run('/bin/static')).toBe('ok');
    expect(guest.mm.find(0x3000_0000)).toBe(null);
  });

  it('is killed when reading fails after that', async () => {
    const guest = new ExecGuest();
    const file = files.get('/bin/static')!;
    const read = file.read.bind(file);
    file.read = (task, dst, position) => {
      if (dst.buffer === guest.memory.u8.buffer) throw sysError(errno.EIO);
      return read(task, dst, position);
    };
    expect(await guest.run('/bin/static')).toBe('EIO fatal: EIO');
    expect(guest.killed).toEqual({ kind: 'killed', signal: 11, core: false });
  });

  it('holds no file but those that are mapped, whatever happens', async () => {
    const guest = new ExecGuest();
    const file = files.get('/bin/static')!;
    const ld = files.get('/lib/ld-tiny.so')!;
    add('/bin/script', '#!/bin/static\n');
    expect(await guest.run('/bin/static')).toBe('ok');
    expect(await guest.run('/bin/script')).toBe('ok');
    expect(await guest.run('/bin/dynamic')).toBe('ok');
    guest.task.process.rlimits[RLIMIT_STACK]!.soft = 400_000;
    expect(await guest.run('/bin/dynamic', ['x'.repeat(120_000), 'y'.repeat(120_000)])).toMatch(/^E2BIG/);
    ld.bytes = ld.bytes.subarray(0, 100);
    expect(await guest.run('/bin/dynamic')).toMatch(/^ELIBBAD/);
    guest.mm.reset();
    for (const f of [...files.values()]) {
      f.unref();
      expect([f.path, f.released]).toEqual([f.path, true]);
    }
    expect(file.released && ld.released).toBe(true);
  });

  it('runs dynamic programs through their interpreter', async () => {
    const guest = new ExecGuest();
    expect(await guest.run('/bin/dynamic')).toBe('ok');
    expect(guest.registers.pc).toBeGreaterThanOrEqual(guest.mm.layout.mmapBase);
    const aux = new Map<number, number>();
    const { auxv } = guest.task.process;
    const view = new DataView(auxv.buffer, auxv.byteOffset);
    for (let i = 0; i < auxv.length; i += 16) aux.set(view.getUint32(i, true), Number(view.getBigUint64(i + 8, true)));
    expect(aux.get(9)).toBe(0x5555_5000);
    expect(aux.get(7)! + 0x1000).toBe(guest.registers.pc);
    expect([aux.get(11), aux.get(13), aux.get(23), aux.get(16)]).toEqual([5, 6, 0, 0x078bfbff]);
    configureLoader(guest.task.kernel as Kernel, { hwcap: () => [0x1234, 0], minSigStackSize: 4000 });
    expect(await guest.run('/bin/dynamic')).toBe('ok');
    expect(new DataView(guest.task.process.auxv.buffer).getUint32(8, true)).toBe(4000);
  });

  it('has memory of the old program zeroed', async () => {
    const guest = new ExecGuest();
    guest.mmap(0x400000, 16 * P, 3, 0x32);
    guest.memory.u8.fill(0xcc, 0x400000, 0x400000 + 16 * P);
    guest.mmap(0x3000_0000, P, 3, 0x32);
    guest.memory.u8[0x3000_0000] = 1;
    expect(await guest.run('/bin/static')).toBe('ok');
    expect(guest.memory.u8[0x405fff]).toBe(0);
    guest.mmap(0x3000_0000, P, 3, 0x32);
    expect(guest.memory.u8[0x3000_0000]).toBe(0);
  });

  it('refuses AArch64 programs until they can run', async () => {
    const guest = new ExecGuest();
    const arm = guestBytes('tiny-static');
    arm[18] = 183;
    add('/bin/arm', arm);
    expect(await guest.run('/bin/arm')).toBe('ENOEXEC: for aarch64, which does not run here yet');
  });

  it('starts a program without arguments with one empty one', async () => {
    const guest = new ExecGuest();
    expect(await guest.run('/bin/static', [])).toBe('ok');
    expect(guest.strings('argv')).toEqual(['']);
  });

  it('gives large arguments room', async () => {
    const guest = new ExecGuest();
    guest.task.process.rlimits[RLIMIT_STACK]!.soft = 65536;
    const big = 'z'.repeat(100_000);
    expect(await guest.run('/bin/static', [big])).toBe('ok');
    expect(guest.strings('argv')).toEqual([big]);
    expect(guest.mm.find(guest.registers.sp - 100_000)?.label).toBe('[stack]');
  });
});

describe('scripts', () => {
  it('run their interpreter with its argument and their own name', async () => {
    const guest = new ExecGuest();
    add('./s', '#! /bin/static  -x -y \necho');
    expect(await guest.run('./s', ['ignored', 'A'])).toBe('ok');
    expect(guest.strings('argv')).toEqual(['/bin/static', '-x -y', './s', 'A']);
    expect(guest.log).toEqual(['close', 'comm s']);
    expect(guest.task.process.exePath).toBe('/bin/static');
  });

  it('may be interpreted by scripts, five deep', async () => {
    // As recorded with execve(2) on Linux 6.
    const guest = new ExecGuest();
    add('/s1', '#!/bin/static\n');
    for (let i = 2; i <= 6; i++) add(`/s${i}`, `#!/s${i - 1}\n`);
    expect(await guest.run('/s5')).toBe('ok');
    expect(guest.strings('argv')).toEqual(['/bin/static', '/s1', '/s2', '/s3', '/s4', '/s5']);
    expect(await guest.run('/s6')).toMatch(/^ELOOP/);
    add('/self', '#!/self\n');
    expect(await guest.run('/self')).toMatch(/^ELOOP/);
  });

  it('fail with the errno of their interpreter', async () => {
    const guest = new ExecGuest();
    add('/s', '#!/missing\n');
    expect(await guest.run('/s')).toBe('ENOENT: script interpreter /missing: not found');
    add('/s', '#!\n');
    expect(await guest.run('/s')).toMatch(/^ENOEXEC/);
    add('/s', '#!');
    expect(await guest.run('/s')).toMatch(/^EACCES/);
  });

  it('are called /dev/fd/N by execveat, and ENOENT when that is close-on-exec', async () => {
    const guest = new ExecGuest();
    add('8:', '#!/bin/static\n');
    add('9:', '#!/bin/static\n');
    add('8:sub/s', '#!/bin/static\n');
    expect(await guest.run('', ['x'], { dirfd: 8, flags: 0x1000 })).toBe('ok');
    expect(guest.strings('argv')).toEqual(['/bin/static', '/dev/fd/8']);
    expect(await guest.run('sub/s', ['x'], { dirfd: 8 })).toBe('ok');
    expect(guest.strings('argv')).toEqual(['/bin/static', '/dev/fd/8/sub/s']);
    expect(await guest.run('', ['x'], { dirfd: 9, flags: 0x1000 })).toMatch(/^ENOENT/);
  });
});

describe('the system call', () => {
  const call = async (guest: Guest, ...args: number[]): Promise<number | string> => {
    try {
      const result = await execRows.find((r) => r.name === 'execve')!.handler!(guest.task, ...args);
      return result === EXEC_DONE ? 'done' : errnoName(-result);
    } catch (e) {
      if (e instanceof SysError) return errnoName(e.errno);
      throw e;
    }
  };

  it('reads its strings from guest memory', async () => {
    const guest = new ExecGuest();
    const p = guest.mmap(0x3000_0000, 64 * P, 3, 0x32);
    const { mem } = guest;
    mem.copyOut(p, Buffer.from('/bin/static\0one\0two\0'));
    const list = p + P;
    for (const [i, v] of [p, p + 12, p + 16, 0].entries()) mem.writeU64(list + i * 8, v);
    expect(await call(guest, p, list, 8)).toBe('EFAULT');
    expect(await call(guest, 8, list, 0)).toBe('EFAULT');
    // The file comes first.
    expect(await call(guest, p + 12, 8, 8)).toBe('ENOENT');
    mem.writeU64(list + 8, 2 ** 48);
    expect(await call(guest, p, list, 0)).toBe('EFAULT');
    mem.writeU64(list + 8, p + 12);
    // 131,072 bytes without a NUL.
    mem.writable(p + 2 * P, 33 * P).fill(65);
    mem.writeU64(list, p + 2 * P);
    expect(await call(guest, p, list, 0)).toBe('E2BIG');
    mem.writeU64(list, p);
    expect(await call(guest, p, list, 0)).toBe('done');
    expect(guest.strings('argv')).toEqual(['/bin/static', 'one', 'two']);
    expect(guest.strings('envp')).toEqual([]);
  });

  it('does not read for ever', async () => {
    const guest = new ExecGuest();
    // One string, pointed to by 4 MiB of pointers.
    const p = guest.mmap(0x3000_0000, 1025 * P, 3, 0x32);
    guest.mem.copyOut(p, Buffer.from('/bin/static\0'));
    for (let i = 0; i < 512 * 1024; i++) guest.memory.view.setUint32(p + P + i * 8, p, true);
    expect(await call(guest, p, p + P, 0)).toBe('E2BIG');
  });
});
