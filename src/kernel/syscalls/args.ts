/** From argument registers to the numbers that handlers get, by the kinds of row.ts. */
import type { CpuContext } from '../task/cpu-context.ts';
import type { ArgKind } from './row.ts';

const TWO32 = 0x1_0000_0000;

/** How a register becomes a number: 32 bits signed and unsigned, 64 bits signed and unsigned. */
const INT = 0;
const UINT = 1;
const LONG = 2;
const ULONG = 3;
export type Width = typeof INT | typeof UINT | typeof LONG | typeof ULONG;

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
  ptr: ULONG,
  path: ULONG,
  string: ULONG,
  inbuf: ULONG,
  outbuf: ULONG,
  instruct: ULONG,
  outstruct: ULONG,
  inoutstruct: ULONG,
  strv: ULONG,
  timespec: ULONG,
  sigset: ULONG,
  iovec: ULONG,
};

export function decode(cpu: CpuContext, i: number, width: Width): number {
  switch (width) {
    case INT:
      return cpu.argLo(i) | 0;
    case UINT:
      return cpu.argLo(i) >>> 0;
    case LONG:
      return (cpu.argHi(i) | 0) * TWO32 + (cpu.argLo(i) >>> 0);
    case ULONG:
      return (cpu.argHi(i) >>> 0) * TWO32 + (cpu.argLo(i) >>> 0);
  }
}

/** Argument `i` of the current call as its row's handler gets it. */
export const decodeArg = (cpu: CpuContext, i: number, kind: ArgKind): number => decode(cpu, i, widths[kind]);
