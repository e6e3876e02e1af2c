/** What the links in /proc/PID/ns lead to: a file that stands for a namespace (ioctl_ns(2), setns(2)). */
import { errno, sysError } from '../abi/errno.ts';
import { S_IFREG } from '../fs/inode.ts';
import { O_ACCMODE, O_RDONLY, OpenFile } from '../fs/open-file.ts';
import { makedev, PseudoFs, PseudoInode } from '../fs/pseudo.ts';
import type { Task } from '../task/task.ts';
import { MountNamespace } from './mnt.ts';
import { type Namespace, NS_FLAGS } from './namespace.ts';
import { PidNamespace } from './pid.ts';
import { UserNamespace } from './user.ts';

const NSFS_MAGIC = 0x6e73_6673;
const NS_GET_USERNS = 0xb701;
const NS_GET_PARENT = 0xb702;
const NS_GET_NSTYPE = 0xb703;
const NS_GET_OWNER_UID = 0xb704;

const nsfs = new PseudoFs('nsfs', makedev(0, 4), NSFS_MAGIC);

export class NsInode extends PseudoInode {
  readonly ns: Namespace;
  constructor(ns: Namespace) {
    super({ fs: nsfs, mode: S_IFREG | 0o444, ino: ns.ino });
    this.ns = ns;
  }
  /** The file is immutable. */
  override open(flags: number): NsFile {
    if ((flags & O_ACCMODE) !== O_RDONLY) throw sysError(errno.EPERM);
    return new NsFile(flags, this);
  }
  override setattr(): void {
    throw sysError(errno.EPERM);
  }
}

const inodes = new WeakMap<Namespace, NsInode>();

/** The one file of a namespace. */
export function inodeOf(ns: Namespace): NsInode {
  let inode = inodes.get(ns);
  if (!inode) {
    inode = new NsInode(ns);
    inodes.set(ns, inode);
  }
  return inode;
}

/** An open namespace, which lives as long as this does. */
export class NsFile extends OpenFile {
  readonly ns: Namespace;
  constructor(flags: number, inode: NsInode) {
    super(flags);
    this.inode = inode;
    this.ns = inode.ns;
    this.path = this.ns.label;
    if (this.ns instanceof MountNamespace) this.ns.joined();
  }
  protected override release(): void {
    if (this.ns instanceof MountNamespace) this.ns.left();
  }
  override read(): number {
    throw sysError(errno.EINVAL);
  }
  override write(): number {
    throw sysError(errno.EINVAL);
  }
  override ioctl(task: Task, request: number, arg: number): number {
    const { ns } = this;
    switch (request >>> 0) {
      case NS_GET_USERNS:
        return opened(task, ns.owner && task.cred.userNs.contains(ns.owner) ? ns.owner : null);
      case NS_GET_PARENT:
        if (ns instanceof UserNamespace)
          return opened(task, ns.parent && task.cred.userNs.contains(ns.parent) ? ns.parent : null);
        if (!(ns instanceof PidNamespace)) throw sysError(errno.EINVAL);
        return opened(task, ns.parent && task.process.pidNs.contains(ns.parent) ? ns.parent : null);
      case NS_GET_NSTYPE:
        return NS_FLAGS[ns.kind];
      case NS_GET_OWNER_UID:
        if (!(ns instanceof UserNamespace)) throw sysError(errno.EINVAL);
        task.mem.writeU32(arg, task.cred.userNs.shown('uid', ns.ownerUid));
        return 0;
      default:
        throw sysError(errno.ENOTTY);
    }
  }
}

/** A descriptor for a namespace the caller may know of, else EPERM. */
function opened(task: Task, ns: Namespace | null): number {
  if (!ns) throw sysError(errno.EPERM);
  const file = inodeOf(ns).open(0);
  try {
    return task.files.install(file, true);
  } catch (e) {
    file.unref();
    throw e;
  }
}
