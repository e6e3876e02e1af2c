/** Network namespaces (network_namespaces(7)): a stack each, with ports, names and interfaces of its own. */
import { Network } from '../net/network.ts';
import type { Host } from '../task/host.ts';
import { Namespace } from './namespace.ts';
import type { UserNamespace } from './user.ts';

export class NetNamespace extends Namespace {
  readonly kind = 'net';
  readonly network: Network;

  constructor(owner: UserNamespace, network: Network, initialIno = 0) {
    super(owner, initialIno);
    this.network = network;
  }
  /** Nothing but a loopback interface. */
  static isolated(owner: UserNamespace, host: Host): NetNamespace {
    const network = new Network({
      host: null,
      owner,
      randomFill: (dst) => host.randomFill(dst),
      diagnostic: (line) => host.diagnostic(line),
    });
    return new NetNamespace(owner, network);
  }
}
