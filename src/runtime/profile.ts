/**
 * `--profile`: samples of where the guest is, as a .cpuprofile for Chrome's developer tools and editors.
 *
 * Nothing can look into translated code while it runs. So a sample is taken where code is left anyway: a region leaves a loop or a
 * call within 3 ms (jit/ticker.ts), the interpreter after some 200,000 blocks, and both at system calls. The time since the last
 * sample goes to it. Callers are found by looking through the guest's stack for addresses behind calls that lead to the function
 * that was found last; frames without such an address (tail calls, code without symbols called through pointers) may be
 * missing, and one that is over may be there.
 */
import { GUEST_LIMIT, PAGE_SIZE } from '../kernel/mm/guest-memory.ts';
import { syscallName } from '../kernel/syscalls/table.ts';
import type { GuestTask } from '../kernel/task/guest-task.ts';
import { PAGE_EXEC, PAGE_READ } from '../translator/ir/layout.ts';
import type { GuestContext } from './isa.ts';
import type { LinearMemory } from './linear-memory.ts';
import { nowMs } from './node-host.ts';
import { type GuestSymbol, Symbols } from './symbols.ts';

/** Samples are not taken closer together, in milliseconds. */
const INTERVAL_MS = 1;
/** Words of the stack that are looked at, and frames that are wanted. */
const MAX_WORDS = 2048;
const MAX_FRAMES = 48;

interface Node {
  readonly id: number;
  readonly name: string;
  readonly file: string;
  readonly children: Map<string, Node>;
  hits: number;
}

export class Profiler {
  readonly #symbols = new Symbols();
  readonly #root: Node = { id: 1, name: '(root)', file: '', children: new Map(), hits: 0 };
  readonly #nodes: Node[] = [this.#root];
  readonly #samples: number[] = [];
  readonly #deltas: number[] = [];
  readonly #start = nowMs();
  #last = this.#start;

  /** Code has been left. */
  left(task: GuestTask): void {
    const now = nowMs();
    if (now - this.#last >= INTERVAL_MS) this.#add(task, now, null);
  }
  /** A system call is over, or waits. */
  called(task: GuestTask): void {
    const now = nowMs();
    if (now - this.#last >= INTERVAL_MS && !task.dead)
      this.#add(task, now, `${syscallName(task.cpu.isa, task.syscallNumber)} (system call)`);
  }
  /** A thread goes on: what was before is not its time. */
  begin(): void {
    const now = nowMs();
    if (now - this.#last < INTERVAL_MS) return;
    this.#sample(this.#child(this.#root, '(idle)', ''), now);
  }

  #add(task: GuestTask, now: number, leaf: string | null): void {
    let node = this.#child(this.#root, `${task.comm} (${task.process.pid})`, '');
    for (const { name, file } of this.#stack(task)) node = this.#child(node, name, file);
    if (leaf !== null) node = this.#child(node, leaf, '');
    this.#sample(node, now);
  }
  #sample(node: Node, now: number): void {
    node.hits++;
    this.#samples.push(node.id);
    this.#deltas.push(Math.round((now - this.#last) * 1000));
    this.#last = now;
  }
  #child(parent: Node, name: string, file: string): Node {
    const key = `${name} ${file}`;
    let node = parent.children.get(key);
    if (!node) {
      node = { id: this.#nodes.length + 1, name, file, children: new Map(), hits: 0 };
      this.#nodes.push(node);
      parent.children.set(key, node);
    }
    return node;
  }

  /** Functions from the outermost to the one that runs. */
  #stack(task: GuestTask): GuestSymbol[] {
    const { mm } = task;
    const memory = mm.memory as LinearMemory;
    const { pc, sp } = task.cpu as GuestContext;
    const inner = this.#symbols.at(mm, task, pc);
    const frames: GuestSymbol[] = inner ? [inner] : [];
    const isA64 = task.cpu.isa === 'aarch64';
    let last = inner;
    const consider = (address: number): void => {
      if (!(address >= 4 && address < GUEST_LIMIT) || !permits(memory, address - 1, PAGE_EXEC)) return;
      const target = isA64 ? callBeforeA64(memory, address) : callBeforeX86(memory, address);
      if (target === null) return;
      // A direct call leads to the function above; a stub of the linkage table has no name of its own.
      const callee = target < 0 ? null : this.#symbols.at(mm, task, target);
      if (callee?.known && last?.known && callee.start !== last.start) return;
      const caller = this.#symbols.at(mm, task, address - 1);
      if (!caller) return;
      frames.push(caller);
      last = caller;
    };
    if (isA64) consider(Number((task.cpu as unknown as { getGpr(n: number): bigint }).getGpr(30)));
    const from = Math.ceil(sp / 8) * 8;
    for (let k = 0; k < MAX_WORDS && frames.length < MAX_FRAMES; k++) {
      const at = from + k * 8;
      if (at % PAGE_SIZE === 0 || k === 0) if (!(at < GUEST_LIMIT && permits(memory, at, PAGE_READ))) break;
      if (memory.u32[(at + 4) >>> 2] === 0) consider(memory.u32[at >>> 2]!);
    }
    return frames.reverse();
  }

  /** The file's text. */
  report(): string {
    return JSON.stringify({
      nodes: this.#nodes.map(({ id, name, file, children, hits }) => ({
        id,
        callFrame: { functionName: name, scriptId: '0', url: file, lineNumber: -1, columnNumber: -1 },
        hitCount: hits,
        children: [...children.values()].map((child) => child.id),
      })),
      startTime: Math.round(this.#start * 1000),
      endTime: Math.round(this.#last * 1000),
      samples: this.#samples,
      timeDeltas: this.#deltas,
    });
  }
}

const permits = (memory: LinearMemory, address: number, bit: number): boolean =>
  (memory.pages[Math.floor(address / PAGE_SIZE)]! & bit) !== 0;

/** Target of the call that ends at `address`; -1 when it calls through a register or memory, null when there is none. */
function callBeforeX86({ u8 }: LinearMemory, address: number): number | null {
  if (u8[address - 5] === 0xe8) {
    const offset = u8[address - 4]! | (u8[address - 3]! << 8) | (u8[address - 2]! << 16) | (u8[address - 1]! << 24);
    return (address + offset) >>> 0;
  }
  // FF /2: with a register, a displacement of one or four bytes, and a SIB byte or none.
  for (const length of [2, 3, 4, 6, 7]) {
    if (u8[address - length] !== 0xff) continue;
    const modrm = u8[address - length + 1]!;
    if (((modrm >> 3) & 7) !== 2) continue;
    const [mod, rm] = [modrm >> 6, modrm & 7];
    const sib = mod !== 3 && rm === 4 ? 1 : 0;
    const displacement = mod === 1 ? 1 : mod === 2 || (mod === 0 && rm === 5) ? 4 : 0;
    if (2 + sib + displacement === length) return -1;
  }
  return null;
}
/** The same of BL and BLR (Arm ARM, C6.2). */
function callBeforeA64({ u32 }: LinearMemory, address: number): number | null {
  if (address % 4 !== 0) return null;
  const word = u32[(address - 4) >>> 2]!;
  if (word >>> 26 === 0x25) return (address - 4 + ((word << 6) >> 6) * 4) >>> 0;
  return (word & 0xffff_fc1f) >>> 0 === 0xd63f_0000 ? -1 : null;
}
