/** The guest's way out, from --network and --publish. */
import type { HostNetwork, PublishedPort } from '../kernel/net/host-network.ts';
import { NodeNetwork } from '../runtime/node-net.ts';
import { type RunOptions, UsageError } from './options.ts';

/** `[ADDRESS:]HOST:GUEST[/tcp|/udp]`; an IPv6 address stands in brackets. Throws UsageError. */
export function parsePublish(text: string): PublishedPort {
  const m = /^(?:(?:\[([0-9a-f:.]+)\]|(\d+\.\d+\.\d+\.\d+)):)?(\d+):(\d+)(?:\/(tcp|udp))?$/i.exec(text);
  const [hostPort, guestPort] = [Number(m?.[3]), Number(m?.[4])];
  const valid = (port: number): boolean => port >= 1 && port <= 65535;
  if (!m || !valid(hostPort) || !valid(guestPort))
    throw new UsageError(`-p takes [ADDRESS:]HOST:GUEST[/udp] with ports from 1 to 65535, not '${text}'`);
  const protocol = m[5]?.toLowerCase() === 'udp' ? 'udp' : 'tcp';
  return { protocol, address: m[1] ?? m[2] ?? null, hostPort, guestPort };
}

/** `gather`: called before events. Null: the guest has its own loopback only. Throws UsageError. */
export function guestNetwork(options: RunOptions, gather: () => void): HostNetwork | null {
  const published = options.publish.map(parsePublish);
  if (options.network === 'none') {
    if (published.length > 0) throw new UsageError('-p needs a network: leave out --network=none');
    return null;
  }
  return new NodeNetwork(published, gather);
}
