// Fused multiply-add of vectors, FPCR being zero.
import { a64_fma_f32, a64_fma_f64 } from './a64-float';

/** c + a * b in each lane, rounded once. */
export function a64_vfma_f32(c: v128, a: v128, b: v128): v128 {
  let r = i64x2.splat(0);
  r = i32x4.replace_lane(r, 0, a64_fma_f32(i32x4.extract_lane(c, 0), i32x4.extract_lane(a, 0), i32x4.extract_lane(b, 0)));
  r = i32x4.replace_lane(r, 1, a64_fma_f32(i32x4.extract_lane(c, 1), i32x4.extract_lane(a, 1), i32x4.extract_lane(b, 1)));
  r = i32x4.replace_lane(r, 2, a64_fma_f32(i32x4.extract_lane(c, 2), i32x4.extract_lane(a, 2), i32x4.extract_lane(b, 2)));
  return i32x4.replace_lane(r, 3, a64_fma_f32(i32x4.extract_lane(c, 3), i32x4.extract_lane(a, 3), i32x4.extract_lane(b, 3)));
}
export function a64_vfma_f64(c: v128, a: v128, b: v128): v128 {
  const low = a64_fma_f64(i64x2.extract_lane(c, 0), i64x2.extract_lane(a, 0), i64x2.extract_lane(b, 0));
  const high = a64_fma_f64(i64x2.extract_lane(c, 1), i64x2.extract_lane(a, 1), i64x2.extract_lane(b, 1));
  return i64x2(low, high);
}
