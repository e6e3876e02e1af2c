/**
 * What translations take for granted of the host's floating point, told without binaryen (the translator's own probes,
 * translator/wasm/*-probe.ts, decide what it emits). It is part of what cached code is found by, so that a cache that comes
 * from another kind of machine is not used where it would be wrong.
 */

/** `f(a, b: i64) = reinterpret(reinterpret(a) - reinterpret(b))` for doubles. */
const SUBTRACT = 'AGFzbQEAAAABBwFgAn5+AX4DAgEABwUBAWYAAAoMAQoAIAC/IAG/ob0L';
/** `f(a, b, c: f64) = a * b + c` by f64x2.relaxed_madd. */
const MADD = 'AGFzbQEAAAABCAFgA3x8fAF8AwIBAAcFAQFmAAAKFgEUACAA/RQgAf0UIAL9FP2HAv0hAAs=';

const DEFAULT_NAN = 0xfff8_0000_0000_0000n;
const INFINITY = 0x7ff0_0000_0000_0000n;
const FIRST = 0x7ff8_0000_0000_1230n;
const SECOND = 0xfff8_0000_4560_0000n;

function load(base64: string): CallableFunction | null {
  try {
    const module = new WebAssembly.Module(Buffer.from(base64, 'base64'));
    return new WebAssembly.Instance(module).exports.f as CallableFunction;
  } catch {
    // A host without relaxed SIMD.
    return null;
  }
}

let traits: string | null = null;

/** A few characters: equal on hosts that can run each other's translations. */
export function hostTraits(): string {
  if (traits !== null) return traits;
  const subtract = load(SUBTRACT)!;
  const bits = (a: bigint, b: bigint): bigint => BigInt.asUintN(64, subtract(a, b));
  const x86Nans =
    bits(INFINITY, INFINITY) === DEFAULT_NAN && bits(FIRST, SECOND) === FIRST && bits(SECOND, FIRST) === SECOND;
  const e = 2 ** -30;
  const fused = load(MADD)?.(1 + e, 1 + e, -(1 + 2 * e)) === e * e;
  traits = `${x86Nans ? 'n' : '-'}${fused ? 'f' : '-'}`;
  return traits;
}
