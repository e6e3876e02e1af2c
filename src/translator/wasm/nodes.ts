/** What nodes of the assembler have beside numbers, and the functions they make. */
import type { Expr } from '../ir/expr.ts';
import type { ValueType } from './builder.ts';

export interface Body {
  label: string | null;
  children: readonly Expr[];
}
export interface Call {
  /** Name of the function; for an indirect call of the table, whose slot is the node's first operand. */
  name: string;
  args: readonly Expr[];
  /** Index of the function type of an indirect call. */
  signature: number;
  tail: boolean;
}
export interface Switch {
  labels: readonly string[];
  otherwise: string;
}
export interface Func {
  name: string;
  signature: number;
  vars: readonly ValueType[];
  body: Expr;
}
