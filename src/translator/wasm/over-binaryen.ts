/** A binaryen module as op semantics' builder wants it, for the interpreter, which is made at build time. */
import binaryen from 'binaryen';
import type { Emitter } from './builder.ts';

const { none, i32, i64, f32, f64, v128 } = binaryen;

export type BinaryenEmitter = binaryen.Module & Emitter;

/** A module that begins as `text`: some declarations have no other way in. */
export function overBinaryen(text: string): BinaryenEmitter {
  const more = { types: { none, i32, i64, f32, f64, v128 }, typeOf: binaryen.getExpressionType };
  return Object.assign(binaryen.parseText(text), more) as BinaryenEmitter;
}
