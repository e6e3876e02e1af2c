// AArch64 condition flags from their lazy form (see src/translator/aarch64/ops-flags.ts for the kinds).

// @ts-ignore: decorator
@inline
function top(w: u32): u64 {
  return <u64>1 << ((8 << w) - 1);
}

export function a64_carry(op: u32, a: u64, b: u64, res: u64): u32 {
  switch (op >> 2) {
    case 0: // nzcv
      return (<u32>res >> 29) & 1;
    case 1: // add
      return u32(res < a);
    case 2: // sub
      return u32(a >= b);
    case 4: // adc
      return u32((((a & b) | ((a | b) & ~res)) & top(op & 3)) != 0);
    default: // logic
      return 0;
  }
}

/** N, Z, C, V in bits 31 to 28. */
export function a64_nzcv(op: u32, a: u64, b: u64, res: u64): u32 {
  const kind = op >> 2;
  if (kind == 0) return <u32>res;
  const sign = top(op & 3);
  let f = u32((res & sign) != 0) << 31;
  f |= u32(res == 0) << 30;
  f |= a64_carry(op, a, b, res) << 29;
  if (kind == 2) f |= u32(((a ^ b) & (a ^ res) & sign) != 0) << 28;
  else if (kind != 3) f |= u32(((a ^ res) & (b ^ res) & sign) != 0) << 28;
  return f;
}

/** Condition codes (Arm ARM, C1.2.4), 14 and 15 always hold. */
export function a64_cond(op: u32, a: u64, b: u64, res: u64, code: u32): u32 {
  const f = a64_nzcv(op, a, b, res);
  const n = f >> 31;
  const z = (f >> 30) & 1;
  const c = (f >> 29) & 1;
  const v = (f >> 28) & 1;
  let r: u32;
  switch (code >> 1) {
    case 0:
      r = z;
      break;
    case 1:
      r = c;
      break;
    case 2:
      r = n;
      break;
    case 3:
      r = v;
      break;
    case 4:
      r = c & (z ^ 1);
      break;
    case 5:
      r = n ^ v ^ 1;
      break;
    case 6:
      r = (n ^ v ^ 1) & (z ^ 1);
      break;
    default:
      return 1;
  }
  return r ^ (code & 1);
}
