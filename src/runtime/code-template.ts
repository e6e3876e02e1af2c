/**
 * Encoded blocks, to be put into another memory (or the same again) without encoding them anew: the bytes are the same
 * but for the words that hold addresses in the code area. Kept only where blocks are (block-cache.ts).
 */
import type { Block } from '../translator/ir/block.ts';
import { exitLayout } from '../translator/ir/bytecode.ts';

export interface CodeTemplate {
  /** The code, a multiple of 8 bytes, as 32-bit words. */
  readonly words: Uint32Array;
  /** Offsets of the link words, and of the op each leads to until it is linked. */
  readonly links: readonly { readonly word: number; readonly op: number }[];
}

const templates = new WeakMap<Block, CodeTemplate>();

export const templateOf = (block: Block): CodeTemplate | undefined => templates.get(block);

/** Remembers what a block was encoded to, before anything is linked. */
export function keepTemplate(block: Block, { words, links }: CodeTemplate): void {
  templates.set(block, { words: words.slice(), links });
}

/** Puts the code at `start` and returns the address behind it. */
export function placeTemplate({ words, links }: CodeTemplate, u32: Uint32Array, start: number): number {
  const first = start >>> 2;
  // Some 40 words: TypedArray.set costs more than that.
  for (let k = 0; k < words.length; k++) u32[first + k] = words[k]!;
  for (const { word, op } of links) {
    u32[(start + word) >>> 2] = start + op;
    u32[(start + op + exitLayout.linkAddress) >>> 2] = start + word;
  }
  return start + words.length * 4;
}
