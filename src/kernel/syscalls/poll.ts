/** poll(2), ppoll(2), select(2) and pselect(2). */
import { errno, sysError } from '../abi/errno.ts';
import {
  msToTimespec,
  NSEC,
  readTimespec,
  type TimeSpec,
  timespecMs,
  writeTimespec,
  writeTimeval,
} from '../abi/time-structs.ts';
import { fdTableSize } from '../fs/fd-table-size.ts';
import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLNVAL,
  POLLOUT,
  POLLPRI,
  POLLRDHUP,
  POLLRDNORM,
  POLLWRNORM,
} from '../fs/open-file.ts';
import { type PollItem, type PollResult, pollFiles, pollItem } from '../fs/poll.ts';
import { restoreTemporaryMask, setTemporaryMask } from '../signals/mask.ts';
import type { GuestTask } from '../task/guest-task.ts';
import { RLIMIT_NOFILE } from '../task/rlimits.ts';
import type { Task } from '../task/task.ts';
import { guestRow as row } from './guest-row.ts';
import type { SyscallRow } from './row.ts';

const POLLFD_SIZE = 8;
const POLLRDBAND = 0x080;
const POLLWRBAND = 0x200;
// fs/select.c: what makes a descriptor ready in each of the three sets.
const IN_SET = POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR;
const OUT_SET = POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR;
const EX_SET = POLLPRI;

export const pollEventNames: Readonly<Record<string, number>> = {
  POLLIN,
  POLLPRI,
  POLLOUT,
  POLLERR,
  POLLHUP,
  POLLNVAL,
  POLLRDNORM,
  POLLRDBAND,
  POLLWRNORM,
  POLLWRBAND,
  POLLRDHUP,
};

/** Deadline of a call on the monotonic clock in ms, null for none; `given` 0 means "only look". */
interface Timeout {
  readonly ms: number | null;
  readonly deadline: number | null;
}

function makeTimeout(task: Task, ms: number | null): Timeout {
  return { ms, deadline: ms === null ? null : task.kernel.monotonicMs() + ms };
}

/** poll_select_set_timeout: seconds and nanoseconds that are already normalised. */
function checkTime(t: TimeSpec): TimeSpec {
  if (t.sec < 0 || t.nsec < 0 || t.nsec >= NSEC) throw sysError(errno.EINVAL);
  return t;
}

/** What is left of a timeout, for calls that tell the guest. Writing to read-only memory is not an error. */
function leftOver(task: Task, timeout: Timeout): TimeSpec | null {
  if (timeout.deadline === null || timeout.ms === 0) return null;
  return msToTimespec(timeout.deadline - task.kernel.monotonicMs());
}

/** Stores the time that is left; false when the guest's memory did not take it. */
function tellTime(store: () => void): boolean {
  try {
    store();
    return true;
  } catch {
    return false;
  }
}

// poll.

function readPollfds(task: Task, fds: number, nfds: number): PollItem[] {
  const limit = task.process.rlimits[RLIMIT_NOFILE]?.soft ?? 1024;
  if (nfds > limit) throw sysError(errno.EINVAL);
  task.mem.bytes(fds, nfds * POLLFD_SIZE);
  const items: PollItem[] = [];
  for (let i = 0; i < nfds; i++) {
    const at = fds + i * POLLFD_SIZE;
    items.push(pollItem(task, task.mem.readI32(at), task.mem.readU16(at + 4)));
  }
  return items;
}

function writeRevents(task: Task, fds: number, items: readonly PollItem[]): void {
  items.forEach((item, i) => {
    task.mem.writeU16(fds + i * POLLFD_SIZE + 6, item.revents);
  });
}

function finishPoll(task: Task, fds: number, items: readonly PollItem[], r: PollResult, interrupted: number): number {
  // Linux copies the revents out even when a signal came first.
  writeRevents(task, fds, items);
  return r.ready === 0 && r.result === 'signal' ? -interrupted : r.ready;
}

function doPoll(
  task: GuestTask,
  fds: number,
  nfds: number,
  timeout: Timeout,
  interrupted: number,
): number | Promise<number> {
  const items = readPollfds(task, fds, nfds);
  const r = pollFiles(task, items, timeout.ms);
  if (r instanceof Promise) return r.then((done) => finishPoll(task, fds, items, done, interrupted));
  return finishPoll(task, fds, items, r, interrupted);
}

