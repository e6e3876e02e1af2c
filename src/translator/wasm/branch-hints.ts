import { ByteWriter } from './byte-writer.ts';

/**
 * The section that tells engines which conditions rarely hold, or nearly always (branch hinting proposal): what is rare then
 * costs the usual way no registers. By function, offsets of its `if`s, each with whether the condition is likely to hold.
 */
export function branchHints(functions: readonly [number, readonly [number, boolean][]][]): Uint8Array {
  if (functions.length === 0) return new Uint8Array(0);
  const out = new ByteWriter();
  out.byte(0);
  const size = out.reserve();
  out.text('metadata.code.branch_hint');
  out.unsigned(functions.length);
  for (const [index, offsets] of functions) {
    out.unsigned(index);
    out.unsigned(offsets.length);
    for (const [offset, likely] of offsets) {
      out.unsigned(offset);
      out.bytes([1, likely ? 1 : 0]);
    }
  }
  out.fill(size);
  return out.take();
}
