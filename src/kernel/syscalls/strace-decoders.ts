/**
 * Which arguments of which calls traces decode beyond what their kind says. An `in` printer looks at memory before the
 * call, an `out` printer after one that has not failed; `result` adds to what stands behind the equals sign.
 */
import type { UserMemory } from '../mm/user-memory.ts';
import type { Isa } from '../task/cpu-context.ts';
import { ioDecoders } from './strace-io.ts';
import { networkDecoders } from './strace-network.ts';
import { processDecoders } from './strace-process.ts';

export interface ArgContext {
  readonly mem: UserMemory;
  readonly isa: Isa;
  /** All arguments of the call. */
  readonly values: readonly number[];
  /** The argument itself. */
  readonly value: number;
  /** 0 before the call. */
  readonly result: number;
}

export interface ArgDecoder {
  readonly in?: (c: ArgContext) => string;
  readonly out?: (c: ArgContext) => string;
}

export interface CallDecoder {
  readonly args?: Readonly<Record<string, ArgDecoder>>;
  /** Text in parentheses behind the result; empty for none. */
  readonly result?: (c: ArgContext) => string;
}

export type Decoders = Readonly<Record<string, CallDecoder>>;

export const decoders: Decoders = { ...processDecoders, ...ioDecoders, ...networkDecoders };
