/** Memory calls with hostile arguments: an errno or a result, never an exception, and VMAs that stay in order. */
import { describe, expect, it } from 'vitest';
import { GUEST_LIMIT } from '../../../src/kernel/mm/guest-memory.ts';
import { mmRows } from '../../../src/kernel/syscalls/mm.ts';
import { widths } from '../../../src/kernel/syscalls/args.ts';
import { Guest } from './calls.ts';
import { MemFile, numberedPages, random } from './mem-file.ts';

const nasty: readonly number[] = [
  0,
  1,
  2,
  3,
  7,
  8,
  0x20,
  0x22,
  0x32,
  4095,
  4096,
  4097,
  0x1_0000,
  0x7fff_ffff,
  0x8000_0000,
  0xefff_f000,
  0xf000_0000,
  0xffff_f000,
  0xffff_ffff,
  2 ** 32,
  2 ** 47 - 4096,
  2 ** 47,
  2 ** 53,
  2 ** 63,
  2 ** 64 - 4096,
  2 ** 64,
];

/** As the registers of a guest could hold it: the widths are those of args.ts (0 int, 1 uint, 2 long, 3 ulong). */
function narrow(value: number, width: number): number {
  if (width === 0) return Number(BigInt.asIntN(32, BigInt(value)));
  if (width === 1) return Number(BigInt.asUintN(32, BigInt(value)));
  return width === 2 ? Number(BigInt.asIntN(64, BigInt(value))) : value;
}

describe('hostile arguments', () => {
  it.each([1, 2, 3, 4])('10,000 calls (seed %i)', async (seed) => {
    const rnd = random(seed);
    const guest = new Guest();
    guest.mm.memoryLimit = 32 << 20;
    guest.mm.setBrk(0x1000_0000);
    guest.files.set(3, new MemFile(numberedPages(20, 100)));
    const rows = mmRows.filter((r) => r.handler !== null);
    const failures = new Map<string, number>();
    const places = [0x2000_0000, 0x2000_4000, 0x2001_0000, 0x1000_0000];
    for (let i = 0; i < 10_000; i++) {
      const row = rows[rnd(rows.length)]!;
      const args = row.args.map((arg) => {
        const pick = rnd(5);
        if (arg.name === 'fd') return pick ? 3 : 9;
        if (arg.name === 'pid') return pick ? 1 : 9;
        const value =
          pick === 0
            ? nasty[rnd(nasty.length)]!
            : pick === 1
              ? places[rnd(4)]! + rnd(8) * 4096
              : pick === 2
                ? rnd(16) * 4096
                : rnd(64);
        return narrow(value, widths[arg.kind]);
      });
      const result = await guest.callAsync(row.name, ...args);
      if (typeof result === 'string') failures.set(result, (failures.get(result) ?? 0) + 1);
      else if (!(Number.isInteger(result) && result >= 0 && result <= GUEST_LIMIT))
        throw new Error(`${row.name}(${args}) = ${result}`);
      let end = 0;
      for (const vma of guest.mm.vmas()) {
        if (vma.start < end || vma.end <= vma.start || vma.start % 4096 || vma.end % 4096 || vma.end > GUEST_LIMIT) {
          throw new Error(`${row.name}(${args}) left ${guest.maps().join('; ')}`);
        }
        end = vma.end;
      }
    }
    expect([...failures.keys()].every((name) => Number.isNaN(Number(name)))).toBe(true);
    expect(failures.size).toBeGreaterThan(6);
    expect(guest.mm.stats.accessible).toBeLessThanOrEqual(guest.mm.memoryLimit);
  });
});
