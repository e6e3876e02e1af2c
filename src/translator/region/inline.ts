/**
 * Calls that a region makes without leaving it: short functions stand in it, at each call once more, and PLT entries are seen
 * through. Of a function with a short way through it only that stands here; the rest is called where it begins.
 */
import type { Block, RegionExit } from '../ir/block.ts';
import { CONST, SLOT_ZERO } from '../ir/layout.ts';
import { inlineCopyOf } from './copies.ts';
import type { CodeReader } from './discover.ts';

type Inner = Block<RegionExit>;
type Call = Extract<RegionExit, { kind: 'call' }>;

/** Guest instructions of a function that may stand in a region that calls it. */
const SHORT = 24;

/** Address of the word in memory that an indirect jump gets its target from, where it is always the same one (a PLT entry). */
export function fixedWord({ exit, insts }: Inner): number | null {
  if (exit.kind !== 'indirect') return null;
  const constants = new Map<number, bigint>([[SLOT_ZERO, 0n]]);
  const words = new Map<number, bigint>();
  for (const { op, d, inputs, imm } of insts) {
    const known = constants.get(inputs[0]!);
    constants.delete(d);
    words.delete(d);
    if (op.name === 'mov.i64' && inputs[0] === CONST) constants.set(d, BigInt(imm));
    else if (known === undefined) continue;
    else if (op.name === 'add.i64' && inputs[1] === CONST) constants.set(d, known + BigInt(imm));
    else if (op.name === 'load.i64') words.set(d, known + BigInt(imm));
  }
  const word = words.get(exit.slot);
  return word === undefined ? null : Number(BigInt.asUintN(64, word));
}

/** Whether a block does nothing but find out where to jump. */
const isTrampoline = (block: Inner): boolean =>
  block.insts.every(({ op }) => op.name === 'load.i64' || op.name === 'mov.i64' || op.name === 'add.i64');

/** What the guest's memory has at `at` now, if it is the address of code. */
function codeAddressAt(code: CodeReader, at: number): number | null {
  if (at + 8 > code.bytes.length) return null;
  const word = new DataView(code.bytes.buffer, code.bytes.byteOffset + at, 8);
  const pc = word.getUint32(0, true);
  return word.getUint32(4, true) === 0 && code.limit(pc) > pc ? pc : null;
}

/** `block`, which ends with a call, with all of `body`, which the call leads to, behind it. */
const joined = (block: Inner, body: Inner, exit: RegionExit): Inner => ({
  ...block,
  insts: [...block.insts, ...body.insts],
  exit,
  exitPc: body.exitPc,
  guestInstructions: block.guestInstructions + body.guestInstructions,
  callee: { pc: body.pc, end: body.end },
});

/** The blocks of the short way through the function at `pc`, that first; null when there is none. */
function shortWay(
  pc: number,
  lift: (pc: number) => Inner | null,
  isCold: (pc: number) => boolean,
): Map<number, Inner> | null {
  const found = new Map<number, Inner>();
  const queue = [pc];
  let room = SHORT;
  let returns = false;
  for (const at of queue) {
    if (found.has(at) || (at !== pc && isCold(at))) continue;
    const block = lift(at);
    if (!block || block.guestInstructions > room) continue;
    const { exit } = block;
    if (exit.kind === 'ret') returns = true;
    else if (exit.kind === 'jump') queue.push(exit.target);
    else if (exit.kind === 'branch') queue.push(exit.fallthrough, exit.taken);
    else continue;
    room -= block.guestInstructions;
    found.set(at, block);
  }
  return returns && found.has(pc) ? found : null;
}

export interface Inliner {
  readonly code: CodeReader;
  /** The block at an address; null when there is none. */
  readonly lift: (pc: number) => Inner | null;
  readonly isCold: (pc: number) => boolean;
  /** Gets the bytes that the result depends on beside those of the region's own blocks: [start, end) pairs. */
  readonly looked: [number, number][];
}

/** Copies of the function at `pc` for the call that ends `site`, the first of them as part of that; null when it is not short. */
function copies(site: Inner | null, call: Call, pc: number, number: number, inliner: Inliner): Inner[] | null {
  const way = shortWay(pc, inliner.lift, inliner.isCold);
  if (!way) return null;
  const rest = new Map<number, Inner>();
  /** Where `from` goes on when it goes to `to`. */
  const next = (from: Inner, to: number): number => {
    // Loops are not for here: where they go back they look for attention.
    if (way.has(to) && to > from.exitPc) return inlineCopyOf(to, number);
    const key = inlineCopyOf(to, number + 0.5);
    const exit: RegionExit = { ...call, target: to };
    rest.set(key, { pc: key, end: to, insts: [], exit, exitPc: to, guestInstructions: 0 });
    return key;
  };
  const exitOf = (block: Inner): RegionExit => {
    const e = block.exit;
    if (e.kind === 'ret') return { kind: 'return', slot: e.slot, to: call.returnPc };
    if (e.kind === 'jump') return { ...e, target: next(block, e.target) };
    if (e.kind === 'branch') return { ...e, taken: next(block, e.taken), fallthrough: next(block, e.fallthrough) };
    return e;
  };
  const out: Inner[] = [];
  for (const [at, block] of way) {
    inliner.looked.push([at, block.end]);
    const exit = exitOf(block);
    out.push(site && at === pc ? joined(site, block, exit) : { ...block, pc: inlineCopyOf(at, number), exit });
  }
  return [...out, ...rest.values()];
}

/**
 * The block with what its call leads to, and the further blocks that this needs.
 *
 * @param number tells apart what is copied for this block; 1 to 4095
 */
export function withCallee(block: Inner, number: number, inliner: Inliner): Inner[] {
  const call = block.exit;
  if (call.kind !== 'call' || call.target === null) return [block];
  const inlined = copies(block, call, call.target, number, inliner);
  if (inlined) return inlined;
  const entry = inliner.lift(call.target);
  if (entry?.exit.kind !== 'indirect' || !isTrampoline(entry)) return [block];
  const word = fixedWord(entry);
  const guess = word === null ? null : codeAddressAt(inliner.code, word);
  if (guess === null) return [block];
  inliner.looked.push([entry.pc, entry.end]);
  const { slot } = entry.exit;
  const found: Call = { kind: 'call', target: null, slot, returnPc: call.returnPc, guess };
  const behind = copies(null, call, guess, number, inliner);
  if (!behind) return [joined(block, entry, found)];
  const condition = { compare: 'eq', width: 'i64', a: slot, b: CONST, imm: guess } as const;
  // Reads the word once more: temporaries do not outlive their instruction.
  const otherwise: Inner = { ...entry, pc: inlineCopyOf(entry.pc, number), exit: found, guestInstructions: 0 };
  const choice = { kind: 'branch', condition, taken: inlineCopyOf(guess, number), fallthrough: otherwise.pc } as const;
  return [joined(block, entry, choice), ...behind, otherwise];
}
