// AES, SHA-1 and SHA-256 instructions (Arm ARM, C7.2, shared/functions/crypto). S-boxes are computed on first use; another instance in the
// same memory clears them when it begins, so that only they tell whether they have been.

const SBOX = memory.data(256);
const INVERSE = memory.data(256);

// @ts-ignore: decorator
@inline
function double(x: u32): u32 {
  return ((x << 1) ^ (x & 0x80 ? 0x11b : 0)) & 0xff;
}
/** The S-box: multiplicative inverses in GF(2^8), by powers of 3, and an affine map (FIPS 197, 5.1.1). */
function makeTables(): void {
  let p: u32 = 1;
  let q: u32 = 1;
  do {
    p = (p ^ double(p)) & 0xff;
    q ^= q << 1;
    q ^= q << 2;
    q ^= q << 4;
    q &= 0xff;
    if (q & 0x80) q ^= 0x09;
    const x = q ^ (q << 1 | q >> 7) ^ (q << 2 | q >> 6) ^ (q << 3 | q >> 5) ^ (q << 4 | q >> 4);
    const s = (x ^ 0x63) & 0xff;
    store<u8>(SBOX + p, <u8>s);
    store<u8>(INVERSE + s, <u8>p);
  } while (p != 1);
  store<u8>(SBOX, 0x63);
  store<u8>(INVERSE + 0x63, 0);
}

const A = memory.data(16, 16);
const R = memory.data(16, 16);

/** AESE: round key added, rows shifted, bytes substituted. */
export function a64_aese(d: v128, n: v128): v128 {
  if (load<u8>(SBOX) == 0) makeTables();
  const x = v128.xor(d, n);
  v128.store(A, v128.shuffle<u8>(x, x, 0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11));
  for (let k: usize = 0; k < 16; k++) store<u8>(R + k, load<u8>(SBOX + load<u8>(A + k)));
  return v128.load(R);
}
export function a64_aesd(d: v128, n: v128): v128 {
  if (load<u8>(SBOX) == 0) makeTables();
  const x = v128.xor(d, n);
  v128.store(A, v128.shuffle<u8>(x, x, 0, 13, 10, 7, 4, 1, 14, 11, 8, 5, 2, 15, 12, 9, 6, 3));
  for (let k: usize = 0; k < 16; k++) store<u8>(R + k, load<u8>(INVERSE + load<u8>(A + k)));
  return v128.load(R);
}

/** Every byte times 2 in GF(2^8). */
// @ts-ignore: decorator
@inline
function doubles(x: v128): v128 {
  return v128.xor(i8x16.shl(x, 1), v128.and(i8x16.shr_s(x, 7), i8x16.splat(0x1b)));
}
/** AESMC: each column times 03 x^3 + 01 x^2 + 01 x + 02. */
export function a64_aesmc(x: v128): v128 {
  const next = v128.shuffle<u8>(x, x, 1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12);
  const across = v128.shuffle<u8>(x, x, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
  const last = v128.shuffle<u8>(x, x, 3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14);
  return v128.xor(v128.xor(doubles(v128.xor(x, next)), next), v128.xor(across, last));
}
/** AESIMC: the inverse is the same after columns times 04 x^2 + 05. */
export function a64_aesimc(x: v128): v128 {
  const across = v128.shuffle<u8>(x, x, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
  return a64_aesmc(v128.xor(x, doubles(doubles(v128.xor(x, across)))));
}

/** SHA1C (0), SHA1P (1), SHA1M (2): four rounds. */
export function a64_sha1(kind: u32, x: v128, e: u32, w: v128): v128 {
  let a: u32 = i32x4.extract_lane(x, 0);
  let b: u32 = i32x4.extract_lane(x, 1);
  let c: u32 = i32x4.extract_lane(x, 2);
  let d: u32 = i32x4.extract_lane(x, 3);
  let y: u32 = e;
  v128.store(A, w);
  for (let k: usize = 0; k < 16; k += 4) {
    const t = kind == 0 ? ((c ^ d) & b) ^ d : kind == 1 ? b ^ c ^ d : (b & c) | ((b | c) & d);
    y += rotl<u32>(a, 5) + t + load<u32>(A + k);
    const last = y;
    y = d;
    d = c;
    c = rotl<u32>(b, 30);
    b = a;
    a = last;
  }
  return i32x4(a, b, c, d);
}

/** SHA256H and SHA256H2: four rounds, of which they give one half of the state each. */
export function a64_sha256(second: u32, x: v128, y: v128, w: v128): v128 {
  let a: u32 = i32x4.extract_lane(x, 0);
  let b: u32 = i32x4.extract_lane(x, 1);
  let c: u32 = i32x4.extract_lane(x, 2);
  let d: u32 = i32x4.extract_lane(x, 3);
  let e: u32 = i32x4.extract_lane(y, 0);
  let f: u32 = i32x4.extract_lane(y, 1);
  let g: u32 = i32x4.extract_lane(y, 2);
  let h: u32 = i32x4.extract_lane(y, 3);
  v128.store(A, w);
  for (let k: usize = 0; k < 16; k += 4) {
    const choose = ((f ^ g) & e) ^ g;
    const majority = (a & b) | ((a | b) & c);
    const t = h + (rotr<u32>(e, 6) ^ rotr<u32>(e, 11) ^ rotr<u32>(e, 25)) + choose + load<u32>(A + k);
    const u = t + (rotr<u32>(a, 2) ^ rotr<u32>(a, 13) ^ rotr<u32>(a, 22)) + majority;
    h = g;
    g = f;
    f = e;
    e = d + t;
    d = c;
    c = b;
    b = a;
    a = u;
  }
  return second ? i32x4(e, f, g, h) : i32x4(a, b, c, d);
}
