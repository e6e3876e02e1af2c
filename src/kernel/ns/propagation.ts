/**
 * Propagation of mounts (mount_namespaces(7), "Shared subtrees"): what is mounted on a mount, or taken away, happens to the
 * others of its peer group, and to their slaves.
 */
import type { Dentry, Mount } from '../fs/dentry.ts';

let nextId = 1;

export class PeerGroup {
  /** As /proc/PID/mountinfo shows it. */
  readonly id = nextId++;
  readonly members = new Set<Mount>();
  /** Mounts that follow this group's, and are not followed. */
  readonly slaves = new Set<Mount>();
}

/** MS_SHARED. */
export function makeShared(mount: Mount): void {
  mount.unbindable = false;
  if (mount.group) return;
  join(mount, new PeerGroup());
}
function join(mount: Mount, group: PeerGroup): void {
  mount.group = group;
  group.members.add(mount);
}

/** MS_SLAVE: it follows the group it leaves; without peers there is nobody to follow. */
export function makeSlave(mount: Mount): void {
  mount.unbindable = false;
  const { group } = mount;
  if (!group) return;
  leaveGroup(mount);
  if (group.members.size > 0) follow(mount, group);
}
function follow(mount: Mount, group: PeerGroup): void {
  mount.master?.slaves.delete(mount);
  mount.master = group;
  group.slaves.add(mount);
}

/** The last member's slaves follow whom it followed, or nobody. */
function leaveGroup(mount: Mount): void {
  const { group, master } = mount;
  if (!group) return;
  mount.group = null;
  group.members.delete(mount);
  if (group.members.size > 0) return;
  for (const slave of group.slaves) {
    slave.master = null;
    if (master) follow(slave, master);
  }
  group.slaves.clear();
}

/** MS_PRIVATE, MS_UNBINDABLE, and the end of a mount. */
export function makePrivate(mount: Mount, unbindable = false): void {
  leaveGroup(mount);
  mount.master?.slaves.delete(mount);
  mount.master = null;
  mount.unbindable = unbindable;
}

/** A copy has the peers and the master of the original; `asSlave`: it follows the original's group only. */
export function copyPropagation(from: Mount, to: Mount, asSlave = false): void {
  if (from.group) {
    if (asSlave) follow(to, from.group);
    else join(to, from.group);
  }
  if (from.master && !to.master) follow(to, from.master);
}

const shows = (mount: Mount, dentry: Dentry): boolean => {
  for (let at: Dentry | null = dentry; at; at = at.parent) if (at === mount.root) return true;
  return false;
};

/** The other mounts to which what happens on `mount` at `dentry` happens, too. */
export function followers(mount: Mount, dentry: Dentry): Mount[] {
  const found = new Set<Mount>();
  const visit = (group: PeerGroup): void => {
    for (const m of [...group.members, ...group.slaves]) {
      if (m === mount || found.has(m)) continue;
      found.add(m);
      if (m.group && m.group !== group) visit(m.group);
    }
  };
  if (mount.group) visit(mount.group);
  return [...found].filter((m) => m.ns !== null && shows(m, dentry));
}

/** The optional fields of mountinfo, with a blank behind each. */
export function propagationFields({ group, master, unbindable }: Mount): string {
  const shared = group ? `shared:${group.id} ` : '';
  return `${shared}${master ? `master:${master.id} ` : ''}${unbindable ? 'unbindable ' : ''}`;
}
