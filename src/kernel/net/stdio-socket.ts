/**
 * The host's standard streams where they are sockets: node's pipes to a child are, and programs ask what they hold. What
 * can be told without touching the host's socket is told; bytes go the way of read(2) and write(2).
 */
import { errno, sysError } from '../abi/errno.ts';
import { HostStream } from '../fs/host-stream.ts';
import { S_IFMT, S_IFSOCK } from '../fs/inode.ts';
import type { MaybePromise, OpenFile } from '../fs/open-file.ts';
import type { Task } from '../task/task.ts';
import { AF_UNIX, MSG, SOCK_STREAM } from './constants.ts';
import { type Incoming, type Outgoing, Socket } from './socket.ts';
import { encodeUnixName } from './unix-names.ts';

class StdioSocket extends Socket {
  readonly domain = AF_UNIX;
  readonly type = SOCK_STREAM;
  readonly protocol = 0;
  readonly #file: OpenFile;

  constructor(task: Task, file: OpenFile) {
    super(task.kernel.net, task, 0);
    this.#file = file;
  }
  override get nonblocking(): boolean {
    return this.#file.nonblocking;
  }
  override bind(): void {
    throw sysError(errno.EINVAL);
  }
  override listen(): void {
    throw sysError(errno.EINVAL);
  }
  override waiting(): Socket | null {
    throw sysError(errno.EINVAL);
  }
  override connect(): number {
    throw sysError(errno.EISCONN);
  }
  override shutdown(): void {
    throw sysError(errno.EOPNOTSUPP);
  }
  override localAddress(): Uint8Array {
    return encodeUnixName(null);
  }
  override peerAddress(): Uint8Array {
    return encodeUnixName(null);
  }
  override send(task: Task, src: Uint8Array, flags: number, out: Outgoing | null): MaybePromise<number> {
    if (out?.address) throw sysError(errno.EISCONN);
    if (out?.rights || flags & MSG.MSG_OOB) throw sysError(errno.EOPNOTSUPP);
    return this.#file.write(task, src, null);
  }
  override receive(task: Task, dst: Uint8Array, flags: number, _into: Incoming | null): MaybePromise<number> {
    if (flags & (MSG.MSG_PEEK | MSG.MSG_OOB)) throw sysError(errno.EOPNOTSUPP);
    return this.#file.read(task, dst, null);
  }
  override available(): number {
    return 0;
  }
}

const wrappers = new WeakMap<OpenFile, StdioSocket>();

/** The socket behind a file that is one of the host's, or null. */
export function asSocket(task: Task, file: OpenFile): Socket | null {
  if (!(file instanceof HostStream) || (file.stat().mode & S_IFMT) !== S_IFSOCK) return null;
  let wrapper = wrappers.get(file);
  if (!wrapper) {
    wrapper = new StdioSocket(task, file);
    wrappers.set(file, wrapper);
  }
  return wrapper;
}
