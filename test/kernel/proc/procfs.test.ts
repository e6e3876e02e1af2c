import { describe, expect, it } from 'vitest';
import { SysError } from '../../../src/kernel/abi/errno.ts';
import { DevFs } from '../../../src/kernel/fs/devfs.ts';
import type { OpenFile } from '../../../src/kernel/fs/open-file.ts';
import { createPipe } from '../../../src/kernel/fs/pipe.ts';
import { ProcFs } from '../../../src/kernel/fs/procfs/index.ts';
import { SysFs } from '../../../src/kernel/fs/sysfs/index.ts';
import { AT_FDCWD } from '../../../src/kernel/fs/vfs.ts';
import type { Task } from '../../../src/kernel/task/task.ts';
import { CODE, DATA, Fixture, type FixtureInit, STACK } from '../io/fixture.ts';

class Proc extends Fixture {
  constructor(init: FixtureInit = {}) {
    super(init);
    for (const name of ['proc', 'sys', 'dev']) this.vfs.root.dentry.inode.mkdir(name, 0o755, 0, 0);
    this.vfs.mount(new ProcFs(), '/proc');
    this.vfs.mount(new SysFs(), '/sys');
    this.vfs.mount(new DevFs(), '/dev');
    this.task.fs.root = this.vfs.newContext().root;
    this.task.fs.cwd = this.task.fs.root;
  }
  open(path: string, flags = 0, task: Task = this.task): OpenFile {
    return this.vfs.open(task, AT_FDCWD, path, flags, 0o644) as OpenFile;
  }
  cat(path: string, task: Task = this.task): string {
    const file = this.open(path, 0, task);
    const parts: Buffer[] = [];
    const dst = new Uint8Array(97);
    for (let n = file.read(task, dst, null) as number; n > 0; n = file.read(task, dst, null) as number) {
      parts.push(Buffer.from(dst.slice(0, n)));
    }
    file.unref();
    return Buffer.concat(parts).toString('latin1');
  }
  ls(path: string): string[] {
    return this.open(path)
      .readdir(this.task)
      .map((e) => e.entry.name)
      .filter((n) => !n.startsWith('.'));
  }
  link(path: string): string {
    return this.vfs.resolve(this.task, AT_FDCWD, path, { followLast: false }).dentry.inode.readlink(this.task);
  }
}

const errnoOf = (act: () => unknown): number => {
  try {
    act();
    return 0;
  } catch (e) {
    if (e instanceof SysError) return e.errno;
    throw e;
  }
};

it('counts directories before their entries are made as it does after', () => {
  const f = new Proc();
  const links = (path: string): number => f.vfs.resolve(f.task, AT_FDCWD, path, {}).dentry.inode.stat().nlink;
  for (const path of ['/proc', '/sys', '/proc/self/net']) {
    const before = links(path);
    expect(f.ls(path).length).toBeGreaterThan(5);
    expect(links(path)).toBe(before);
  }
});

