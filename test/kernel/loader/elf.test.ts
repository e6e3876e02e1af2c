import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { interpreterPath, parseElf } from '../../../src/kernel/loader/elf.ts';

/** A hand-made file: ELF header, two PT_LOADs (text, and data with bss), 0x3000 bytes in all. */
function handMade(): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(0x3000);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 62, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, 0x401000n, true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 2, true);
  phdr(view, 0, [1, 5, 0, 0x400000, 0x1100, 0x1100, 0x1000]);
  phdr(view, 1, [1, 6, 0x2080, 0x403080, 0x100, 0x5000, 0x1000]);
  return { bytes, view };
}

function phdr(view: DataView, i: number, [type, flags, offset, vaddr, filesz, memsz, align]: number[]): void {
  const at = 64 + i * 56;
  view.setUint32(at, type!, true);
  view.setUint32(at + 4, flags!, true);
  for (const [k, v] of [offset, vaddr, vaddr, filesz, memsz, align].entries())
    view.setBigUint64(at + 8 + k * 8, BigInt(v!), true);
}

/** Changes the file in place, or returns another one. */
type Change = (view: DataView, bytes: Uint8Array) => unknown;

const refusals: [string, Change, RegExp][] = [
  ['an empty file', () => new Uint8Array(0), /^not an ELF file$/],
  [
    'text',
    () => Buffer.from('echo hello, this is a shell script of some length, longer than an ELF header is'),
    /^not an ELF file$/,
  ],
  ['half a header', (_v, b) => b.slice(0, 40), /truncated ELF header/],
  ['32-bit i386', (v) => [v.setUint8(4, 1), v.setUint16(18, 3, true)], /32-bit ELF file \(i386\)/],
  ['x32', (v) => v.setUint8(4, 1), /32-bit ELF file \(x86-64\)/],
  ['an unknown class', (v) => v.setUint8(4, 7), /unknown ELF class 7/],
  ['big-endian', (v) => [v.setUint8(5, 2), v.setUint16(18, 22, false)], /big-endian ELF file \(S\/390\)/],
  ['an unknown encoding', (v) => v.setUint8(5, 0), /encoding 0/],
  ['an unknown version', (v) => v.setUint8(6, 2), /version 2/],
  ['RISC-V', (v) => v.setUint16(18, 243, true), /another machine \(RISC-V\)/],
  ['a machine without a name', (v) => v.setUint16(18, 9999, true), /another machine \(machine 9999\)/],
  ['an object file', (v) => v.setUint16(16, 1, true), /an object file, not a program/],
  ['a core dump', (v) => v.setUint16(16, 4, true), /a core dump, not a program/],
  ['no program headers', (v) => v.setUint16(56, 0, true), /no program headers/],
  ['another program header size', (v) => v.setUint16(54, 32, true), /program header size is 32, not 56/],
  ['too many program headers', (v) => v.setUint16(56, 1171, true), /too many program headers \(1171\)/],
  [
    'program headers beyond the end',
    (v) => v.setBigUint64(32, 0x3000n - 111n, true),
    /program headers lie beyond the end/,
  ],
  [
    'program headers at 2^64',
    (v) => v.setBigUint64(32, 0xffffffffffffffffn, true),
    /program headers lie beyond the end/,
  ],
  [
    'an entry point out of range',
    (v) => v.setBigUint64(24, 0xf0000000n, true),
    /entry point 0xf0000000 is out of range/,
  ],
  ['no segments', (v) => [v.setUint32(64, 4, true), v.setUint32(120, 4, true)], /no loadable segments/],
  [
    'only empty segments',
    (v) => [phdr(v, 0, [1, 5, 0, 0x400000, 0, 0, 0x1000]), phdr(v, 1, [0, 0, 0, 0, 0, 0, 0])],
    /no loadable segments/,
  ],
  ['a file that was cut off', (_v, b) => b.slice(0, 0x2100), /segment 1: truncated/],
  [
    'a segment beyond the end',
    (v) => phdr(v, 1, [1, 6, 0x3080, 0x403080, 0x100, 0x5000, 0x1000]),
    /segment 1: truncated/,
  ],
  ['file offsets that overflow', (v) => v.setBigUint64(120 + 8, 0xfffffffffffff080n, true), /segment 1: truncated/],
  [
    'more file than memory',
    (v) => phdr(v, 1, [1, 6, 0x2080, 0x403080, 0x101, 0x100, 0x1000]),
    /segment 1: larger in the file/,
  ],
  [
    'no memory for file bytes',
    (v) => phdr(v, 1, [1, 6, 0x2080, 0x403080, 0x10, 0, 0x1000]),
    /segment 1: larger in the file/,
  ],
  ['misaligned', (v) => phdr(v, 1, [1, 6, 0x2080, 0x403088, 0x100, 0x5000, 0x1000]), /segment 1: .*not aligned alike/],
  ['overlapping', (v) => phdr(v, 1, [1, 6, 0x2080, 0x401080, 0x100, 0x5000, 0x1000]), /segments overlap at 0x401080/],
  [
    'above the address range',
    (v) => phdr(v, 1, [1, 6, 0x2080, 0xefffb080, 0x100, 0x5000, 0x1000]),
    /segment 1: .*out of range/,
  ],
  [
    'addresses of the upper half',
    (v) => v.setBigUint64(120 + 16, 0xffffffff80000080n, true),
    /segment 1: .*out of range/,
  ],
  ['a size that wraps', (v) => v.setBigUint64(120 + 40, 0xffffffffffffffffn, true), /segment 1: .*out of range/],
  ['page zero', (v) => phdr(v, 0, [1, 5, 0, 0, 0x1100, 0x1100, 0x1000]), /address 0x0 is below the lowest/],
  [
    'a bad interpreter length',
    (v) => phdr(v, 0, [3, 4, 0x2f00, 0, 1, 1, 1]),
    /interpreter's name has a bad length \(1\)/,
  ],
  [
    'a long interpreter',
    (v) => phdr(v, 0, [3, 4, 0, 0, 4097, 4097, 1]),
    /interpreter's name has a bad length \(4097\)/,
  ],
  [
    'an interpreter beyond the end',
    (v) => phdr(v, 0, [3, 4, 0x2fff, 0, 8, 8, 1]),
    /interpreter's name lies beyond the end/,
  ],
];