function poll(task: GuestTask, fds: number, nfds: number, timeoutMs: number): number | Promise<number> {
  return pollUntil(task, fds, nfds, makeTimeout(task, timeoutMs < 0 ? null : timeoutMs));
}

function pollUntil(task: GuestTask, fds: number, nfds: number, timeout: Timeout): number | Promise<number> {
  const restart = errno.ERESTART_RESTARTBLOCK;
  task.restartBlock = () => {
    const { deadline } = timeout;
    const ms = deadline === null ? null : Math.max(0, deadline - task.kernel.monotonicMs());
    return pollUntil(task, fds, nfds, { ms, deadline });
  };
  return doPoll(task, fds, nfds, timeout, restart);
}

/** Runs a call under a temporary signal mask, which stays in place when a signal is what ends it. */
function underMask(
  task: Task,
  mask: number,
  size: number,
  call: () => number | Promise<number>,
): number | Promise<number> {
  setTemporaryMask(task, mask, size);
  const finish = (n: number): number => {
    restoreTemporaryMask(task, n === -errno.ERESTARTNOHAND || n === -errno.EINTR);
    return n;
  };
  const fail = (e: unknown): never => {
    restoreTemporaryMask(task, false);
    throw e;
  };
  try {
    const result = call();
    return typeof result === 'number' ? finish(result) : result.then(finish, fail);
  } catch (e) {
    return fail(e);
  }
}

/** Tells the time that is left; where that fails, the call cannot be restarted. */
function withTimeLeft(result: number | Promise<number>, store: () => void): number | Promise<number> {
  const finish = (n: number): number => (!tellTime(store) && n === -errno.ERESTARTNOHAND ? -errno.EINTR : n);
  return typeof result === 'number' ? finish(result) : result.then(finish);
}

function ppoll(
  task: GuestTask,
  fds: number,
  nfds: number,
  tsp: number,
  mask: number,
  size: number,
): number | Promise<number> {
  const t = tsp === 0 ? null : checkTime(readTimespec(task.mem, tsp));
  const timeout = makeTimeout(task, t && timespecMs(t));
  const store = (): void => {
    const left = leftOver(task, timeout);
    if (left) writeTimespec(task.mem, tsp, left.sec, left.nsec);
  };
  return underMask(task, mask, size, () => withTimeLeft(doPoll(task, fds, nfds, timeout, errno.ERESTARTNOHAND), store));
}

// select.

interface FdSets {
  readonly n: number;
  readonly addresses: readonly number[];
  /** The three sets as given, or empty where the pointer is null. */
  readonly asked: readonly Uint8Array[];
}

const bytesFor = (n: number): number => Math.ceil(n / 64) * 8;
const isSet = (set: Uint8Array, fd: number): boolean => ((set[fd >>> 3] ?? 0) & (1 << (fd & 7))) !== 0;

interface SelectItem extends PollItem {
  readonly fd: number;
}

function readSets(task: Task, nfds: number, addresses: readonly number[]): FdSets {
  if (nfds < 0) throw sysError(errno.EINVAL);
  const n = Math.min(nfds, fdTableSize(task));
  const asked = addresses.map((a) => (a === 0 ? new Uint8Array(0) : task.mem.copyIn(a, bytesFor(n))));
  return { n, addresses, asked };
}

function selectItems(task: Task, sets: FdSets): SelectItem[] {
  const items: SelectItem[] = [];
  const [inSet, outSet, exSet] = sets.asked as [Uint8Array, Uint8Array, Uint8Array];
  for (let fd = 0; fd < sets.n; fd++) {
    const index = fd >>> 3;
    if (((inSet[index] ?? 0) | (outSet[index] ?? 0) | (exSet[index] ?? 0)) === 0) {
      fd |= 7;
      continue;
    }
    const events =
      (isSet(inSet, fd) ? IN_SET : 0) | (isSet(outSet, fd) ? OUT_SET : 0) | (isSet(exSet, fd) ? EX_SET : 0);
    if (events === 0) continue;
    const file = task.files.tryGet(fd);
    if (!file) throw sysError(errno.EBADF);
    // POLLERR and POLLHUP must not end a wait that only asks for the exception set.
    items.push(new MaskedItem(fd, file, events));
  }
  return items;
}

