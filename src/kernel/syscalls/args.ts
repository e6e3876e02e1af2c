/** From argument registers to the numbers that handlers get, by the kinds of row.ts. */
import type { AddressSpace } from '../mm/address-space.ts';
import type { CpuContext } from '../task/cpu-context.ts';
import type { ArgKind } from './row.ts';

const TWO32 = 0x1_0000_0000;

/** How a register becomes a number: 32 bits signed and unsigned, 64 bits signed and unsigned, */
const INT = 0;
const UINT = 1;
const LONG = 2;
const ULONG = 3;
/** As ULONG, and where that lies (mm/high-window.ts). */
const POINTER = 4;
export type Width = typeof INT | typeof UINT | typeof LONG | typeof ULONG | typeof POINTER;

export const widths: Readonly<Record<ArgKind, Width>> = {
  int: INT,
  fd: INT,
  dirfd: INT,
  pid: INT,
  signal: INT,
  uint: UINT,
  mode: UINT,
  octal: UINT,
  hex: UINT,
  flags: UINT,
  long: LONG,
  off: LONG,
  ulong: ULONG,
  size: ULONG,
  address: ULONG,
  ptr: POINTER,
  path: POINTER,
  string: POINTER,
  inbuf: POINTER,
  outbuf: POINTER,
  instruct: POINTER,
  outstruct: POINTER,
  inoutstruct: POINTER,
  strv: POINTER,
  timespec: POINTER,
  sigset: POINTER,
  iovec: POINTER,
};

/** Whose registers they are. */
interface Caller {
  readonly cpu: CpuContext;
  readonly mm: Pick<AddressSpace, 'window'>;
}

export function decode({ cpu, mm }: Caller, i: number, width: Width): number {
  switch (width) {
    case INT:
      return cpu.argLo(i) | 0;
    case UINT:
      return cpu.argLo(i) >>> 0;
    case LONG:
      return (cpu.argHi(i) | 0) * TWO32 + (cpu.argLo(i) >>> 0);
    case ULONG:
      return (cpu.argHi(i) >>> 0) * TWO32 + (cpu.argLo(i) >>> 0);
    case POINTER: {
      const high = cpu.argHi(i) >>> 0;
      const low = cpu.argLo(i) >>> 0;
      return high === 0 ? low : mm.window.low(high * TWO32 + low);
    }
  }
}

/** Argument `i` of the current call as its row's handler gets it. */
export const decodeArg = (caller: Caller, i: number, kind: ArgKind): number => decode(caller, i, widths[kind]);
