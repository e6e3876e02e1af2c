/** SOL_SOCKET options (socket(7)), and the tables that say which others are merely kept. */
import { errno, sysError } from '../abi/errno.ts';
import type { Task } from '../task/task.ts';
import { AF_UNIX, MEM_MAX, RCVBUF_MIN, SNDBUF_MIN, SO, SOCK_STREAM, SOL_SOCKET } from './constants.ts';
import type { Socket } from './socket.ts';
import { pidSeenBy } from '../ns/pid.ts';

/** An int, or the bytes of anything else. */
export type OptionValue = number | Uint8Array;

const CAP_NET_ADMIN = 12;

export function intBytes(value: number): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setInt32(0, value, true);
  return out;
}
/** The int at the start of an option value. Throws EINVAL when it is too short. */
export function readInt(value: Uint8Array): number {
  if (value.length < 4) throw sysError(errno.EINVAL);
  return new DataView(value.buffer, value.byteOffset).getInt32(0, true);
}

/** How an option that has no effect of its own is kept. */
export interface StoredOption {
  readonly initial: number;
  /** Kept as 0 or 1. */
  readonly flag?: boolean;
  /** Bounds outside of which setting it is EINVAL. */
  readonly min?: number;
  readonly max?: number;
}
export type StoredOptions = Readonly<Record<number, StoredOption>>;

const FLAG: StoredOption = { initial: 0, flag: true };

const key = (level: number, name: number): number => level * 0x1_0000 + name;

export function getStored(socket: Socket, level: number, name: number, table: StoredOptions): OptionValue {
  const spec = table[name];
  if (!spec) throw sysError(errno.ENOPROTOOPT);
  return socket.options.get(key(level, name)) ?? spec.initial;
}
export function setStored(socket: Socket, level: number, name: number, value: number, table: StoredOptions): void {
  const spec = table[name];
  if (!spec) throw sysError(errno.ENOPROTOOPT);
  if (value < (spec.min ?? -Infinity) || value > (spec.max ?? Infinity)) throw sysError(errno.EINVAL);
  socket.options.set(key(level, name), spec.flag ? (value !== 0 ? 1 : 0) : value);
}
/** The value of a kept option, for those who act on it. */
export const storedValue = (socket: Socket, level: number, name: number): OptionValue | undefined =>
  socket.options.get(key(level, name));

const stored: StoredOptions = {
  [SO.SO_DONTROUTE]: FLAG,
  [SO.SO_BROADCAST]: FLAG,
  [SO.SO_KEEPALIVE]: FLAG,
  [SO.SO_OOBINLINE]: FLAG,
  [SO.SO_NO_CHECK]: FLAG,
  [SO.SO_PRIORITY]: { initial: 0, max: 6 },
  [SO.SO_TIMESTAMP]: FLAG,
  [SO.SO_TIMESTAMPNS]: FLAG,
  [SO.SO_TIMESTAMPING]: { initial: 0 },
  [SO.SO_MARK]: { initial: 0 },
  [SO.SO_RXQ_OVFL]: FLAG,
  [SO.SO_NOFCS]: FLAG,
  [SO.SO_LOCK_FILTER]: FLAG,
  [SO.SO_SELECT_ERR_QUEUE]: FLAG,
  [SO.SO_BUSY_POLL]: { initial: 0, min: 0 },
  [SO.SO_INCOMING_CPU]: { initial: -1 },
  [SO.SO_ZEROCOPY]: { initial: 0, min: 0, max: 1 },
  [SO.SO_BINDTOIFINDEX]: { initial: 0, min: 0 },
};

/** Settable by nobody: getsockopt alone knows them. */
const readOnly: ReadonlySet<number> = new Set([
  SO.SO_TYPE,
  SO.SO_PROTOCOL,
  SO.SO_DOMAIN,
  SO.SO_ERROR,
  SO.SO_ACCEPTCONN,
  SO.SO_PEERCRED,
  SO.SO_PEERNAME,
  SO.SO_PEERSEC,
  SO.SO_SNDLOWAT,
  SO.SO_INCOMING_NAPI_ID,
  SO.SO_COOKIE,
  SO.SO_PEERGROUPS,
]);