/** A poll item whose result is only what select(2) asked for. */
class MaskedItem implements SelectItem {
  readonly fd: number;
  readonly file: PollItem['file'];
  readonly events: number;
  #revents = 0;
  constructor(fd: number, file: PollItem['file'], events: number) {
    this.fd = fd;
    this.file = file;
    this.events = events;
  }
  get revents(): number {
    return this.#revents;
  }
  set revents(bits: number) {
    this.#revents = bits & this.events;
  }
}

function writeSets(task: Task, sets: FdSets, items: readonly SelectItem[]): number {
  let count = 0;
  [IN_SET, OUT_SET, EX_SET].forEach((mask, i) => {
    const address = sets.addresses[i]!;
    if (address === 0) return;
    const out = new Uint8Array(bytesFor(sets.n));
    for (const item of items) {
      if (!isSet(sets.asked[i]!, item.fd) || (item.revents & mask) === 0) continue;
      out[item.fd >>> 3]! |= 1 << (item.fd & 7);
      count++;
    }
    task.mem.copyOut(address, out);
  });
  return count;
}

function doSelect(
  task: GuestTask,
  nfds: number,
  addresses: readonly number[],
  timeout: Timeout,
): number | Promise<number> {
  const sets = readSets(task, nfds, addresses);
  const items = selectItems(task, sets);
  const r = pollFiles(task, items, timeout.ms);
  const finish = (done: PollResult): number => {
    // The sets stay as they were when a signal ends the call.
    if (done.ready === 0 && done.result === 'signal') return -errno.ERESTARTNOHAND;
    return writeSets(task, sets, items);
  };
  return r instanceof Promise ? r.then(finish) : finish(r);
}

function select(
  task: GuestTask,
  nfds: number,
  readfds: number,
  writefds: number,
  exceptfds: number,
  tvp: number,
): number | Promise<number> {
  let ms: number | null = null;
  if (tvp !== 0) {
    const { sec, nsec: usec } = readTimespec(task.mem, tvp);
    // Microseconds of a second and more are carried over, as the kernel does.
    const carry = Math.trunc(usec / 1_000_000);
    const t = checkTime({ sec: sec + carry, nsec: (usec - carry * 1_000_000) * 1000 });
    ms = timespecMs(t);
  }
  const timeout = makeTimeout(task, ms);
  const store = (): void => {
    const left = leftOver(task, timeout);
    if (left) writeTimeval(task.mem, tvp, left.sec, Math.floor(left.nsec / 1000));
  };
  return withTimeLeft(doSelect(task, nfds, [readfds, writefds, exceptfds], timeout), store);
}

function pselect6(
  task: GuestTask,
  nfds: number,
  readfds: number,
  writefds: number,
  exceptfds: number,
  tsp: number,
  sig: number,
): number | Promise<number> {
  let mask = 0;
  let size = 0;
  if (sig !== 0) {
    task.mem.bytes(sig, 16);
    mask = task.mem.readPointer(sig);
    size = task.mem.readU64(sig + 8);
  }
  const t = tsp === 0 ? null : checkTime(readTimespec(task.mem, tsp));
  const timeout = makeTimeout(task, t && timespecMs(t));
  const store = (): void => {
    const left = leftOver(task, timeout);
    if (left) writeTimespec(task.mem, tsp, left.sec, left.nsec);
  };
  return underMask(task, mask, size, () => {
    return withTimeLeft(doSelect(task, nfds, [readfds, writefds, exceptfds], timeout), store);
  });
}

export const pollRows: SyscallRow[] = [
  row('poll', 7, null, 'fds:inoutstruct nfds:uint timeout:int', poll),
  row('ppoll', 271, 73, 'fds:inoutstruct nfds:uint tmo_p:timespec sigmask:sigset sigsetsize:size', ppoll),
  row('select', 23, null, 'n:int readfds:ptr writefds:ptr exceptfds:ptr timeout:ptr', select),
  row('pselect6', 270, 72, 'n:int readfds:ptr writefds:ptr exceptfds:ptr timeout:timespec sigmask:ptr', pselect6),
];
