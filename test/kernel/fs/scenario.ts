/** Random sequences of file operations, run through one interface on the host itself and on our file systems. */
import * as fs from 'node:fs';
import { errnoName } from '../../../src/kernel/abi/errno.ts';
import type { Guest } from './fake-task.ts';

/** Every operation returns something comparable: text, a number, or the name of an error. */
export interface Machine {
  mkdir(path: string, mode: number): string;
  rmdir(path: string): string;
  /** Opens with flags, writes `data` when there is any, closes. */
  write(path: string, flags: number, mode: number, data: string): string;
  read(path: string): string;
  unlink(path: string): string;
  rename(from: string, to: string): string;
  link(from: string, to: string): string;
  symlink(target: string, path: string): string;
  readlink(path: string): string;
  truncate(path: string, size: number): string;
  chmod(path: string, mode: number): string;
  stat(path: string, follow: boolean): string;
  list(path: string): string;
}

const OK = 'ok';

/** The host's own file system below `base`. */
export function hostMachine(base: string): Machine {
  // Relative paths are resolved by the kernel, so joining keeps slashes and dots as they are.
  const at = (path: string): string => `${base}/${path}`;
  const attempt = (act: () => unknown): string => {
    try {
      return (act() as string | undefined) ?? OK;
    } catch (e) {
      const n = (e as NodeJS.ErrnoException).errno;
      if (n === undefined) throw e;
      return errnoName(-n);
    }
  };
  return {
    mkdir: (p, mode) => attempt(() => void fs.mkdirSync(at(p), { mode })),
    rmdir: (p) => attempt(() => fs.rmdirSync(at(p))),
    write: (p, flags, mode, data) =>
      attempt(() => {
        const fd = fs.openSync(at(p), flags, mode);
        try {
          if (data !== '') fs.writeSync(fd, Buffer.from(data, 'latin1'));
        } finally {
          fs.closeSync(fd);
        }
      }),
    read: (p) => attempt(() => fs.readFileSync(at(p), 'latin1')),
    unlink: (p) => attempt(() => fs.unlinkSync(at(p))),
    rename: (a, b) => attempt(() => fs.renameSync(at(a), at(b))),
    link: (a, b) => attempt(() => fs.linkSync(at(a), at(b))),
    symlink: (t, p) => attempt(() => fs.symlinkSync(t, at(p))),
    readlink: (p) => attempt(() => fs.readlinkSync(at(p))),
    truncate: (p, size) => attempt(() => fs.truncateSync(at(p), size)),
    chmod: (p, mode) => attempt(() => fs.chmodSync(at(p), mode)),
    stat: (p, follow) =>
      attempt(() => {
        const st = follow ? fs.statSync(at(p)) : fs.lstatSync(at(p));
        return describe(st.mode, st.nlink, st.size);
      }),
    list: (p) => attempt(() => fs.readdirSync(at(p)).sort().join(' ')),
  };
}

/** Sizes of directories are a file system's own affair. */
const describe = (mode: number, nlink: number, size: number): string =>
  `${mode.toString(8)} ${nlink} ${(mode & 0o170000) === 0o040000 ? '' : size}`;

export function guestMachine(guest: Guest, base: string): Machine {
  const at = (path: string): string => `${base}/${path}`;
  const result = (n: number): string => (n < 0 ? errnoName(-n) : OK);
  return {
    mkdir: (p, mode) => result(guest.call('mkdir', at(p), mode)),
    rmdir: (p) => result(guest.call('rmdir', at(p))),
    write: (p, flags, mode, data) => {
      const fd = guest.call('open', at(p), flags | 0o2000000, mode);
      if (fd < 0) return errnoName(-fd);
      const n = data === '' ? 0 : guest.call('write', fd, Buffer.from(data, 'latin1'), data.length);
      guest.call('close', fd);
      return result(n);
    },
    read: (p) => guest.readFile(at(p)),
    unlink: (p) => result(guest.call('unlink', at(p))),
    rename: (a, b) => result(guest.call('rename', at(a), at(b))),
    link: (a, b) => result(guest.call('link', at(a), at(b))),
    symlink: (t, p) => result(guest.call('symlink', t, at(p))),
    readlink: (p) => guest.readlink(at(p)),
    truncate: (p, size) => result(guest.call('truncate', at(p), size)),
    chmod: (p, mode) => result(guest.call('chmod', at(p), mode)),
    stat: (p, follow) => {
      const st = guest.stat(at(p), follow ? 0 : 0x100);
      return typeof st === 'string' ? st : describe(st.mode, st.nlink, st.size);
    },
    list: (p) => {
      const names = guest.list(at(p));
      return typeof names === 'string'
        ? names
        : names
            .filter((n) => n !== '.' && n !== '..')
            .sort()
            .join(' ');
    },
  };
}

