/** struct sockaddr_in and sockaddr_in6 (ip(7), ipv6(7)). */
import { errno, sysError } from '../abi/errno.ts';
import { AF_INET, AF_INET6 } from './constants.ts';
import { bytesOfV4, bytesOfV6, type Endpoint, formatV4, formatV6 } from './ip.ts';

const SIN_SIZE = 16;
const SIN6_SIZE = 28;
/** SIN6_LEN_RFC2133: what older programs give. */
const SIN6_MIN = 24;

/** sa_family. Throws EINVAL when not even that is there. */
export function familyOf(address: Uint8Array): number {
  if (address.length < 2) throw sysError(errno.EINVAL);
  return address[0]! | (address[1]! << 8);
}

const portOf = (address: Uint8Array): number => (address[2]! << 8) | address[3]!;

/** Throws EINVAL when it is too short, EAFNOSUPPORT for another family. */
export function decodeV4(address: Uint8Array): Endpoint {
  if (address.length < SIN_SIZE) throw sysError(errno.EINVAL);
  if (familyOf(address) !== AF_INET) throw sysError(errno.EAFNOSUPPORT);
  return { address: formatV4(address, 4), port: portOf(address) };
}
export function decodeV6(address: Uint8Array): Endpoint {
  if (address.length < SIN6_MIN) throw sysError(errno.EINVAL);
  if (familyOf(address) !== AF_INET6) throw sysError(errno.EAFNOSUPPORT);
  return { address: formatV6(address, 8), port: portOf(address) };
}
/** Whether the sixteen bytes are a mapped IPv4 address, which `decodeV6` returns as IPv4. */
export const isMappedV6 = (address: Uint8Array): boolean =>
  address.length >= SIN6_MIN &&
  address[18] === 0xff &&
  address[19] === 0xff &&
  address.subarray(8, 18).every((b) => b === 0);

/** The form that a socket of `domain` shows. */
export function encodeEndpoint(domain: number, { address, port }: Endpoint): Uint8Array {
  if (domain === AF_INET) {
    const out = new Uint8Array(SIN_SIZE);
    out[0] = AF_INET;
    out[2] = port >> 8;
    out[3] = port & 0xff;
    out.set(bytesOfV4(address), 4);
    return out;
  }
  const out = new Uint8Array(SIN6_SIZE);
  out[0] = AF_INET6;
  out[2] = port >> 8;
  out[3] = port & 0xff;
  // The wildcard of a dual-stack socket is its own.
  out.set(bytesOfV6(address), 8);
  return out;
}
