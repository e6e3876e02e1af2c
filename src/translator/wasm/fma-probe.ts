/**
 * Whether this host has relaxed SIMD, and its multiply-add rounds once, as processors with such an instruction do. WebAssembly
 * leaves that to the host; where it is so, translated code need not call a helper.
 */
import { Assembler, types } from './assembler.ts';

let result: boolean | null = null;

export function hostFusesMadd(): boolean {
  result ??= probe();
  return result;
}

function probe(): boolean {
  const m = new Assembler();
  const { f32, f64 } = types;
  for (const [shape, type] of [
    ['f32x4', f32],
    ['f64x2', f64],
  ] as const) {
    const argument = (k: number): number => m[shape].splat(m.local.get(k, type));
    const value = m[shape].relaxed_madd(argument(0), argument(1), argument(2));
    m.addFunction(shape, [type, type, type], [type], [], m[shape].extract_lane(value, 0));
    m.addExport(shape);
  }
  const wasm = m.emitBinary();
  let module: WebAssembly.Module;
  try {
    module = new WebAssembly.Module(wasm);
  } catch {
    // A host without relaxed SIMD.
    return false;
  }
  const { exports } = new WebAssembly.Instance(module);
  type Madd = (a: number, b: number, c: number) => number;
  // The last bit of a square, which a product that is rounded first loses.
  const fused = (madd: Madd, e: number): boolean =>
    madd(1 + 2 ** -e, 1 + 2 ** -e, -(1 + 2 ** (1 - e))) === 2 ** (-2 * e);
  return fused(exports.f64x2 as Madd, 30) && fused(exports.f32x4 as Madd, 14);
}
