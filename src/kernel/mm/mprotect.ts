/** mprotect(2). */
import { errno, sysError } from '../abi/errno.ts';
import type { AddressSpace } from './address-space.ts';
import { GUEST_LIMIT, PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE } from './guest-memory.ts';
import { pageUp } from './layout.ts';
import { MAP_GROWSDOWN, PROT_GROWSDOWN, PROT_GROWSUP, PROT_SEM } from './mman.ts';
import { refuseAlias } from './mmap.ts';
import { type Vma, VM_NO_WRITE } from './vma.ts';
import { startShadow } from './writeback.ts';

const RWX = PROT_READ | PROT_WRITE | PROT_EXEC;
const TWO64 = 2 ** 64;

/** Changes what it can from `address` on; ENOMEM at the first hole, EACCES at a shared mapping of a read-only file. */
export function mprotect(mm: AddressSpace, address: number, length: number, prot: number): void {
  const grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
  if (grows === (PROT_GROWSDOWN | PROT_GROWSUP)) throw sysError(errno.EINVAL);
  if (address % PAGE_SIZE !== 0) throw sysError(errno.EINVAL);
  if (length === 0) return;
  const end = address + pageUp(length);
  if (end >= TWO64) throw sysError(errno.ENOMEM);
  const wanted = prot & ~grows;
  if (wanted & ~(RWX | PROT_SEM)) throw sysError(errno.EINVAL);
  const first = mm.list.items[mm.list.indexFrom(address)];
  if (!first) throw sysError(errno.ENOMEM);
  let start = address;
  if (grows) {
    if (!(grows === PROT_GROWSDOWN && first.flags & MAP_GROWSDOWN && first.start < end)) throw sysError(errno.EINVAL);
    start = Math.min(first.start, address);
  } else if (first.start > address) {
    throw sysError(errno.ENOMEM);
  }
  changeRange(mm, start, Math.min(end, GUEST_LIMIT), wanted & RWX);
  if (end > GUEST_LIMIT) throw sysError(errno.ENOMEM);
}

function changeRange(mm: AddressSpace, start: number, end: number, prot: number): void {
  const { list } = mm;
  const first = list.indexFrom(start);
  let i = first;
  try {
    for (let at = start; at < end; i++) {
      const whole = list.items[i];
      if (!whole || whole.start > at) throw sysError(errno.ENOMEM);
      const to = Math.min(end, whole.end);
      if (whole.prot !== prot) {
        checkChange(mm, whole, at, to, prot);
        if (whole.start < at) i = list.splitAt(at);
        list.splitAt(to);
        const vma = list.items[i]!;
        if (prot & PROT_WRITE) startShadow(mm, vma);
        mm.change(vma, prot);
      }
      at = to;
    }
  } finally {
    list.mergeAround(first, i);
  }
}

function checkChange(mm: AddressSpace, vma: Vma, from: number, to: number, prot: number): void {
  if (prot & PROT_WRITE && vma.flags & VM_NO_WRITE) throw sysError(errno.EACCES);
  mm.checkNewRights(vma, from, to, prot);
  if (prot & PROT_WRITE && vma.shared && vma.file && vma.object) {
    const offset = vma.offset + (from - vma.start);
    refuseAliasOutside(mm, vma, offset, to - from);
  }
}

/** The VMA itself is no alias of its own. */
function refuseAliasOutside(mm: AddressSpace, vma: Vma, offset: number, length: number): void {
  refuseAlias(mm, vma.object!, offset, length, true, vma.start, vma.end);
}
