/**
 * Calls that return ENOSYS and why, for `uktx syscalls`. A row with a handler anywhere else takes precedence. Calls that
 * stand neither here nor there are named by names.ts alone.
 */
import { row, type SyscallRow } from './row.ts';

const none = (name: string, x86_64: number | null, aarch64: number | null, args: string, note: string): SyscallRow =>
  row(name, x86_64, aarch64, args, null, { note });

const PROCESSES = 'no access to the memory of others for now';
const SOCKETS = 'no sockets for now';

export const unsupportedRows: SyscallRow[] = [

  none('socket', 41, 198, 'domain:int type:int protocol:int', SOCKETS),
  none('socketpair', 53, 199, 'domain:int type:int protocol:int sv:ptr', SOCKETS),
  none('connect', 42, 203, 'sockfd:fd addr:instruct addrlen:int', SOCKETS),
  none('bind', 49, 200, 'sockfd:fd addr:instruct addrlen:int', SOCKETS),
  none('listen', 50, 201, 'sockfd:fd backlog:int', SOCKETS),
  none('accept', 43, 202, 'sockfd:fd addr:outstruct addrlen:ptr', SOCKETS),
  none('accept4', 288, 242, 'sockfd:fd addr:outstruct addrlen:ptr flags:hex', SOCKETS),
  none('sendto', 44, 206, 'sockfd:fd buf:inbuf=2 len:size flags:hex dest:instruct addrlen:int', SOCKETS),
  none('recvfrom', 45, 207, 'sockfd:fd buf:ptr len:size flags:hex src:ptr addrlen:ptr', SOCKETS),
  none('sendmsg', 46, 211, 'sockfd:fd msg:instruct flags:hex', SOCKETS),
  none('recvmsg', 47, 212, 'sockfd:fd msg:inoutstruct flags:hex', SOCKETS),
  none('sendmmsg', 307, 269, 'sockfd:fd msgvec:ptr vlen:uint flags:hex', SOCKETS),
  none('recvmmsg', 299, 243, 'sockfd:fd msgvec:ptr vlen:uint flags:hex timeout:timespec', SOCKETS),
  none('shutdown', 48, 210, 'sockfd:fd how:int', SOCKETS),
  none('getsockname', 51, 204, 'sockfd:fd addr:outstruct addrlen:ptr', SOCKETS),
  none('getpeername', 52, 205, 'sockfd:fd addr:outstruct addrlen:ptr', SOCKETS),
  none('setsockopt', 54, 208, 'sockfd:fd level:int optname:int optval:ptr optlen:int', SOCKETS),
  none('getsockopt', 55, 209, 'sockfd:fd level:int optname:int optval:ptr optlen:ptr', SOCKETS),


  none('rseq', 334, 293, 'rseq:ptr rseq_len:uint flags:int sig:hex', 'libc does without'),
  none('ptrace', 101, 117, 'request:int pid:pid addr:ptr data:ptr', 'no tracing'),
  none('seccomp', 317, 277, 'operation:uint flags:hex args:ptr', 'no filters: the guest is confined as it is'),
  none('bpf', 321, 280, 'cmd:int attr:ptr size:uint', 'never'),
  none('perf_event_open', 298, 241, 'attr:ptr pid:pid cpu:int group_fd:fd flags:hex', 'never'),
  none('io_uring_setup', 425, 425, 'entries:uint params:ptr', 'libraries fall back to epoll'),
  none('io_setup', 206, 0, 'nr_events:uint ctx:ptr', 'no kernel AIO'),
  none('quotactl', 179, 60, 'cmd:hex special:path id:int addr:ptr', 'no quotas'),
  none('add_key', 248, 217, 'type:string description:string payload:ptr plen:size keyring:int', 'no key rings'),
  none('request_key', 249, 218, 'type:string description:string callout:string keyring:int', 'no key rings'),
  none('keyctl', 250, 219, 'operation:int arg2:ulong arg3:ulong arg4:ulong arg5:ulong', 'no key rings'),
  none('modify_ldt', 154, null, 'func:int ptr:ptr bytecount:size', 'no segment descriptors'),
  none('userfaultfd', 323, 282, 'flags:hex', 'no demand paging to hook into'),
  none('process_vm_readv', 310, 270, 'pid:pid local:ptr liovcnt:ulong remote:ptr riovcnt:ulong flags:hex', PROCESSES),
  none('process_vm_writev', 311, 271, 'pid:pid local:ptr liovcnt:ulong remote:ptr riovcnt:ulong flags:hex', PROCESSES),
  none('init_module', 175, 105, 'module:ptr len:size params:string', 'never'),
  none('kexec_load', 246, 104, 'entry:ptr nr_segments:ulong segments:ptr flags:hex', 'never'),
  none('setns', 308, 268, 'fd:fd nstype:hex', 'no namespaces'),
];
