import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { errno, sysError } from '../../../src/kernel/abi/errno.ts';
import { O_RDONLY } from '../../../src/kernel/fs/open-file.ts';
import {
  checkPlaces,
  HEAD_SIZE,
  type Loaded,
  type MappedProgram,
  mapProgram,
  type Program,
  printable,
  readAt,
  readProgram,
} from '../../../src/kernel/loader/load.ts';
import { PIE_BASE } from '../../../src/kernel/mm/layout.ts';
import { Guest } from '../mm/calls.ts';
import { MemFile } from '../mm/mem-file.ts';

const P = 4096;
const guestBytes = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../../guests/loader/${name}`, import.meta.url)));

async function read(
  guest: Guest,
  bytes: Uint8Array,
  interpreter = guestBytes('tiny-static-pie'),
  path = '/lib/ld-tiny.so',
): Promise<Loaded<Program>> {
  const file = new MemFile(bytes, O_RDONLY, '/bin/tiny');
  const open = (wanted: string): MemFile => {
    if (wanted !== path) throw sysError(errno.ENOENT);
    return new MemFile(interpreter, O_RDONLY, wanted);
  };
  return readProgram(guest.task, file, await readAt(guest.task, file, 0, HEAD_SIZE), open, (isa) => isa === 'x86_64');
}

async function load(guest: Guest, bytes: Uint8Array): Promise<{ program: Program; mapped: MappedProgram }> {
  const program = await read(guest, bytes);
  if (!program.ok) throw new Error(program.reason);
  const fits = checkPlaces(program.value, guest.mm.layout, guest.mm.memoryLimit);
  if (!fits.ok) throw new Error(fits.reason);
  return { program: program.value, mapped: await mapProgram(guest.mm, guest.task, program.value) };
}

describe('loading', () => {
  it('a static program at its own address', async () => {
    const guest = new Guest();
    const { mapped, program } = await load(guest, guestBytes('tiny-static'));
    expect(guest.maps(0x400000)).toEqual([
      '0-1 r--p 0 /bin/tiny',
      '1-2 r-xp 1 /bin/tiny',
      '2-3 r--p 2 /bin/tiny',
      '3-4 rw-p 2 /bin/tiny',
      '4-6 rw-p 0',
    ]);
    expect(mapped).toEqual({
      start: program.image.entry,
      entry: program.image.entry,
      base: 0,
      phdr: 0x400040,
      phnum: 5,
    });
    expect(guest.mm.brk(0)).toBe(0x406000);
    const data = program.image.segments[3]!;
    const { u8, view } = guest.memory;
    expect(view.getUint32(data.vaddr, true)).toBe(42);
    // The bss begins in the middle of the data's page, where the file has other things.
    expect(u8.subarray(data.vaddr + data.filesz, data.vaddr + data.memsz).every((b) => b === 0)).toBe(true);
    expect(
      guestBytes('tiny-static')
        .subarray(data.offset + data.filesz, data.offset + data.filesz + 64)
        .some((b) => b !== 0),
    ).toBe(true);
  });

  it('the bss is zero in memory used before', async () => {
    const guest = new Guest();
    const p = guest.mmap(0x400000, 16 * P, 3, 0x32);
    guest.memory.u8.fill(0xff, p, p + 16 * P);
    guest.mm.reset();
    const { program } = await load(guest, guestBytes('tiny-static'));
    const data = program.image.segments[3]!;
    expect(guest.memory.u8.subarray(data.vaddr + data.filesz, data.vaddr + data.memsz).every((b) => b === 0)).toBe(
      true,
    );
  });

  it('a static PIE at the fixed base', async () => {
    const guest = new Guest();
    const { mapped, program } = await load(guest, guestBytes('tiny-static-pie'));
    expect(mapped).toMatchObject({ start: PIE_BASE + program.image.entry, base: 0, phdr: PIE_BASE + 64 });
    expect(guest.mm.vmas()[0]!.start).toBe(PIE_BASE);
    expect(guest.mm.brk(0)).toBe(PIE_BASE + program.image.high);
  });

  it('a dynamic program with its interpreter, which starts', async () => {
    const guest = new Guest();
    const { mapped, program } = await load(guest, guestBytes('tiny-dynamic'));
    const { mmapBase, mmapTop } = guest.mm.layout;
    expect(mapped.base).toBeGreaterThanOrEqual(mmapBase);
    expect(mapped.base).toBeLessThan(mmapTop);
    expect(mapped.start).toBe(mapped.base + program.interpreter!.image.entry);
    expect(mapped.entry).toBe(PIE_BASE + program.image.entry);
    expect(new Set(guest.mm.vmas().map((v) => v.label))).toEqual(new Set(['/bin/tiny', '/lib/ld-tiny.so', '']));
    // In another process, at the same place.
    const other = new Guest();
    expect((await load(other, guestBytes('tiny-dynamic'))).mapped.base).toBe(mapped.base);
  });

  it('respects p_align', async () => {
    const bytes = guestBytes('tiny-static-pie');
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < view.getUint16(56, true); i++) {
      if (view.getUint32(64 + i * 56, true) === 1) view.setBigUint64(64 + i * 56 + 48, 0x200000n, true);
    }
    const guest = new Guest();
    await load(guest, bytes);
    expect(guest.mm.vmas()[0]!.start).toBe(0x5560_0000);
  });
});

describe('refusals', () => {
  const reason = async (bytes: Uint8Array, interpreter?: Uint8Array, path?: string): Promise<string> => {
    const guest = new Guest();
    const program = await read(guest, bytes, interpreter, path);
    if (!program.ok) return `${program.errno} ${program.reason}`;
    const fits = checkPlaces(program.value, guest.mm.layout, guest.mm.memoryLimit);
    return fits.ok ? 'loaded' : `${fits.errno} ${fits.reason}`;
  };
  const patched = (name: string, patch: (view: DataView) => void): Uint8Array => {
    const bytes = guestBytes(name);
    patch(new DataView(bytes.buffer));
    return bytes;
  };

  it('says why', async () => {
    const dynamic = guestBytes('tiny-dynamic');
    expect(await reason(dynamic)).toBe('loaded');
    expect(await reason(Buffer.from('hello'))).toBe(`${errno.ENOEXEC} not an ELF file`);
    expect(await reason(dynamic, undefined, '/lib/other')).toBe(
      `${errno.ENOENT} interpreter /lib/ld-tiny.so not found`,
    );
    expect(await reason(dynamic, Buffer.from('hello'))).toBe(
      `${errno.ELIBBAD} interpreter /lib/ld-tiny.so: not an ELF file`,
    );
    expect(await reason(dynamic, guestBytes('tiny-static-pie').subarray(0, 5000))).toMatch(
      `${errno.ELIBBAD} interpreter /lib/ld-tiny.so: segment`,
    );
    const arm = patched('tiny-static-pie', (v) => v.setUint16(18, 183, true));
    expect(await reason(dynamic, arm)).toBe(
      `${errno.ELIBBAD} interpreter /lib/ld-tiny.so: for aarch64, the program is for x86_64`,
    );
    expect(await reason(arm)).toBe(`${errno.ENOEXEC} for aarch64, which does not run here yet`);
  });

  it('of programs too large for memory or for the address space', async () => {
    const sized = (memsz: bigint): Uint8Array =>
      patched('tiny-static', (v) => v.setBigUint64(64 + 3 * 56 + 40, memsz, true));
    expect(await reason(sized(0x7000_0000n))).toBe('loaded');
    expect(await reason(sized(0x8000_0000n))).toBe(`${errno.ENOMEM} it needs 2057 MiB of memory, more than there is`);
    expect(await reason(sized(0xec00_0000n))).toBe(`${errno.ENOMEM} no room for its segments below the stack`);
  });

  it('with names that cannot harm a terminal', () => {
    expect(printable('/lib/\x1b[2J\xe9')).toBe('/lib/\\x1b[2J\\xe9');
    expect(printable('x'.repeat(5000)).length).toBe(203);
  });
});
