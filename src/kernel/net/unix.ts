/** What all AF_UNIX sockets share: names, credentials, descriptors in messages. */
import { errno, sysError } from '../abi/errno.ts';
import type { OpenFile } from '../fs/open-file.ts';
import type { Task } from '../task/task.ts';
import { AF_UNIX, SCM_MAX_FD, SO, SOL_SOCKET, WAKE_WRITE } from './constants.ts';
import type { Network } from './network.ts';
import { storedValue } from './options.ts';
import { credentialsOf, type Outgoing, Socket, type Ucred } from './socket.ts';
import { encodeUnixName, parseUnixName, type UnixName } from './unix-names.ts';

/** What a message or a stretch of a stream carries beside its bytes. */
export interface Ancillary {
  readonly rights: readonly OpenFile[] | null;
  readonly credentials: Ucred | null;
}

export function dropRights(rights: readonly OpenFile[] | null): void {
  for (const file of rights ?? []) file.unref();
}

export abstract class UnixSocket extends Socket {
  readonly domain = AF_UNIX;
  readonly protocol = 0;
  name: UnixName | null = null;
  peer: UnixSocket | null = null;
  /** Nobody holds the description any more. */
  closed = false;
  #peerCredentials: Ucred | null = null;
  /** What a listener shows those who connect to it. */
  ownCredentials: Ucred | null = null;

  constructor(net: Network, task: Task | null, flags: number) {
    super(net, task, flags);
    net.sockets.add(this);
  }

  override get peerCredentials(): Ucred | null {
    return this.#peerCredentials;
  }
  override set peerCredentials(cred: Ucred | null) {
    this.#peerCredentials = cred;
  }
  get passCredentials(): boolean {
    return storedValue(this, SOL_SOCKET, SO.SO_PASSCRED) === 1;
  }

  override bind(task: Task, address: Uint8Array): void {
    const name = parseUnixName(address);
    if (!name) {
      this.name ??= this.net.unixNames.autobind(this);
      return;
    }
    this.net.unixNames.bind(task, name, this);
    this.name = name;
  }
  protected autobind(): void {
    this.name ??= this.net.unixNames.autobind(this);
  }
  protected find(task: Task, address: Uint8Array): UnixSocket {
    const name = parseUnixName(address);
    if (!name) throw sysError(errno.EINVAL);
    const found = this.net.unixNames.find(task, name, this.type);
    if (found.type !== this.type) throw sysError(errno.EPROTOTYPE);
    return found;
  }
  override localAddress(): Uint8Array {
    return encodeUnixName(this.name);
  }

  override setProtocolOption(): void {
    throw sysError(errno.EOPNOTSUPP);
  }

  /** Checks what is to be sent along, and adds the sender's credentials where somebody wants them. */
  protected ancillary(task: Task, out: Outgoing | null, wanted: boolean): Ancillary | null {
    const rights = out?.rights && out.rights.length > 0 ? out.rights : null;
    if (rights && rights.length > SCM_MAX_FD) throw sysError(errno.EINVAL);
    const credentials = out?.credentials ?? (wanted ? credentialsOf(task) : null);
    return rights || credentials ? { rights, credentials } : null;
  }

  /** unix_writable: no more than a quarter of the buffer is under way. */
  protected roomToPoll(): boolean {
    return this.outstanding() * 4 <= this.sendBuffer;
  }
  /** The receiver has read something of this socket's. */
  drained(): void {
    if (!this.closed && this.roomToPoll()) this.waiters.wake(WAKE_WRITE);
  }
  override buffersChanged(): void {
    this.waiters.wake(WAKE_WRITE);
  }

  protected override release(): void {
    this.closed = true;
    this.net.sockets.delete(this);
    if (this.name) this.net.unixNames.release(this.name, this);
    this.closing();
  }
  protected abstract closing(): void;
}
