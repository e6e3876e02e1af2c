/**
 * Tables of regions, whose slots are never null and all of one type: V8 calls through such a slot without looking at what it
 * holds. JavaScript has no way to make one; a module has.
 */
import { linkTableSize, regionType } from '../../translator/ir/layout.ts';
import { compileInBaseline } from './v8-flags.ts';

const codes = { i32: 0x7f, i64: 0x7e, f64: 0x7c };
const list = (types: readonly (keyof typeof codes)[]): number[] => [types.length, ...types.map((type) => codes[type])];

const section = (id: number, ...content: number[]): number[] => [id, content.length, ...content];
const unsigned = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, ...unsigned(n >>> 7)]);

/** Exports a table of `size` references to functions of the regions' type, each to one that traps. */
const bytes = (size: number, isFixed: boolean): Uint8Array<ArrayBuffer> =>
  new Uint8Array([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, 1, 0x60, ...list(regionType.params), ...list(regionType.results)),
    ...section(3, 1, 0),
    ...section(4, 1, 0x40, 0, 0x64, 0, ...(isFixed ? [1, ...unsigned(size)] : [0]), ...unsigned(size), 0xd2, 0, 0x0b),
    ...section(7, 1, 1, 0x74, 1, 0),
    ...section(10, 1, 3, 0, 0, 0x0b),
  ]);

const modules = new Map<number, WebAssembly.Module>();

function make(size: number, isFixed: boolean): WebAssembly.Table {
  const key = isFixed ? size : -size;
  let module = modules.get(key);
  if (!module) {
    module = compileInBaseline(bytes(size, isFixed));
    modules.set(key, module);
  }
  return new WebAssembly.Instance(module).exports.t as WebAssembly.Table;
}

/** For all regions of a memory: it grows. Its first slots are those of missSlot. */
export const createRegionTable = (): WebAssembly.Table => make(2, false);
/** For what a module calls in `count` places elsewhere, of a fixed size: its slots are constants, and in bounds. */
export const createLinkTable = (count: number): WebAssembly.Table => make(linkTableSize(count), true);
