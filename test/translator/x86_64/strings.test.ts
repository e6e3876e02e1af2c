/** Repeated string instructions against a model that goes element by element, with faults part of the way. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  exitReason,
  PAGE_READ,
  PAGE_WRITE,
  SLOT_FAULT_ACCESS,
  SLOT_FAULT_ADDRESS,
} from '../../../src/translator/ir/layout.ts';
import { stringMode } from '../../../src/translator/x86_64/rows-string.ts';
import {
  CC_A,
  CC_B,
  CC_OP,
  CC_RES,
  DF,
  FS_BASE,
  GS_BASE,
  gpr,
  RAX,
  RCX,
  RDI,
  RSI,
} from '../../../src/translator/x86_64/state.ts';
import { HelperModule } from './helpers.ts';

const BASE = 0x10_0000;
const SIZE = 0x4000;
const OLD_FLAGS = 0x8d5n;
let helpers: HelperModule;
beforeAll(() => {
  helpers = new HelperModule();
});
beforeEach(() => {
  helpers.memory.protect(BASE - 0x1000, BASE + SIZE + 0x1000, -1);
  helpers.memory.protect(BASE, BASE + SIZE, 3);
});

interface Setup {
  log2: number;
  count: bigint;
  si: bigint;
  di: bigint;
  acc?: bigint;
  down?: boolean;
  mode?: number;
}
interface State {
  status: number;
  count: bigint;
  si: bigint;
  di: bigint;
  acc: bigint;
  /** Operands of the comparison the flags are from, null when they are as before. */
  compared: [bigint, bigint] | null;
  faultAddress: bigint;
}

function run(name: string, s: Setup): State {
  const { cpu } = helpers;
  helpers.set(gpr(RCX), s.count);
  helpers.set(gpr(RSI), s.si);
  helpers.set(gpr(RDI), s.di);
  helpers.set(gpr(RAX), s.acc ?? 0n);
  helpers.set(DF, s.down ? 1 : 0);
  helpers.set(CC_OP, 0);
  helpers.set(CC_RES, OLD_FLAGS);
  const status = helpers.call[`x86_rep_${name}`]!(cpu, (s.mode ?? 0) | s.log2);
  const flagsKept = helpers.get(CC_OP) === 0n && helpers.get(CC_RES) === OLD_FLAGS;
  return {
    status,
    count: helpers.get(gpr(RCX)),
    si: helpers.get(gpr(RSI)),
    di: helpers.get(gpr(RDI)),
    acc: helpers.get(gpr(RAX)),
    compared: flagsKept ? null : [helpers.get(CC_A), helpers.get(CC_B)],
    faultAddress: status === exitReason.fault ? helpers.get(SLOT_FAULT_ADDRESS) : 0n,
  };
}

/** The SDM's loop, on a copy of the memory. */
function model(name: string, s: Setup, memory: Uint8Array): State {
  const size = 1 << s.log2;
  const step = BigInt(s.down ? -size : size);
  const mask = BigInt.asUintN(size * 8, -1n);
  const readable = (a: bigint): boolean => a >= BigInt(BASE) && a + BigInt(size) <= BigInt(BASE + SIZE);
  const read = (a: bigint): bigint => {
    let v = 0n;
    for (let k = 0; k < size; k++) v |= BigInt(memory[Number(a) - BASE + k]!) << BigInt(8 * k);
    return v;
  };
  const write = (a: bigint, v: bigint): void => {
    for (let k = 0; k < size; k++) memory[Number(a) - BASE + k] = Number((v >> BigInt(8 * k)) & 0xffn);
  };
  let { count, si, di } = s;
  let acc = s.acc ?? 0n;
  let compared: [bigint, bigint] | null = null;
  const usesSource = name === 'movs' || name === 'lods' || name === 'cmps';
  const usesDestination = name !== 'lods';
  const done = (status: number): State => ({
    status,
    count,
    si,
    di,
    acc,
    compared: status ? null : compared,
    faultAddress: 0n,
  });
  while (count > 0n) {
    if ((usesSource && !readable(si)) || (usesDestination && !readable(di))) return done(exitReason.fault);
    if (name === 'movs') write(di, read(si));
    else if (name === 'stos') write(di, acc);
    else if (name === 'lods') acc = size === 4 ? read(si) : (acc & ~mask) | read(si);
    else compared = name === 'scas' ? [acc & mask, read(di)] : [read(si), read(di)];
    if (usesSource) si += step;
    if (usesDestination) di += step;
    count--;
    if (compared && (compared[0] === compared[1]) === ((s.mode ?? 0) & stringMode.repne) > 0) break;
  }
  return done(0);
}

let seed = 1;
const below = (n: number): number => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed / 2 ** 32) * n);
};