describe('/proc/PID', () => {
  it('is found as self, by pid and by thread', () => {
    const f = new Proc();
    expect(f.link('/proc/self')).toBe('100');
    expect(f.link('/proc/thread-self')).toBe('100/task/100');
    expect(f.cat('/proc/self/comm')).toBe('test\n');
    expect(f.cat('/proc/100/task/100/comm')).toBe('test\n');
    expect(f.ls('/proc')).toContain('100');
    expect(f.ls('/proc/self/task')).toEqual(['100']);
    expect(errnoOf(() => f.open('/proc/101/comm'))).toBe(2);
    const child = f.child();
    expect(f.cat('/proc/self/comm', child)).toBe('child\n');
    expect(f.cat(`/proc/${child.tid}/stat`)).toMatch(/^101 \(child\) R 100 100 50 /);
    expect(f.cat('/proc/self/task/100/children')).toBe('101 ');
  });

  it("prints maps in the kernel's columns", () => {
    const f = new Proc();
    const lines = f.cat('/proc/self/maps').split('\n');
    expect(lines[0]).toBe('00100000-00110000 rw-p 00000000 00:00 0 ');
    expect(lines[1]).toBe('00400000-00401000 r-xp 00000000 00:00 0 ');
    const stack = lines.find((l) => l.endsWith('[stack]'))!;
    expect(stack.indexOf('[stack]')).toBe(73);
    expect(stack.startsWith('007f0000-00800000 rw-p 00000000 00:00 0    ')).toBe(true);
  });

  it('prints smaps with every field of Linux 6.1', () => {
    const f = new Proc();
    const [first] = f.cat('/proc/self/smaps').split(/(?<=VmFlags: .*\n)/);
    expect(first!.split('\n').slice(1, 6)).toEqual([
      'Size:                 64 kB',
      'KernelPageSize:        4 kB',
      'MMUPageSize:           4 kB',
      'Rss:                  64 kB',
      'Pss:                  64 kB',
    ]);
    expect(first).toMatch(/THPeligible: {4}0\nVmFlags: rd wr mr mw me ac \n$/);
    const rollup = f.cat('/proc/self/smaps_rollup');
    expect(rollup).toMatch(/^00100000-00800000 ---p 00000000 00:00 0 {26,}\[rollup\]\nRss: +\d+ kB\nPss: /);
  });

  it('has 52 fields in stat', () => {
    const f = new Proc();
    f.task.comm = 'a) b';
    const stat = f.cat('/proc/self/stat');
    const fields = stat
      .trimEnd()
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ');
    expect(stat.startsWith('100 (a) b) R 50 100 50 0 -1 ')).toBe(true);
    expect(fields).toHaveLength(50);
    expect(fields[20]).toBe(String(0x10000 + 0x1000 + 0x10000));
    expect(fields.every((v) => /^(-?\d+|[A-Z])$/.test(v))).toBe(true);
    expect(f.cat('/proc/self/statm')).toMatch(/^33 33 0 0 0 \d+ 0\n$/);
  });

  it('prints status', () => {
    const f = new Proc();
    const status = f.cat('/proc/self/status');
    expect(status.split('\n').slice(0, 12)).toEqual([
      'Name:\ttest',
      'Umask:\t0022',
      'State:\tR (running)',
      'Tgid:\t100',
      'Ngid:\t0',
      'Pid:\t100',
      'PPid:\t50',
      'TracerPid:\t0',
      'Uid:\t1000\t1000\t1000\t1000',
      'Gid:\t1000\t1000\t1000\t1000',
      'FDSize:\t256',
      'Groups:\t1000 27 ',
    ]);
    expect(status).toContain('VmSize:\t     132 kB\n');
    expect(status).toMatch(/SigQ:\t0\/15000\nSigPnd:\t0{16}\n/);
    expect(status).toContain('CapBnd:\t000001ffffffffff\n');
  });

  it('shows arguments and environment as they are now', () => {
    const f = new Proc();
    const at = DATA + 0x800;
    f.mem.copyOut(at, Buffer.from('prog\0arg\0A=1\0B=2\0', 'latin1'));
    Object.assign(f.task.process, { argStart: at, argEnd: at + 9, envStart: at + 9, envEnd: at + 17 });
    expect(f.cat('/proc/self/cmdline')).toBe('prog\0arg\0');
    expect(f.cat('/proc/self/environ')).toBe('A=1\0B=2\0');
    // setproctitle writes over the last NUL into the environment.
    f.mem.copyOut(at, Buffer.from('a title that\0', 'latin1'));
    expect(f.cat('/proc/self/cmdline')).toBe('a title that');
  });

  it('lets the process change its comm and oom_score_adj', () => {
    const f = new Proc();
    const comm = f.open('/proc/self/comm', 1);
    expect(comm.write(f.task, Buffer.from('a name longer than fifteen'), null)).toBe(26);
    expect(f.cat('/proc/self/comm')).toBe('a name longer t\n');
    const adj = f.open('/proc/self/oom_score_adj', 2);
    expect(adj.write(f.task, Buffer.from('300\n'), null)).toBe(4);
    expect(f.cat('/proc/self/oom_score_adj')).toBe('300\n');
    expect(errnoOf(() => adj.write(f.task, Buffer.from('x'), null))).toBe(22);
    expect(errnoOf(() => adj.write(f.task, Buffer.from('-5'), null))).toBe(13);
    expect(errnoOf(() => f.open('/proc/self/stat', 1))).toBe(13);
  });

  it('prints limits', () => {
    const f = new Proc();
    const lines = f.cat('/proc/self/limits').split('\n');
    expect(lines[0]).toBe('Limit                     Soft Limit           Hard Limit           Units     ');
    expect(lines[1]).toBe('Max cpu time              unlimited            unlimited            seconds   ');
    expect(lines[8]).toBe('Max open files            1024                 1048576              files     ');
    expect(lines[14]).toBe('Max nice priority         0                    0                    ');
    expect(lines).toHaveLength(18);
  });

  it('lists descriptors as links to what they are', () => {
    const f = new Proc();
    const [r, w] = createPipe(0, f.task.cred);
    f.task.files.install(r);
    f.task.files.install(w, true);
    f.task.files.install(f.open('/dev/null', 2));
    expect(f.ls('/proc/self/fd')).toEqual(['0', '1', '2']);
    expect(f.link('/proc/self/fd/0')).toBe(r.path);
    expect(f.link('/dev/fd/2')).toBe('/dev/null');
    const inode = f.vfs.resolve(f.task, AT_FDCWD, '/proc/self/fd/1', { followLast: false }).dentry.inode;
    expect(inode.stat().mode).toBe(0o120300);
    expect(f.cat('/proc/self/fdinfo/1')).toMatch(/^pos:\t0\nflags:\t02000001\nmnt_id:\t\d+\nino:\t\d+\n$/);
    expect(errnoOf(() => f.open('/proc/self/fd/9'))).toBe(2);
    // Opening the link opens the pipe again, the other way round if asked.
    const again = f.open('/dev/stdin', 1);
    expect(again).not.toBe(r);
    expect(again.write(f.task, Buffer.from('x'), null)).toBe(1);
    expect(r.read(f.task, new Uint8Array(4), null)).toBe(1);
  });

  it('links to the working directory, the root and the program', () => {
    const f = new Proc();
    f.vfs.root.dentry.inode.mkdir('home', 0o755, 0, 0);
    f.task.fs.cwd = f.vfs.lookup('/home');
    f.task.process.exe = f.vfs.lookup('/dev/null');
    f.task.process.exePath = '/dev/null';
    expect([f.link('/proc/self/cwd'), f.link('/proc/self/root'), f.link('/proc/self/exe')]).toEqual([
      '/home',
      '/',
      '/dev/null',
    ]);
    expect(f.vfs.resolve(f.task, AT_FDCWD, '/proc/self/cwd').dentry).toBe(f.task.fs.cwd.dentry);
    expect(f.open('/proc/self/exe').stat().rdev).toBe(0x103);
  });

  it('reads and writes memory through mem', () => {
    const f = new Proc();
    f.mem.writeU32(DATA, 0x11223344);
    const mem = f.open('/proc/self/mem', 2);
    const dst = new Uint8Array(4);
    expect(mem.read(f.task, dst, DATA)).toBe(4);
    expect([...dst]).toEqual([0x44, 0x33, 0x22, 0x11]);
    mem.lseek(CODE, 0);
    expect(mem.write(f.task, Uint8Array.of(0xcc), null)).toBe(1);
    expect(f.mem.readU8(CODE)).toBe(0xcc);
    expect(mem.offset).toBe(CODE + 1);
    expect(errnoOf(() => mem.read(f.task, dst, 0))).toBe(5);
    expect(errnoOf(() => mem.read(f.task, dst, 2 ** 63))).toBe(5);
    expect(mem.read(f.task, new Uint8Array(100), STACK - 10)).toBe(10);
  });

  it('outlives its process only as ESRCH', () => {
    const f = new Proc();
    const child = f.child();
    const file = f.open(`/proc/${child.tid}/stat`);
    child.process.tasks.delete(child.tid);
    expect(f.cat(`/proc/${child.tid}/stat`)).toMatch(/^101 \(.*\) Z /);
    f.kernel.forget(child.process);
    expect(errnoOf(() => file.read(f.task, new Uint8Array(9), null))).toBe(3);
  });

  it('leaves nothing behind in the tree when its process has gone', () => {
    const f = new Proc();
    f.cat('/proc/self/stat');
    const { mount, dentry } = f.vfs.resolve(f.task, AT_FDCWD, '/proc', {});
    const { process } = f.task;
    expect(mount.fs.type).toBe('proc');
    const own = dentry.child(String(process.pid));
    expect(own?.deleted).toBe(false);
    process.kernel.forget(process);
    expect([own?.deleted, dentry.child(String(process.pid))]).toEqual([true, null]);
  });

  it('shows mounts with escaped names', () => {
    const f = new Proc();
    f.vfs.root.dentry.inode.mkdir('a b', 0o755, 0, 0);
    f.vfs.mount(new DevFs(), '/a b', { readOnly: true });
    expect(f.cat('/proc/mounts').split('\n')[4]).toBe('devtmpfs /a\\040b devtmpfs ro,relatime 0 0');
    expect(f.cat('/proc/self/mountinfo').split('\n')[1]).toMatch(/^\d+ \d+ 0:22 \/ \/proc rw,relatime - proc proc rw$/);
  });
});

