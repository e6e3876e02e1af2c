/**
 * Reads MessagePack (github.com/msgpack/msgpack, spec.md): nil, booleans, numbers, strings, byte strings, arrays and maps.
 * The run path does without msgpackr for it, which takes longer to load than a small guest runs.
 */
export type Packed = null | boolean | number | string | Uint8Array | Packed[] | { [key: string]: Packed };

const MAX_DEPTH = 16;

/** Throws RangeError for anything that is not one whole value. */
export function unpack(bytes: Buffer): Packed {
  let at = 0;
  const need = (n: number): number => {
    if (n > bytes.length - at) throw new RangeError('cut off');
    at += n;
    return at - n;
  };
  const length = (width: 1 | 2 | 4): number => bytes.readUIntBE(need(width), width);
  const text = (n: number): string => {
    const from = need(n);
    return bytes.toString('utf8', from, from + n);
  };
  const array = (n: number, depth: number): Packed[] => {
    // Each element takes a byte at least: a hostile length allocates nothing.
    if (n > bytes.length - at) throw new RangeError('cut off');
    const out: Packed[] = [];
    for (let k = 0; k < n; k++) out.push(value(depth + 1));
    return out;
  };
  const map = (n: number, depth: number): { [key: string]: Packed } => {
    if (2 * n > bytes.length - at) throw new RangeError('cut off');
    const out: { [key: string]: Packed } = Object.create(null);
    for (let k = 0; k < n; k++) {
      const key = value(depth + 1);
      if (typeof key !== 'string') throw new RangeError('a key that is no string');
      out[key] = value(depth + 1);
    }
    return out;
  };
  const binary = (n: number): Uint8Array => {
    const from = need(n);
    return bytes.subarray(from, from + n);
  };
  const value = (depth: number): Packed => {
    if (depth > MAX_DEPTH) throw new RangeError('nested too deeply');
    const tag = bytes[need(1)]!;
    if (tag < 0x80) return tag;
    if (tag < 0x90) return map(tag & 15, depth);
    if (tag < 0xa0) return array(tag & 15, depth);
    if (tag < 0xc0) return text(tag & 31);
    if (tag >= 0xe0) return tag - 0x100;
    switch (tag) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
        return binary(length(1));
      case 0xc5:
        return binary(length(2));
      case 0xc6:
        return binary(length(4));
      case 0xca:
        return bytes.readFloatBE(need(4));
      case 0xcb:
        return bytes.readDoubleBE(need(8));
      case 0xcc:
        return length(1);
      case 0xcd:
        return length(2);
      case 0xce:
        return length(4);
      case 0xcf:
        return Number(bytes.readBigUInt64BE(need(8)));
      case 0xd0:
        return bytes.readInt8(need(1));
      case 0xd1:
        return bytes.readInt16BE(need(2));
      case 0xd2:
        return bytes.readInt32BE(need(4));
      case 0xd3:
        return Number(bytes.readBigInt64BE(need(8)));
      case 0xd9:
        return text(length(1));
      case 0xda:
        return text(length(2));
      case 0xdb:
        return text(length(4));
      case 0xdc:
        return array(length(2), depth);
      case 0xdd:
        return array(length(4), depth);
      case 0xde:
        return map(length(2), depth);
      case 0xdf:
        return map(length(4), depth);
      default:
        throw new RangeError(`type ${tag}`);
    }
  };
  const whole = value(0);
  if (at !== bytes.length) throw new RangeError('bytes behind the end');
  return whole;
}
