/** Printers for socket addresses, messages and options. */
import type { UserMemory } from '../mm/user-memory.ts';
import type { ArgContext, ArgDecoder, CallDecoder, Decoders } from './strace-decoders.ts';
import { flags, hex, iovec, number, pointer, quote, readable } from './strace-format.ts';

const FAMILIES = ['AF_UNSPEC', 'AF_UNIX', 'AF_INET'];
const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
/** No address is longer (struct sockaddr_storage). */
const MAX_ADDRESS = 128;

function ipv6(b: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => ((b[i * 2]! << 8) | b[i * 2 + 1]!).toString(16)).join(':');
  // The longest run of zero groups becomes `::`.
  const runs = [...groups.matchAll(/(?:^|:)0(?::0)+(?=:|$)/g)].sort((x, y) => y[0].length - x[0].length);
  const longest = runs[0];
  if (!longest) return groups;
  const left = groups.slice(0, longest.index);
  const right = groups.slice(longest.index + longest[0].length);
  return `${left}::${right.replace(/^:/, '')}`;
}

/** `{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}`. */
export function sockaddr(bytes: Uint8Array): string {
  if (bytes.length < 2) return quote(bytes);
  const family = bytes[0]! | (bytes[1]! << 8);
  const port = bytes.length >= 4 ? (bytes[2]! << 8) | bytes[3]! : 0;
  switch (family) {
    case AF_UNIX: {
      const path = bytes.subarray(2);
      if (path.length === 0) return '{sa_family=AF_UNIX}';
      if (path[0] === 0) return `{sa_family=AF_UNIX, sun_path=@${quote(path.subarray(1))}}`;
      const end = path.indexOf(0);
      return `{sa_family=AF_UNIX, sun_path=${quote(end < 0 ? path : path.subarray(0, end))}}`;
    }
    case AF_INET:
      if (bytes.length < 8) break;
      return `{sa_family=AF_INET, sin_port=htons(${port}), sin_addr=inet_addr("${bytes.subarray(4, 8).join('.')}")}`;
    case AF_INET6: {
      if (bytes.length < 24) break;
      return `{sa_family=AF_INET6, sin6_port=htons(${port}), sin6_addr=inet_pton(AF_INET6, "${ipv6(bytes.subarray(8, 24))}")}`;
    }
    case AF_NETLINK: {
      if (bytes.length < 12) break;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      return `{sa_family=AF_NETLINK, nl_pid=${view.getUint32(4, true)}, nl_groups=${hex(view.getUint32(8, true))}}`;
    }
  }
  return `{sa_family=${FAMILIES[family] ?? family}, ...}`;
}

function addressAt(mem: UserMemory, address: number, length: number): string {
  const n = Math.min(length, MAX_ADDRESS);
  if (address === 0 || !(n >= 0) || !readable(mem, address, n)) return pointer(address);
  return sockaddr(mem.bytes(address, n));
}

/** An address given, with its length in argument `lengthAt`. */
const given = (lengthAt: number): ArgDecoder => ({
  in: ({ mem, value, values }) => addressAt(mem, value, values[lengthAt]!),
});
/** An address returned; the length stands where argument `lengthAt` points. */
const returned = (lengthAt: number): ArgDecoder => ({
  out: ({ mem, value, values }) => {
    const at = values[lengthAt]!;
    return at !== 0 && readable(mem, at, 4) ? addressAt(mem, value, mem.readU32(at)) : pointer(value);
  },
});
const length: ArgDecoder = {
  out: ({ mem, value }) => (value !== 0 && readable(mem, value, 4) ? `[${mem.readU32(value)}]` : pointer(value)),
};

const MESSAGE_FLAGS = { MSG_OOB: 1, MSG_CTRUNC: 8, MSG_TRUNC: 0x20, MSG_EOR: 0x80, MSG_CMSG_CLOEXEC: 0x4000_0000 };

/** struct msghdr. Of what was received no more than that is shown. */
function msghdr({ mem, value, result }: ArgContext): string {
  if (!readable(mem, value, 56)) return pointer(value);
  const name = addressAt(mem, mem.readU64(value), mem.readU32(value + 8));
  const count = mem.readU64(value + 24);
  const control = mem.readU64(value + 40);
  const fields = [
    `msg_name=${name}`,
    `msg_namelen=${mem.readU32(value + 8)}`,
    `msg_iov=${result < 0 ? pointer(mem.readU64(value + 16)) : iovec(mem, mem.readU64(value + 16), count)}`,
    `msg_iovlen=${number(count)}`,
    `msg_controllen=${number(control)}`,
    `msg_flags=${flags(mem.readU32(value + 48), MESSAGE_FLAGS)}`,
  ];
  return `{${fields.join(', ')}}`;
}

const intOption: ArgDecoder['in'] = ({ mem, value, values }) =>
  values[4] === 4 && readable(mem, value, 4) ? `[${mem.readI32(value)}]` : pointer(value);

const call = (args: NonNullable<CallDecoder['args']>): CallDecoder => ({ args });

export const networkDecoders: Decoders = {
  bind: call({ addr: given(2) }),
  connect: call({ addr: given(2) }),
  accept: call({ addr: returned(2), addrlen: length }),
  accept4: call({ addr: returned(2), addrlen: length }),
  getsockname: call({ addr: returned(2), addrlen: length }),
  getpeername: call({ addr: returned(2), addrlen: length }),
  sendto: call({ dest: given(5) }),
  recvfrom: call({ src: returned(5), addrlen: length }),
  sendmsg: call({ msg: { in: msghdr } }),
  recvmsg: call({ msg: { out: msghdr } }),
  setsockopt: call({ optval: { in: intOption } }),
  getsockopt: call({
    optval: {
      out: ({ mem, value, values }) =>
        readable(mem, values[4]!, 4) && mem.readU32(values[4]!) === 4 && readable(mem, value, 4)
          ? `[${mem.readI32(value)}]`
          : pointer(value),
    },
    optlen: length,
  }),
};
