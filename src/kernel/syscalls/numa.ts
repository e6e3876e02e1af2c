/** Memory policy (numa(7)): one node with all memory, so that every policy that names it comes to the same. */
import { errno, sysError } from '../abi/errno.ts';
import { GUEST_LIMIT, PAGE_SIZE } from '../mm/guest-memory.ts';
import type { Task } from '../task/task.ts';
import { row, type SyscallRow } from './row.ts';

const MPOL_DEFAULT = 0;
const MPOL_PREFERRED = 1;
const MPOL_BIND = 2;
const MPOL_INTERLEAVE = 3;
const MPOL_LOCAL = 4;
const MPOL_F_STATIC_NODES = 0x8000;
const MPOL_F_RELATIVE_NODES = 0x4000;
const MODE_FLAGS = MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES;
const MPOL_F_NODE = 1;
const MPOL_F_ADDR = 2;
const MPOL_F_MEMS_ALLOWED = 4;
/** Bits a node mask may be said to have (PAGE_SIZE * BITS_PER_BYTE). */
const MAX_NODES = 32768;

/** Policies by thread; the default has no entry. */
const policies = new WeakMap<Task, { mode: number; nodes: boolean }>();

/** Whether the mask names node 0; it may name no other. Throws EINVAL, EFAULT. */
function readNodes(task: Task, mask: number, maxnode: number): boolean {
  if (mask === 0 || maxnode <= 1) return false;
  if (maxnode > MAX_NODES) throw sysError(errno.EINVAL);
  const bytes = task.mem.copyIn(mask, Math.ceil((maxnode - 1) / 64) * 8);
  if (bytes.some((b, i) => (i === 0 ? b & ~1 : b) !== 0)) throw sysError(errno.EINVAL);
  return (bytes[0]! & 1) === 1;
}

function checkPolicy(task: Task, mode: number, mask: number, maxnode: number): { mode: number; nodes: boolean } {
  const kind = mode & ~MODE_FLAGS;
  if (kind < MPOL_DEFAULT || kind > MPOL_LOCAL || (mode & MODE_FLAGS) === MODE_FLAGS) throw sysError(errno.EINVAL);
  const nodes = readNodes(task, mask, maxnode);
  // These two name no nodes, the others some (preferring none means the local one).
  if ((kind === MPOL_DEFAULT || kind === MPOL_LOCAL) && nodes) throw sysError(errno.EINVAL);
  if ((kind === MPOL_BIND || kind === MPOL_INTERLEAVE) && !nodes) throw sysError(errno.EINVAL);
  return { mode, nodes };
}

function setMempolicy(task: Task, mode: number, mask: number, maxnode: number): number {
  policies.set(task, checkPolicy(task, mode, mask, maxnode));
  return 0;
}

function getMempolicy(task: Task, mode: number, mask: number, maxnode: number, address: number, flags: number): number {
  if (flags & ~(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED)) throw sysError(errno.EINVAL);
  if (mask !== 0 && maxnode < 1) throw sysError(errno.EINVAL);
  const allowed = (flags & MPOL_F_MEMS_ALLOWED) !== 0;
  if (allowed && flags & (MPOL_F_NODE | MPOL_F_ADDR)) throw sysError(errno.EINVAL);
  if (flags & MPOL_F_ADDR) {
    if (!task.mm.find(address)) throw sysError(errno.EFAULT);
  } else if (address !== 0) throw sysError(errno.EINVAL);
  const policy = allowed || flags & MPOL_F_ADDR ? null : (policies.get(task) ?? null);
  // MPOL_F_NODE asks for the node itself: there is only number 0.
  if (mode !== 0) task.mem.writeU32(mode, flags & MPOL_F_NODE ? 0 : (policy?.mode ?? MPOL_DEFAULT));
  if (mask !== 0) {
    const out = new Uint8Array(Math.min(Math.ceil(maxnode / 64), MAX_NODES / 64) * 8);
    if (allowed || policy?.nodes) out[0] = 1;
    task.mem.copyOut(mask, out);
  }
  return 0;
}

const MPOL_MF_VALID = 7;

function mbind(
  task: Task,
  address: number,
  length: number,
  mode: number,
  mask: number,
  maxnode: number,
  flags: number,
): number {
  if (flags & ~MPOL_MF_VALID || address % PAGE_SIZE !== 0) throw sysError(errno.EINVAL);
  checkPolicy(task, mode, mask, maxnode);
  const end = address + Math.ceil(length / PAGE_SIZE) * PAGE_SIZE;
  if (!(end >= address)) throw sysError(errno.EINVAL);
  if (end > GUEST_LIMIT || (end > address && !task.mm.list.covers(address, end))) throw sysError(errno.EFAULT);
  return 0;
}

const modes = { MPOL_DEFAULT, MPOL_PREFERRED, MPOL_BIND, MPOL_INTERLEAVE, MPOL_LOCAL };
const one = { note: 'one node' };

export const numaRows: SyscallRow[] = [
  row('mbind', 237, 235, 'addr:ptr len:ulong mode:flags nodemask:ptr maxnode:ulong flags:hex', mbind, {
    ...one,
    flagNames: { mode: modes },
  }),
  row('set_mempolicy', 238, 237, 'mode:flags nodemask:ptr maxnode:ulong', setMempolicy, {
    ...one,
    flagNames: { mode: modes },
  }),
  row(
    'get_mempolicy',
    239,
    236,
    'mode:outstruct nodemask:outstruct maxnode:ulong addr:ptr flags:hex',
    getMempolicy,
    one,
  ),
];
