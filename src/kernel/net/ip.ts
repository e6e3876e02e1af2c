/**
 * IP addresses as text in canonical form (`10.0.2.15`, `fe80::1`, RFC 5952): what host interfaces take, and keys of maps.
 * An IPv4 address that stands in an AF_INET6 socket as `::ffff:a.b.c.d` is kept in its IPv4 form here.
 */
export const ANY4 = '0.0.0.0';
export const ANY6 = '::';
export const LOOPBACK4 = '127.0.0.1';
export const LOOPBACK6 = '::1';

/** An address and a port. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export const isV6 = (address: string): boolean => address.includes(':');
export const isAny = (address: string): boolean => address === ANY4 || address === ANY6;
/** 127.0.0.0/8 and ::1. */
export const isLoopback = (address: string): boolean => address.startsWith('127.') || address === LOOPBACK6;
export const isLinkLocal6 = (address: string): boolean => /^fe[89ab]/.test(address);
export const isBroadcast = (address: string): boolean => address === '255.255.255.255';

export function isMulticast(address: string): boolean {
  if (isV6(address)) return address.startsWith('ff');
  const first = Number.parseInt(address, 10);
  return first >= 224 && first < 240;
}

/** Four bytes at `at` as text. */
export const formatV4 = (bytes: Uint8Array, at = 0): string =>
  `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;

const isMapped = (bytes: Uint8Array, at: number): boolean => {
  for (let i = 0; i < 10; i++) if (bytes[at + i] !== 0) return false;
  return bytes[at + 10] === 0xff && bytes[at + 11] === 0xff;
};

/** Sixteen bytes at `at` as text; a mapped IPv4 address as IPv4. */
export function formatV6(bytes: Uint8Array, at = 0): string {
  if (isMapped(bytes, at)) return formatV4(bytes, at + 12);
  const words: number[] = [];
  for (let i = 0; i < 16; i += 2) words.push((bytes[at + i]! << 8) | bytes[at + i + 1]!);
  // The longest run of two zero words and more, the first of equals.
  let best = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let n = 0;
    while (i + n < 8 && words[i + n] === 0) n++;
    if (n > bestLength) {
      best = i;
      bestLength = n;
    }
    i += n;
  }
  const hex = (part: number[]): string => part.map((w) => w.toString(16)).join(':');
  if (best < 0) return hex(words);
  return `${hex(words.slice(0, best))}::${hex(words.slice(best + bestLength))}`;
}

/** The bytes of an IPv4 address in canonical text. */
export const bytesOfV4 = (address: string): Uint8Array => Uint8Array.from(address.split('.').map(Number));

/** Sixteen bytes of an address of either family; IPv4 as mapped. */
export function bytesOfV6(address: string): Uint8Array {
  const out = new Uint8Array(16);
  if (!isV6(address)) {
    out[10] = out[11] = 0xff;
    out.set(bytesOfV4(address), 12);
    return out;
  }
  const [head = '', tail] = address.split('::') as [string, string?];
  const words = (text: string): number[] => (text === '' ? [] : text.split(':').map((w) => Number.parseInt(w, 16)));
  const front = words(head);
  const back = words(tail ?? '');
  const all = tail === undefined ? front : [...front, ...new Array(8 - front.length - back.length).fill(0), ...back];
  all.forEach((w, i) => {
    out[i * 2] = w >> 8;
    out[i * 2 + 1] = w & 0xff;
  });
  return out;
}

/** Text of the host's (`::ffff:1.2.3.4`, `fe80::1%eth0`) in the form used here. */
export function canonical(address: string): string {
  const bare = address.split('%')[0]!.toLowerCase();
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(bare);
  return mapped ? mapped[1]! : bare;
}

/** Where packets to an endpoint go: the unspecified address means this machine (ip(7)). */
export function destinationOf({ address, port }: Endpoint): Endpoint {
  if (address === ANY4) return { address: LOOPBACK4, port };
  if (address === ANY6) return { address: LOOPBACK6, port };
  return { address, port };
}
