/** inotify_init(2), inotify_add_watch(2), inotify_rm_watch(2). */
import { errno, sysError } from '../abi/errno.ts';
import {
  IN_ALL_EVENTS,
  IN_DONT_FOLLOW,
  IN_EXCL_UNLINK,
  IN_IGNORED,
  IN_MASK_ADD,
  IN_MASK_CREATE,
  IN_ONESHOT,
  IN_ONLYDIR,
  IN_Q_OVERFLOW,
  IN_UNMOUNT,
  InotifyFile,
  MAX_USER_INSTANCES,
} from '../fs/inotify.ts';
import * as events from '../fs/notify.ts';
import { isDirectory } from '../fs/namei.ts';
import { O_CLOEXEC, O_NONBLOCK } from '../fs/open-file.ts';
import { checkAccess, R_OK } from '../fs/permission.ts';
import type { Kernel } from '../kernel.ts';
import type { Task } from '../task/task.ts';
import { AT_FDCWD } from './at-flags.ts';
import { installFile } from './files.ts';
import { row, type SyscallRow } from './row.ts';

/** ALL_INOTIFY_BITS: a mask without any of these asks for nothing. */
const KNOWN =
  IN_ALL_EVENTS |
  IN_UNMOUNT |
  IN_Q_OVERFLOW |
  IN_IGNORED |
  IN_ONLYDIR |
  IN_DONT_FOLLOW |
  IN_EXCL_UNLINK |
  IN_MASK_ADD |
  IN_MASK_CREATE |
  events.IN_ISDIR |
  (IN_ONESHOT | 0);

const instances = new WeakMap<Kernel, Map<number, number>>();

function inotifyInit1(task: Task, flags: number): number {
  if (flags & ~(O_CLOEXEC | O_NONBLOCK)) throw sysError(errno.EINVAL);
  const { kernel } = task;
  const { uid } = task.cred;
  let counts = instances.get(kernel);
  if (!counts) {
    counts = new Map();
    instances.set(kernel, counts);
  }
  const used = counts;
  const count = used.get(uid) ?? 0;
  if (count >= MAX_USER_INSTANCES) throw sysError(errno.EMFILE);
  used.set(uid, count + 1);
  const file = new InotifyFile((flags & O_NONBLOCK) !== 0, () => used.set(uid, used.get(uid)! - 1));
  return installFile(task, file, (flags & O_CLOEXEC) !== 0);
}

function inotifyFile(task: Task, fd: number): InotifyFile {
  const file = task.files.get(fd);
  if (!(file instanceof InotifyFile)) throw sysError(errno.EINVAL);
  return file;
}

function addWatch(task: Task, fd: number, path: number, mask: number): number {
  if ((mask & KNOWN) === 0) throw sysError(errno.EINVAL);
  task.files.get(fd);
  if (mask & IN_MASK_ADD && mask & IN_MASK_CREATE) throw sysError(errno.EINVAL);
  const file = inotifyFile(task, fd);
  const followLast = (mask & IN_DONT_FOLLOW) === 0;
  const place = task.kernel.vfs.resolve(task, AT_FDCWD, task.mem.readCString(path), { followLast });
  if (mask & IN_ONLYDIR && !isDirectory(place.dentry.inode)) throw sysError(errno.ENOTDIR);
  checkAccess(task.cred, place.dentry.inode, R_OK);
  return file.add(place, mask);
}

function rmWatch(task: Task, fd: number, wd: number): number {
  inotifyFile(task, fd).remove(wd);
  return 0;
}

const { IN_ACCESS, IN_MODIFY, IN_ATTRIB, IN_CLOSE_WRITE, IN_CLOSE_NOWRITE, IN_OPEN, IN_MOVED_FROM } = events;
const { IN_MOVED_TO, IN_CREATE, IN_DELETE, IN_DELETE_SELF, IN_MOVE_SELF } = events;
const maskNames = {
  IN_ACCESS,
  IN_MODIFY,
  IN_ATTRIB,
  IN_CLOSE_WRITE,
  IN_CLOSE_NOWRITE,
  IN_OPEN,
  IN_MOVED_FROM,
  IN_MOVED_TO,
  IN_CREATE,
  IN_DELETE,
  IN_DELETE_SELF,
  IN_MOVE_SELF,
  IN_ONLYDIR,
  IN_DONT_FOLLOW,
  IN_EXCL_UNLINK,
  IN_MASK_CREATE,
  IN_MASK_ADD,
  IN_ONESHOT: IN_ONESHOT >>> 0,
};
const flagNames = { flags: { IN_CLOEXEC: O_CLOEXEC, IN_NONBLOCK: O_NONBLOCK } };
const seen = { note: 'sees what guests do, not what other programs of the host do' };

export const inotifyRows: SyscallRow[] = [
  row('inotify_init', 253, null, '', (task) => inotifyInit1(task, 0), seen),
  row('inotify_init1', 294, 26, 'flags:flags', inotifyInit1, { ...seen, flagNames }),
  row('inotify_add_watch', 254, 27, 'fd:fd pathname:path mask:flags', addWatch, { flagNames: { mask: maskNames } }),
  row('inotify_rm_watch', 255, 28, 'fd:fd wd:int', rmWatch),
];
