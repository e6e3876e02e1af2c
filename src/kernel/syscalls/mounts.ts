/** mount(2), umount(2), pivot_root(2), and file handles, which are not there. */
import { errno, sysError } from '../abi/errno.ts';
import { type Mount, mountedOn } from '../fs/dentry.ts';
import { type Path, samePath } from '../fs/fs-context.ts';
import { S_IFDIR } from '../fs/inode.ts';
import { fileSystemOf, remountTmpfs } from '../fs/mountable.ts';
import { fileType } from '../fs/permission.ts';
import { Tmpfs } from '../fs/tmpfs.ts';
import { attachAt, detachFromPoint, mountsBelow } from '../ns/mnt.ts';
import { CAP_SYS_ADMIN } from '../task/credentials.ts';
import type { GuestTask } from '../task/guest-task.ts';
import { AT_FDCWD } from './at-flags.ts';
import { guestRow as row } from './guest-row.ts';
import type { SyscallRow } from './row.ts';
import { copyPropagation, followers, makePrivate, makeShared, makeSlave } from '../ns/propagation.ts';

const MS = {
  MS_RDONLY: 1,
  MS_NOSUID: 2,
  MS_NODEV: 4,
  MS_NOEXEC: 8,
  MS_SYNCHRONOUS: 0x10,
  MS_REMOUNT: 0x20,
  MS_MANDLOCK: 0x40,
  MS_DIRSYNC: 0x80,
  MS_NOATIME: 0x400,
  MS_NODIRATIME: 0x800,
  MS_BIND: 0x1000,
  MS_MOVE: 0x2000,
  MS_REC: 0x4000,
  MS_SILENT: 0x8000,
  MS_UNBINDABLE: 0x2_0000,
  MS_PRIVATE: 0x4_0000,
  MS_SLAVE: 0x8_0000,
  MS_SHARED: 0x10_0000,
  MS_RELATIME: 0x20_0000,
  MS_STRICTATIME: 0x100_0000,
  MS_LAZYTIME: 0x200_0000,
} as const;
const MS_MGC_MASK = 0xffff_0000;
const MS_MGC_VAL = 0xc0ed_0000;
const PROPAGATION = MS.MS_UNBINDABLE | MS.MS_PRIVATE | MS.MS_SLAVE | MS.MS_SHARED;
/** Those that are kept for a mount and shown. */
const KEPT = MS.MS_NOSUID | MS.MS_NODEV | MS.MS_NOEXEC;

const MNT = { MNT_FORCE: 1, MNT_DETACH: 2, MNT_EXPIRE: 4, UMOUNT_NOFOLLOW: 8 } as const;

/** Rights count where the mount namespace belongs (may_mount). Throws EPERM. */
function mustAdminister(task: GuestTask): void {
  if (!task.cred.capableIn(task.ns.mnt.owner!, CAP_SYS_ADMIN)) throw sysError(errno.EPERM);
}
const isMine = (task: GuestTask, { mount }: Path): boolean => mount.ns === task.ns.mnt;
const isMountRoot = ({ mount, dentry }: Path): boolean => mount.root === dentry;
const isFolder = ({ dentry }: Path): boolean => fileType(dentry.inode) === S_IFDIR;

/** A string argument, null for a null pointer. */
const text = (task: GuestTask, address: number): string | null =>
  address === 0 ? null : task.mem.readCString(address);

