/** Interpreter code in the cache: the file, and what the helper makes of it. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { BlockStore } from '../../src/runtime/cache/block-store.ts';
import { wordsIn } from '../../src/runtime/cache/chunk.ts';
import { type ChunkHelpers, CodeChunk, CodeChunks } from '../../src/runtime/code-chunks.ts';
import type { CodeTemplate } from '../../src/runtime/code-template.ts';
import type { Block } from '../../src/translator/ir/block.ts';
import { cacheIndex, CODE_START, JUMP_CACHE, JUMP_CACHE_ENTRIES } from '../../src/translator/ir/layout.ts';
import { BareMachine } from '../support/bare-machine.ts';
import { damaged } from '../support/damaged.ts';

const COUNT = 77;
const machine = new BareMachine();
const { memory } = machine.engine;
for (let at = 0; at < 0x4000; at++) memory.u8[0x10_0000 + at] = (at * 7) & 0xff;
const PAGE = 0x10_0000;

type Exit = Block['exit']['kind'];
const block = (pc: number, exit: Exit = 'jump'): Block =>
  ({
    pc,
    end: pc + 7,
    insts: [],
    exit: exit === 'call' ? { kind: 'call', target: 5, slot: 0, returnPc: pc + 7 } : { kind: exit },
    exitPc: pc,
    guestInstructions: 3,
  }) as Block;
/** Code with one link, to `target`: its word is the second, its op begins with the third. */
const leadsTo = (target: number): CodeTemplate => ({
  words: Uint32Array.of(11, 9, 33, 9, target, 0),
  links: [{ word: 4, op: 8 }],
});
const LOOP = PAGE + 0x1000;
const CALLER = PAGE + 0x1100;
const BACK = CALLER + 7;
const FLOAT = PAGE + 0x1200;
const TO_FLOAT = PAGE + 0x1300;
const FAR = PAGE + 0x1400;
const store = (): BlockStore => {
  const s = new BlockStore(null);
  s.add(block(FAR), leadsTo(5), false, memory.u8);
  s.add(block(LOOP), leadsTo(LOOP), false, memory.u8);
  s.add(block(CALLER, 'call'), leadsTo(FAR), false, memory.u8);
  s.add(block(BACK, 'ret'), { words: Uint32Array.of(1, 2), links: [] }, false, memory.u8);
  s.add(block(TO_FLOAT), leadsTo(FLOAT), false, memory.u8);
  s.add(block(FLOAT, 'ret'), { words: Uint32Array.of(1, 2), links: [] }, true, memory.u8);
  return s;
};
const all = [LOOP, CALLER, BACK, FLOAT, TO_FLOAT, FAR];
const aligned = (b: Buffer): Buffer => Buffer.from(new Uint8Array(b).buffer as ArrayBuffer);
const fileOf = (s: BlockStore): Buffer => aligned(Buffer.concat(s.encode()));
const words = (b: Buffer): Uint32Array => new Uint32Array(b.buffer as ArrayBuffer, b.byteOffset, b.length >>> 2);

const BASE = CODE_START + 0x4000;
const { u32 } = memory;
memory.protect(PAGE, PAGE + 0x4000, 5);
const counting = { opcode: COUNT, usual: 3000, usualReturn: 96000 };

