/**
 * Interpreter code ahead of time: follows jumps, branches, calls and switch tables from where functions begin, and keeps every
 * block on the way. A run after it decodes next to nothing, also of code that is not hot enough to be translated.
 */
import type { BlockStore } from '../../runtime/cache/block-store.ts';
import { CodeSpace } from '../../runtime/code-space.ts';
import type { IsaRuntime } from '../../runtime/isa.ts';
import type { LinearMemory } from '../../runtime/linear-memory.ts';
import type { Block } from '../../translator/ir/block.ts';
import { functionOf, isDispatch } from '../../translator/region/discover.ts';
import type { BlockAddresses, SwitchTable } from '../../translator/region/abi.ts';
import type { CodeImage } from './images.ts';

/** Entries of one switch table, and tables tried for one function. */
const MAX_ENTRIES = 1024;
const MAX_TABLES = 200;
/** Addresses in a function from which distances may be, and as many of them in a row as are no accident. */
const MAX_LABELS = 8;
const MIN_DISTANCES = 8;
/** Blocks between turns of the event loop, which hears the compile workers. */
const STRETCH = 500;
/** Direct calls of a function that make it likely to be hot: allocators and the like have no loops. */
const MANY_CALLS = 10;

export interface FoundBlocks {
  /** Blocks that were not there before. */
  added: number;
  /** Guest bytes of all blocks: [start, end) pairs. */
  ranges: [number, number][];
  /** Where indirect jumps may go to. */
  jumpTargets: Set<number>;
  /** What direct calls go to, and addresses of code that code holds. */
  callTargets: Set<number>;
  /** Functions, by where they begin, that may well be hot: with a loop inside, or called from many places. */
  likely: Set<number>;
}

/** What is known of a function while its blocks are found. */
interface FunctionNotes {
  dispatches: boolean;
  /** Constants that could be addresses of tables. */
  constants: Set<number>;
  /** Addresses of the function's own code that it makes: tables may hold distances from them. */
  labels: Set<number>;
  /** Tables whose form the front end has read off the code. */
  tables: SwitchTable[];
}

/** Guest addresses that control goes to from a block. */
function targets({ exit }: Block): number[] {
  switch (exit.kind) {
    case 'jump':
      return [exit.target];
    case 'branch':
      return [exit.fallthrough, exit.taken];
    case 'call':
      return exit.target === null ? [exit.returnPc] : [exit.returnPc, exit.target];
    case 'syscall':
      return [exit.next];
    case 'ret':
    case 'indirect':
    case 'trap':
      return [];
  }
}

/** Finds the blocks of `code`, whose bytes are in `memory`, and adds them to `store`. */
export async function findBlocks(
  isa: IsaRuntime,
  memory: LinearMemory,
  code: CodeImage,
  further: Iterable<number>,
  store: BlockStore,
): Promise<FoundBlocks> {
  const front = isa.createFrontEnd({ verify: false, disabledPasses: [] });
  const space = new CodeSpace(memory, front);
  const starts = code.functions;
  const notes = new Map<number, FunctionNotes>();
  const found: FoundBlocks = {
    added: 0,
    ranges: [],
    jumpTargets: new Set(),
    callTargets: new Set(),
    likely: new Set(),
  };
  const calls = new Map<number, number>();
  let last: Block | null = null;
  space.source = {
    chunkAround: () => null,
    noteChunk() {},
    noteDamage() {},
    floatUsed: false,
    noteFloatUse() {},
    loadBlock: () => null,
    keepBlock(block, template) {
      last = block;
      if (block.end > code.end || store.has(block.pc)) return;
      store.add(block, template, front.raisesFloatFlags(block), memory.u8);
      found.added++;
    },
  };
  const inside = (pc: number): boolean => pc >= code.start && pc < code.end;
  const seen = new Set<number>();
  const queue: number[] = [];
  const want = (pc: number): void => {
    if (seen.has(pc) || !inside(pc)) return;
    seen.add(pc);
    queue.push(pc);
  };
  for (const pc of starts) want(pc);
  for (const pc of code.pointers) want(pc);
  for (const pc of further) want(pc);
  for (let k = 0; ; k++) {
    if (k === queue.length) {
      // A table may lie beyond a branch that was followed after its jump.
      for (const pc of switchTargets(code, starts, notes)) {
        found.jumpTargets.add(pc);
        want(pc);
      }
      if (k === queue.length) break;
    }
    if (k % STRETCH === STRETCH - 1) await new Promise((resolve) => setImmediate(resolve));
    if (space.full) space.flush();
    last = null;
    if (space.entry(queue[k]!, 0) === 0 || !last) continue;
    const block: Block = last;
    found.ranges.push([block.pc, block.end]);
    for (const pc of targets(block)) want(pc);
    const { exit } = block;
    if (exit.kind === 'call' && exit.target !== null && inside(exit.target)) {
      found.callTargets.add(exit.target);
      calls.set(exit.target, (calls.get(exit.target) ?? 0) + 1);
    }
    const start = starts[functionOf(starts, block.pc)] ?? Number.POSITIVE_INFINITY;
    const back =
      (exit.kind === 'jump' && exit.target <= block.pc && exit.target) ||
      (exit.kind === 'branch' && exit.taken <= block.pc && exit.taken);
    if (back !== false && back >= start) found.likely.add(start);
    note(notes, starts, block, front.blockAddresses?.(memory.u8, block));
    // Addresses of functions that are passed on, as main's is by _start.
    for (const { imm } of block.insts) {
      const pc = Number(imm);
      if (pc === block.end || !inside(pc) || pc % 1 !== 0 || seen.has(pc)) continue;
      found.callTargets.add(pc);
      want(pc);
    }
  }
  for (const [pc, times] of calls) if (times >= MANY_CALLS) found.likely.add(pc);
  memory.code = null;
  return found;
}

