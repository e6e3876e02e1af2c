/**
 * Interpreter code of one address space: translates blocks on demand, links them, and drops them when the guest bytes
 * they were made from change.
 */
import { GUEST_LIMIT, PAGE_SIZE } from '../kernel/mm/guest-memory.ts';
import type { Block, Inst } from '../translator/ir/block.ts';
import { type Bytecode, exitLayout, MIN_BLOCK } from '../translator/ir/bytecode.ts';
import {
  CODE_END,
  CODE_START,
  CONST,
  JUMP_CACHE,
  JUMP_CACHE_ENTRIES,
  PAGE_EXEC,
  PAGE_GUEST_WRITE,
  PAGE_TABLE,
  PAGE_WRITE,
} from '../translator/ir/layout.ts';
import type { CodeOwner, LinearMemory } from './linear-memory.ts';

/** What a front end offers: blocks ready for encoding. */
export interface FrontEnd {
  readonly bytecode: Bytecode;
  /** Null when not even the first instruction at `pc` can be fetched before `limit`. `single`: one guest instruction. */
  lift(code: Uint8Array, pc: number, limit: number, flavour: number, single: boolean): Block | null;
}

export interface CodeBlock {
  pc: number;
  end: number;
  /** Address of its code, and of the first byte after it. */
  ip: number;
  ipEnd: number;
  flavour: number;
  /** Not entered in any map: made to step over one instruction. */
  transient: boolean;
  dead: boolean;
}

export interface CodeStats {
  blocks: number;
  guestInstructions: number;
  invalidated: number;
  flushes: number;
}

export class CodeSpace implements CodeOwner {
  readonly #memory: LinearMemory;
  readonly #front: FrontEnd;
  #next = CODE_START;
  #flavour = 0;
  /** In order of `ip`. */
  #blocks: CodeBlock[] = [];
  #byPc: Map<number, CodeBlock>[] = [];
  readonly #byPage = new Map<number, Set<CodeBlock>>();
  /** Sees every block that is translated (--dump). */
  onTranslate: ((block: Block) => void) | null = null;
  readonly stats: CodeStats = { blocks: 0, guestInstructions: 0, invalidated: 0, flushes: 0 };

  constructor(memory: LinearMemory, front: FrontEnd) {
    this.#memory = memory;
    this.#front = front;
    memory.code = this;
  }

  /**
   * Address of the code for the block at `pc`, translating it if need be; 0 when `pc` cannot be fetched.
   * `flavour` picks among translations of one block (0: fast floating point, 1: exact).
   */
  entry(pc: number, flavour: number): number {
    const known = this.#byPc[flavour]?.get(pc);
    if (known) return known.ip;
    const block = this.#lift(pc, flavour, false);
    if (!block) return 0;
    this.onTranslate?.(block);
    const code = this.#encode(block, flavour, false);
    (this.#byPc[flavour] ??= new Map()).set(pc, code);
    this.#watch(code);
    return code.ip;
  }

  /** Code that runs just the instruction at `pc` and then looks up the next; 0 when it cannot be fetched. */
  singleStep(pc: number, flavour: number): number {
    const block = this.#lift(pc, flavour, true);
    return block ? this.#encode(block, flavour, true).ip : 0;
  }

  /** As `entry`, and enters it into the jump cache, which indirect jumps look at. */
  cachedEntry(pc: number, flavour: number): number {
    const ip = this.entry(pc, flavour);
    if (ip !== 0) {
      const at = (JUMP_CACHE + (pc & (JUMP_CACHE_ENTRIES - 1)) * 8) >>> 2;
      this.#memory.u32[at] = pc;
      this.#memory.u32[at + 1] = ip;
    }
    return ip;
  }

  /** Points an unlinked exit at the code of its target. */
  link(linkAddress: number, ip: number): void {
    const owner = this.blockAt(linkAddress);
    if (owner && !owner.dead) this.#memory.u32[linkAddress >>> 2] = ip;
  }

  /** Jump-cache entries are of one flavour: to be called before code of `flavour` runs. */
  useFlavour(flavour: number): void {
    if (flavour === this.#flavour) return;
    this.#flavour = flavour;
    this.#clearJumpCache();
  }
  #clearJumpCache(): void {
    this.#memory.u8.fill(0, JUMP_CACHE, JUMP_CACHE + JUMP_CACHE_ENTRIES * 8);
  }

  /** The block whose code contains address `ip`. */
  blockAt(ip: number): CodeBlock | null {
    let low = 0;
    let high = this.#blocks.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const b = this.#blocks[middle]!;
      if (ip < b.ip) high = middle - 1;
      else if (ip >= b.ipEnd) low = middle + 1;
      else return b;
    }
    return null;
  }

  /** The op at `ip` and its guest pc; `inst` is null for the exit. Lifts the block again: faults are rare. */
  locate(ip: number): { block: CodeBlock; pc: number; inst: Inst | null } | null {
    const code = this.blockAt(ip);
    if (!code) return null;
    const block = this.#lift(code.pc, code.flavour, code.transient);
    if (!block) return null;
    let at = code.ip;
    for (const inst of block.insts) {
      const size = this.#formOf(inst).size;
      if (ip < at + size) return { block: code, pc: inst.pc, inst };
      at += size;
    }
    return { block: code, pc: block.exitPc, inst: null };
  }

