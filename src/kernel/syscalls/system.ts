/** The system as a whole: its name, its load, its host name; and what only an administrator may do. */
import { errno, sysError } from '../abi/errno.ts';
import { latin1, latin1Bytes } from '../mm/user-memory.ts';
import { CAP_SYS_ADMIN } from '../task/credentials.ts';
import type { GuestTask } from '../task/guest-task.ts';
import { KERNEL_RELEASE, KERNEL_VERSION } from '../task/version.ts';
import { guestRow as row } from './guest-row.ts';
import type { SyscallRow } from './row.ts';

/** Field length of struct utsname, with the NUL. */
const UTS_LENGTH = 65;

function uname(task: GuestTask, buf: number): number {
  const { kernel } = task;
  const out = new Uint8Array(UTS_LENGTH * 6);
  const fields = ['Linux', kernel.hostname, KERNEL_RELEASE, KERNEL_VERSION, task.cpu.isa, kernel.domainname];
  for (const [i, text] of fields.entries()) out.set(latin1Bytes(text).subarray(0, UTS_LENGTH - 1), i * UTS_LENGTH);
  task.mem.copyOut(buf, out);
  return 0;
}

/** struct sysinfo, 112 bytes; sizes in bytes (mem_unit 1). */
function sysinfo(task: GuestTask, info: number): number {
  const { kernel } = task;
  const out = new Uint8Array(112);
  const view = new DataView(out.buffer);
  const [sec, nsec] = kernel.host.monotonic();
  const total = kernel.options.memoryLimit;
  view.setBigInt64(0, BigInt(sec + (nsec > 0 ? 1 : 0)), true);
  view.setBigUint64(32, BigInt(Math.floor(total)), true);
  view.setBigUint64(40, BigInt(Math.floor(Math.max(0, total - kernel.memoryUsed()))), true);
  view.setUint16(80, Math.min(kernel.tasks.size, 0xffff), true);
  view.setUint32(104, 1, true);
  task.mem.copyOut(info, out);
  return 0;
}

/** Reads a host or domain name: EPERM before anything else, as Linux looks. */
function readName(task: GuestTask, name: number, length: number): string {
  if (!task.cred.capable(CAP_SYS_ADMIN)) throw sysError(errno.EPERM);
  if (length < 0 || length > UTS_LENGTH - 1) throw sysError(errno.EINVAL);
  return latin1(task.mem.bytes(name, length)).split('\0')[0]!;
}

function sethostname(task: GuestTask, name: number, length: number): number {
  task.kernel.hostname = readName(task, name, length);
  return 0;
}

function setdomainname(task: GuestTask, name: number, length: number): number {
  task.kernel.domainname = readName(task, name, length);
  return 0;
}

const PER_QUERY = 0xffff_ffff;

function personality(task: GuestTask, persona: number): number {
  const old = task.process.personality;
  if (persona !== PER_QUERY) task.process.personality = persona;
  return old;
}

const CLONE_FS = 0x200;
const CLONE_FILES = 0x400;
const CLONE_SYSVSEM = 0x4_0000;
const CLONE_SIGHAND = 0x800;
const CLONE_VM = 0x100;
const CLONE_THREAD = 0x1_0000;
const NAMESPACES = 0x7e02_0000 | 0x80;
const cloneNames = {
  CLONE_FILES,
  CLONE_FS,
  CLONE_NEWCGROUP: 0x0200_0000,
  CLONE_NEWIPC: 0x0800_0000,
  CLONE_NEWNET: 0x4000_0000,
  CLONE_NEWNS: 0x0002_0000,
  CLONE_NEWPID: 0x2000_0000,
  CLONE_NEWTIME: 0x80,
  CLONE_NEWUSER: 0x1000_0000,
  CLONE_NEWUTS: 0x0400_0000,
  CLONE_SYSVSEM,
  CLONE_THREAD,
  CLONE_SIGHAND,
  CLONE_VM,
};

function unshare(task: GuestTask, flags: number): number {
  const sharing = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
  if (flags & ~(CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | sharing | NAMESPACES)) throw sysError(errno.EINVAL);
  if (flags & sharing && task.process.tasks.size > 1) throw sysError(errno.EINVAL);
  if (flags & NAMESPACES) throw sysError(errno.EPERM);
  if (flags & CLONE_FILES) task.files = unsharedCopy(task, task.files, (t) => t.files);
  if (flags & CLONE_FS) task.fs = unsharedCopy(task, task.fs, (t) => t.fs);
  return 0;
}

/** A copy when another thread uses the object, else the object itself. */
function unsharedCopy<T extends { fork(): T }>(task: GuestTask, own: T, of: (t: GuestTask) => T): T {
  for (const other of task.kernel.tasks.values()) if (other !== task && of(other) === own) return own.fork();
  return own;
}

const denied = (): number => -errno.EPERM;
const deniedNote = { support: 'partial', note: 'always EPERM' } as const;

export const systemRows: SyscallRow[] = [
  row('uname', 63, 160, 'buf:outstruct', uname),
  row('sysinfo', 99, 179, 'info:outstruct', sysinfo, { support: 'partial', note: 'load averages are zero' }),
  row('sethostname', 170, 161, 'name:inbuf=1 len:int', sethostname),
  row('setdomainname', 171, 162, 'name:inbuf=1 len:int', setdomainname),
  row('personality', 135, 92, 'persona:hex', personality, {
    hexResult: true,
    note: 'kept and reported; changes nothing',
  }),
  row('unshare', 272, 97, 'flags:flags', unshare, {
    flagNames: { flags: cloneNames },
    support: 'partial',
    note: 'namespaces are EPERM',
  }),
  row('syslog', 103, 116, 'type:int buf:ptr len:int', denied, deniedNote),
  row('vhangup', 153, 58, '', denied, deniedNote),
  row('reboot', 169, 142, 'magic:hex magic2:hex cmd:hex arg:ptr', denied, deniedNote),
  row('swapon', 167, 224, 'path:path swapflags:hex', denied, deniedNote),
  row('swapoff', 168, 225, 'path:path', denied, deniedNote),
  row('acct', 163, 89, 'filename:path', denied, deniedNote),
  row('iopl', 172, null, 'level:uint', denied, deniedNote),
  row('ioperm', 173, null, 'from:ulong num:ulong turn_on:int', denied, deniedNote),
];
