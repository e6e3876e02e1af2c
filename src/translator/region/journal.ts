/** What of guest memory an instruction overwrites, for --jit=verify. */
import type { Inst } from '../ir/block.ts';

/** Lengths of the entries that `bytes` overwritten bytes make. */
export function* pieces(bytes: number): Iterable<{ at: number; length: number }> {
  for (let at = 0; at < bytes; ) {
    const length = [16, 8, 4, 2, 1].find((n) => n <= bytes - at)!;
    yield { at, length };
    at += length;
  }
}

/**
 * Guest memory that a helper op which is no access by itself overwrites, in bytes from the address in its first input on;
 * null where that is not known.
 */
const helperStores: Readonly<Record<string, number>> = { 'x86.stmxcsr': 4, 'x86.maskmov': 16, 'x86.x87.mem': 108 };
export function bytesStored({ op }: Inst): number | null {
  if (op.kind === 'store' || op.kind === 'rmw') return op.bytes;
  if (op.kind !== 'helper') return 0;
  return op.name.startsWith('x86.rep_') ? null : (helperStores[op.name] ?? 0);
}