/** Contents with long equal stretches, so that comparisons run on for a while. */
function fill(memory: Uint8Array): void {
  const kind = below(3);
  for (let k = 0; k < memory.length; k++) memory[k] = kind === 0 ? below(256) : kind === 1 ? 0 : (k >> 6) & 1;
  for (let k = below(4); k > 0; k--) memory[below(memory.length)] = 7;
}

describe.each(['movs', 'stos', 'lods', 'scas', 'cmps'])('rep %s', (name) => {
  it('does what the loop does', () => {
    let faults = 0;
    for (let round = 0; round < 1500; round++) {
      const log2 = below(4);
      const near = below(3) === 0;
      const place = (): bigint => BigInt(BASE + (below(8) === 0 ? below(2) * (SIZE - 40) + below(40) : below(SIZE)));
      const si = place();
      const di = near ? si + BigInt(below(40) - 20) : place();
      const contents = helpers.memory.u8.subarray(BASE, BASE + SIZE);
      fill(contents);
      const setup: Setup = {
        log2,
        si,
        di,
        count: BigInt(below(4) ? below(40) : below(6000)),
        acc: below(2) ? 0x0707070707070707n : 0x0102030405060708n,
        down: below(2) === 1,
        mode: below(2) ? stringMode.repne : 0,
      };
      const copy = contents.slice();
      const expected = model(name, setup, copy);
      const found = run(name, setup);
      faults += found.status ? 1 : 0;
      expect(
        { ...found, faultAddress: 0n },
        JSON.stringify(setup, (_k, v) => (typeof v === 'bigint' ? v.toString(16) : v)),
      ).toEqual(expected);
      expect(Buffer.compare(contents, copy), 'memory').toBe(0);
      if (found.status)
        expect(found.faultAddress < BigInt(BASE) || found.faultAddress >= BigInt(BASE + SIZE)).toBe(true);
    }
    expect(faults).toBeGreaterThan(20);
  });
});

describe('repeated string instructions', () => {
  const at = (offset: number): bigint => BigInt(BASE + offset);

  it('take the source segment, and 32 bits of the registers with an address-size prefix', () => {
    helpers.memory.u8.fill(0, BASE, BASE + SIZE);
    helpers.memory.u8.set([1, 2, 3, 4], BASE + 0x100);
    helpers.set(FS_BASE, at(0x80));
    helpers.set(GS_BASE, at(0xc0));
    expect(run('movs', { log2: 0, count: 2n, si: 0x80n, di: at(0x200), mode: stringMode.fs })).toMatchObject({
      status: 0,
      si: 0x82n,
      di: at(0x202),
    });
    expect(run('movs', { log2: 0, count: 2n, si: 0x42n, di: at(0x202), mode: stringMode.gs })).toMatchObject({
      status: 0,
    });
    expect([...helpers.memory.u8.subarray(BASE + 0x200, BASE + 0x204)]).toEqual([1, 2, 3, 4]);
    const high = 0xdead_0000_0000n;
    expect(
      run('movs', { log2: 0, count: high | 2n, si: high | at(0x100), di: high | at(0x300), mode: stringMode.addrsize }),
    ).toMatchObject({ status: 0, count: 0n, si: at(0x102), di: at(0x302) });
    expect(run('movs', { log2: 0, count: high, si: high, di: high, mode: stringMode.addrsize })).toMatchObject({
      status: 0,
      count: high,
      si: high,
      di: high,
    });
  });

  it('report the access that was refused', () => {
    helpers.memory.protect(BASE + 0x2000, BASE + 0x3000, 1);
    expect(run('stos', { log2: 2, count: 100n, si: 0n, di: at(0x1ffc) })).toMatchObject({
      status: exitReason.fault,
      count: 99n,
      di: at(0x2000),
      faultAddress: at(0x2000),
    });
    expect(helpers.get(SLOT_FAULT_ACCESS) & 0xffff_ffffn).toBe(BigInt(PAGE_WRITE));
    // An element across the boundary is not stored in part.
    expect(run('stos', { log2: 3, count: 100n, si: 0n, di: at(0x1ffd), acc: -1n })).toMatchObject({
      status: exitReason.fault,
      count: 100n,
      faultAddress: at(0x2000),
    });
    expect(run('lods', { log2: 3, count: 3n, si: BigInt(BASE + SIZE - 8), di: 0n })).toMatchObject({
      status: exitReason.fault,
      count: 2n,
      faultAddress: BigInt(BASE + SIZE),
    });
    expect(helpers.get(SLOT_FAULT_ACCESS) & 0xffff_ffffn).toBe(BigInt(PAGE_READ));
    expect(run('scas', { log2: 0, count: 1n << 40n, si: 0n, di: 0xffff_ffff_ffff_fff0n })).toMatchObject({
      status: exitReason.fault,
      faultAddress: 0xffff_ffff_ffff_fff0n,
    });
  });
});