function mount(task: GuestTask, source: number, target: number, type: number, word: number, data: number): number {
  const typeName = text(task, type);
  const from = text(task, source);
  const options = text(task, data) ?? '';
  const { vfs } = task.kernel;
  const at = vfs.resolve(task, AT_FDCWD, task.mem.readCString(target));
  mustAdminister(task);
  const flags = (word & MS_MGC_MASK) >>> 0 === MS_MGC_VAL ? word & ~MS_MGC_MASK : word;
  if ((flags & (MS.MS_REMOUNT | MS.MS_BIND)) === (MS.MS_REMOUNT | MS.MS_BIND)) reconfigure(task, at, flags, null);
  else if (flags & MS.MS_REMOUNT) reconfigure(task, at, flags, options);
  else if (flags & MS.MS_BIND) bind(task, from, at, (flags & MS.MS_REC) !== 0);
  else if (flags & PROPAGATION) setPropagation(task, at, flags);
  else if (flags & MS.MS_MOVE) move(task, from, at);
  else {
    if (typeName === null) throw sysError(errno.EINVAL);
    const fs = fileSystemOf(task, typeName, options);
    const made = vfs.newMount(fs, {
      source: from ?? 'none',
      flags: flags & KEPT,
      readOnly: (flags & MS.MS_RDONLY) !== 0 || fs.readOnly,
    });
    graft(task, made, at);
  }
  return 0;
}

/** Throws EINVAL for a place in another namespace, ENOTDIR when one is a folder and the other is not. */
function graft(task: GuestTask, made: Mount, at: Path): void {
  if (!isMine(task, at)) throw sysError(errno.EINVAL);
  if (at.dentry.deleted) throw sysError(errno.ENOENT);
  if (isFolder(at) !== isFolder({ mount: made, dentry: made.root })) throw sysError(errno.ENOTDIR);
  propagate(task, at, made);
}

/** Attaches a mount at a place, and a copy wherever that place is followed; on a shared mount all of them become peers. */
function propagate(task: GuestTask, at: Path, made: Mount): void {
  const { vfs } = task.kernel;
  const others = followers(at.mount, at.dentry);
  vfs.attach(made, at);
  if (at.mount.group) makeShared(made);
  for (const mount of others) {
    const copy = copyOf(task, made, made.root);
    copyPropagation(made, copy, mount.group !== at.mount.group);
    if (mount.group) makeShared(copy);
    copy.locked = mount.ns?.owner !== at.mount.ns?.owner;
    vfs.attach(copy, { mount, dentry: at.dentry });
  }
}

/** A mount of the same, outside of the tree. */
function copyOf(task: GuestTask, m: Mount, root: Mount['root']): Mount {
  const copy = task.kernel.vfs.newMount(m.fs, { root, source: m.source, flags: m.flags, readOnly: m.readOnly });
  copy.kept = m.kept;
  return copy;
}

/** What is taken away goes wherever its place is followed, unless something stands on it there. */
function takeAway(task: GuestTask, m: Mount): void {
  const { vfs } = task.kernel;
  const tree = mountsBelow(m);
  const copies = tree.flatMap(({ parent, mountpoint }) =>
    parent && mountpoint ? followers(parent, mountpoint).map((mount) => mountedOn(mount, mountpoint)) : [],
  );
  vfs.detach(m);
  // Those below first.
  for (const copy of copies.reverse()) if (copy?.ns && mountsBelow(copy).length === 1) vfs.detach(copy);
}

/** MS_REMOUNT; `options` null for the mount's own flags alone (MS_BIND), else for the file system's, too. */
function reconfigure(task: GuestTask, at: Path, flags: number, options: string | null): void {
  const { mount: m } = at;
  if (!isMine(task, at) || !isMountRoot(at)) throw sysError(errno.EINVAL);
  const readOnly = (flags & MS.MS_RDONLY) !== 0;
  // What came from a more privileged namespace stays as strict as it is.
  if (m.kept & ~flags) throw sysError(errno.EPERM);
  if (options !== null && m.fs instanceof Tmpfs) remountTmpfs(task, m.fs, options);
  m.readOnly = readOnly;
  m.flags = flags & KEPT;
}

function sourceOf(task: GuestTask, from: string | null): Path {
  if (!from) throw sysError(errno.EINVAL);
  return task.kernel.vfs.resolve(task, AT_FDCWD, from);
}

