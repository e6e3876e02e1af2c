/** Interpreter code in the cache: the file, and what the helper makes of it. */
import { describe, expect, it } from 'vitest';
import { BlockStore } from '../../src/runtime/cache/block-store.ts';
import type { StoredChunk } from '../../src/runtime/cache/chunk.ts';
import { CodeChunk } from '../../src/runtime/code-chunks.ts';
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
/** What the helper answers, and the words that it leaves. */
function restore(chunk: StoredChunk, usual = 3000, returns = 0): { result: number; made: number[] } {
  const { u32 } = memory;
  u32.set(chunk.words, (BASE + chunk.size) >>> 2);
  const result = machine.engine.code.restore!(
    BASE + chunk.size,
    chunk.words.length,
    BASE,
    COUNT,
    usual,
    usual * 32,
    returns,
  );
  return { result, made: [...u32.subarray(BASE >>> 2, (BASE + chunk.size) >>> 2)] };
}

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
  it('come back linked to each other, but for what the runtime must see', () => {
    const s = new BlockStore(fileOf(store()));
    const chunk = s.chunkWith(CALLER)!;
    expect([...chunk.pcs]).toEqual(all);
    expect([...chunk.calls]).toEqual([FAR]);
    const { result, made } = restore(chunk);
    expect(result).toBe(2);
    const at = (pc: number): number => chunk.places[chunk.indexOf(pc)]!;
    const code = (pc: number): number[] => made.slice(at(pc) >> 2, (at(pc) >> 2) + 6);
    // Stubs, in order: of the loop, of where the call returns, of what is jumped back to, of what is called.
    expect([...chunk.stubPcs]).toEqual([LOOP, BACK, FLOAT, FAR]);
    expect(made.slice(0, 16)).toEqual([
      ...[COUNT, 3000, BASE + at(LOOP), LOOP],
      ...[COUNT, 96000, BASE + at(BACK), BACK],
      ...[COUNT, 3000, BASE + at(FLOAT), FLOAT],
      ...[COUNT, 3000, BASE + at(FAR), FAR],
    ]);
    const place = (pc: number): number => BASE + at(pc);
    expect(code(LOOP)).toEqual([11, BASE, 33, place(LOOP) + 4, LOOP, 0]);
    expect(code(CALLER)).toEqual([11, BASE + 48, 33, place(CALLER) + 4, FAR, 0]);
    expect(code(TO_FLOAT)).toEqual([11, place(TO_FLOAT) + 8, 33, place(TO_FLOAT) + 4, FLOAT, 0]);
    expect(code(FAR)).toEqual([11, place(FAR) + 8, 33, place(FAR) + 4, 5, 0]);
    // Where nothing is counted, links pass the stubs by.
    const plain = restore(chunk, 0).made;
    expect(plain[(at(LOOP) >> 2) + 1]).toBe(place(LOOP));
    expect(plain[(at(CALLER) >> 2) + 1]).toBe(place(FAR));
  });
  it('are linked to those of another chunk, but to floating point only when the guest has used it', () => {
    const one = new BlockStore(null);
    one.add(block(CALLER, 'call'), leadsTo(FAR), false, memory.u8);
    one.add(block(TO_FLOAT), leadsTo(FLOAT), false, memory.u8);
    one.add(block(LOOP), leadsTo(PAGE), false, memory.u8);
    const two = new BlockStore(null);
    two.add(block(FAR), leadsTo(FAR), false, memory.u8);
    two.add(block(FLOAT, 'ret'), leadsTo(5), true, memory.u8);
    two.add(block(FLOAT + 0x80), leadsTo(FLOAT), true, memory.u8);
    const from = new BlockStore(fileOf(one)).chunkWith(CALLER)!;
    const { made } = restore(from);
    const word = (pc: number): number => memory.u32[(BASE + from.places[from.indexOf(pc)]! + 4) >>> 2]!;
    const open = made[(from.places[from.indexOf(LOOP)]! >> 2) + 1]!;
    const a = new CodeChunk(from, BASE);
    const b = new CodeChunk(new BlockStore(fileOf(two)).chunkWith(FAR)!, BASE + 0x1000);
    a.linkTo(b, memory.u32, true, false);
    expect(word(CALLER)).toBe(b.stub(FAR));
    expect(word(TO_FLOAT)).toBe(BASE + from.places[from.indexOf(TO_FLOAT)]! + 8);
    expect(word(LOOP)).toBe(open);
    a.linkTo(b, memory.u32, true, true);
    expect(word(TO_FLOAT)).toBe(b.stub(FLOAT));
    // What leads somewhere already stays.
    a.linkTo(new CodeChunk(b.stored, BASE + 0x2000), memory.u32, true, true);
    expect(word(CALLER)).toBe(b.stub(FAR));
    restore(from, 0);
    a.linkTo(b, memory.u32, false, false);
    expect(word(CALLER)).toBe(b.ipOf(b.stored.indexOf(FAR)));
  });
  it('are counted where links of another chunk want it', () => {
    const s = new BlockStore(null);
    const long = { words: new Uint32Array(16000), links: leadsTo(0).links };
    for (let k = 0; k < 4; k++) {
      long.words.set(leadsTo(PAGE).words);
      s.add(block(PAGE + k * 16, 'call'), long, false, memory.u8);
    }
    const file = new BlockStore(fileOf(s));
    const first = file.chunkWith(PAGE)!;
    expect(first.pcs.length).toBeLessThan(4);
    expect([...first.stubPcs]).toContain(PAGE);
    const last = file.chunkWith(PAGE + 48)!;
    expect([...last.openTargets]).toContain(PAGE);
  });
  it('are entered into the jump cache where calls return to them', () => {
    const chunk = new BlockStore(fileOf(store())).chunkWith(CALLER)!;
    const place = (JUMP_CACHE + cacheIndex(BACK, JUMP_CACHE_ENTRIES) * 8) >>> 2;
    memory.u32.fill(0, place, place + 2);
    restore(chunk);
    expect(memory.u32[place]).toBe(0);
    restore(chunk, 3000, 1);
    expect([...memory.u32.subarray(place, place + 2)]).toEqual([BACK, BASE + 16]);
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
    const chunk = s.chunkWith(PAGE)!;
    expect([...chunk.pcs]).toEqual([...pcs].sort((a, b) => a - b));
    const { result, made } = restore(chunk);
    expect(result).toBe(2);
    // Those before it jump to the block, those from it on to its stub.
    const to = chunk.indexOf(PAGE + 16 * 30);
    for (let k = 0; k < 60; k++)
      expect(made[(chunk.places[k]! >> 2) + 1]).toBe(k < to ? BASE + chunk.places[to]! : BASE);
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
    });
    for (const k of [0, 700, 1499]) {
      const chunk = parts.chunkWith(PAGE + k * 8)!;
      expect(restore(chunk).made[(chunk.places[chunk.indexOf(PAGE + k * 8)]! >> 2) + 3999]).toBe(3999);
    }
    expect(parts.chunkWith(PAGE + 4)).toBeNull();
    expect(read).toBeLessThan(whole.length / 50);
    expect(fileOf(parts).equals(whole)).toBe(true);
    parts.add(block(PAGE + 4, 'ret'), long, false, memory.u8);
    const merged = new BlockStore(fileOf(parts));
    expect(merged.size).toBe(1501);
    expect(merged.damaged()).toBe(0);
  });
  it('are not used for other guest bytes', () => {
    const s = new BlockStore(fileOf(store()));
    const chunk = s.chunkWith(LOOP)!;
    for (const pc of all)
      for (let k = 0; k < 7; k++) {
        memory.u8[pc + k]! ^= 1;
        expect(restore(chunk).result).toBe(1);
        memory.u8[pc + k]! ^= 1;
      }
    expect(restore(chunk).result).toBe(2);
    // They make room for those that are right.
    s.reject(chunk, false);
    expect(s.rejected).toBe(0);
    expect(s.chunkWith(LOOP)).toBeNull();
    s.add(block(LOOP), leadsTo(5), false, memory.u8);
    expect([...new BlockStore(fileOf(s)).chunkWith(LOOP)!.pcs]).toEqual([LOOP]);
  });
  it('are not used with two words damaged in their highest bits', () => {
    const good = fileOf(store());
    const first = 5 + 4;
    const length = good.length / 4;
    for (let a = first + 2; a < length; a++)
      for (let b = a + 1; b < length; b++) {
        const bad = aligned(good);
        for (const k of [a, b]) words(bad)[k]! ^= 0x8000_0000;
        const chunk = new BlockStore(bad).chunkWith(LOOP);
        if (chunk && restore(chunk).result !== 0) expect.fail(`words ${a} and ${b}`);
      }
  });
  it('are right or not there when any bit of the file has changed', () => {
    const good = fileOf(store());
    const wanted = restore(new BlockStore(good).chunkWith(LOOP)!);
    let missing = 0;
    for (const bad of damaged(good)) {
      const s = new BlockStore(aligned(bad));
      expect(s.damaged()).toBeGreaterThan(0);
      for (const pc of all) {
        const chunk = new BlockStore(aligned(bad)).chunkWith(pc);
        const found = chunk && restore(chunk);
        if (found?.result !== 2) missing++;
        else expect(found).toEqual(wanted);
      }
    }
    expect(missing).toBeGreaterThan(100);
  });
  it('are found by nobody who has damaged ones, but made anew', () => {
    const bad = fileOf(store());
    bad[bad.length - 1]! ^= 1;
    const s = new BlockStore(bad);
    const chunk = s.chunkWith(LOOP)!;
    expect(restore(chunk).result).toBe(0);
    s.reject(chunk);
    expect(s.worthWriting).toBe(true);
    s.add(block(FAR), leadsTo(5), false, memory.u8);
    const again = new BlockStore(fileOf(s));
    expect([...again.chunkWith(FAR)!.pcs]).toEqual([FAR]);
    expect(again.damaged()).toBe(0);
  });
});
