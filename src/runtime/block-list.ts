/** Interpreter code of blocks that are not in chunks, found by where it lies. */
import { AddressList } from './address-list.ts';
import type { CodeBlock } from './code-blocks.ts';

export class BlockList {
  #blocks: CodeBlock[] = [];
  readonly #ips = new AddressList();

  /** Code lies behind that of all others. */
  push(block: CodeBlock): void {
    this.#blocks.push(block);
    this.#ips.push(block.ip);
  }
  /** The block whose code contains address `ip`. */
  at(ip: number): CodeBlock | null {
    const block = this.#blocks[this.#ips.lastUpTo(ip)];
    return block && ip < block.ipEnd ? block : null;
  }
  clear(): void {
    this.#blocks = [];
    this.#ips.clear();
  }
}
