// Floating-point operations of the exact flavour, and those that translated code leaves to soft float.

import { begin, exceptions } from './a64-softfloat';
import { resultBytes, softLane, sourceBytes } from './a64-softfloat-ops';

const FPCR: u32 = 0x1a8;
const FPSR: u32 = 0x1ac;

const A = memory.data(16, 16);
const B = memory.data(16, 16);
const C = memory.data(16, 16);
const R = memory.data(16, 16);

function read(at: usize, bytes: u32): u64 {
  return bytes == 8 ? load<u64>(at) : bytes == 4 ? load<u32>(at) : load<u16>(at);
}
function write(at: usize, bytes: u32, value: u64): void {
  if (bytes == 8) store<u64>(at, value);
  else if (bytes == 4) store<u32>(at, <u32>value);
  else store<u16>(at, <u16>value);
}

/** Lanes from A, B, C to R, zeros above. `code` is as in packed words: number, width, lanes, immediate. */
function run(code: u32, a: usize, b: usize, c: usize): void {
  const operation = code & 63;
  const wide = (code & 64) != 0;
  const count: u32 = 1 << ((code >> 7) & 3) >> 1;
  const imm = (code >> 9) & 127;
  const from = sourceBytes(operation, wide);
  const to = resultBytes(operation, wide);
  const lanes: u32 = count == 0 ? 1 : count;
  store<u64>(R, 0);
  store<u64>(R, 0, 8);
  for (let k: u32 = 0; k < lanes; k++)
    write(
      R + k * to,
      to,
      softLane(operation, wide, read(a + k * from, from), read(b + k * from, from), read(c + k * from, from), imm),
    );
}

/**
 * One operation by FPCR, packed as in `float` (src/translator/aarch64/ops-softfloat.ts): slots of the destination and three
 * operands. With no lanes it is scalar and the result is 8 bytes.
 */
export function a64_exact(cpu: u32, word: u64): i32 {
  begin(load<u32>(cpu + FPCR));
  const d = cpu + (<u32>(word >> 16) & 0xfff);
  const code = <u32>word & 0xffff;
  run(code, cpu + (<u32>(word >> 28) & 0xfff), cpu + (<u32>(word >> 40) & 0xfff), cpu + (<u32>(word >> 52) & 0xfff));
  store<u32>(cpu + FPSR, load<u32>(cpu + FPSR) | exceptions());
  store<u64>(d, load<u64>(R));
  if (code & 0x180) store<u64>(d, load<u64>(R, 8), 8);
  return 0;
}

/** The same on values, FPCR being zero and nobody looking at the flags. */
export function a64_soft(code: u32, a: v128, b: v128, c: v128): v128 {
  v128.store(A, a);
  v128.store(B, b);
  v128.store(C, c);
  begin(0);
  run(code, A, B, C);
  return v128.load(R);
}
