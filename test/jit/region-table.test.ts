/** Modules of regions call each other through tables whose slots are all of one type. */
import { describe, expect, it } from 'vitest';
import { createLinkTable, createRegionTable } from '../../src/runtime/jit/region-table.ts';
import { constant } from '../../src/runtime/jit/linkage.ts';
import { REGION_CACHE, REGION_CACHE_SIZE, regionCacheEntry } from '../../src/translator/ir/layout.ts';
import { X86FrontEnd } from '../../src/translator/x86_64/front-end.ts';
import { compileModule } from '../../src/translator/wasm/region-module.ts';

const CALLER = 0x20000;
const FUNCTION = 0x30000;
const STACK = 0x50000;
const HOST_STACK = 100_000;

const memory = new WebAssembly.Memory({ initial: 65536, maximum: 65536, shared: true });
const bytes = new Uint8Array(memory.buffer);
const view = new DataView(memory.buffer);
const front = new X86FrontEnd();
type Region = (
  host: number,
  sp: bigint,
  rdi: bigint,
  rsi: bigint,
  rdx: bigint,
  rbx: number,
  rbp: number,
) => [bigint, bigint, number, number];

/** Puts `code` at `pc` and makes a region of it, with indirect jumps to `targets`. */
function region(pc: number, code: readonly number[], targets: readonly number[] = []) {
  bytes.set(code, pc);
  const end = pc + code.length;
  const compiled = compileModule(
    front,
    { bytes, limit: (at) => (at >= pc && at < end ? end : at) },
    {
      entries: [pc],
      wanted: new Set(),
      jumpTargets: new Set(targets),
      options: { checks: 'none', watchStores: false },
    },
  )!;
  const links = createLinkTable(Math.max(1, compiled.links.length));
  const table = createRegionTable();
  const module = new WebAssembly.Module(compiled.bytes as Uint8Array<ArrayBuffer>);
  const instantiate = (own: WebAssembly.Table): Region =>
    new WebAssembly.Instance(module, { env: { memory, table, links: own, tables: constant(0) } }).exports[
      compiled.regions[0]!.name
    ] as Region;
  return { run: instantiate(links), links, targets: compiled.links, table, instantiate };
}

/** What the region gives back when it is called with the return address `to`: pc, stack pointer, rax. */
function call(run: Region, to: number): [number, number, bigint] {
  view.setBigUint64(STACK, BigInt(to), true);
  const [packed, rax] = run(HOST_STACK, BigInt(STACK), 0n, 0n, 0n, 0, 0);
  return [Number(packed & 0xffff_ffffn), Number(packed >> 32n), rax];
}

// call FUNCTION; ret
const offset = FUNCTION - (CALLER + 5);
const calls = [0xe8, offset & 255, (offset >> 8) & 255, (offset >> 16) & 255, offset >>> 24, 0xc3];
// mov $value, %eax; ret
const returning = (value: number): number[] => [0xb8, value, 0, 0, 0, 0xc3];

describe('tables of regions', () => {
  it('hold functions of the regions’ type only', () => {
    const { links, table } = region(CALLER, calls);
    const other = new WebAssembly.Instance(
      new WebAssembly.Module(
        // A module that exports a function without parameters.
        new Uint8Array([
          0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 4, 1, 2, 0, 11,
        ]),
      ),
    ).exports.f;
    for (const of of [links, table])
      for (const value of [null, other]) expect(() => of.set(0, value)).toThrow(TypeError);
    expect(() => table.grow(100, region(FUNCTION, returning(1)).run)).not.toThrow();
  });

  it('of links have a size, the least power of two, which a module insists on', () => {
    expect([1, 2, 3, 5, 200].map((count) => createLinkTable(count).length)).toEqual([1, 2, 4, 8, 256]);
    const { links, run, instantiate } = region(CALLER, calls);
    expect(() => links.grow(1, run)).toThrow(RangeError);
    expect(() => instantiate(createLinkTable(2))).toThrow(WebAssembly.LinkError);
  });

  it('have a region call what its link holds at the time', () => {
    const { run, links, targets } = region(CALLER, calls);
    expect(targets).toEqual([FUNCTION]);
    for (const value of [7, 9]) {
      links.set(0, region(FUNCTION, returning(value)).run);
      expect(call(run, 0x1234)).toEqual([0x1234, STACK + 8, BigInt(value)]);
    }
  });

  it('pass rbx and rbp on, and hand them back', () => {
    const { run, links } = region(CALLER, calls);
    // xchg %rbx, %rbp; add $3, %rbx; ret
    links.set(0, region(FUNCTION, [0x48, 0x87, 0xdd, 0x48, 0x83, 0xc3, 3, 0xc3]).run);
    view.setBigUint64(STACK, 0x1234n, true);
    // Integers, in the bits of doubles.
    const [, , rbx, rbp] = run(HOST_STACK, BigInt(STACK), 0n, 0n, 0n, 5 * Number.MIN_VALUE, 11 * Number.MIN_VALUE);
    expect([rbx, rbp].map((x) => x / Number.MIN_VALUE)).toEqual([14, 5]);
  });
});

describe('a region with indirect jumps', () => {
  it('passes on what it was given where its entry is in a loop that indirect jumps lead into', () => {
    const out = CALLER + 0x20;
    const code = new Array<number>(0x20).fill(0x90);
    // sub $1, %esi; jz OUT; test %edi, %edi; jz CALLER; jmp *%rax
    code.splice(0, 11, 0x83, 0xee, 1, 0x74, 0x1b, 0x85, 0xff, 0x74, 0xf7, 0xff, 0xe0);
    // Two targets: nop; jmp CALLER
    code.splice(0x11, 2, 0xeb, 0xed);
    code.splice(0x19, 2, 0xeb, 0xe5);
    // OUT, which is not in the loop: mov %rbp, %rax; ret
    const after = [0x48, 0x89, 0xe8, 0xc3];
    code.push(...after);
    const { run, links, targets } = region(CALLER, code, [CALLER + 0x10, CALLER + 0x18]);
    expect(targets).toEqual([out]);
    links.set(0, region(out, after).run);
    for (const esi of [1n, 5n])
      for (const rbp of [7, 9]) {
        view.setBigUint64(STACK, 0x1234n, true);
        const [, rax] = run(HOST_STACK, BigInt(STACK), 0n, esi, 0n, 0, rbp * Number.MIN_VALUE);
        expect(rax).toBe(BigInt(rbp));
      }
  });
});

describe('the cache of regions', () => {
  it('has an entry of its own for each eight bytes of code that fills it, in the page of their neighbours’', () => {
    for (const start of [0, 0x40_0000, 0x5555_0000, 0xefff_8000].map((pc) => pc - (pc % REGION_CACHE_SIZE))) {
      const entries = new Set<number>();
      for (let pc = start; pc < start + REGION_CACHE_SIZE; pc += 8) entries.add(regionCacheEntry(pc));
      expect(entries.size).toBe(REGION_CACHE_SIZE / 8);
      expect(Math.min(...[...entries].slice(0, 8))).toBeGreaterThanOrEqual(REGION_CACHE);
      expect(Math.max(...entries)).toBe(REGION_CACHE + REGION_CACHE_SIZE - 8);
      const page = (pc: number): number => regionCacheEntry(pc) >>> 12;
      expect(page(start + 0x1000)).toBe(page(start + 0x1ff8));
    }
  });
});