describe('/proc', () => {
  it('describes one CPU', () => {
    const f = new Proc();
    const text = f.cat('/proc/cpuinfo');
    expect(text.match(/^processor\t: \d+$/gm)).toEqual(['processor\t: 0']);
    expect(text).toMatch(/^flags\t\t: fpu tsc .*sse4_2 popcnt lahf_lm$/m);
    expect(text).toMatch(/^model name\t: uktx virtual CPU$/m);
    expect(text.endsWith('power management:\n\n')).toBe(true);
    expect(new Proc({ isa: 'aarch64' }).cat('/proc/cpuinfo')).toContain('CPU architecture: 8');
  });

  it('has no generated file that cannot be read', () => {
    const f = new Proc({ stdio: [] });
    const seen: string[] = [];
    const walk = (dir: string, depth: number): void => {
      for (const { entry } of f.open(dir).readdir(f.task)) {
        if (entry.name === '.' || entry.name === '..' || depth > 7) continue;
        const path = `${dir}/${entry.name}`;
        const type = entry.type & 0o170000;
        if (type === 0o040000) walk(path, depth + 1);
        else if (type === 0o100000 && entry.name !== 'mem') {
          const { mode } = f.vfs.resolve(f.task, AT_FDCWD, path).dentry.inode.stat();
          const text = mode & 0o004 || path.includes('/100/') ? f.cat(path) : '';
          expect(text, path).not.toMatch(/undefined|NaN|\[object|null/);
          seen.push(path);
        }
      }
    };
    walk('/proc', 0);
    walk('/sys', 0);
    expect(seen.length).toBeGreaterThan(200);
    expect(seen).toContain('/sys/devices/system/cpu/online');
    expect(seen).toContain('/proc/sys/kernel/random/boot_id');
  });

  it('prints system files as programs parse them', () => {
    const f = new Proc();
    expect(f.cat('/proc/meminfo')).toMatch(/^MemTotal: {8}1048576 kB\nMemFree: {9}1048444 kB\nMemAvailable: +\d+ kB\n/);
    expect(f.cat('/proc/uptime')).toMatch(/^50\d\d\.\d\d (49|50)\d\d\.\d\d\n$/);
    expect(f.cat('/proc/loadavg')).toMatch(/^0\.00 0\.00 0\.00 1\/1 100\n$/);
    expect(f.cat('/proc/stat')).toMatch(/^cpu {2}150 0 0 \d+ 0 0 0 0 0 0\ncpu0 150 /);
    expect(f.cat('/proc/version')).toMatch(/^Linux version 6\.1\.0/);
    expect(f.cat('/proc/sys/kernel/hostname')).toBe('box\n');
    expect(f.cat('/proc/sys/kernel/random/uuid')).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\n$/,
    );
    expect(f.cat('/proc/net/tcp')).toHaveLength(150);
    expect(f.cat('/sys/devices/system/cpu/online')).toBe('0\n');
    expect(f.cat('/sys/devices/system/cpu/cpu0/cache/index0/size')).toBe('32K\n');
  });

  it('starts again when read from the start', () => {
    const f = new Proc();
    const file = f.open('/proc/self/comm');
    const dst = new Uint8Array(16);
    expect(file.read(f.task, dst, null)).toBe(5);
    expect(file.read(f.task, dst, null)).toBe(0);
    f.task.comm = 'new';
    file.lseek(0, 0);
    expect(file.read(f.task, dst, null)).toBe(4);
    expect(file.read(f.task, dst, 1)).toBe(3);
    expect(file.stat().size).toBe(0);
  });

  it('cannot be changed', () => {
    const f = new Proc();
    expect(errnoOf(() => f.open('/proc/self/new', 0o101))).toBe(13);
    const root = f.vfs.lookup('/proc').dentry.inode;
    expect(errnoOf(() => root.mkdir('x', 0o755, 0, 0))).toBe(1);
    expect(errnoOf(() => root.unlink('uptime'))).toBe(1);
    expect(errnoOf(() => f.open('/sys/devices/system/cpu/online', 1))).toBe(13);
  });
});

