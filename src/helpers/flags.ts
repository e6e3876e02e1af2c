// x86 arithmetic flags from their lazy form (see src/translator/x86_64/ops-flags.ts for the kinds).
// SDM volume 1, section 3.4.3.

// @ts-ignore: decorator
@inline
function mask(w: u32): u64 {
  return <u64>(-1) >> (64 - (8 << w));
}
// @ts-ignore: decorator
@inline
function top(w: u32): u64 {
  return <u64>1 << ((8 << w) - 1);
}

export function x86_cf(op: u32, a: u64, b: u64, res: u64): u32 {
  const w = op & 3;
  switch (op >> 2) {
    case 0: // eflags
      return <u32>res & 1;
    case 1: // add
      return u32(res < a);
    case 2: // sub
      return u32(a < b);
    case 4: // inc
    case 5: // dec
      return <u32>b;
    case 6: // adc
      return u32((((a & b) | ((a | b) & ~res)) & top(w)) != 0);
    case 7: // sbb
      return u32((((~a & b) | (~(a ^ b) & res)) & top(w)) != 0);
    case 8: // res
      return <u32>a;
    case 9: // fcmp
      return u32(!(reinterpret<f64>(a) >= reinterpret<f64>(b)));
    default:
      return 0;
  }
}

function overflow(op: u32, a: u64, b: u64, res: u64): u32 {
  const w = op & 3;
  switch (op >> 2) {
    case 0:
      return (<u32>res >> 11) & 1;
    case 1:
    case 6:
      return u32(((a ^ res) & (b ^ res) & top(w)) != 0);
    case 2:
    case 7:
      return u32(((a ^ b) & (a ^ res) & top(w)) != 0);
    case 4:
      return u32(res == top(w));
    case 5:
      return u32(res == top(w) - 1);
    case 8:
      return <u32>b;
    default:
      return 0;
  }
}

export function x86_eflags(op: u32, a: u64, b: u64, res: u64): u32 {
  if (op >> 2 == 0) return <u32>res & 0x8d5;
  if (op >> 2 == 9) {
    const x = reinterpret<f64>(a);
    const y = reinterpret<f64>(b);
    return x > y ? 0 : x < y ? 1 : x == y ? 0x40 : 0x45;
  }
  const w = op & 3;
  let f: u32 = x86_cf(op, a, b, res);
  f |= (~popcnt<u32>(<u32>res & 0xff) & 1) << 2;
  f |= u32((res & mask(w)) == 0) << 6;
  f |= u32((res & top(w)) != 0) << 7;
  f |= overflow(op, a, b, res) << 11;
  switch (op >> 2) {
    case 1:
    case 2:
    case 6:
    case 7:
      f |= <u32>(a ^ b ^ res) & 0x10;
      break;
    case 4:
      f |= u32((res & 15) == 0) << 4;
      break;
    case 5:
      f |= u32((res & 15) == 15) << 4;
      break;
  }
  return f;
}

/** Condition codes as encoded in Jcc, SETcc and CMOVcc (SDM volume 1, appendix B). */
export function x86_cond(op: u32, a: u64, b: u64, res: u64, code: u32): u32 {
  const f = x86_eflags(op, a, b, res);
  let r: u32 = 0;
  const sf_of = ((f >> 7) ^ (f >> 11)) & 1;
  switch (code >> 1) {
    case 0:
      r = f >> 11;
      break;
    case 1:
      r = f;
      break;
    case 2:
      r = f >> 6;
      break;
    case 3:
      r = f | (f >> 6);
      break;
    case 4:
      r = f >> 7;
      break;
    case 5:
      r = f >> 2;
      break;
    case 6:
      r = sf_of;
      break;
    default:
      r = sf_of | (f >> 6);
  }
  return (r ^ code) & 1;
}
