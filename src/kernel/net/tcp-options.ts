/** IPPROTO_TCP options (tcp(7)). */
import { errno, sysError } from '../abi/errno.ts';
import { SOMAXCONN } from './constants.ts';
import { type OptionValue, readInt } from './options.ts';
import type { TcpSocket } from './tcp.ts';

export const TCP = {
  TCP_NODELAY: 1,
  TCP_MAXSEG: 2,
  TCP_CORK: 3,
  TCP_KEEPIDLE: 4,
  TCP_KEEPINTVL: 5,
  TCP_KEEPCNT: 6,
  TCP_SYNCNT: 7,
  TCP_LINGER2: 8,
  TCP_DEFER_ACCEPT: 9,
  TCP_WINDOW_CLAMP: 10,
  TCP_INFO: 11,
  TCP_QUICKACK: 12,
  TCP_CONGESTION: 13,
  TCP_MD5SIG: 14,
  TCP_THIN_LINEAR_TIMEOUTS: 16,
  TCP_THIN_DUPACK: 17,
  TCP_USER_TIMEOUT: 18,
  TCP_REPAIR: 19,
  TCP_FASTOPEN: 23,
  TCP_TIMESTAMP: 24,
  TCP_NOTSENT_LOWAT: 25,
  TCP_CC_INFO: 26,
  TCP_SAVE_SYN: 27,
  TCP_SAVED_SYN: 28,
  TCP_FASTOPEN_CONNECT: 30,
  TCP_ULP: 31,
  TCP_FASTOPEN_NO_COOKIE: 34,
  TCP_INQ: 36,
  TCP_TX_DELAY: 37,
} as const;

export interface TcpOptions {
  noDelay: boolean;
  cork: boolean;
  /** Seconds. */
  keepIdle: number;
  keepInterval: number;
  keepCount: number;
  congestion: string;
  /** The rest, by number. */
  readonly others: Readonly<Record<number, number>>;
}

export const tcpDefaults: TcpOptions = {
  noDelay: false,
  cork: false,
  keepIdle: 7200,
  keepInterval: 75,
  keepCount: 9,
  congestion: 'cubic',
  others: {},
};

/** Kept and told, without effect: bounds as in do_tcp_setsockopt, and the value before it is set. */
const kept: Readonly<Record<number, { initial: number; min: number; max: number; flag?: boolean }>> = {
  [TCP.TCP_SYNCNT]: { initial: 6, min: 1, max: 127 },
  [TCP.TCP_LINGER2]: { initial: 60, min: -Infinity, max: Infinity },
  [TCP.TCP_DEFER_ACCEPT]: { initial: 0, min: -Infinity, max: Infinity },
  [TCP.TCP_WINDOW_CLAMP]: { initial: 0, min: 0, max: Infinity },
  [TCP.TCP_QUICKACK]: { initial: 1, min: -Infinity, max: Infinity, flag: true },
  [TCP.TCP_THIN_LINEAR_TIMEOUTS]: { initial: 0, min: 0, max: 1 },
  [TCP.TCP_THIN_DUPACK]: { initial: 0, min: 0, max: 1 },
  [TCP.TCP_USER_TIMEOUT]: { initial: 0, min: 0, max: Infinity },
  [TCP.TCP_FASTOPEN]: { initial: 0, min: 0, max: Infinity },
  [TCP.TCP_NOTSENT_LOWAT]: { initial: 0, min: -Infinity, max: Infinity },
  [TCP.TCP_SAVE_SYN]: { initial: 0, min: 0, max: 2 },
  [TCP.TCP_FASTOPEN_CONNECT]: { initial: 0, min: 0, max: 1 },
  [TCP.TCP_FASTOPEN_NO_COOKIE]: { initial: 0, min: 0, max: 1 },
  [TCP.TCP_INQ]: { initial: 0, min: 0, max: 1 },
  [TCP.TCP_TX_DELAY]: { initial: 0, min: 0, max: Infinity },
};

const CONGESTION = ['cubic', 'reno'];
const MSS_DEFAULT = 536;
const MSS_MIN = 88;
const MSS_MAX = 32767;

