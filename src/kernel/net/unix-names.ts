/** Names of AF_UNIX sockets (unix(7)): places in the file system, abstract names, or none. */
import { errno, SysError, sysError } from '../abi/errno.ts';
import { type Inode, S_IFSOCK } from '../fs/inode.ts';
import { makeNode } from '../fs/names.ts';
import { checkAccess, fileType, W_OK } from '../fs/permission.ts';
import { AT_FDCWD } from '../fs/vfs.ts';
import type { Task } from '../task/task.ts';
import { AF_UNIX } from './constants.ts';
import type { UnixSocket } from './unix.ts';

/** sizeof(struct sockaddr_un). */
const MAX_LENGTH = 110;

/** sun_path: an abstract name with its leading NUL, or a path without what follows its end. */
export interface UnixName {
  /** One char per byte. */
  readonly text: string;
  readonly abstract: boolean;
}

/** Decodes struct sockaddr_un. Null: an unnamed address (the family alone). Throws EINVAL. */
export function parseUnixName(address: Uint8Array): UnixName | null {
  if (address.length < 2 || address.length > MAX_LENGTH || (address[0]! | (address[1]! << 8)) !== AF_UNIX)
    throw sysError(errno.EINVAL);
  if (address.length === 2) return null;
  const path = Buffer.from(address.slice(2)).toString('latin1');
  if (path.charCodeAt(0) === 0) return { text: path, abstract: true };
  const end = path.indexOf('\0');
  return { text: end < 0 ? path : path.slice(0, end), abstract: false };
}

export function encodeUnixName(name: UnixName | null): Uint8Array {
  const text = name === null ? '' : name.abstract ? name.text : `${name.text}\0`;
  const out = new Uint8Array(2 + text.length);
  out[0] = AF_UNIX;
  out.set(Buffer.from(text, 'latin1'), 2);
  return out;
}

/** Each type has abstract names of its own. */
const keyOf = (text: string, type: number): string => `${type}${text}`;

function exists(task: Task, path: string): boolean {
  try {
    task.kernel.vfs.resolve(task, AT_FDCWD, path, { followLast: false });
    return true;
  } catch (e) {
    if (e instanceof SysError) return false;
    throw e;
  }
}

/** A name in the file system lives as long as its inode, and is known in all network namespaces. */
const inodes = new WeakMap<Inode, UnixSocket>();

/** Who is bound where. One per network namespace. */
export class UnixNames {
  readonly #abstract = new Map<string, UnixSocket>();
  #nextAuto = 0;

  /** Makes the name. Throws EADDRINUSE, EINVAL when the socket has one, and what mknod(2) throws. */
  bind(task: Task, name: UnixName, socket: UnixSocket): void {
    if (name.abstract) {
      if (socket.name) throw sysError(errno.EINVAL);
      if (this.#abstract.has(keyOf(name.text, socket.type))) throw sysError(errno.EADDRINUSE);
      this.#abstract.set(keyOf(name.text, socket.type), socket);
      return;
    }
    const { vfs } = task.kernel;
    if (socket.name) throw sysError(exists(task, name.text) ? errno.EADDRINUSE : errno.EINVAL);
    try {
      makeNode(vfs, task, AT_FDCWD, name.text, S_IFSOCK | 0o777, 0);
    } catch (e) {
      throw e === sysError(errno.EEXIST) ? sysError(errno.EADDRINUSE) : e;
    }
    inodes.set(vfs.resolve(task, AT_FDCWD, name.text, { followLast: false }).dentry.inode, socket);
  }
  /** Five hexadecimal digits behind a NUL, the first free ones (autobind, unix(7)). */
  autobind(socket: UnixSocket): UnixName {
    for (let tries = 0; tries <= 0xfffff; tries++) {
      const text = `\0${(this.#nextAuto++ & 0xfffff).toString(16).padStart(5, '0')}`;
      const key = keyOf(text, socket.type);
      if (this.#abstract.has(key)) continue;
      this.#abstract.set(key, socket);
      return { text, abstract: true };
    }
    throw sysError(errno.ENOSPC);
  }
  release(name: UnixName, socket: UnixSocket): void {
    const key = keyOf(name.text, socket.type);
    if (name.abstract && this.#abstract.get(key) === socket) this.#abstract.delete(key);
  }

  /** The socket behind a name. Throws ECONNREFUSED, and what path_resolution(7) lists. */
  find(task: Task, name: UnixName, type: number): UnixSocket {
    let found: UnixSocket | undefined;
    if (name.abstract) found = this.#abstract.get(keyOf(name.text, type));
    else {
      const { inode } = task.kernel.vfs.resolve(task, AT_FDCWD, name.text).dentry;
      checkAccess(task.cred, inode, W_OK);
      if (fileType(inode) === S_IFSOCK) found = inodes.get(inode);
    }
    if (!found || found.closed) throw sysError(errno.ECONNREFUSED);
    return found;
  }
}
