/** Where the registers of guest threads lie, and which of them the code of a memory works on. */
import { TEMPS, VCPU } from '../translator/ir/layout.ts';
import type { LinearMemory } from './linear-memory.ts';

/**
 * A thread's vCPU state. Interpreter and regions find the state of the thread that runs at one constant address, VCPU; from
 * when another thread of the same memory runs until the thread's own next turn it lies in a place of its own.
 */
export abstract class Vcpu {
  /** That place. */
  readonly home: number;
  readonly #memory: LinearMemory;
  protected readonly u8: Uint8Array;
  protected readonly u32: Uint32Array;
  protected readonly i64: BigInt64Array;
  /** Where the state is: in bytes, and as an index of `u32` and `i64`. */
  #address!: number;
  protected base32!: number;
  protected base64!: number;

  constructor(memory: LinearMemory, home: number) {
    this.home = home;
    this.#memory = memory;
    this.u8 = memory.u8;
    this.u32 = memory.u32;
    this.i64 = memory.i64;
    this.#isAt(home);
  }

  get address(): number {
    return this.#address;
  }
  #isAt(address: number): void {
    this.#address = address;
    this.base32 = address >>> 2;
    this.base64 = address >>> 3;
  }
  /** The thread runs from now on. Temporaries do not count: they live within one guest instruction. */
  enter(): void {
    const memory = this.#memory;
    const { vcpu } = memory;
    if (vcpu === this) return;
    if (vcpu) {
      this.u8.copyWithin(vcpu.home, VCPU, VCPU + TEMPS);
      vcpu.#isAt(vcpu.home);
    }
    this.u8.copyWithin(VCPU, this.home, this.home + TEMPS);
    this.#isAt(VCPU);
    memory.vcpu = this;
  }
  /** The thread has ended. */
  leave(): void {
    if (this.#memory.vcpu !== this) return;
    this.#memory.vcpu = null;
    this.#isAt(this.home);
  }

  protected get(slot: number): number {
    const at = this.base32 + (slot >> 2);
    return this.u32[at + 1]! * 0x1_0000_0000 + this.u32[at]!;
  }
  protected set(slot: number, value: number): void {
    const at = this.base32 + (slot >> 2);
    this.u32[at] = value;
    this.u32[at + 1] = Math.floor(value / 0x1_0000_0000);
  }
  protected get32(slot: number): number {
    return this.u32[this.base32 + (slot >> 2)]!;
  }
  protected set32(slot: number, value: number): void {
    this.u32[this.base32 + (slot >> 2)] = value;
  }
}
