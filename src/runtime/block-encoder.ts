/** Writes blocks as the interpreter's code (translator/ir/bytecode.ts). */
import type { Block, Inst } from '../translator/ir/block.ts';
import { type Bytecode, exitLayout, type Form } from '../translator/ir/bytecode.ts';
import { CONST } from '../translator/ir/layout.ts';
import type { CodeTemplate } from './code-template.ts';
import type { LinearMemory } from './linear-memory.ts';

export class BlockEncoder {
  readonly #memory: LinearMemory;
  /** Its bytecode is asked for when there is something to encode. */
  readonly #front: { readonly bytecode: Bytecode };
  /** Where `emit` has been last. */
  #emitted: { start: number; end: number; links: CodeTemplate['links'] } = { start: 0, end: 0, links: [] };

  constructor(memory: LinearMemory, front: { readonly bytecode: Bytecode }) {
    this.#memory = memory;
    this.#front = front;
  }

  formOf(inst: Inst): Form {
    const { constantForm, slotForm } = this.#front.bytecode;
    return inst.inputs.at(-1) === CONST ? constantForm[inst.op.id]! : slotForm[inst.op.id]!;
  }

  #putImm(at: number, value: number | bigint): void {
    if (typeof value === 'bigint') this.#memory.i64[at >>> 3] = value;
    else if (Number.isSafeInteger(value)) {
      this.#memory.u32[at >>> 2] = value;
      this.#memory.u32[(at + 4) >>> 2] = Math.floor(value / 0x1_0000_0000);
    } else throw new Error(`immediate ${value} is not exact`);
  }

  /** What `emit` has made last, in place: to be used before it is linked. */
  last(): CodeTemplate {
    const { start, end, links } = this.#emitted;
    return { words: this.#memory.u32.subarray(start >>> 2, end >>> 2), links };
  }
  /** Writes a block's code at `start` and returns the address behind it. */
  emit(block: Block, start: number): number {
    const { u16, u32 } = this.#memory;
    const { bytecode } = this.#front;
    let at = start;
    for (const inst of block.insts) {
      const form = this.formOf(inst);
      u16[at >>> 1] = form.opcode;
      if (form.resultAt) u16[(at + form.resultAt) >>> 1] = inst.d;
      for (let k = 0; k < form.inputAt.length; k++) u16[(at + form.inputAt[k]!) >>> 1] = inst.inputs[k]!;
      if (form.immAt) this.#putImm(at + form.immAt, inst.imm);
      at += form.size;
    }
    const links: { linkAddress: number; target: number }[] = [];
    const e = block.exit;
    const head = (opcode: number, slot: number): void => {
      u16[at >>> 1] = opcode;
      u16[(at + exitLayout.slot) >>> 1] = slot;
    };
    const jump = (target: number): void => {
      head(bytecode.exits.jump, 0);
      links.push({ linkAddress: at + exitLayout.jumpIp, target });
      at += 8;
    };
    const indirect = (slot: number): void => {
      head(bytecode.exits.indirect, slot);
      at += 8;
    };
    switch (e.kind) {
      case 'jump':
        jump(e.target);
        break;
      case 'call':
        if (e.target !== null) jump(e.target);
        else indirect(e.slot);
        break;
      case 'ret':
      case 'indirect':
        indirect(e.slot);
        break;
      case 'branch': {
        const c = e.condition;
        const constant = c.b === CONST;
        head(bytecode.branch(c.compare, c.width, constant).opcode, c.a);
        if (!constant) u16[(at + exitLayout.b) >>> 1] = c.b;
        links.push(
          { linkAddress: at + exitLayout.taken, target: e.taken },
          { linkAddress: at + exitLayout.fallthrough, target: e.fallthrough },
        );
        if (constant) this.#putImm(at + exitLayout.imm, c.imm);
        at += constant ? 24 : 16;
        break;
      }
      case 'syscall':
        head(bytecode.exits.syscall, 0);
        this.#putImm(at + exitLayout.pc, e.next);
        at += 16;
        break;
      case 'trap':
        head(bytecode.exits.trap, e.trap);
        at += 8;
        break;
    }
    const places: { word: number; op: number }[] = [];
    for (const { linkAddress, target } of links) {
      places.push({ word: linkAddress - start, op: at - start });
      u32[linkAddress >>> 2] = at;
      u16[at >>> 1] = bytecode.exits.link;
      u32[(at + exitLayout.linkAddress) >>> 2] = linkAddress;
      this.#putImm(at + exitLayout.pc, target);
      at += 16;
    }
    this.#emitted = { start, end: at, links: places };
    return at;
  }
}
