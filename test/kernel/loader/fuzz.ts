/** Mutated ELF files through the parser and the loader, for a test and for longer runs. */
import { SysError, errno, sysError } from '../../../src/kernel/abi/errno.ts';
import { parseElf } from '../../../src/kernel/loader/elf.ts';
import { checkPlaces, HEAD_SIZE, mapProgram, readAt, readProgram } from '../../../src/kernel/loader/load.ts';
import { AddressSpace } from '../../../src/kernel/mm/address-space.ts';
import { GUEST_LIMIT } from '../../../src/kernel/mm/guest-memory.ts';
import { FakeGuestMemory } from '../mm/fake-guest-memory.ts';
import { fakeTask, MemFile, random } from '../mm/mem-file.ts';

export interface FuzzCounts {
  runs: number;
  parsed: number;
  refused: number;
  loaded: number;
  failedLate: number;
  reasons: Map<string, number>;
}

const MEMORY_LIMIT = 24 << 20;
const PHDR = 56;

type Rnd = (n: number) => number;

/** Numbers on which range checks go wrong. */
const nasty: readonly bigint[] = [
  0n,
  1n,
  0xfffn,
  0x1000n,
  0x1001n,
  0xffffn,
  0x7fffffffn,
  0x80000000n,
  0xeffff000n,
  0xf0000000n,
  0xffffffffn,
  0x100000000n,
  0x7fffffffffffn,
  0x7fffffffffffffffn,
  0x8000000000000000n,
  0xfffffffffffff000n,
  0xffffffffffffffffn,
];

export function mutate(seed: Uint8Array, rnd: Rnd): Uint8Array {
  let bytes = seed.slice();
  const view = new DataView(bytes.buffer);
  const phnum = view.getUint16(56, true);
  const headers = Math.min(64 + phnum * PHDR, bytes.length);
  for (let i = 1 + rnd(4); i > 0; i--) {
    switch (rnd(6)) {
      case 0:
        bytes[rnd(headers)] = rnd(256);
        break;
      case 1:
        bytes[rnd(bytes.length)]! ^= 1 << rnd(8);
        break;
      case 2: {
        // A field of the ELF header or of a program header becomes a nasty number, or one nearby.
        const at = rnd(2) ? 24 + rnd(3) * 8 : 64 + rnd(phnum) * PHDR + 8 + rnd(6) * 8;
        const value = nasty[rnd(nasty.length)]! + BigInt(rnd(3) - 1);
        if (at + 8 <= bytes.length) view.setBigUint64(at, BigInt.asUintN(64, value), true);
        break;
      }
      case 3: {
        const at = 64 + rnd(phnum) * PHDR + 8 + rnd(6) * 8;
        const old = view.getBigUint64(at, true);
        view.setBigUint64(at, BigInt.asUintN(64, old + BigInt(rnd(0x4000) - 0x2000)), true);
        break;
      }
      case 4:
        view.setUint16(54 + 2 * rnd(2), rnd(4) ? rnd(64) : rnd(65536), true);
        break;
      default: {
        // One program header over another.
        const from = 64 + rnd(phnum) * PHDR;
        bytes.copyWithin(64 + rnd(phnum) * PHDR, from, from + PHDR);
      }
    }
  }
  if (rnd(8) === 0) bytes = bytes.slice(0, rnd(bytes.length + 1));
  return bytes;
}

/** Throws with the run's number when anything but a typed refusal or a SysError comes out, or a page is where it must not be. */
export async function fuzzElf(
  seeds: readonly Uint8Array[],
  interpreter: Uint8Array,
  runs: number,
  firstSeed: number,
): Promise<FuzzCounts> {
  const counts: FuzzCounts = { runs, parsed: 0, refused: 0, loaded: 0, failedLate: 0, reasons: new Map() };
  const memory = new FakeGuestMemory();
  const mm = new AddressSpace(memory);
  mm.memoryLimit = MEMORY_LIMIT;
  for (let run = 0; run < runs; run++) {
    const rnd = random(firstSeed + run);
    try {
      await one(
        mm,
        mutate(seeds[run % seeds.length]!, rnd),
        rnd(4) === 0 ? mutate(interpreter, rnd) : interpreter,
        counts,
      );
    } catch (e) {
      throw new Error(`run ${run} with seed ${firstSeed + run}: ${(e as Error).stack}`);
    }
    mm.reset();
  }
  return counts;
}

async function one(mm: AddressSpace, bytes: Uint8Array, interpreter: Uint8Array, counts: FuzzCounts): Promise<void> {
  const task = fakeTask();
  if (parseElf(bytes).ok) counts.parsed++;
  const file = new MemFile(bytes);
  const open = (path: string): MemFile => {
    if (!path.startsWith('/lib/ld-tiny')) throw sysError(errno.ENOENT);
    return new MemFile(interpreter);
  };
  const program = await readProgram(
    task,
    file,
    await readAt(task, file, 0, HEAD_SIZE),
    open,
    (isa) => isa === 'x86_64',
  );
  const fits = program.ok ? checkPlaces(program.value, mm.layout, mm.memoryLimit) : program;
  if (!program.ok || !fits.ok) {
    const { reason, errno: n } = fits as { reason: string; errno: number };
    if (!(n > 0 && reason.length > 0)) throw new Error('a refusal without errno or reason');
    counts.refused++;
    const key = reason.replace(/(0x)?[0-9a-f]*\d[0-9a-f]*/g, 'N');
    counts.reasons.set(key, (counts.reasons.get(key) ?? 0) + 1);
    return;
  }
  try {
    const mapped = await mapProgram(mm, task, program.value);
    if (!(mapped.start >= 0 && Number.isInteger(mapped.start))) throw new Error(`start ${mapped.start}`);
    counts.loaded++;
  } catch (e) {
    if (!(e instanceof SysError)) throw e;
    counts.failedLate++;
  }
  for (const vma of mm.vmas())
    if (!(vma.start >= 65536 && vma.end <= GUEST_LIMIT)) throw new Error('a segment is out of range');
  if (mm.stats.accessible > mm.memoryLimit) throw new Error('more memory than allowed');
}
