/** /proc/net: the loopback device, and the headers of tables that have no rows (proc_net(5)). */
import { type SystemEntry, systemEntry } from './entry.ts';

const table = (name: string, header: string, width = 0): SystemEntry =>
  systemEntry(name, () => `${header.padEnd(width)}\n`);

const DEV =
  'Inter-|   Receive                                                |  Transmit\n' +
  ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n' +
  '    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0\n';

const TCP6 =
  '  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';

/** Relative to /proc/PID/net. */
export const netEntries: SystemEntry[] = [
  systemEntry('dev', () => DEV),
  table('route', 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT', 127),
  table('unix', 'Num       RefCount Protocol Flags    Type St Inode Path'),
  table('tcp', '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode', 149),
  table('tcp6', TCP6),
  table(
    'udp',
    '   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops',
    127,
  ),
  table('udp6', `${TCP6} ref pointer drops`),
  table(
    'raw',
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops',
    114,
  ),
  table('raw6', `${TCP6} ref pointer drops`),
  table('arp', 'IP address       HW type     Flags       HW address            Mask     Device'),
  table('packet', 'sk               RefCnt Type Proto  Iface R Rmem   User   Inode'),
  table('netlink', 'sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode'),
  systemEntry('if_inet6', () => '00000000000000000000000000000001 01 80 10 80       lo\n'),
  systemEntry(
    'sockstat',
    () =>
      'sockets: used 0\nTCP: inuse 0 orphan 0 tw 0 alloc 0 mem 0\nUDP: inuse 0 mem 0\nUDPLITE: inuse 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n',
  ),
];
