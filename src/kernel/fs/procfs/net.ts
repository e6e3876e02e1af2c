/** /proc/net: interfaces, routes and sockets (proc_net(5)). */
import type { Network } from '../../net/network.ts';
import { AF_INET, AF_INET6 } from '../../net/constants.ts';
import { bytesOfV6, isV6 } from '../../net/ip.ts';
import { type SystemEntry, systemEntry } from './entry.ts';
import { netlinkTable, sockstat, tcpTable, udpTable, unixTable } from './net-tables.ts';

const table = (name: string, header: string, width = 0, rows: (net: Network) => string = () => ''): SystemEntry =>
  systemEntry(name, (_kernel, _settings, task) => `${header.padEnd(width)}\n${rows(task.ns.net.network)}`);

const DEV =
  'Inter-|   Receive                                                |  Transmit\n' +
  ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n';
const NO_TRAFFIC =
  '       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0';

const TCP6 =
  '  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';

/** The default route and the network of the interface that leads to the host: both of 10.0.2.0/24. */
function routes(net: Network): string {
  const out = net.interfaces.find((i) => i.name !== 'lo');
  if (!out) return '';
  const row = (destination: string, gateway: string, flags: string, mask: string): string =>
    `${`${out.name}\t${destination}\t${gateway}\t${flags}\t0\t0\t0\t${mask}\t0\t0\t0`.padEnd(127)}\n`;
  return row('00000000', '0202000A', '0003', '00000000') + row('0002000A', '00000000', '0001', '00FFFFFF');
}

function ifInet6(net: Network): string {
  return net.interfaces
    .flatMap((i) =>
      i.addresses
        .filter((a) => isV6(a.address))
        .map((a) => {
          const byte = (n: number): string => n.toString(16).padStart(2, '0');
          // IPV6_ADDR_LOOPBACK, _SITELOCAL.
          const scope = a.scope === 254 ? 0x10 : 0x40;
          const hex = Buffer.from(bytesOfV6(a.address)).toString('hex');
          return `${hex} ${byte(i.index)} ${byte(a.prefix)} ${byte(scope)} 80 ${i.name.padStart(8)}\n`;
        }),
    )
    .join('');
}

/** Relative to /proc/PID/net. */
export const netEntries: SystemEntry[] = [
  systemEntry(
    'dev',
    (_kernel, _settings, task) =>
      DEV + task.ns.net.network.interfaces.map((i) => `${i.name.padStart(6)}:${NO_TRAFFIC}\n`).join(''),
  ),
  table('route', 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT', 127, routes),
  table('unix', 'Num       RefCount Protocol Flags    Type St Inode Path', 0, unixTable),
  table(
    'tcp',
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
    149,
    (net) => tcpTable(net, AF_INET),
  ),
  table('tcp6', TCP6, 0, (net) => tcpTable(net, AF_INET6)),
  table(
    'udp',
    '   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops',
    127,
    (net) => udpTable(net, AF_INET),
  ),
  table('udp6', `${TCP6} ref pointer drops`, 0, (net) => udpTable(net, AF_INET6)),
  table(
    'raw',
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops',
    114,
  ),
  table('raw6', `${TCP6} ref pointer drops`),
  table('arp', 'IP address       HW type     Flags       HW address            Mask     Device'),
  table('packet', 'sk               RefCnt Type Proto  Iface R Rmem   User   Inode'),
  table(
    'netlink',
    'sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode',
    0,
    netlinkTable,
  ),
  systemEntry('if_inet6', (_kernel, _settings, task) => ifInet6(task.ns.net.network)),
  systemEntry('sockstat', (_kernel, _settings, task) => sockstat(task.ns.net.network)),
];
