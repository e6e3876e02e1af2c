/**
 * The vDSO in a guest's address space: its time page ([vvar]) and behind it the image ([vdso]), which reads the clocks from
 * the CPU's counter and the time page. vdso/vdso.c is its source, docs/time.md the whole story.
 */
import type { Kernel } from '../kernel.ts';
import type { AddressSpace } from '../mm/address-space.ts';
import { PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE } from '../mm/guest-memory.ts';
import { pageUp } from '../mm/layout.ts';
import type { Isa } from '../task/cpu-context.ts';
import {
  CLOCK_BOOTTIME,
  CLOCK_MONOTONIC,
  CLOCK_MONOTONIC_COARSE,
  CLOCK_MONOTONIC_RAW,
  CLOCK_REALTIME,
  CLOCK_REALTIME_COARSE,
  CLOCK_TAI,
} from '../time/clocks.ts';
import { aarch64, x86_64 } from './vdso-images.ts';

const images = { x86_64, aarch64 };
const TIME_PAGE = '[vvar]';
/** Offsets in the time page (struct time_page): 64 bits for each clock id below 16, then two masks of them. */
const COUNTED = 128;
const FINE = 132;
const realClocks = [CLOCK_REALTIME, CLOCK_REALTIME_COARSE, CLOCK_TAI];
const monotonicClocks = [CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME];
const maskOf = (ids: readonly number[]): number => ids.reduce((mask, id) => mask | (1 << id), 0);
const ALL_CLOCKS = maskOf([...realClocks, ...monotonicClocks]);
const COARSE_CLOCKS = maskOf([CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE]);
/** How often the real-time clock is compared with the host's, in milliseconds. */
const REFRESH_MS = 1000;

/** The image of an ISA. */
export const vdsoImage = (isa: Isa): Uint8Array => Buffer.from(images[isa].image, 'base64');
/** Offset of the way back from signal handlers in the image, 0 for none. */
export const sigreturnOffset = (isa: Isa): number => images[isa].sigreturn;

/**
 * Maps the vDSO and returns the image's address. At the end of the mmap area, the same in every process, unless something
 * is there already. Throws ENOMEM.
 */
export function mapVdso(kernel: Kernel, mm: AddressSpace, isa: Isa): number {
  const image = vdsoImage(isa);
  const size = PAGE_SIZE + pageUp(image.length);
  const { mmapTop } = mm.layout;
  const usual = mmapTop - size;
  const start = mm.list.overlaps(usual, mmapTop) ? mm.findFree(0, size) : usual;
  const at = start + PAGE_SIZE;
  // Writable for as long as it takes to fill them.
  mm.mapAnonymous(start, at, PROT_READ | PROT_WRITE, TIME_PAGE);
  mm.mapAnonymous(at, start + size, PROT_READ | PROT_WRITE, '[vdso]');
  mm.memory.u8.set(image, at);
  writeTimePage(kernel, mm, start);
  mm.memory.written(start, start + size);
  mm.change(mm.find(start)!, PROT_READ);
  mm.change(mm.find(at)!, PROT_READ | PROT_EXEC);
  keepRealTime(kernel);
  return at;
}

function writeTimePage(kernel: Kernel, { memory }: AddressSpace, page: number): void {
  const { view } = memory;
  const start = kernel.host.counterStart?.();
  // Without a counter all stays zero, and the functions ask the kernel.
  if (!start) return;
  for (const id of monotonicClocks) view.setBigUint64(page + id * 8, packed(start.monotonic), true);
  for (const id of realClocks) view.setBigUint64(page + id * 8, packed(start.realtime), true);
  view.setUint32(page + COUNTED, ALL_CLOCKS, true);
  view.setUint32(page + FINE, ALL_CLOCKS & ~COARSE_CLOCKS, true);
}

/** Seconds, and in the low 30 bits nanoseconds: in one number, so that no reader gets them from two. */
const packed = ([sec, nsec]: readonly [number, number]): bigint => (BigInt(sec) << 30n) | BigInt(nsec);

const kept = new WeakSet<Kernel>();

/** Follows adjustments of the host's real-time clock: from now on, and in all time pages. */
function keepRealTime(kernel: Kernel): void {
  const { host } = kernel;
  if (!host.counterStart || kept.has(kernel)) return;
  kept.add(kernel);
  const known = new WeakRef(kernel);
  let before = packed(host.counterStart().realtime);
  const timer = setInterval(() => {
    const kernel = known.deref();
    if (!kernel) return clearInterval(timer);
    const now = packed(kernel.host.counterStart!().realtime);
    if (now !== before) refreshTimePages(kernel);
    before = now;
  }, REFRESH_MS);
  timer.unref();
}

/** Writes what the clocks show to the time page of every address space that still has one. */
export function refreshTimePages(kernel: Kernel): void {
  for (const mm of new Set([...kernel.tasks.values()].map((task) => task.mm)))
    for (const vma of mm.vmas()) if (vma.name === TIME_PAGE) writeTimePage(kernel, mm, vma.start);
}