/** Chunks in their places, from BASE on. */
class Placed {
  readonly chunks = new CodeChunks(memory);
  #next = BASE;
  constructor(returns = false, float = false) {
    this.chunks.helpers = new WebAssembly.Instance(
      new WebAssembly.Module(readFileSync(new URL('../../dist/wasm/helpers.wasm', import.meta.url))),
      { env: { memory: memory.memory, abort() {} } },
    ).exports as unknown as ChunkHelpers;
    this.#allow = () => this.chunks.allow(returns, float);
  }
  readonly #allow: () => void;
  get helpers(): Helpers {
    return this.chunks.helpers as unknown as Helpers;
  }
  add(s: BlockStore, pc: number, usual = 3000): CodeChunk | null {
    const place = s.around(pc);
    const chunk = place && this.chunks.place(place, this.#next, { ...counting, usual });
    if (!(chunk instanceof CodeChunk)) return null;
    this.#next = chunk.ipEnd;
    this.#allow();
    return chunk;
  }
}
interface Helpers {
  link_code(op: number): number;
  return_code(pc: bigint): number;
}
/** The words of a block's code, once it can be run; null when it cannot. */
function ready(chunk: CodeChunk, pc: number): number[] | null {
  const k = chunk.stored.indexOf(pc);
  const ip = k < 0 ? 0 : chunk.ready(k);
  return ip === 0 ? null : [...u32.subarray(ip >>> 2, (ip >>> 2) + wordsIn(chunk.stored.kinds[k]!))];
}
const ipOf = (chunk: CodeChunk, pc: number): number => chunk.ready(chunk.stored.indexOf(pc));
/** Goes on by the link of the block at `pc`. */
const follow = (p: Placed, chunk: CodeChunk, pc: number): number => p.helpers.link_code(ipOf(chunk, pc) + 8) >>> 0;
const linkWord = (chunk: CodeChunk, pc: number): number => u32[(ipOf(chunk, pc) + 4) >>> 2]!;

describe('stored blocks', () => {
  it('serve other address spaces of the run, before there is a file', () => {
    const s = store();
    const u32 = new Uint32Array(64);
    expect(s.load(CALLER, memory.u8, u32, 80)).toEqual({ pc: CALLER, end: BACK, exit: 'call', float: false, words: 6 });
    // The link word holds the address of its op, and the op that of the word.
    expect([...u32.subarray(20, 26)]).toEqual([11, 88, 33, 84, FAR, 0]);
    expect(s.load(FLOAT, memory.u8, u32, 80)?.float).toBe(true);
    expect(s.load(PAGE, memory.u8, u32, 80)).toBeNull();
    const other = memory.u8.slice(0, CALLER + 16);
    other[CALLER + 6]! ^= 1;
    expect(s.load(CALLER, other, u32, 80)).toBeNull();
  });
  it('are made fit to run when control comes to them, and linked when it leaves them', () => {
    const p = new Placed();
    const chunk = p.add(new BlockStore(fileOf(store())), CALLER)!;
    expect([...chunk.stored.pcs]).toEqual(all);
    expect([...chunk.stored.calls]).toEqual([FAR]);
    expect([...chunk.readyPcs()]).toEqual([]);
    // Stubs, in order: of the loop, of where the call returns, of what is jumped back to, of what is called.
    expect([...chunk.stored.stubPcs]).toEqual([LOOP, BACK, FLOAT, FAR]);
    const place = (pc: number): number => chunk.ip + chunk.stored.places[chunk.stored.indexOf(pc)]!;
    const stubs = chunk.stubPlace(LOOP);
    expect([...u32.subarray(stubs >>> 2, (stubs >>> 2) + 16)]).toEqual([
      ...[COUNT, 3000, place(LOOP), LOOP],
      ...[COUNT, 96000, place(BACK), BACK],
      ...[COUNT, 3000, place(FLOAT), FLOAT],
      ...[COUNT, 3000, place(FAR), FAR],
    ]);
    // A link leads to its op, which says that it counts.
    const counts = 3 << 16;
    expect(ready(chunk, CALLER)).toEqual([11, place(CALLER) + 8, 33 | counts, place(CALLER) + 4, FAR, 0]);
    expect([...chunk.readyPcs()]).toEqual([CALLER]);
    expect(follow(p, chunk, CALLER)).toBe(chunk.stubPlace(FAR));
    expect(linkWord(chunk, CALLER)).toBe(chunk.stubPlace(FAR));
    expect([...chunk.readyPcs()]).toEqual([CALLER, FAR]);
    expect(follow(p, chunk, LOOP)).toBe(chunk.stubPlace(LOOP));
    // Where nobody lies: the runtime must see to it.
    expect(follow(p, chunk, FAR)).toBe(0);
    expect(linkWord(chunk, FAR)).toBe(place(FAR) + 8);
    expect(chunk.at(chunk.stubPlace(BACK))).toMatchObject({ pc: BACK, exit: null });
    expect(chunk.at(place(BACK) + 4)).toMatchObject({ pc: BACK, exit: 'ret' });
  });
  it('are linked past what counts where nothing is counted', () => {
    const p = new Placed();
    const chunk = p.add(new BlockStore(fileOf(store())), CALLER, 0)!;
    expect(follow(p, chunk, CALLER)).toBe(ipOf(chunk, FAR));
  });
  it('are linked to those of another chunk, but to floating point only when the guest has used it', () => {
    const one = new BlockStore(null);
    one.add(block(CALLER, 'call'), leadsTo(FAR), false, memory.u8);
    one.add(block(TO_FLOAT), leadsTo(FLOAT), false, memory.u8);
    one.add(block(LOOP), leadsTo(PAGE), false, memory.u8);
    const two = new BlockStore(null);
    two.add(block(FAR), leadsTo(FAR), false, memory.u8);
    two.add(block(FAR + 0x80, 'ret'), leadsTo(5), true, memory.u8);
    two.add(block(FAR + 0x100), leadsTo(FAR + 0x80), true, memory.u8);
    for (const float of [false, true]) {
      const p = new Placed(false, float);
      const far = p.add(new BlockStore(fileOf(two)), FAR)!;
      const a = p.add(new BlockStore(fileOf(one)), CALLER)!;
      expect(follow(p, a, CALLER)).toBe(far.stubPlace(FAR));
      expect(follow(p, far, FAR + 0x100)).toBe(float ? far.stubPlace(FAR + 0x80) : 0);
      expect(follow(p, a, TO_FLOAT)).toBe(0);
      expect(follow(p, a, LOOP)).toBe(0);
      // What is removed is not led to any more.
      p.chunks.remove(far);
      expect(follow(p, a, CALLER)).toBe(0);
      p.chunks.clear();
      expect(p.helpers.link_code(ipOf(a, LOOP) + 8)).toBe(0);
    }
  });
  it('are not entered where the guest may not execute', () => {
    const p = new Placed(true);
    const chunk = p.add(new BlockStore(fileOf(store())), CALLER)!;
    const place = (JUMP_CACHE + cacheIndex(BACK, JUMP_CACHE_ENTRIES) * 8) >>> 2;
    u32.fill(0, place, place + 2);
    const op = ipOf(chunk, CALLER) + 8;
    memory.protect(PAGE, PAGE + 0x4000, 1);
    expect(p.helpers.link_code(op)).toBe(0);
    expect(p.helpers.return_code(BigInt(BACK))).toBe(0);
    expect(p.add(new BlockStore(fileOf(store())), CALLER)).toBeNull();
    memory.protect(PAGE, PAGE + 0x4000, 5);
    expect(p.helpers.link_code(op) >>> 0).toBe(chunk.stubPlace(FAR));
  });
  it('are counted where links of another chunk want it', () => {
    const s = new BlockStore(null);
    const long = { words: new Uint32Array(16000), links: leadsTo(0).links };
    for (let k = 0; k < 4; k++) {
      long.words.set(leadsTo(PAGE).words);
      s.add(block(PAGE + k * 16, 'call'), long, false, memory.u8);
    }
    const file = new BlockStore(fileOf(s));
    const p = new Placed();
    const first = p.add(file, PAGE)!;
    expect(first.stored.pcs.length).toBeLessThan(4);
    expect([...first.stored.stubPcs]).toContain(PAGE);
    const last = p.add(file, PAGE + 48)!;
    expect(follow(p, last, PAGE + 48)).toBe(first.stubPlace(PAGE));
  });
  it('are entered into the jump cache where calls return to them', () => {
    const place = (JUMP_CACHE + cacheIndex(BACK, JUMP_CACHE_ENTRIES) * 8) >>> 2;
    u32.fill(0, place, place + 2);
    const s = new BlockStore(fileOf(store()));
    const closed = new Placed(false);
    closed.add(s, CALLER);
    expect(closed.helpers.return_code(BigInt(BACK))).toBe(0);
    expect(u32[place]).toBe(0);
    const p = new Placed(true);
    const chunk = p.add(s, CALLER)!;
    expect(p.helpers.return_code(BigInt(LOOP))).toBe(0);
    expect(p.helpers.return_code(BigInt(BACK) + (1n << 32n))).toBe(0);
    expect(p.helpers.return_code(BigInt(BACK)) >>> 0).toBe(chunk.stubPlace(BACK));
    expect([...u32.subarray(place, place + 2)]).toEqual([BACK, chunk.stubPlace(BACK)]);
    expect([...chunk.readyPcs()]).toEqual([BACK]);
  });
  it('are merged with those that come later', () => {
    let file: Buffer | null = null;
    const pcs = Array.from({ length: 60 }, (_, k) => PAGE + ((k * 37) % 60) * 16);
    for (let k = 0; k < 60; k += 7) {
      const s: BlockStore = new BlockStore(file);
      for (const pc of pcs.slice(k, k + 7)) s.add(block(pc), leadsTo(PAGE + 16 * 30), false, memory.u8);
      file = fileOf(s);
    }
    const s = new BlockStore(file);
    expect(s.size).toBe(60);
    expect(s.damaged()).toBe(0);
    const p = new Placed();
    const chunk = p.add(s, PAGE)!;
    expect([...chunk.stored.pcs]).toEqual([...pcs].sort((a, b) => a - b));
    // Those before it jump to the block, those from it on to its stub.
    const to = PAGE + 16 * 30;
    for (const pc of pcs) expect(follow(p, chunk, pc)).toBe(pc < to ? ipOf(chunk, to) : chunk.stubPlace(to));
  });
  it('are read in parts, and written anew in parts', () => {
    const s = new BlockStore(null);
    const long = { words: Uint32Array.from({ length: 4000 }, (_, k) => k), links: [] };
    for (let k = 0; k < 1500; k++) s.add(block(PAGE + k * 8, 'ret'), long, false, memory.u8);
    const whole = fileOf(s);
    let read = 0;
    const parts = new BlockStore({
      size: whole.length,
      read(at, length) {
        read += length;
        return aligned(whole.subarray(at, at + length));
      },
      readInto(to, at) {
        read += to.length;
        to.set(whole.subarray(at, at + to.length));
        return true;
      },
    });
    const p = new Placed();
    for (const k of [0, 700, 1499]) expect(ready(p.add(parts, PAGE + k * 8)!, PAGE + k * 8)![3999]).toBe(3999);
    expect(parts.chunkWith(PAGE + 4)).toBeNull();
    expect(read).toBeLessThan(whole.length / 50);
    expect(fileOf(parts).equals(whole)).toBe(true);
    parts.add(block(PAGE + 4, 'ret'), long, false, memory.u8);
    const merged = new BlockStore(fileOf(parts));
    expect(merged.size).toBe(1501);
    expect(merged.damaged()).toBe(0);
  });
  it('are not used for other guest bytes, each by itself', () => {
    const s = new BlockStore(fileOf(store()));
    for (const pc of all)
      for (let k = 0; k < 7; k++) {
        memory.u8[pc + k]! ^= 1;
        const chunk = new Placed().add(s, pc)!;
        expect(ready(chunk, pc)).toBeNull();
        expect(chunk.takeDamage()).toBe(false);
        expect(all.filter((other) => ready(chunk, other) !== null)).toEqual(all.filter((other) => other !== pc));
        memory.u8[pc + k]! ^= 1;
        // Nobody asks again: it has been made anew.
        expect(ready(chunk, pc)).toBeNull();
      }
    // The new one takes the old one's place.
    s.add(block(LOOP), leadsTo(7), false, memory.u8);
    expect(ready(new Placed().add(new BlockStore(fileOf(s)), LOOP)!, LOOP)![4]).toBe(7);
  });
  /** What can be run of a file: by address, the code. */
  const usable = (file: Buffer): Map<number, number[]> => {
    const out = new Map<number, number[]>();
    const chunk = new Placed().add(new BlockStore(file), LOOP);
    for (const pc of all) {
      const code = chunk && ready(chunk, pc);
      if (code) out.set(pc, code);
    }
    return out;
  };
  it('are not used with two words damaged in their highest bits', () => {
    const good = fileOf(store());
    const wanted = usable(good);
    expect(wanted.size).toBe(all.length);
    const first = 5 + 4;
    const length = good.length / 4;
    for (let a = first + 2; a < length; a++)
      for (let b = a + 1; b < length; b++) {
        const bad = aligned(good);
        for (const k of [a, b]) words(bad)[k]! ^= 0x8000_0000;
        const found = usable(bad);
        for (const [pc, code] of found) expect(code, `words ${a} and ${b}`).toEqual(wanted.get(pc));
        if (found.size === wanted.size) expect.fail(`words ${a} and ${b}`);
      }
  });
  it('are right or not there when any bit of the file has changed', () => {
    const good = fileOf(store());
    const wanted = usable(good);
    let missing = 0;
    for (const bad of damaged(good)) {
      const file = aligned(bad);
      expect(new BlockStore(file).damaged()).toBeGreaterThan(0);
      const found = usable(file);
      for (const [pc, code] of found) expect(code).toEqual(wanted.get(pc));
      missing += wanted.size - found.size;
    }
    expect(missing).toBeGreaterThan(100);
  });
  it('are made anew when they are damaged, and leave the others as they are', () => {
    const bad = fileOf(store());
    const at = new BlockStore(bad).chunkWith(LOOP)!;
    const word = bad.length / 4 - at.words.length + (at.places[at.indexOf(FAR)]! >> 2);
    words(bad)[word]! ^= 1;
    const s = new BlockStore(bad);
    const chunk = new Placed().add(s, LOOP)!;
    expect(ready(chunk, FAR)).toBeNull();
    expect([chunk.takeDamage(), chunk.takeDamage()]).toEqual([true, false]);
    s.noteDamage();
    expect(s.worthWriting).toBe(true);
    const again = new BlockStore(fileOf(s));
    expect(again.damaged()).toBe(0);
    expect([...again.chunkWith(LOOP)!.pcs]).toEqual(all.filter((pc) => pc !== FAR));
  });
  it('are found by nobody in a chunk of which too much is damaged', () => {
    const bad = fileOf(store());
    words(bad)[5 + 4 + 8]! ^= 0x100;
    const s = new BlockStore(bad);
    expect(new Placed().add(s, LOOP)).toBeNull();
    s.reject(0);
    expect(s.around(LOOP)).toBeNull();
    s.add(block(FAR), leadsTo(5), false, memory.u8);
    const again = new BlockStore(fileOf(s));
    expect([...again.chunkWith(FAR)!.pcs]).toEqual([FAR]);
    expect(again.damaged()).toBe(0);
  });
});
