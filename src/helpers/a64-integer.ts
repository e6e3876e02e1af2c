// CRC32 and CRC32C (Arm ARM, C6.2: bit-reflected polynomials 0x04C11DB7 and 0x1EDC6F41), four bits at a time.

const CRC32: StaticArray<u32> = [
  0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
  0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
];
const CRC32C: StaticArray<u32> = [
  0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
  0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
];

// @ts-ignore: decorator
@inline
function crc(table: StaticArray<u32>, acc: u32, value: u64, bytes: u32): u32 {
  let c = acc;
  for (let k: u32 = 0; k < bytes; k++) {
    c ^= <u32>(value >> (k << 3)) & 0xff;
    c = (c >> 4) ^ unchecked(table[c & 15]);
    c = (c >> 4) ^ unchecked(table[c & 15]);
  }
  return c;
}

export function a64_crc32(acc: u32, value: u64, bytes: u32): u32 {
  return crc(CRC32, acc, value, bytes);
}
export function a64_crc32c(acc: u32, value: u64, bytes: u32): u32 {
  return crc(CRC32C, acc, value, bytes);
}
