/** mount(2) and its like, which only the command line of a run may do, and file watching, which there is none of. */
import { errno, sysError } from '../abi/errno.ts';
import { row, type SyscallRow } from './row.ts';

const refused = (): number => {
  throw sysError(errno.EPERM);
};
const fixed = { support: 'partial', note: 'always EPERM: the tree is arranged by the options of the run' } as const;
const none = (name: string, x86_64: number | null, aarch64: number | null, args: string, note: string): SyscallRow =>
  row(name, x86_64, aarch64, args, null, { note });
const WATCHES = 'no file watching';
const HANDLES = 'no file handles';

export const mountRows: SyscallRow[] = [
  row('mount', 165, 40, 'source:path target:path type:string flags:hex data:ptr', refused, fixed),
  row('umount2', 166, 39, 'target:path flags:hex', refused, fixed),
  row('pivot_root', 155, 41, 'new_root:path put_old:path', refused, fixed),
  none('inotify_init', 253, null, '', WATCHES),
  none('inotify_init1', 294, 26, 'flags:hex', WATCHES),
  none('inotify_add_watch', 254, 27, 'fd:fd pathname:path mask:hex', WATCHES),
  none('inotify_rm_watch', 255, 28, 'fd:fd wd:int', WATCHES),
  none('fanotify_init', 300, 262, 'flags:hex event_f_flags:hex', WATCHES),
  none('name_to_handle_at', 303, 264, 'dirfd:dirfd pathname:path handle:ptr mount_id:ptr flags:hex', HANDLES),
  none('open_by_handle_at', 304, 265, 'mount_fd:fd handle:ptr flags:hex', HANDLES),
];