  /** True when a store to the page failed only because translated code was made from it. */
  holdsCode(page: number): boolean {
    return this.#byPage.has(page);
  }

  invalidate(start: number, end: number): void {
    if (this.#byPage.size === 0) return;
    const first = Math.floor(start / PAGE_SIZE);
    const last = Math.ceil(end / PAGE_SIZE);
    if (last - first > this.#byPage.size) {
      for (const page of [...this.#byPage.keys()]) if (page >= first && page < last) this.#dropPage(page);
    } else for (let page = first; page < last; page++) if (this.#byPage.has(page)) this.#dropPage(page);
  }

  #dropPage(page: number): void {
    const { u8 } = this.#memory;
    const blocks = this.#byPage.get(page)!;
    this.#byPage.delete(page);
    if (u8[PAGE_TABLE + page]! & PAGE_GUEST_WRITE) u8[PAGE_TABLE + page]! |= PAGE_WRITE;
    for (const b of blocks) this.#drop(b);
  }

  #drop(b: CodeBlock): void {
    if (b.dead) return;
    b.dead = true;
    this.stats.invalidated++;
    const { u16, u32 } = this.#memory;
    // Whoever still links here finds an op that leaves with the block's pc.
    u16[b.ip >>> 1] = this.#front.bytecode.exits.stale;
    u32[(b.ip + exitLayout.pc) >>> 2] = b.pc;
    u32[(b.ip + exitLayout.pc + 4) >>> 2] = 0;
    this.#byPc[b.flavour]?.delete(b.pc);
    const at = (JUMP_CACHE + (b.pc & (JUMP_CACHE_ENTRIES - 1)) * 8) >>> 2;
    if (u32[at] === b.pc) u32[at] = 0;
  }

  /** Forgets everything (exec, or the code area is full). No thread may hold an address in it. */
  flush(): void {
    for (const page of [...this.#byPage.keys()]) this.#dropPage(page);
    this.#byPc = [];
    this.#blocks = [];
    this.#next = CODE_START;
    this.#clearJumpCache();
    this.stats.flushes++;
  }
  /** Whether a block might not fit any more. */
  get full(): boolean {
    return this.#next > CODE_END - 0x40000;
  }

  #lift(pc: number, flavour: number, single: boolean): Block | null {
    const { u8 } = this.#memory;
    if (!(pc >= 0 && pc < GUEST_LIMIT)) return null;
    let page = Math.floor(pc / PAGE_SIZE);
    // A block reads at most 64 instructions of 15 bytes: two pages are enough.
    const lastPage = page + 2;
    while (page < lastPage && u8[PAGE_TABLE + page]! & PAGE_EXEC) page++;
    return this.#front.lift(u8, pc, page * PAGE_SIZE, flavour, single);
  }

  /** Stores to the pages of the block's bytes now fault, so that the change is noticed. */
  #watch(b: CodeBlock): void {
    const { u8 } = this.#memory;
    const last = Math.floor((b.end - 1) / PAGE_SIZE);
    for (let page = Math.floor(b.pc / PAGE_SIZE); page <= last; page++) {
      let set = this.#byPage.get(page);
      if (!set) {
        set = new Set();
        this.#byPage.set(page, set);
        u8[PAGE_TABLE + page]! &= ~PAGE_WRITE;
      }
      set.add(b);
    }
  }

  #formOf(inst: Inst) {
    const { bytecode } = this.#front;
    return inst.inputs.at(-1) === CONST ? bytecode.constantForm[inst.op.id]! : bytecode.slotForm[inst.op.id]!;
  }

  #putImm(at: number, value: number | bigint): void {
    if (typeof value === 'bigint') this.#memory.i64[at >>> 3] = value;
    else if (Number.isSafeInteger(value)) {
      this.#memory.u32[at >>> 2] = value;
      this.#memory.u32[(at + 4) >>> 2] = Math.floor(value / 0x1_0000_0000);
    } else throw new Error(`immediate ${value} is not exact`);
  }

  #encode(block: Block, flavour: number, transient: boolean): CodeBlock {
    const { u16, u32 } = this.#memory;
    const { bytecode } = this.#front;
    const start = this.#next;
    let at = start;
    for (const inst of block.insts) {
      const form = this.#formOf(inst);
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
    for (const { linkAddress, target } of links) {
      u32[linkAddress >>> 2] = at;
      u16[at >>> 1] = bytecode.exits.link;
      u32[(at + exitLayout.linkAddress) >>> 2] = linkAddress;
      this.#putImm(at + exitLayout.pc, target);
      at += 16;
    }
    if (at - start < MIN_BLOCK) at = start + MIN_BLOCK;
    this.#next = at;
    const code: CodeBlock = { pc: block.pc, end: block.end, ip: start, ipEnd: at, flavour, transient, dead: false };
    this.#blocks.push(code);
    this.stats.blocks++;
    this.stats.guestInstructions += block.guestInstructions;
    return code;
  }
}
