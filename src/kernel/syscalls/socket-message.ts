/** struct msghdr and its control messages (sendmsg(2), recvmsg(2), cmsg(3), unix(7)). */
import { errno, sysError } from '../abi/errno.ts';
import type { OpenFile } from '../fs/open-file.ts';
import {
  AF_UNIX,
  IPPROTO_IP,
  IPPROTO_IPV6,
  MSG,
  SCM_CREDENTIALS,
  SCM_MAX_FD,
  SCM_RIGHTS,
  SOL_SOCKET,
} from '../net/constants.ts';
import type { ControlMessage, Incoming, Outgoing, Socket, Ucred } from '../net/socket.ts';
import { UdpSocket } from '../net/udp.ts';
import type { Task } from '../task/task.ts';
import { IOV_MAX, readIovec, type Segment } from './io.ts';
import { readAddress, STORAGE_SIZE } from './socket-args.ts';
import { pidSeenBy, processNamed } from '../ns/pid.ts';

const CMSG_HEADER = 16;
/** net.core.optmem_max: a longer control buffer is ENOBUFS. */
const CONTROL_MAX = 131_072;
const CAP_SYS_ADMIN = 21;
const CAP_SETUID = 7;
const CAP_SETGID = 6;

const align8 = (n: number): number => Math.ceil(n / 8) * 8;

export interface MessageHeader {
  readonly at: number;
  readonly name: number;
  readonly nameLength: number;
  readonly segments: readonly Segment[];
  readonly control: number;
  readonly controlLength: number;
}

/** Throws EFAULT, EINVAL (a negative length), EMSGSIZE (too many segments), ENOBUFS. */
export function readHeader(task: Task, at: number): MessageHeader {
  const { mem } = task;
  mem.bytes(at, 56);
  const name = mem.readPointer(at);
  const nameLength = name === 0 ? 0 : mem.readI32(at + 8);
  if (nameLength < 0) throw sysError(errno.EINVAL);
  const iov = mem.readPointer(at + 16);
  const iovLength = mem.readU64(at + 24);
  if (iovLength > IOV_MAX) throw sysError(errno.EMSGSIZE);
  const control = mem.readPointer(at + 32);
  const controlLength = mem.readU64(at + 40);
  return {
    at,
    name,
    nameLength: Math.min(nameLength, STORAGE_SIZE),
    segments: readIovec(task, iov, iovLength),
    control,
    controlLength,
  };
}

/** What goes with a message that is sent. The caller drops the references it holds when sending fails. */
export function readOutgoing(task: Task, s: Socket, header: MessageHeader): Outgoing | null {
  const address = header.nameLength > 0 ? readAddress(task, header.name, header.nameLength) : null;
  let rights: OpenFile[] | null = null;
  let credentials: Ucred | null = null;
  const ip: { hops?: number; trafficClass?: number } = {};
  if (header.controlLength > 0) {
    if (header.controlLength > CONTROL_MAX) throw sysError(errno.ENOBUFS);
    const control = task.mem.copyIn(header.control, header.controlLength);
    try {
      for (const message of parseControl(control)) {
        if (message.level !== SOL_SOCKET) {
          if (s instanceof UdpSocket) Object.assign(ip, readIpControl(message));
          continue;
        }
        if (s.domain !== AF_UNIX) continue;
        if (message.type === SCM_RIGHTS) rights = takeRights(task, message.data, rights ?? []);
        else if (message.type === SCM_CREDENTIALS) credentials = checkCredentials(task, message.data);
        else throw sysError(errno.EINVAL);
      }
    } catch (e) {
      dropAll(rights);
      throw e;
    }
  }
  const any = address || rights || credentials || ip.hops !== undefined || ip.trafficClass !== undefined;
  return any ? { address, rights, credentials, ...ip } : null;
}

const IP_TOS = 1;
const IP_TTL = 2;
const IP_PKTINFO = 8;
const IPV6_PKTINFO = 50;
const IPV6_HOPLIMIT = 52;
const IPV6_TCLASS = 67;

/** What a datagram's header is to say (ip_cmsg_send, ip6_datagram_send_ctl). Where it leaves is not the guest's to choose. */
function readIpControl({ level, type, data }: ControlMessage): { hops?: number; trafficClass?: number } {
  const int = (): number => {
    if (data.length < 4) throw sysError(errno.EINVAL);
    return new DataView(data.buffer, data.byteOffset).getInt32(0, true);
  };
  const between = (value: number, min: number): number => {
    if (value < min || value > 255) throw sysError(errno.EINVAL);
    return value;
  };
  if (level === IPPROTO_IP && type === IP_TTL) return { hops: between(int(), 1) };
  if (level === IPPROTO_IP && type === IP_TOS)
    return { trafficClass: data.length === 1 ? data[0]! : between(int(), 0) };
  if (level === IPPROTO_IPV6 && (type === IPV6_HOPLIMIT || type === IPV6_TCLASS)) {
    const value = between(int(), -1);
    if (value < 0) return {};
    return type === IPV6_HOPLIMIT ? { hops: value } : { trafficClass: value };
  }
  if ((level === IPPROTO_IP && type === IP_PKTINFO) || (level === IPPROTO_IPV6 && type === IPV6_PKTINFO)) return {};
  if (level === IPPROTO_IP || level === IPPROTO_IPV6) throw sysError(errno.EINVAL);
  return {};
}

export function dropAll(files: readonly OpenFile[] | null): void {
  for (const file of files ?? []) file.unref();
}