export type Operation = readonly [keyof Machine, ...(string | number | boolean)[]];

const NAMES = ['a', 'b', 'c', 'd'];
const { O_CREAT, O_EXCL, O_TRUNC, O_WRONLY, O_RDWR, O_APPEND, O_DIRECTORY, O_NOFOLLOW } = fs.constants;
const OPEN_FLAGS = [
  O_WRONLY | O_CREAT,
  O_WRONLY | O_CREAT | O_TRUNC,
  O_WRONLY | O_CREAT | O_EXCL,
  O_RDWR,
  O_WRONLY | O_APPEND | O_CREAT,
  O_WRONLY | O_TRUNC,
  O_WRONLY | O_CREAT | O_NOFOLLOW,
  0,
  O_DIRECTORY,
];

/** Paths of one to three names, now and then with dots, doubled slashes and a slash at the end. */
function randomPath(random: (n: number) => number): string {
  const depth = 1 + random(3);
  let path = '';
  for (let i = 0; i < depth; i++) {
    const odd = random(40);
    const name = odd === 0 ? '.' : odd === 1 && i > 0 ? '..' : NAMES[random(NAMES.length)]!;
    path += (i > 0 ? (random(30) === 0 ? '//' : '/') : '') + name;
  }
  return random(12) === 0 ? `${path}/` : path;
}

export function randomOperations(random: (n: number) => number, count: number): Operation[] {
  const path = (): string => randomPath(random);
  const pick = (): Operation => {
    switch (random(18)) {
      case 0:
      case 1:
        return ['mkdir', path(), [0o755, 0o700, 0o1777][random(3)]!];
      case 2:
        return ['rmdir', path()];
      case 3:
      case 4:
      case 5:
        return ['write', path(), OPEN_FLAGS[random(OPEN_FLAGS.length)]!, 0o644, 'xyz'.repeat(random(4))];
      case 6:
        return ['read', path()];
      case 7:
        return ['unlink', path()];
      case 8:
      case 9:
      case 10:
        return ['rename', path(), path()];
      case 11:
        return ['link', path(), path()];
      case 12:
        return ['symlink', random(3) === 0 ? `../${path()}` : path(), path()];
      case 13:
        return ['readlink', path()];
      case 14:
        return ['truncate', path(), random(10)];
      case 15:
        return ['chmod', path(), [0o600, 0o4755, 0o2711, 0o444][random(4)]!];
      case 16:
        return ['stat', path(), random(2) === 0];
      default:
        return ['list', path()];
    }
  };
  return Array.from({ length: count }, pick);
}

export function perform(machine: Machine, operation: Operation): string {
  const [name, ...args] = operation;
  return (machine[name] as (...a: unknown[]) => string)(...args);
}

/** Everything below a directory: names, status, contents. */
export function dump(machine: Machine, path = '.', out: string[] = []): string[] {
  for (const name of machine.list(path).split(' ').filter(Boolean)) {
    const at = `${path}/${name}`;
    const st = machine.stat(at, false);
    out.push(`${at} ${st} ${st.startsWith('12') ? machine.readlink(at) : st.startsWith('10') ? machine.read(at) : ''}`);
    if (st.startsWith('4')) dump(machine, at, out);
  }
  return out;
}
