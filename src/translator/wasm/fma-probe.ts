/**
 * Whether this host has relaxed SIMD, and its multiply-add rounds once, as processors with such an instruction do. WebAssembly
 * leaves that to the host; where it is so, translated code need not call a helper.
 */
import binaryen from 'binaryen';
import { createBuilder, Locals } from './builder.ts';

let result: boolean | null = null;

export function hostFusesMadd(): boolean {
  result ??= probe();
  return result;
}

function probe(): boolean {
  const m = new binaryen.Module();
  try {
    m.setFeatures(binaryen.Features.SIMD128 | binaryen.Features.RelaxedSIMD);
    const { f32, f64 } = binaryen;
    const locals = new Locals(3);
    const none = (): never => {
      throw new Error('no slots here');
    };
    const b = createBuilder(m, locals, { cpu: none, read: none, write: none }, new Map(), false, true);
    for (const [shape, type] of [
      ['f32x4', f32],
      ['f64x2', f64],
    ] as const) {
      const argument = (k: number): number => m[shape].splat(m.local.get(k, type));
      const value = b.relaxedMadd!(shape, argument(0), argument(1), argument(2));
      m.addFunction(shape, binaryen.createType([type, type, type]), type, [], m[shape].extract_lane(value, 0));
      m.addFunctionExport(shape, shape);
    }
    const wasm = m.emitBinary() as Uint8Array<ArrayBuffer>;
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
  } finally {
    m.dispose();
  }
}
