import { describe, expect, it } from 'vitest';
import { AddressSpace } from '../../../src/kernel/mm/address-space.ts';
import { PROT_READ, PROT_WRITE } from '../../../src/kernel/mm/guest-memory.ts';
import { MAP_ANONYMOUS, MAP_SHARED } from '../../../src/kernel/mm/mman.ts';
import { enterAddressSpace } from '../../../src/kernel/mm/shared-memory.ts';
import { Vma } from '../../../src/kernel/mm/vma.ts';
import { FakeGuestMemory } from './fake-guest-memory.ts';

const SIZE = 0x100_0000;
const START = 0x10_0000;
const PAGES = 40;
const END = START + PAGES * 4096;

/** Memory as the runtime's: it tells of what the kernel writes. */
class Memory extends FakeGuestMemory {
  onWritten: ((start: number, end: number) => void) | null = null;
  override written(start: number, end: number): void {
    super.written(start, end);
    this.onWritten?.(start, end);
  }
}

function family(members: number): AddressSpace[] {
  const first = new AddressSpace(new Memory(SIZE));
  const prot = PROT_READ | PROT_WRITE;
  first.insert(new Vma({ start: START, end: END, prot, flags: MAP_SHARED | MAP_ANONYMOUS, object: {} }));
  first.memory.u8[START] = 1;
  return [first, ...Array.from({ length: members - 1 }, () => first.fork(new Memory(SIZE)))];
}

describe('shared memory of several processes', () => {
  it('shows the next one what the last one stored', () => {
    const [a, b, c] = family(3) as [AddressSpace, AddressSpace, AddressSpace];
    expect(b.memory.u8[START]).toBe(1);
    a.memory.u8[START + 5] = 2;
    enterAddressSpace(b);
    expect(b.memory.u8[START + 5]).toBe(2);
    b.memory.u8[START + 6] = 3;
    b.memory.u8[END - 1] = 4;
    enterAddressSpace(c);
    expect([...c.memory.u8.subarray(START, START + 7)]).toEqual([1, 0, 0, 0, 0, 2, 3]);
    enterAddressSpace(a);
    expect(a.memory.u8[END - 1]).toBe(4);
  });
  it('loses nothing when the last one unmaps it, or ends', () => {
    const [a, b, c] = family(3) as [AddressSpace, AddressSpace, AddressSpace];
    enterAddressSpace(b);
    b.memory.u8[START + 7] = 9;
    b.remove(START, START + 4096);
    enterAddressSpace(a);
    expect(a.memory.u8[START + 7]).toBe(9);
    enterAddressSpace(b);
    b.memory.u8[END - 3] = 8;
    b.reset();
    enterAddressSpace(c);
    expect([c.memory.u8[START + 7], c.memory.u8[END - 3]]).toEqual([9, 8]);
    c.reset();
    expect(a.memory.u8[END - 3]).toBe(8);
    expect(a.coherent.size).toBe(0);
  });
  it('reaches those that map more than the next one', () => {
    const [a, b, c] = family(3) as [AddressSpace, AddressSpace, AddressSpace];
    enterAddressSpace(b);
    b.remove(START + 4096, END);
    enterAddressSpace(a);
    a.memory.u8[END - 1] = 5;
    enterAddressSpace(b);
    enterAddressSpace(c);
    expect(c.memory.u8[END - 1]).toBe(5);
  });
  it('keeps what the kernel stores for one that does not run', () => {
    const [a, b] = family(2) as [AddressSpace, AddressSpace];
    enterAddressSpace(a);
    a.memory.u8[START + 1] = 1;
    b.memory.u8[START + 2] = 2;
    b.memory.written(START + 2, START + 3);
    enterAddressSpace(b);
    expect([...b.memory.u8.subarray(START, START + 3)]).toEqual([1, 1, 2]);
    enterAddressSpace(a);
    expect([...a.memory.u8.subarray(START, START + 3)]).toEqual([1, 1, 2]);
  });
});
