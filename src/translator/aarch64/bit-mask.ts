/** Logical immediates (Arm ARM, DecodeBitMasks): a run of ones, rotated and repeated. Null for a reserved combination. */
export function bitMask(n: number, imms: number, immr: number, bits: 32 | 64): number | bigint | null {
  if (n === 1 && bits === 32) return null;
  const combined = (n << 6) | (~imms & 0x3f);
  if (combined < 2) return null;
  const length = 31 - Math.clz32(combined);
  const size = 1 << length;
  const levels = size - 1;
  const s = imms & levels;
  const r = immr & levels;
  if (s === levels) return null;
  const ones = (1n << BigInt(s + 1)) - 1n;
  let element = BigInt.asUintN(size, (ones >> BigInt(r)) | (ones << BigInt(size - r)));
  for (let k = size; k < bits; k *= 2) element |= element << BigInt(k);
  return bits === 64 ? BigInt.asIntN(64, element) : Number(BigInt.asIntN(32, element));
}