function bind(task: GuestTask, from: string | null, at: Path, recursive: boolean): void {
  const place = sourceOf(task, from);
  const { vfs } = task.kernel;
  // A namespace's file may be kept by binding it somewhere.
  const isNamespace = place.mount.fs.type === 'nsfs';
  if (!isMine(task, at) || !(isMine(task, place) || isNamespace)) throw sysError(errno.EINVAL);
  if (place.mount.unbindable) throw sysError(errno.EINVAL);
  // What a locked mount covers is not to be seen another way.
  const covers = (m: Mount): boolean => m.locked && m.parent === place.mount && isBelow(m.mountpoint!, place.dentry);
  if (!recursive && mountsBelow(place.mount).some(covers)) throw sysError(errno.EINVAL);
  // Looked up before anything is attached, or a tree bound into itself would grow for ever.
  const below = recursive ? mountsBelow(place.mount).slice(1) : [];
  const made = copyOf(task, place.mount, place.dentry);
  copyPropagation(place.mount, made);
  const copies = new Map([[place.mount, made]]);
  graft(task, made, at);
  for (const m of below) {
    const parent = copies.get(m.parent!);
    if (!parent || (m.parent === place.mount && !isBelow(m.mountpoint!, place.dentry))) continue;
    if (m.unbindable) continue;
    const copy = copyOf(task, m, m.root);
    copyPropagation(m, copy);
    copy.locked = m.locked;
    copies.set(m, copy);
    vfs.attach(copy, { mount: parent, dentry: m.mountpoint! });
  }
}

function isBelow(dentry: Mount['root'], top: Mount['root']): boolean {
  for (let at: Mount['root'] | null = dentry; at; at = at.parent) if (at === top) return true;
  return false;
}

function setPropagation(task: GuestTask, at: Path, flags: number): void {
  const kind = flags & PROPAGATION;
  if (flags & ~(PROPAGATION | MS.MS_REC | MS.MS_SILENT) || (kind & (kind - 1)) !== 0) throw sysError(errno.EINVAL);
  if (!isMine(task, at) || !isMountRoot(at)) throw sysError(errno.EINVAL);
  for (const m of flags & MS.MS_REC ? mountsBelow(at.mount) : [at.mount]) {
    if (kind === MS.MS_SHARED) makeShared(m);
    else if (kind === MS.MS_SLAVE) makeSlave(m);
    else makePrivate(m, kind === MS.MS_UNBINDABLE);
  }
}

function move(task: GuestTask, from: string | null, at: Path): void {
  const place = sourceOf(task, from);
  const { mount: m } = place;
  if (!isMine(task, at) || !isMine(task, place) || !isMountRoot(place) || !m.parent || m.locked)
    throw sysError(errno.EINVAL);
  if (isFolder(place) !== isFolder(at) || m.parent.group) throw sysError(errno.EINVAL);
  // Nothing can be moved below itself.
  if (mountsBelow(m).includes(at.mount)) throw sysError(errno.ELOOP);
  detachFromPoint(m);
  attachAt(m, at.mount, at.dentry);
}

function umount2(task: GuestTask, target: number, flags: number): number {
  if (flags & ~(MNT.MNT_FORCE | MNT.MNT_DETACH | MNT.MNT_EXPIRE | MNT.UMOUNT_NOFOLLOW)) throw sysError(errno.EINVAL);
  const { vfs } = task.kernel;
  const followLast = (flags & MNT.UMOUNT_NOFOLLOW) === 0;
  const at = vfs.resolve(task, AT_FDCWD, task.mem.readCString(target), { followLast });
  mustAdminister(task);
  const { mount: m } = at;
  if (!isMountRoot(at) || !isMine(task, at) || m.locked) throw sysError(errno.EINVAL);
  if (flags & MNT.MNT_FORCE && !task.cred.capable(CAP_SYS_ADMIN)) throw sysError(errno.EPERM);
  // The root of everything stays.
  if (!m.parent) throw sysError(errno.EINVAL);
  if (flags & MNT.MNT_EXPIRE) {
    if (flags & (MNT.MNT_FORCE | MNT.MNT_DETACH)) throw sysError(errno.EINVAL);
    if (isBusy(task, m)) throw sysError(errno.EBUSY);
    if (!expiring.has(m)) {
      expiring.add(m);
      throw sysError(errno.EAGAIN);
    }
  }
  if (!(flags & MNT.MNT_DETACH) && isBusy(task, m)) throw sysError(errno.EBUSY);
  takeAway(task, m);
  return 0;
}