export function setTcpOption(s: TcpSocket, name: number, value: Uint8Array): void {
  const { tcp } = s;
  if (name === TCP.TCP_CONGESTION) {
    if (value.length < 1) throw sysError(errno.EINVAL);
    const wanted = text(value);
    if (!CONGESTION.includes(wanted)) throw sysError(errno.ENOENT);
    tcp.congestion = wanted;
    return;
  }
  if (name === TCP.TCP_ULP || name === TCP.TCP_MD5SIG)
    throw sysError(name === TCP.TCP_ULP ? errno.ENOENT : errno.EPERM);
  const int = readInt(value);
  const between = (min: number, max: number): number => {
    if (int < min || int > max) throw sysError(errno.EINVAL);
    return int;
  };
  switch (name) {
    case TCP.TCP_NODELAY:
      tcp.noDelay = int !== 0;
      return;
    case TCP.TCP_CORK:
      tcp.cork = int !== 0;
      return;
    case TCP.TCP_KEEPIDLE:
      tcp.keepIdle = between(1, 32767);
      return;
    case TCP.TCP_KEEPINTVL:
      tcp.keepInterval = between(1, 32767);
      return;
    case TCP.TCP_KEEPCNT:
      tcp.keepCount = between(1, 127);
      return;
    case TCP.TCP_MAXSEG:
      if (int !== 0) between(MSS_MIN, MSS_MAX);
      set(s, name, int);
      return;
    case TCP.TCP_FASTOPEN:
      if (s.state !== 'closed' && s.state !== 'listen') throw sysError(errno.EINVAL);
      break;
    case TCP.TCP_FASTOPEN_CONNECT:
      if (s.state !== 'closed') throw sysError(errno.EINVAL);
      break;
    case TCP.TCP_REPAIR:
      throw sysError(errno.EPERM);
  }
  const spec = kept[name];
  if (!spec) throw sysError(errno.ENOPROTOOPT);
  between(spec.min, spec.max);
  set(s, name, spec.flag ? Number(int !== 0) : rounded(name, int));
}
function rounded(name: number, int: number): number {
  if (name === TCP.TCP_LINGER2) return int < 0 ? -1 : Math.min(int || 60, 120);
  if (name === TCP.TCP_DEFER_ACCEPT) return deferSeconds(int);
  if (name === TCP.TCP_FASTOPEN) return Math.min(int, SOMAXCONN);
  return int;
}
/** Seconds become a number of retransmissions, and those seconds again (secs_to_retrans, retrans_to_secs). */
function deferSeconds(seconds: number): number {
  if (seconds <= 0) return 0;
  let period = 1;
  let timeout = 1;
  let retries = 1;
  while (seconds > period && retries < 255) {
    retries++;
    timeout = Math.min(timeout * 2, 120);
    period += timeout;
  }
  return period;
}
const set = (s: TcpSocket, name: number, value: number): void => {
  s.tcp = { ...s.tcp, others: { ...s.tcp.others, [name]: value } };
};
function text(value: Uint8Array): string {
  const end = value.indexOf(0);
  return Buffer.from(end < 0 ? value : value.slice(0, end)).toString('latin1');
}

export function getTcpOption(s: TcpSocket, name: number): OptionValue {
  const { tcp } = s;
  switch (name) {
    case TCP.TCP_NODELAY:
      return tcp.noDelay ? 1 : 0;
    case TCP.TCP_CORK:
      return tcp.cork ? 1 : 0;
    case TCP.TCP_KEEPIDLE:
      return tcp.keepIdle;
    case TCP.TCP_KEEPINTVL:
      return tcp.keepInterval;
    case TCP.TCP_KEEPCNT:
      return tcp.keepCount;
    case TCP.TCP_MAXSEG: {
      const own = tcp.others[name] ?? 0;
      if (s.state === 'connected') return s.net.isLocal(s.remote?.address ?? '') ? 32768 : 1460;
      return own || MSS_DEFAULT;
    }
    case TCP.TCP_CONGESTION:
      return Buffer.concat([Buffer.from(tcp.congestion)], 16);
    case TCP.TCP_INFO:
      return tcpInfo(s);
    case TCP.TCP_TIMESTAMP:
      return Math.floor(performance.now()) | 0;
    case TCP.TCP_CC_INFO:
    case TCP.TCP_ULP:
      return new Uint8Array(0);
    case TCP.TCP_SAVED_SYN:
      return new Uint8Array(0);
  }
  const spec = kept[name];
  if (!spec) throw sysError(errno.ENOPROTOOPT);
  return tcp.others[name] ?? spec.initial;
}

/** TCP_ESTABLISHED and so on (net/tcp_states.h). */
export function tcpStateNumber(s: TcpSocket): number {
  const { finSent, finished } = s.halves;
  switch (s.state) {
    case 'closed':
      return 7;
    case 'listen':
      return 10;
    case 'connecting':
      return 2;
    case 'connected':
      if (finSent) return finished ? 6 : 5;
      return finished ? 8 : 1;
  }
}

/** struct tcp_info: what has a meaning here. */
function tcpInfo(s: TcpSocket): Uint8Array {
  const out = new Uint8Array(232);
  const view = new DataView(out.buffer);
  out[0] = tcpStateNumber(s);
  out[5] = 0x0f; // timestamps, SACK, window scaling, ECN
  out[6] = 0x77; // window scales of 7
  const u32 = (at: number, value: number): void => view.setUint32(at, value, true);
  u32(8, 200_000); // rto, microseconds
  u32(12, 40_000); // ato
  const mss = s.state === 'connected' && s.net.isLocal(s.remote?.address ?? '') ? 32768 : 1460;
  u32(16, mss); // snd_mss
  u32(20, mss); // rcv_mss
  if (s.state === 'listen') {
    u32(24, s.queued); // unacked: length of the queue
    u32(28, s.backlog); // sacked: its limit
  }
  u32(60, 65535); // pmtu
  u32(64, 64088); // rcv_ssthresh
  u32(68, 100); // rtt
  u32(72, 50); // rttvar
  u32(76, 0x7fff_ffff); // snd_ssthresh
  u32(80, 10); // snd_cwnd
  u32(84, mss); // advmss
  u32(88, 3); // reordering
  u32(96, 65536); // rcv_space
  view.setBigUint64(104, 0xffff_ffff_ffff_ffffn, true); // pacing_rate
  view.setBigUint64(112, 0xffff_ffff_ffff_ffffn, true); // max_pacing_rate
  view.setBigUint64(120, BigInt(s.bytesSent), true); // bytes_acked
  view.setBigUint64(128, BigInt(s.bytesReceived), true); // bytes_received
  return out;
}
