/** Network interfaces: loopback, and one that stands for the way through the host (netdevice(7)). */
import type { HostNetwork } from './host-network.ts';
import { GUEST_ADDRESS4, GUEST_ADDRESS6 } from './network.ts';
import { bytesOfV4, isV6, LOOPBACK4, LOOPBACK6 } from './ip.ts';

export const IFF_UP = 0x1;
export const IFF_BROADCAST = 0x2;
export const IFF_LOOPBACK = 0x8;
export const IFF_RUNNING = 0x40;
export const IFF_MULTICAST = 0x1000;
export const IFF_LOWER_UP = 0x10000;
export const ARPHRD_ETHER = 1;
export const ARPHRD_LOOPBACK = 772;

export interface InterfaceAddress {
  readonly address: string;
  readonly prefix: number;
  /** RT_SCOPE_*: 0 global, 253 link, 254 host. */
  readonly scope: number;
  readonly broadcast?: string;
}

export interface Interface {
  readonly index: number;
  readonly name: string;
  flags: number;
  readonly mtu: number;
  readonly hardwareType: number;
  readonly hardwareAddress: Uint8Array;
  readonly txQueue: number;
  addresses: readonly InterfaceAddress[];
}

const loopback = (): Interface => ({
  index: 1,
  name: 'lo',
  flags: IFF_UP | IFF_LOOPBACK | IFF_RUNNING | IFF_LOWER_UP,
  mtu: 65536,
  hardwareType: ARPHRD_LOOPBACK,
  hardwareAddress: new Uint8Array(6),
  txQueue: 1000,
  addresses: [
    { address: LOOPBACK4, prefix: 8, scope: 254 },
    { address: LOOPBACK6, prefix: 128, scope: 254 },
  ],
});

/** As a new network namespace has it: down, without addresses. */
export const newLoopback = (): Interface => ({ ...loopback(), flags: IFF_LOOPBACK, addresses: [] });

export function interfacesFor(host: HostNetwork | null): readonly Interface[] {
  if (!host) return [loopback()];
  const eth0: Interface = {
    index: 2,
    name: 'eth0',
    flags: IFF_UP | IFF_BROADCAST | IFF_RUNNING | IFF_MULTICAST | IFF_LOWER_UP,
    mtu: 1500,
    hardwareType: ARPHRD_ETHER,
    // Locally administered.
    hardwareAddress: Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56),
    txQueue: 1000,
    addresses: [
      { address: GUEST_ADDRESS4, prefix: 24, scope: 0, broadcast: '10.0.2.255' },
      ...(host.ipv6 ? [{ address: GUEST_ADDRESS6, prefix: 64, scope: 0 }] : []),
    ],
  };
  return [loopback(), eth0];
}

/** One of its addresses, or, of 127.0.0.0/8, one of its network's. */
export function hasAddress(i: Interface, address: string): boolean {
  const inNetwork = (a: InterfaceAddress): boolean =>
    !isV6(a.address) && !isV6(address) && (numberOf(a.address) ^ numberOf(address)) >>> (32 - a.prefix) === 0;
  return i.addresses.some((a) => a.address === address || (i.flags & IFF_LOOPBACK && a.prefix > 0 && inNetwork(a)));
}
const numberOf = (address: string): number => {
  const bytes = bytesOfV4(address);
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
};

/** Brings a loopback interface up, with the addresses it then has, or down (devinet.c, addrconf.c). */
export function setUp(i: Interface, up: boolean): void {
  if (up === ((i.flags & IFF_UP) !== 0)) return;
  i.flags = up ? i.flags | IFF_UP | IFF_RUNNING | IFF_LOWER_UP : i.flags & ~(IFF_UP | IFF_RUNNING | IFF_LOWER_UP);
  const v4 = i.addresses.filter((a) => !isV6(a.address));
  const first: readonly InterfaceAddress[] = v4.length > 0 ? v4 : [{ address: LOOPBACK4, prefix: 8, scope: 254 }];
  i.addresses = up ? [...first, { address: LOOPBACK6, prefix: 128, scope: 254 }] : v4;
}