function timevalMs(value: Uint8Array): number | null {
  if (value.length < 16) throw sysError(errno.EINVAL);
  const view = new DataView(value.buffer, value.byteOffset);
  const sec = Number(view.getBigInt64(0, true));
  const usec = Number(view.getBigInt64(8, true));
  if (usec < 0 || usec >= 1_000_000) throw sysError(errno.EDOM);
  if (sec < 0) return 0;
  if (sec === 0 && usec === 0) return null;
  // Beyond what timers count it is for ever, as MAX_SCHEDULE_TIMEOUT is.
  return sec > 1e12 ? null : sec * 1000 + usec / 1000;
}
function timevalBytes(ms: number | null): Uint8Array {
  const out = new Uint8Array(16);
  if (ms === null) return out;
  const view = new DataView(out.buffer);
  const us = Math.round(ms * 1000);
  view.setBigInt64(0, BigInt(Math.floor(us / 1_000_000)), true);
  view.setBigInt64(8, BigInt(us % 1_000_000), true);
  return out;
}

const clampBuffer = (value: number, min: number, max: number): number =>
  Math.max(Math.min(value < 0 ? max : value, max) * 2, min);

export function setSocketOption(task: Task, s: Socket, name: number, value: Uint8Array): void {
  if (name === SO.SO_BINDTODEVICE) {
    bindToDevice(task, s, value);
    return;
  }
  if (readOnly.has(name)) throw sysError(errno.ENOPROTOOPT);
  const int = readInt(value);
  switch (name) {
    case SO.SO_DEBUG:
      if (int !== 0 && !task.cred.capableIn(task.ns.net.owner!, CAP_NET_ADMIN)) throw sysError(errno.EACCES);
      return;
    case SO.SO_REUSEADDR:
      s.reuseAddress = int !== 0;
      return;
    case SO.SO_REUSEPORT:
      if (int !== 0 && s.domain === AF_UNIX) throw sysError(errno.EOPNOTSUPP);
      s.reusePort = int !== 0;
      return;
    case SO.SO_SNDBUF:
    case SO.SO_SNDBUFFORCE: {
      const forced = name === SO.SO_SNDBUFFORCE;
      if (forced && !task.cred.capableIn(task.ns.net.owner!, CAP_NET_ADMIN)) throw sysError(errno.EPERM);
      s.sendBuffer = clampBuffer(int, SNDBUF_MIN, forced ? 0x3fff_ffff : MEM_MAX);
      s.sendBufferLocked = true;
      s.buffersChanged();
      return;
    }
    case SO.SO_RCVBUF:
    case SO.SO_RCVBUFFORCE: {
      const forced = name === SO.SO_RCVBUFFORCE;
      if (forced && !task.cred.capableIn(task.ns.net.owner!, CAP_NET_ADMIN)) throw sysError(errno.EPERM);
      s.receiveBuffer = clampBuffer(int, RCVBUF_MIN, forced ? 0x3fff_ffff : MEM_MAX);
      s.receiveBufferLocked = true;
      s.buffersChanged();
      return;
    }
    case SO.SO_LINGER: {
      if (value.length < 8) throw sysError(errno.EINVAL);
      s.options.set(key(SOL_SOCKET, name), value.slice(0, 8));
      return;
    }
    case SO.SO_PASSCRED:
    case SO.SO_PASSSEC:
      if (s.domain !== AF_UNIX && name === SO.SO_PASSCRED) throw sysError(errno.EOPNOTSUPP);
      s.options.set(key(SOL_SOCKET, name), int !== 0 ? 1 : 0);
      return;
    case SO.SO_RCVLOWAT:
      s.lowWater = int < 0 ? 0x7fff_ffff : int || 1;
      s.waiters.wake();
      return;
    case SO.SO_RCVTIMEO:
      s.receiveTimeout = timevalMs(value);
      return;
    case SO.SO_SNDTIMEO:
      s.sendTimeout = timevalMs(value);
      return;
    case SO.SO_PRIORITY:
      if ((int < 0 || int > 6) && !task.cred.capableIn(task.ns.net.owner!, CAP_NET_ADMIN)) throw sysError(errno.EPERM);
      s.options.set(key(SOL_SOCKET, name), int);
      return;
    case SO.SO_MARK:
      if (!task.cred.capableIn(task.ns.net.owner!, CAP_NET_ADMIN)) throw sysError(errno.EPERM);
      s.options.set(key(SOL_SOCKET, name), int);
      return;
    case SO.SO_MAX_PACING_RATE:
      // An unsigned long may be given as well.
      s.options.set(key(SOL_SOCKET, name), value.slice(0, 8));
      return;
    case SO.SO_DETACH_FILTER:
      throw sysError(errno.ENOENT);
    case SO.SO_PEEK_OFF:
      throw sysError(errno.EOPNOTSUPP);
  }
  setStored(s, SOL_SOCKET, name, int, stored);
  if (name === SO.SO_KEEPALIVE) s.keepAliveChanged();
}

