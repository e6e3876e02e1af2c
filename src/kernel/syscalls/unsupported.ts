/**
 * Calls that return ENOSYS and why, for `uktx syscalls`. A row with a handler anywhere else takes precedence. Calls that
 * stand neither here nor there are named by names.ts alone.
 */
import { row, type SyscallRow } from './row.ts';

const none = (name: string, x86_64: number | null, aarch64: number | null, args: string, note: string): SyscallRow =>
  row(name, x86_64, aarch64, args, null, { note });

const PROCESSES = 'no access to the memory of others for now';

export const unsupportedRows: SyscallRow[] = [
  none('rseq', 334, 293, 'rseq:ptr rseq_len:uint flags:int sig:hex', 'libc does without'),
  none('ptrace', 101, 117, 'request:int pid:pid addr:ptr data:ptr', 'no tracing'),
  none('seccomp', 317, 277, 'operation:uint flags:hex args:ptr', 'no filters: the guest is confined as it is'),
  none('fanotify_init', 300, 262, 'flags:hex event_f_flags:hex', 'programs fall back to inotify'),
  none('io_uring_setup', 425, 425, 'entries:uint params:ptr', 'libraries fall back to epoll'),
  none('io_setup', 206, 0, 'nr_events:uint ctx:ptr', 'no kernel AIO'),
  none('modify_ldt', 154, null, 'func:int ptr:ptr bytecount:size', 'no segment descriptors'),
  none('process_vm_readv', 310, 270, 'pid:pid local:ptr liovcnt:ulong remote:ptr riovcnt:ulong flags:hex', PROCESSES),
  none('process_vm_writev', 311, 271, 'pid:pid local:ptr liovcnt:ulong remote:ptr riovcnt:ulong flags:hex', PROCESSES),
];