/** Throws EINVAL for a length that is too short or goes beyond the buffer. */
function* parseControl(control: Uint8Array): Generator<ControlMessage> {
  const view = new DataView(control.buffer, control.byteOffset, control.length);
  for (let at = 0; at + CMSG_HEADER <= control.length; ) {
    const length = view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
    if (length < CMSG_HEADER || at + length > control.length) throw sysError(errno.EINVAL);
    yield {
      level: view.getInt32(at + 8, true),
      type: view.getInt32(at + 12, true),
      data: control.subarray(at + CMSG_HEADER, at + length),
    };
    at += align8(length);
  }
}

function takeRights(task: Task, data: Uint8Array, before: OpenFile[]): OpenFile[] {
  const count = data.length >>> 2;
  if (before.length + count > SCM_MAX_FD) throw sysError(errno.EINVAL);
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  // First all look-ups, so that one that fails takes no reference.
  const files: OpenFile[] = [];
  for (let i = 0; i < count; i++) files.push(task.files.getAny(view.getInt32(i * 4, true)));
  before.push(...files.map((f) => f.ref()));
  return before;
}

/** Own ids may be given as they are; others need capabilities (unix(7), scm_check_creds). */
function checkCredentials(task: Task, data: Uint8Array): Ucred {
  if (data.length !== 12) throw sysError(errno.EINVAL);
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const { userNs } = task.cred;
  const pid = processNamed(task, view.getInt32(0, true))?.pid ?? 0;
  const uid = userNs.toKernel('uid', view.getUint32(4, true));
  const gid = userNs.toKernel('gid', view.getUint32(8, true));
  if (uid === null || gid === null) throw sysError(errno.EINVAL);
  const cred = { pid, uid, gid };
  const c = task.cred;
  const pidOk = cred.pid === task.process.pid || c.capableIn(task.process.pidNs.owner ?? userNs, CAP_SYS_ADMIN);
  const uidOk = [c.uid, c.euid, c.suid].includes(cred.uid) || c.capableIn(userNs, CAP_SETUID);
  const gidOk = [c.gid, c.egid, c.sgid].includes(cred.gid) || c.capableIn(userNs, CAP_SETGID);
  if (!pidOk || !uidOk || !gidOk) throw sysError(errno.EPERM);
  if (cred.pid === 0) throw sysError(errno.ESRCH);
  return cred;
}

/** Fills in name, control messages and flags of a header after `recvmsg`. */
export function writeIncoming(task: Task, header: MessageHeader, into: Incoming, flags: number): void {
  const { mem } = task;
  const { at } = header;
  let used = 0;
  let shownFlags = into.flags | (flags & MSG.MSG_CMSG_CLOEXEC);
  const put = (level: number, type: number, data: Uint8Array): void => {
    const room = header.controlLength - used;
    if (header.control === 0 || room < CMSG_HEADER) {
      shownFlags |= MSG.MSG_CTRUNC;
      return;
    }
    const length = Math.min(CMSG_HEADER + data.length, room);
    if (length < CMSG_HEADER + data.length) shownFlags |= MSG.MSG_CTRUNC;
    const message = new Uint8Array(length);
    const view = new DataView(message.buffer);
    view.setUint32(0, length, true);
    view.setInt32(8, level, true);
    view.setInt32(12, type, true);
    message.set(data.subarray(0, length - CMSG_HEADER), CMSG_HEADER);
    mem.copyOut(header.control + used, message);
    used += Math.min(align8(length), room);
  };
  try {
    if (header.name !== 0 && into.address) {
      mem.copyOut(header.name, into.address.subarray(0, header.nameLength));
    }
    mem.writeU32(at + 8, into.address?.length ?? 0);
    for (const c of into.control) put(c.level, c.type, c.data);
    if (into.credentials) put(SOL_SOCKET, SCM_CREDENTIALS, credentialBytes(task, into.credentials));
    if (into.rights) {
      const room = header.control === 0 ? 0 : Math.floor((header.controlLength - used - CMSG_HEADER) / 4);
      const fds = installRights(task, into.rights, Math.max(0, room), (flags & MSG.MSG_CMSG_CLOEXEC) !== 0);
      if (fds.length < into.rights.length) shownFlags |= MSG.MSG_CTRUNC;
      into.rights = null;
      if (fds.length > 0) put(SOL_SOCKET, SCM_RIGHTS, new Uint8Array(Int32Array.from(fds).buffer));
    }
  } finally {
    dropAll(into.rights);
    into.rights = null;
  }
  mem.writeU32(at + 48, shownFlags);
  mem.writeU64(at + 40, used);
}

/** As the receiver knows them. */
function credentialBytes(task: Task, c: Ucred): Uint8Array {
  const { userNs } = task.cred;
  const ids = [pidSeenBy(task, c.pid), userNs.shown('uid', c.uid), userNs.shown('gid', c.gid)];
  return new Uint8Array(Int32Array.from(ids).buffer);
}

/** Installs what fits; the rest is dropped, as it is when descriptors run out (scm_detach_fds). */
function installRights(task: Task, files: readonly OpenFile[], room: number, cloexec: boolean): number[] {
  const fds: number[] = [];
  files.forEach((file, i) => {
    if (i >= room || fds.length < i) {
      file.unref();
      return;
    }
    try {
      fds.push(task.files.install(file, cloexec));
    } catch {
      file.unref();
    }
  });
  return fds;
}
