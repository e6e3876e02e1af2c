/** The tree a guest starts with: its root under an overlay, the kernel's own file systems, and what is mounted from the host. */
import * as hostFs from 'node:fs';
import * as hostPaths from 'node:path';
import { SysError, errno } from '../abi/errno.ts';
import { latin1ToUtf8, utf8ToLatin1 } from '../mm/user-memory.ts';
import { ArchiveError, openArchive } from './archive.ts';
import { setFileClock } from './clock.ts';
import { HostFs } from './hostfs.ts';
import { type FileSystem, type Inode, S_IFDIR, S_IFREG } from './inode.ts';
import { lookupChild } from './namei.ts';
import { Overlay } from './overlay.ts';
import { fileType } from './permission.ts';
import { Tmpfs } from './tmpfs.ts';
import { Vfs } from './vfs.ts';

export interface Volume {
  /** Host path of a directory or file. */
  src: string;
  /** Absolute path in the guest. */
  dst: string;
  readOnly: boolean;
}

/** Paths are JavaScript strings as the user typed them. */
export interface RootOptions {
  /** Default: the host's root. Without `kind` a directory is used as it is, anything else is read as an archive. */
  rootfs?: { kind?: 'dir' | 'tar' | 'cpio'; path: string } | null;
  volumes?: readonly Volume[];
  /** Host folder to mount read-write under its own path, or null. */
  rw?: string | null;
  proc?: FileSystem | null;
  sys?: FileSystem | null;
  dev?: FileSystem | null;
  /** File systems below /dev (DevFs.mounts). */
  devMounts?: readonly { path: string; fs: FileSystem; source: string }[];
  /** Bytes the overlay may hold. */
  memoryLimit?: number;
  /** The guest's memory (MemTotal), bytes; half of it is for /dev/shm, as on Linux. Default 2 GiB. */
  guestMemory?: number;
  /** Realtime clock file times are taken from. */
  clock?: () => [number, number];
}

const GUEST_MEMORY = 2 ** 31;

export interface GuestRoot {
  vfs: Vfs;
  /** Holds what the guest writes outside of volumes. */
  overlay: Overlay;
}

/** Throws an Error with one line for the user when something named in the options cannot be used. */
export function buildRoot(options: RootOptions = {}): GuestRoot {
  if (options.clock) setFileClock(options.clock);
  const overlay = new Overlay(openRootfs(options.rootfs ?? null), options.memoryLimit);
  const vfs = new Vfs(overlay, { source: 'overlay' });
  const kernelMounts: [string, FileSystem | null | undefined, string][] = [
    ['/proc', options.proc, 'proc'],
    ['/sys', options.sys, 'sysfs'],
    ['/dev', options.dev, 'udev'],
  ];
  for (const [path, fs, source] of kernelMounts) if (fs) mountAt(vfs, fs, path, { source });
  if (options.dev) {
    const shm = new Tmpfs({ limit: Math.floor((options.guestMemory ?? GUEST_MEMORY) / 2) });
    mountAt(vfs, shm, '/dev/shm', { source: 'tmpfs' });
    for (const { path, fs, source } of options.devMounts ?? []) mountAt(vfs, fs, `/dev/${path}`, { source });
  }
  makePlace(vfs, '/tmp', S_IFDIR, 0o1777);
  const { rw } = options;
  const volumes = [...(options.volumes ?? [])];
  if (rw) volumes.push({ src: rw, dst: hostPaths.resolve(rw), readOnly: false });
  for (const volume of volumes) mountVolume(vfs, volume);
  overlay.forgetChanges();
  return { vfs, overlay };
}

function openRootfs(rootfs: { kind?: 'dir' | 'tar' | 'cpio'; path: string } | null): FileSystem {
  if (!rootfs) return new HostFs(hostRoot(), { readOnly: true });
  const { path } = rootfs;
  try {
    const st = hostFs.statSync(path);
    if (rootfs.kind ? rootfs.kind === 'dir' : st.isDirectory()) {
      if (!st.isDirectory()) throw new Error(`root file system ${path}: not a directory`);
      return new HostFs(utf8ToLatin1(hostPaths.resolve(path)), { readOnly: true });
    }
    if (!st.isFile()) throw new Error(`root file system ${path}: neither a directory nor an archive`);
    return openArchive(path);
  } catch (e) {
    if (e instanceof ArchiveError) throw new Error(`root file system ${path}: ${e.message}`);
    throw describe(`root file system ${path}`, e);
  }
}

/** On hosts with drives, the current one. */
const hostRoot = (): string => hostPaths.parse(process.cwd()).root;

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'not found',
  EACCES: 'permission denied',
  ENOTDIR: 'a part of the path is not a directory',
  ELOOP: 'too many symbolic links',
  EPERM: 'not permitted',
  EROFS: 'its place is read-only',
};

function describe(what: string, e: unknown): Error {
  if (e instanceof SysError) return new Error(`${what}: ${reasons[e.message] ?? e.message}`);
  const code = (e as NodeJS.ErrnoException).code;
  return code ? new Error(`${what}: ${reasons[code] ?? code}`) : (e as Error);
}

function mountVolume(vfs: Vfs, { src, dst, readOnly }: Volume): void {
  const what = `volume ${src}`;
  if (!dst.startsWith('/')) throw new Error(`${what}: the place in the guest must be an absolute path, not '${dst}'`);
  try {
    const host = hostPaths.resolve(src);
    // Links are followed now: what the guest sees does not change when they do.
    const fs = new HostFs(hostFs.realpathSync(host, { encoding: 'latin1' as BufferEncoding }), { readOnly });
    mountAt(vfs, fs, utf8ToLatin1(dst), { readOnly, source: utf8ToLatin1(host) });
  } catch (e) {
    throw describe(`${what} at ${dst}`, e);
  }
}

function mountAt(vfs: Vfs, fs: FileSystem, path: string, options: { readOnly?: boolean; source?: string }): void {
  makePlace(vfs, path, fileType(fs.root()) === S_IFDIR ? S_IFDIR : S_IFREG, 0o755);
  vfs.mount(fs, path, options);
}

/** Makes a place to mount at, and the directories above it, where there is none. */
function makePlace(vfs: Vfs, path: string, type: number, mode: number): void {
  const names = path.split('/').filter((n) => n !== '' && n !== '.');
  if (names.includes('..')) throw new Error(`'..' cannot be used in ${latin1ToUtf8(path)}`);
  let at = '';
  names.forEach((name, i) => {
    const dir = vfs.lookup(at || '/');
    at += `/${name}`;
    const last = i === names.length - 1;
    if (exists(vfs, at)) return;
    const parent = dir.dentry.inode;
    const owner = parent.stat();
    const make =
      last && type === S_IFREG
        ? (n: string): Inode => parent.mknod(n, S_IFREG | 0o644, 0, owner.uid, owner.gid)
        : (n: string): Inode => parent.mkdir(n, last ? mode : 0o755, owner.uid, owner.gid);
    make(name);
    lookupChild(dir.dentry, name, undefined);
  });
}

function exists(vfs: Vfs, path: string): boolean {
  try {
    vfs.lookup(path);
    return true;
  } catch (e) {
    if (e instanceof SysError && e.errno === errno.ENOENT) return false;
    throw e;
  }
}