/** Devices are the kernel's: only loopback and the one to the host exist, and nothing is gained by naming one. */
function bindToDevice(task: Task, s: Socket, value: Uint8Array): void {
  const end = value.indexOf(0);
  const name = Buffer.from(end < 0 ? value : value.subarray(0, end)).toString('latin1');
  if (!task.cred.capableIn(task.ns.net.owner!, 13)) throw sysError(errno.EPERM);
  if (name !== '' && !s.net.interfaces.some((i) => i.name === name)) throw sysError(errno.ENODEV);
  s.options.set(key(SOL_SOCKET, SO.SO_BINDTODEVICE), Buffer.from(name === '' ? '' : `${name}\0`));
}

export function getSocketOption(s: Socket, name: number, task: Task): OptionValue {
  const kept = (): OptionValue | undefined => storedValue(s, SOL_SOCKET, name);
  switch (name) {
    case SO.SO_DEBUG:
      return 0;
    case SO.SO_REUSEADDR:
      return s.reuseAddress ? 1 : 0;
    case SO.SO_REUSEPORT:
      return s.reusePort ? 1 : 0;
    case SO.SO_TYPE:
      return s.type;
    case SO.SO_PROTOCOL:
      return s.protocol;
    case SO.SO_DOMAIN:
      return s.domain;
    case SO.SO_ERROR:
      return s.takeError();
    case SO.SO_SNDBUF:
      return s.sendBuffer;
    case SO.SO_RCVBUF:
      return s.receiveBuffer;
    case SO.SO_LINGER:
      return kept() ?? new Uint8Array(8);
    case SO.SO_ACCEPTCONN:
      return s.listening ? 1 : 0;
    case SO.SO_PASSCRED:
      if (s.domain !== AF_UNIX) throw sysError(errno.EOPNOTSUPP);
      return kept() ?? 0;
    case SO.SO_PASSSEC:
      return kept() ?? 0;
    case SO.SO_PEERCRED: {
      const cred = s.peerCredentials;
      const out = new Uint8Array(12);
      const view = new DataView(out.buffer);
      const { userNs } = task.cred;
      view.setInt32(0, cred ? pidSeenBy(task, cred.pid) : 0, true);
      view.setInt32(4, cred ? userNs.shown('uid', cred.uid) : -1, true);
      view.setInt32(8, cred ? userNs.shown('gid', cred.gid) : -1, true);
      return out;
    }
    case SO.SO_PEERNAME:
      return s.peerAddress();
    case SO.SO_PEERGROUPS:
      throw sysError(errno.ENODATA);
    case SO.SO_RCVLOWAT:
      return s.lowWater;
    case SO.SO_SNDLOWAT:
      return 1;
    case SO.SO_RCVTIMEO:
      return timevalBytes(s.receiveTimeout);
    case SO.SO_SNDTIMEO:
      return timevalBytes(s.sendTimeout);
    case SO.SO_BINDTODEVICE:
      return kept() ?? new Uint8Array(0);
    case SO.SO_COOKIE: {
      const out = new Uint8Array(8);
      new DataView(out.buffer).setUint32(0, s.cookie, true);
      return out;
    }
    case SO.SO_MAX_PACING_RATE:
      return kept() ?? new Uint8Array(8).fill(0xff);
    case SO.SO_INCOMING_NAPI_ID:
      return 0;
    case SO.SO_PEEK_OFF:
      return -1;
  }
  return getStored(s, SOL_SOCKET, name, stored);
}

/** SO_LINGER: seconds, or null when it is off. */
export function lingerSeconds(s: Socket): number | null {
  const value = storedValue(s, SOL_SOCKET, SO.SO_LINGER);
  if (!(value instanceof Uint8Array) || s.type !== SOCK_STREAM) return null;
  const view = new DataView(value.buffer, value.byteOffset);
  return view.getInt32(0, true) === 0 ? null : view.getInt32(4, true);
}