/** Marked by MNT_EXPIRE: the next one takes them away. */
const expiring = new WeakSet<Mount>();

/** Something is mounted on it, or somebody is inside or has a file open. */
function isBusy(task: GuestTask, m: Mount): boolean {
  if (mountsBelow(m).length > 1) return true;
  for (const t of task.kernel.tasks.values()) {
    if (t.fs.cwd.mount === m || t.fs.root.mount === m || t.process.exe?.mount === m) return true;
    for (const [, file] of t.files.entries()) if (file.location?.mount === m) return true;
  }
  return false;
}

function pivotRoot(task: GuestTask, newRoot: number, putOld: number): number {
  mustAdminister(task);
  const { vfs } = task.kernel;
  const to = vfs.resolve(task, AT_FDCWD, task.mem.readCString(newRoot));
  const old = vfs.resolve(task, AT_FDCWD, task.mem.readCString(putOld));
  if (!isFolder(to) || !isFolder(old)) throw sysError(errno.ENOTDIR);
  const { root } = task.fs;
  if (!isMine(task, to) || !isMine(task, old) || !isMine(task, root) || to.mount.locked) throw sysError(errno.EINVAL);
  // What would happen to others' roots is nobody's wish.
  if (to.mount.group || to.mount.parent?.group || root.mount.parent?.group) throw sysError(errno.EINVAL);
  if (to.mount === root.mount || old.mount === root.mount) throw sysError(errno.EBUSY);
  if (!isMountRoot(root) || !isMountRoot(to) || !to.mount.parent) throw sysError(errno.EINVAL);
  if (!mountsBelow(to.mount).includes(old.mount)) throw sysError(errno.EINVAL);
  const { parent, mountpoint } = root.mount;
  // The new root takes over that it cannot be taken away.
  to.mount.locked = root.mount.locked;
  root.mount.locked = false;
  detachFromPoint(to.mount);
  detachFromPoint(root.mount);
  attachAt(root.mount, old.mount, old.dentry);
  to.mount.parent = to.mount.mountpoint = null;
  if (parent && mountpoint) attachAt(to.mount, parent, mountpoint);
  else task.ns.mnt.root = to.mount;
  // chroot_fs_refs: whoever stood at the old root stands at the new one.
  for (const { fs } of task.kernel.tasks.values()) {
    if (samePath(fs.root, root)) fs.root = to;
    if (samePath(fs.cwd, root)) fs.cwd = to;
  }
  return 0;
}

const noHandles = (): number => {
  throw sysError(errno.EOPNOTSUPP);
};
const refuse = (): number => {
  throw sysError(errno.EPERM);
};

export const mountRows: SyscallRow[] = [
  row('mount', 165, 40, 'source:path target:path filesystemtype:string mountflags:flags data:string', mount, {
    support: 'partial',
    note: 'tmpfs, ramfs, proc, sysfs, devpts, devtmpfs, mqueue, bind, move, remount, propagation',
    flagNames: { mountflags: MS },
  }),
  row('umount2', 166, 39, 'target:path flags:flags', umount2, { flagNames: { flags: MNT } }),
  row('pivot_root', 155, 41, 'new_root:path put_old:path', pivotRoot),
  row('name_to_handle_at', 303, 264, 'dirfd:dirfd pathname:path handle:ptr mount_id:ptr flags:hex', noHandles, {
    support: 'partial',
    note: 'always EOPNOTSUPP: file systems here have no handles',
  }),
  row('open_by_handle_at', 304, 265, 'mount_fd:fd handle:ptr flags:hex', refuse, {
    support: 'partial',
    note: 'always EPERM',
  }),
];
