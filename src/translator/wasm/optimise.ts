/** binaryen's optimiser over a translated module, for prewarm: it takes several times as long as translating, and its import half a second. */
import binaryen from 'binaryen';

/** As the assembler writes them (region-module.ts); relaxed SIMD where the host fuses. */
export const features =
  binaryen.Features.Atomics |
  binaryen.Features.BulkMemory |
  binaryen.Features.SIMD128 |
  binaryen.Features.SignExt |
  binaryen.Features.NontrappingFPToInt |
  binaryen.Features.MutableGlobals |
  binaryen.Features.TailCall |
  binaryen.Features.Multivalue |
  binaryen.Features.ReferenceTypes |
  binaryen.Features.RelaxedSIMD;

/** `level`: 1 to 3, as of wasm-opt. Traps stay where they are: guest faults are made of them. */
export function optimiseModule(bytes: Uint8Array, level: number): Uint8Array {
  const m = binaryen.readBinary(bytes);
  try {
    // With references of one type, which the tables hold.
    m.setFeatures(features | binaryen.Features.GC);
    binaryen.setOptimizeLevel(level);
    binaryen.setShrinkLevel(0);
    m.optimize();
    return m.emitBinary();
  } finally {
    m.dispose();
  }
}