function note(notes: Map<number, FunctionNotes>, starts: readonly number[], block: Block, made?: BlockAddresses): void {
  const f = functionOf(starts, block.pc);
  let known = notes.get(f);
  if (!known) {
    known = { dispatches: false, constants: new Set(), labels: new Set(), tables: [] };
    notes.set(f, known);
  }
  if (isDispatch(block)) known.dispatches = true;
  for (const n of made?.addresses ?? []) known.constants.add(n);
  if (made?.table) known.tables.push(made.table);
  for (const { imm } of block.insts) {
    const n = Number(imm);
    if (n > 0xffff && n < 2 ** 32 && n % 4 === 0) known.constants.add(n);
    if (n % 1 === 0 && n !== block.end && f >= 0 && functionOf(starts, n) === f) known.labels.add(n);
  }
}

/** Targets of one table of known form, if it lies at `table`; none beyond the first that leaves [start, end). */
function* tableTargets(
  code: CodeImage,
  form: SwitchTable,
  table: number,
  base: number,
  start: number,
  end: number,
): Generator<number> {
  const data = code.data.find((d) => table >= d.start && table < d.start + d.bytes.length);
  if (!data) return;
  const view = new DataView(data.bytes.buffer, data.bytes.byteOffset, data.bytes.length);
  const most = Math.min(form.entries ?? MAX_ENTRIES, MAX_ENTRIES);
  for (let k = 0, at = table - data.start; k < most && at + form.bytes <= view.byteLength; k++, at += form.bytes) {
    const entry =
      form.bytes === 1
        ? form.signed
          ? view.getInt8(at)
          : view.getUint8(at)
        : form.bytes === 2
          ? form.signed
            ? view.getInt16(at, true)
            : view.getUint16(at, true)
          : form.signed
            ? view.getInt32(at, true)
            : view.getUint32(at, true);
    const target = base + entry * 2 ** form.shift;
    if (target < start || target >= end) return;
    yield target;
  }
}

/** Targets of the switch tables that functions with indirect jumps may use: 32-bit distances from the table, addresses, or of a form that is known. */
function* switchTargets(
  code: CodeImage,
  starts: readonly number[],
  notes: ReadonlyMap<number, FunctionNotes>,
): Generator<number> {
  for (const [f, { dispatches, constants, labels, tables }] of notes) {
    if (!dispatches || f < 0) continue;
    const start = starts[f]!;
    const end = starts[f + 1] ?? code.end;
    for (const form of tables) {
      // A table made outside of a loop, or kept on the stack: any address of the function's that is not its code may be it.
      const candidates = form.table !== null ? [form.table] : [...constants].filter((a) => a < start || a >= end);
      for (const table of candidates.slice(0, MAX_TABLES)) {
        const base = form.base === 'table' ? table : form.base;
        if (base !== null) yield* tableTargets(code, form, table, base, start, end);
      }
    }
    if (tables.length > 0) continue;
    for (const table of [...constants].slice(0, MAX_TABLES)) {
      const data = code.data.find((d) => table >= d.start && table < d.start + d.bytes.length);
      if (!data) continue;
      const view = new DataView(data.bytes.buffer, data.bytes.byteOffset, data.bytes.length);
      const first = table - data.start;
      for (let k = 0, at = first; k < MAX_ENTRIES && at + 4 <= view.byteLength; k++, at += 4) {
        const target = table + view.getInt32(at, true);
        if (target < start || target >= end) break;
        yield target;
      }
      for (const label of [...labels].slice(0, MAX_LABELS)) {
        const targets: number[] = [];
        for (let k = 0, at = first; k < MAX_ENTRIES && at + 4 <= view.byteLength; k++, at += 4) {
          const target = label + view.getInt32(at, true);
          if (target < start || target >= end) break;
          targets.push(target);
        }
        if (targets.length >= MIN_DISTANCES) yield* targets;
      }
      for (let k = 0, at = first; k < MAX_ENTRIES && at + 8 <= view.byteLength; k++, at += 8) {
        const target = view.getUint32(at, true);
        if (view.getUint32(at + 4, true) !== 0 || target < start || target >= end) break;
        yield target;
      }
    }
  }
}