describe('/dev', () => {
  it('has the devices with their numbers', () => {
    const f = new Proc();
    const numbers = ['null', 'zero', 'full', 'random', 'urandom', 'tty', 'console', 'ptmx'].map((name) => {
      const { mode, rdev } = f.vfs.lookup(`/dev/${name}`).dentry.inode.stat();
      return [name, mode.toString(8), rdev >> 8, rdev & 255];
    });
    expect(numbers).toEqual([
      ['null', '20666', 1, 3],
      ['zero', '20666', 1, 5],
      ['full', '20666', 1, 7],
      ['random', '20666', 1, 8],
      ['urandom', '20666', 1, 9],
      ['tty', '20666', 5, 0],
      ['console', '20600', 5, 1],
      ['ptmx', '20666', 5, 2],
    ]);
  });

  it('behaves as null(4), full(4) and random(4) say', () => {
    const f = new Proc();
    const dst = new Uint8Array(300_000).fill(1);
    expect(f.open('/dev/null', 2).read(f.task, dst, null)).toBe(0);
    expect(f.open('/dev/null', 2).write(f.task, dst, null)).toBe(300_000);
    expect(f.open('/dev/zero').read(f.task, dst, 12)).toBe(300_000);
    expect(dst.every((b) => b === 0)).toBe(true);
    expect(f.open('/dev/urandom').read(f.task, dst, null)).toBe(300_000);
    expect(dst.every((b) => b === 0xa5)).toBe(true);
    expect(errnoOf(() => f.open('/dev/full', 1).write(f.task, dst, null))).toBe(28);
    expect(f.open('/dev/zero').lseek(1000, 0)).toBe(0);
    expect(errnoOf(() => f.open('/dev/tty'))).toBe(6);
  });
});
