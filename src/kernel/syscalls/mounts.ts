/** Mounts and file handles: what a guest is not allowed, or what is not there. */
import { errno, sysError } from '../abi/errno.ts';
import { row, type SyscallRow } from './row.ts';

/** As in a container without CAP_SYS_ADMIN, also for root: the tree is fixed when the guest starts. */
const refuse = (): number => {
  throw sysError(errno.EPERM);
};
const noHandles = (): number => {
  throw sysError(errno.EOPNOTSUPP);
};

const refused = { support: 'partial', note: 'always EPERM: mounts are made when the guest starts' } as const;

export const mountRows: SyscallRow[] = [
  row('mount', 165, 40, 'source:path target:path filesystemtype:string mountflags:hex data:ptr', refuse, refused),
  row('umount2', 166, 39, 'target:path flags:hex', refuse, refused),
  row('pivot_root', 155, 41, 'new_root:path put_old:path', refuse, refused),
  row('name_to_handle_at', 303, 264, 'dirfd:dirfd pathname:path handle:ptr mount_id:ptr flags:hex', noHandles, {
    support: 'partial',
    note: 'always EOPNOTSUPP: file systems here have no handles',
  }),
  row('open_by_handle_at', 304, 265, 'mount_fd:fd handle:ptr flags:hex', refuse, {
    support: 'partial',
    note: 'always EPERM',
  }),
];
