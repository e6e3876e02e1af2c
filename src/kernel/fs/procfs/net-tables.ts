/** The tables of sockets below /proc/net (proc_net(5)). */
import type { Network } from '../../net/network.ts';
import { AF_INET, AF_INET6 } from '../../net/constants.ts';
import type { InetSocket } from '../../net/inet.ts';
import { ANY4, bytesOfV4, bytesOfV6, type Endpoint } from '../../net/ip.ts';
import { NetlinkSocket } from '../../net/netlink.ts';
import { TcpSocket } from '../../net/tcp.ts';
import { tcpStateNumber } from '../../net/tcp-options.ts';
import { UdpSocket } from '../../net/udp.ts';
import { UnixSocket } from '../../net/unix.ts';
import { UnixConnected } from '../../net/unix-connected.ts';
import { escapeName } from './entry.ts';

const hex = (n: number, width: number): string => (n >>> 0).toString(16).toUpperCase().padStart(width, '0');
const POINTER = '0000000000000000';
/** __SO_ACCEPTCON: what unix(7) sockets that listen show under Flags. */
const ACCEPTS = 0x10000;

/** Words of an address in the machine's order, as the kernel prints them. */
function addressWords(domain: number, { address, port }: Endpoint): string {
  const bytes = domain === AF_INET ? bytesOfV4(address) : bytesOfV6(address === ANY4 ? '::' : address);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let words = '';
  for (let at = 0; at < bytes.length; at += 4) words += hex(view.getUint32(at, true), 8);
  return `${words}:${hex(port, 4)}`;
}

function line(s: InetSocket, state: number, tx: number, rx: number): string {
  const none = { address: s.anyAddress, port: 0 };
  const ends = [s.bound ?? none, s.remote ?? none].map((e) => addressWords(s.domain, e)).join(' ');
  const uid = String(s.uid).padStart(5);
  return `${ends} ${hex(state, 2)} ${hex(tx, 8)}:${hex(rx, 8)} 00:00000000 00000000 ${uid}        0 ${s.ino}`;
}

function table(sockets: readonly InetSocket[], digits: number, show: (s: InetSocket) => string, width: number): string {
  return sockets.map((s, i) => `${`${String(i).padStart(digits)}: ${show(s)}`.padEnd(width)}\n`).join('');
}

/** Those that have a port: what is neither bound nor connected shows nowhere. */
const inetSockets = (net: Network, domain: number, kind: typeof TcpSocket | typeof UdpSocket): InetSocket[] =>
  [...net.sockets].filter((s): s is InetSocket => s instanceof kind && s.domain === domain && s.bound !== null);

export function tcpTable(net: Network, domain: number): string {
  const show = (s: InetSocket): string => {
    const tcp = s as TcpSocket;
    const [tx, rx] = tcp.listening ? [0, tcp.queued] : [tcp.outstanding(), tcp.unread];
    return `${line(s, tcpStateNumber(tcp), tx, rx)} 1 ${POINTER} 100 0 0 10 0`;
  };
  return table(inetSockets(net, domain, TcpSocket), 4, show, domain === AF_INET ? 149 : 0);
}
export function udpTable(net: Network, domain: number): string {
  const show = (s: InetSocket): string => {
    const udp = s as UdpSocket;
    return `${line(s, s.remote ? 1 : 7, udp.outstanding(), udp.queuedBytes)} 2 ${POINTER} ${udp.drops}`;
  };
  return table(inetSockets(net, domain, UdpSocket), 5, show, domain === AF_INET ? 127 : 0);
}

export function unixTable(net: Network): string {
  const rows = [...net.sockets].filter((s): s is UnixSocket => s instanceof UnixSocket);
  return rows
    .map((s) => {
      const flags = s.listening ? ACCEPTS : 0;
      const connected = s instanceof UnixConnected && s.peer !== null;
      const name = s.name ? ` ${escapeName(s.name.text.replaceAll('\0', '@'))}` : '';
      const fields = [hex(2, 8), hex(0, 8), hex(flags, 8), hex(s.type, 4), hex(connected ? 3 : 1, 2)].join(' ');
      return `${POINTER}: ${fields} ${String(s.ino).padStart(5)}${name}\n`;
    })
    .join('');
}

export function netlinkTable(net: Network): string {
  return [...net.sockets]
    .filter((s): s is NetlinkSocket => s instanceof NetlinkSocket)
    .map((s) => {
      const port = String(s.portId).padEnd(10);
      return `${POINTER} ${'0'.padEnd(3)} ${port} 00000000 ${'0'.padEnd(8)} ${'0'.padEnd(8)} ${'0'.padEnd(5)} ${'2'.padEnd(8)} ${'0'.padEnd(8)} ${s.ino}\n`;
    })
    .join('');
}

export function sockstat(net: Network): string {
  const count = (kind: typeof TcpSocket | typeof UdpSocket): number =>
    inetSockets(net, AF_INET, kind).length + inetSockets(net, AF_INET6, kind).length;
  const all = net.sockets.size;
  return (
    `sockets: used ${all}\nTCP: inuse ${count(TcpSocket)} orphan 0 tw 0 alloc ${count(TcpSocket)} mem 0\n` +
    `UDP: inuse ${count(UdpSocket)} mem 0\nUDPLITE: inuse 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n`
  );
}
