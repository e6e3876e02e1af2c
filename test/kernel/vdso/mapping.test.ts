/** Where the vDSO is mapped, and what its time page says. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { mapVdso, refreshTimePages, vdsoImage } from '../../../src/kernel/loader/vdso.ts';
import type { Kernel } from '../../../src/kernel/kernel.ts';
import { AddressSpace } from '../../../src/kernel/mm/address-space.ts';
import { PAGE_SIZE, PROT_EXEC, PROT_READ } from '../../../src/kernel/mm/guest-memory.ts';
import { NodeHost } from '../../../src/runtime/node-host.ts';
import { FakeGuestMemory } from '../mm/fake-guest-memory.ts';

type Clock = [number, number];
const state = { monotonic: [7, 0] as Clock, realtime: [1_700_000_000, 5] as Clock };
const host = { counterStart: () => state };
let mm: AddressSpace;
let kernel: Kernel;
beforeEach(() => {
  vi.useFakeTimers();
  state.realtime = [1_700_000_000, 5];
  mm = new AddressSpace(new FakeGuestMemory());
  kernel = { host, tasks: new Map([[1, { mm }]]) } as unknown as Kernel;
});
afterEach(() => vi.useRealTimers());

/** A clock's entry: seconds, and in the low 30 bits nanoseconds. */
const entry = (sec: bigint, nsec: bigint): bigint => (sec << 30n) | nsec;
/** CLOCK_MONOTONIC's and CLOCK_REALTIME's entries, and the masks. */
const timePage = (at: number): bigint[] => [8, 0, 128].map((k) => mm.memory.view.getBigInt64(at - PAGE_SIZE + k, true));
/** Ids 0, 1, 4, 7, 11; with 5 and 6 for the coarse ones. */
const MASKS = (0x893n << 32n) | 0x8f3n;

describe('mapVdso', () => {
  it('maps the time page and behind it the image, at the end of the mmap area', () => {
    const at = mapVdso(kernel, mm, 'x86_64');
    const image = vdsoImage('x86_64');
    expect(at + PAGE_SIZE).toBe(mm.layout.mmapTop);
    expect(mm.vmas().map(({ name, start, end, prot }) => [name, start, end, prot])).toEqual([
      ['[vvar]', at - PAGE_SIZE, at, PROT_READ],
      ['[vdso]', at, at + PAGE_SIZE, PROT_READ | PROT_EXEC],
    ]);
    expect(mm.memory.protection(at)).toBe(PROT_READ | PROT_EXEC);
    expect(Buffer.from(mm.memory.u8.slice(at, at + image.length)).equals(Buffer.from(image))).toBe(true);
    expect(timePage(at)).toEqual([entry(7n, 0n), entry(1_700_000_000n, 5n), MASKS]);
  });
  it('goes elsewhere when something is there', () => {
    const { mmapTop } = mm.layout;
    mm.mapAnonymous(mmapTop - PAGE_SIZE, mmapTop, PROT_READ, 'library');
    const at = mapVdso(kernel, mm, 'aarch64');
    expect(at + PAGE_SIZE).toBeLessThan(mmapTop);
    expect(mm.vmas().map((v) => v.name)).toEqual(['[vvar]', '[vdso]', 'library']);
  });
  it('leaves zeros behind', () => {
    const at = mapVdso(kernel, mm, 'x86_64');
    mm.remove(at - PAGE_SIZE, at + PAGE_SIZE);
    mm.mapAnonymous(at - PAGE_SIZE, at + PAGE_SIZE, PROT_READ);
    expect(mm.memory.u8.subarray(at - PAGE_SIZE, at + PAGE_SIZE).every((b) => b === 0)).toBe(true);
  });
  it('has the functions ask the kernel where the counter says nothing', () => {
    kernel = { host: {}, tasks: new Map() } as unknown as Kernel;
    expect(timePage(mapVdso(kernel, mm, 'x86_64'))[2]).toBe(0n);
  });
  it("follows the host's real-time clock", () => {
    const at = mapVdso(kernel, mm, 'x86_64');
    state.realtime = [1_600_000_000, 0];
    vi.advanceTimersByTime(1000);
    expect(timePage(at)).toEqual([entry(7n, 0n), entry(1_600_000_000n, 0n), MASKS]);
    // A time page that the guest has unmapped is none any more.
    mm.remove(at - PAGE_SIZE, at);
    mm.mapAnonymous(at - PAGE_SIZE, at, PROT_READ);
    refreshTimePages(kernel);
    expect(timePage(at)).toEqual([0n, 0n, 0n]);
  });
});

describe('the host clock', () => {
  it('is counter and start together', () => {
    vi.useRealTimers();
    const real = new NodeHost();
    const { monotonic } = real.counterStart();
    expect(monotonic[1]).toBe(0);
    const [sec, nsec] = real.monotonic();
    const elapsed = (sec - monotonic[0]) * 1e9 + nsec;
    expect(elapsed).toBeGreaterThanOrEqual(0);
    const [a, b] = real.realtime();
    const { realtime } = real.counterStart();
    const wall = (a - realtime[0]) * 1e9 + b - realtime[1];
    expect(wall).toBeGreaterThanOrEqual(elapsed);
    expect(Math.abs(a * 1000 + b / 1e6 - Date.now())).toBeLessThan(60);
  });
  it('is set when the clock of the host is', () => {
    vi.setSystemTime(1_700_000_000_000);
    const real = new NodeHost();
    const seconds = (): number => real.realtime()[0];
    expect([1_699_999_999, 1_700_000_000]).toContain(seconds());
    vi.setSystemTime(1_500_000_000_000);
    real.counterStart();
    expect([1_499_999_999, 1_500_000_000]).toContain(seconds());
    expect(real.realtime()[1]).toBeLessThan(1e9);
  });
});
