/** Calls that only a privileged process may make: refused, also for root, as a container without capabilities refuses them. */
import { errno, sysError } from '../abi/errno.ts';
import { row, type SyscallRow } from './row.ts';

const refuse = (): number => {
  throw sysError(errno.EPERM);
};

const refused = (name: string, x86_64: number | null, aarch64: number | null, args: string, why: string): SyscallRow =>
  row(name, x86_64, aarch64, args, refuse, { support: 'partial', note: `always EPERM: ${why}` });

const MODULES = 'no kernel modules';
const KEYS = 'no key rings';
const MOUNTS = 'mounts are made when the guest starts';

export const privilegedRows: SyscallRow[] = [
  refused('init_module', 175, 105, 'module:ptr len:size params:string', MODULES),
  refused('finit_module', 313, 273, 'fd:fd params:string flags:hex', MODULES),
  refused('delete_module', 176, 106, 'name:string flags:hex', MODULES),
  refused('kexec_load', 246, 104, 'entry:ptr nr_segments:ulong segments:ptr flags:hex', 'no other kernel'),
  refused('kexec_file_load', 320, 294, 'kernel:fd initrd:fd cmdline_len:size cmdline:ptr flags:hex', 'no other kernel'),
  refused('bpf', 321, 280, 'cmd:int attr:ptr size:uint', 'no BPF'),
  refused('perf_event_open', 298, 241, 'attr:ptr pid:pid cpu:int group_fd:fd flags:hex', 'no performance counters'),
  refused('userfaultfd', 323, 282, 'flags:hex', 'no demand paging to hook into'),
  refused('lookup_dcookie', 212, 18, 'cookie:ulong buffer:ptr len:size', 'no profiling'),
  refused('add_key', 248, 217, 'type:string description:string payload:ptr plen:size keyring:int', KEYS),
  refused('request_key', 249, 218, 'type:string description:string callout:string keyring:int', KEYS),
  refused('keyctl', 250, 219, 'operation:int arg2:ulong arg3:ulong arg4:ulong arg5:ulong', KEYS),
  refused('quotactl', 179, 60, 'cmd:hex special:path id:int addr:ptr', 'no quotas'),
  refused('quotactl_fd', 443, 443, 'fd:fd cmd:hex id:int addr:ptr', 'no quotas'),
  refused('open_tree', 428, 428, 'dirfd:dirfd pathname:path flags:hex', MOUNTS),
  refused('move_mount', 429, 429, 'from:dirfd from_path:path to:dirfd to_path:path flags:hex', MOUNTS),
  refused('fsopen', 430, 430, 'fsname:string flags:hex', MOUNTS),
  refused('fsconfig', 431, 431, 'fd:fd cmd:uint key:string value:ptr aux:int', MOUNTS),
  refused('fsmount', 432, 432, 'fd:fd flags:hex attr_flags:hex', MOUNTS),
  refused('fspick', 433, 433, 'dirfd:dirfd pathname:path flags:hex', MOUNTS),
  refused('mount_setattr', 442, 442, 'dirfd:dirfd pathname:path flags:hex attr:ptr size:size', MOUNTS),
];
