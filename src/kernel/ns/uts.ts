/** UTS namespaces (uts_namespaces(7)): the host's and the domain's name. */
import { Namespace } from './namespace.ts';
import type { UserNamespace } from './user.ts';

export class UtsNamespace extends Namespace {
  readonly kind = 'uts';
  hostname: string;
  domainname: string;

  constructor(owner: UserNamespace, names: { hostname: string; domainname: string }, initialIno = 0) {
    super(owner, initialIno);
    this.hostname = names.hostname;
    this.domainname = names.domainname;
  }
}
