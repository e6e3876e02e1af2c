/** The vDSO images, read as a dynamic linker reads them. */
import { describe, expect, it } from 'vitest';
import { sigreturnOffset, vdsoImage } from '../../../src/kernel/loader/vdso.ts';
import type { Isa } from '../../../src/kernel/task/cpu-context.ts';
import { lookup, readDynamic } from './elf-image.ts';

const cases: { isa: Isa; machine: number; version: string; names: string[]; weak: string[] }[] = [
  {
    isa: 'x86_64',
    machine: 62,
    version: 'LINUX_2.6',
    names: ['clock_gettime', 'gettimeofday', 'time', 'clock_getres', 'getcpu', 'getrandom'].map((n) => `__vdso_${n}`),
    weak: ['clock_gettime', 'gettimeofday', 'time', 'clock_getres', 'getcpu', 'getrandom'],
  },
  {
    isa: 'aarch64',
    machine: 183,
    version: 'LINUX_2.6.39',
    names: ['rt_sigreturn', 'gettimeofday', 'clock_gettime', 'clock_getres', 'getrandom'].map((n) => `__kernel_${n}`),
    weak: [],
  },
];
const [GLOBAL, WEAK, FUNCTION] = [1, 2, 2];

describe.each(cases)('$isa', ({ isa, machine, version, names, weak }) => {
  const image = vdsoImage(isa);
  const view = new DataView(image.buffer, image.byteOffset, image.length);
  const dynamic = readDynamic(image);

  it('is a shared object of one page, one segment and no relocations', () => {
    expect(view.getUint32(0)).toBe(0x7f454c46);
    expect([view.getUint16(16, true), view.getUint16(18, true)]).toEqual([3, machine]);
    expect(image.length).toBeLessThanOrEqual(4096);
    expect(dynamic.loads).toEqual([{ offset: 0, address: 0, flags: 5 }]);
    expect(dynamic.soname).toBe('linux-vdso.so.1');
    for (const tag of [7, 17, 23, 22]) expect(dynamic.tags.has(tag)).toBe(false); // RELA, REL, JMPREL, TEXTREL
  });
  it.each(names)('exports %s by both hash tables', (name) => {
    const found = lookup(dynamic, name, 'gnu');
    expect(found).toMatchObject({ version, binding: GLOBAL, type: FUNCTION });
    expect(lookup(dynamic, name, 'sysv')).toEqual(found);
    expect(found!.value).toBeGreaterThan(0);
    expect(found!.value + found!.size).toBeLessThanOrEqual(image.length);
  });
  it.runIf(weak.length > 0)('has weak names without the prefix', () => {
    for (const name of weak) {
      const { value } = lookup(dynamic, `__vdso_${name}`, 'gnu')!;
      expect(lookup(dynamic, name, 'gnu')).toMatchObject({ version, binding: WEAK, type: FUNCTION, value });
      expect(lookup(dynamic, name, 'sysv')).toMatchObject({ value });
    }
  });
  it('exports nothing else', () => {
    expect(lookup(dynamic, 'time_page', 'sysv')).toBeNull();
    expect(dynamic.symbols.filter((s) => s.type === FUNCTION).length).toBe(names.length + weak.length);
  });
});

it("knows where AArch64's way back from signal handlers is", () => {
  const at = sigreturnOffset('aarch64');
  const image = vdsoImage('aarch64');
  expect(lookup(readDynamic(image), '__kernel_rt_sigreturn', 'gnu')!.value).toBe(at);
  // mov x8, #139; svc #0
  expect([...image.subarray(at, at + 8)]).toEqual([0x68, 0x11, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4]);
  expect(sigreturnOffset('x86_64')).toBe(0);
});