describe('ELF headers', () => {
  it('parses a program', () => {
    const result = parseElf(handMade().bytes);
    expect(result).toEqual({
      ok: true,
      value: {
        type: 'exec',
        isa: 'x86_64',
        entry: 0x401000,
        phoff: 64,
        phnum: 2,
        low: 0x400000,
        high: 0x409000,
        align: 4096,
        interpreter: null,
        execStack: false,
        phdrAddress: 0x400040,
        segments: [
          { offset: 0, vaddr: 0x400000, filesz: 0x1100, memsz: 0x1100, prot: 5 },
          { offset: 0x2080, vaddr: 0x403080, filesz: 0x100, memsz: 0x5000, prot: 3 },
        ],
      },
    });
  });

  it.each(refusals)('refuses %s', (_name, change, reason) => {
    const { bytes, view } = handMade();
    const changed = change(view, bytes);
    const result = parseElf(changed instanceof Uint8Array ? changed : bytes);
    expect(result.ok ? 'accepted' : result.reason).toMatch(reason);
  });

  it('accepts segments that share a page but no byte', () => {
    const { bytes, view } = handMade();
    phdr(view, 1, [1, 6, 0x1180, 0x401180, 0x100, 0x100, 0x1000]);
    expect(parseElf(bytes).ok).toBe(true);
  });

  it('ignores a p_align that is no power of two, and takes the largest that is', () => {
    const { bytes, view } = handMade();
    phdr(view, 0, [1, 5, 0, 0x400000, 0x1100, 0x1100, 0x200000]);
    phdr(view, 1, [1, 6, 0x2080, 0x403080, 0x100, 0x5000, 0x300000]);
    const result = parseElf(bytes);
    expect(result.ok && result.value.align).toBe(0x200000);
  });

  it('knows AArch64', () => {
    const { bytes, view } = handMade();
    view.setUint16(18, 183, true);
    const result = parseElf(bytes);
    expect(result.ok && result.value.isa).toBe('aarch64');
  });

  it('reads this machine-made dynamic program', () => {
    const bytes = readFileSync(new URL('../../guests/loader/tiny-dynamic', import.meta.url));
    const result = parseElf(bytes);
    if (!result.ok) throw new Error(result.reason);
    const { interpreter, type, phdrAddress } = result.value;
    expect({ type, phdrAddress }).toEqual({ type: 'dyn', phdrAddress: 64 });
    const path = interpreterPath(bytes.subarray(interpreter!.offset, interpreter!.offset + interpreter!.size));
    expect(path).toEqual({ ok: true, value: '/lib/ld-tiny.so' });
  });

  it('refuses interpreter names without an end or without a beginning', () => {
    expect(interpreterPath(Buffer.from('/lib/x'))).toMatchObject({ ok: false });
    expect(interpreterPath(Buffer.from('/lib\0x'))).toMatchObject({ ok: false });
    expect(interpreterPath(Buffer.from('\0\0'))).toMatchObject({ ok: false });
    expect(interpreterPath(Buffer.from('/lib\0\0'))).toEqual({ ok: true, value: '/lib' });
  });
});
