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
  const { uts } = task.ns;
  const out = new Uint8Array(UTS_LENGTH * 6);
  const fields = ['Linux', uts.hostname, KERNEL_RELEASE, KERNEL_VERSION, task.cpu.isa, uts.domainname];
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
  if (!task.cred.capableIn(task.ns.uts.owner!, CAP_SYS_ADMIN)) throw sysError(errno.EPERM);
  if (length < 0 || length > UTS_LENGTH - 1) throw sysError(errno.EINVAL);
  return latin1(task.mem.bytes(name, length)).split('\0')[0]!;
}

function sethostname(task: GuestTask, name: number, length: number): number {
  task.ns.uts.hostname = readName(task, name, length);
  return 0;
}

function setdomainname(task: GuestTask, name: number, length: number): number {
  task.ns.uts.domainname = readName(task, name, length);
  return 0;
}

const PER_QUERY = 0xffff_ffff;

function personality(task: GuestTask, persona: number): number {
  const old = task.process.personality;
  if (persona !== PER_QUERY) task.process.personality = persona;
  return old;
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
  row('syslog', 103, 116, 'type:int buf:ptr len:int', denied, deniedNote),
  row('vhangup', 153, 58, '', denied, deniedNote),
  row('reboot', 169, 142, 'magic:hex magic2:hex cmd:hex arg:ptr', denied, deniedNote),
  row('swapon', 167, 224, 'path:path swapflags:hex', denied, deniedNote),
  row('swapoff', 168, 225, 'path:path', denied, deniedNote),
  row('acct', 163, 89, 'filename:path', denied, deniedNote),
  row('iopl', 172, null, 'level:uint', denied, deniedNote),
  row('ioperm', 173, null, 'from:ulong num:ulong turn_on:int', denied, deniedNote),
];
