/**
 * Checked access to guest memory for system calls (the kernel's copy_from_user and copy_to_user). Every method throws
 * EFAULT for a range that is not mapped with the needed permission; nothing else can go wrong.
 * Addresses are numbers; any value is allowed, also above 2^32 or not an integer address at all.
 */
import { errno, sysError } from '../abi/errno.ts';
import { GUEST_LIMIT, type GuestMemory, PAGE_SIZE, PROT_READ, PROT_WRITE } from './guest-memory.ts';
import type { HighWindow } from './high-window.ts';

const TWO32 = 0x1_0000_0000;

export class UserMemory {
  readonly guest: GuestMemory;
  readonly #window: HighWindow | null;
  constructor(guest: GuestMemory, window: HighWindow | null = null) {
    this.guest = guest;
    this.#window = window;
  }

  /** Number of bytes from `addr` that have all bits of `prot`, at most `length`. */
  accessible(addr: number, length: number, prot: number): number {
    if (!(addr >= 0 && addr < GUEST_LIMIT) || length <= 0) return 0;
    const end = Math.min(addr + length, GUEST_LIMIT);
    let page = addr - (addr % PAGE_SIZE);
    while (page < end) {
      const have = this.guest.protection(page);
      if (have < 0 || (have & prot) !== prot) break;
      page += PAGE_SIZE;
    }
    return Math.max(0, Math.min(page, end) - addr);
  }

  #check(addr: number, length: number, prot: number): void {
    if (length === 0) return;
    if (this.accessible(addr, length, prot) < length) throw sysError(errno.EFAULT);
  }

  /** A live view of bytes that `accessible` has found to be there. */
  view(addr: number, length: number): Uint8Array {
    return length === 0 ? this.guest.u8.subarray(0, 0) : this.guest.u8.subarray(addr, addr + length);
  }
  /** A live view (not a copy) of `length` readable guest bytes. */
  bytes(addr: number, length: number): Uint8Array {
    this.#check(addr, length, PROT_READ);
    return this.view(addr, length);
  }
  /** A live view of `length` writable guest bytes. Call `written` after writing through it. */
  writable(addr: number, length: number): Uint8Array {
    this.#check(addr, length, PROT_WRITE);
    return this.view(addr, length);
  }
  written(addr: number, length: number): void {
    if (length > 0) this.guest.written(addr, addr + length);
  }
  copyIn(addr: number, length: number): Uint8Array {
    return this.bytes(addr, length).slice();
  }
  copyOut(addr: number, data: Uint8Array): void {
    if (data.length === 0) return;
    this.writable(addr, data.length).set(data);
    this.guest.written(addr, addr + data.length);
  }

  readU8(addr: number): number {
    return this.bytes(addr, 1)[0]!;
  }
  readU16(addr: number): number {
    this.#check(addr, 2, PROT_READ);
    return this.guest.view.getUint16(addr, true);
  }
  readU32(addr: number): number {
    this.#check(addr, 4, PROT_READ);
    return this.guest.view.getUint32(addr, true);
  }
  readI32(addr: number): number {
    return this.readU32(addr) | 0;
  }
  /** Unsigned 64-bit as a number: exact below 2^53, rounded above. */
  readU64(addr: number): number {
    this.#check(addr, 8, PROT_READ);
    return this.guest.view.getUint32(addr + 4, true) * TWO32 + this.guest.view.getUint32(addr, true);
  }
  /** An address of the guest's: where that lies (high-window.ts). */
  readPointer(addr: number): number {
    const address = this.readU64(addr);
    return this.#window?.low(address) ?? address;
  }
  /** Signed 64-bit as a number: exact within +-2^53. */
  readI64(addr: number): number {
    this.#check(addr, 8, PROT_READ);
    return this.guest.view.getInt32(addr + 4, true) * TWO32 + this.guest.view.getUint32(addr, true);
  }
  readBigU64(addr: number): bigint {
    this.#check(addr, 8, PROT_READ);
    return this.guest.view.getBigUint64(addr, true);
  }
  writeU8(addr: number, v: number): void {
    this.writable(addr, 1)[0] = v;
    this.guest.written(addr, addr + 1);
  }
  writeU16(addr: number, v: number): void {
    this.#check(addr, 2, PROT_WRITE);
    this.guest.view.setUint16(addr, v, true);
    this.guest.written(addr, addr + 2);
  }
  writeU32(addr: number, v: number): void {
    this.#check(addr, 4, PROT_WRITE);
    this.guest.view.setUint32(addr, v, true);
    this.guest.written(addr, addr + 4);
  }
  /** Writes an integer of magnitude below 2^53 (negative: two's complement) as 64 bits. */
  writeU64(addr: number, v: number): void {
    this.#check(addr, 8, PROT_WRITE);
    this.guest.view.setUint32(addr, v >>> 0, true);
    this.guest.view.setUint32(addr + 4, Math.floor(v / TWO32) >>> 0, true);
    this.guest.written(addr, addr + 8);
  }
  writeBigU64(addr: number, v: bigint): void {
    this.#check(addr, 8, PROT_WRITE);
    this.guest.view.setBigUint64(addr, v, true);
    this.guest.written(addr, addr + 8);
  }

  /**
   * A NUL-terminated string without its NUL, one char per byte (latin1).
   * Throws ENAMETOOLONG when no NUL stands within `max` bytes (PATH_MAX with the NUL).
   */
  readCString(addr: number, max = 4096): string {
    const room = this.accessible(addr, max, PROT_READ);
    if (room === 0) throw sysError(errno.EFAULT);
    const view = this.guest.u8.subarray(addr, addr + room);
    const nul = view.indexOf(0);
    if (nul < 0) throw sysError(room < max ? errno.EFAULT : errno.ENAMETOOLONG);
    return latin1(view.subarray(0, nul));
  }
}

/** Bytes to a string of one char per byte. */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

/** A one-char-per-byte string to bytes; chars above 0xff are a caller's bug. */
export function latin1Bytes(s: string): Uint8Array {
  return Buffer.from(s, 'latin1');
}

/** Text (any JavaScript string) to the one-char-per-byte form of its UTF-8 bytes, as guest paths and arguments use. */
export function utf8ToLatin1(s: string): string {
  return Buffer.from(s, 'utf8').toString('latin1');
}
export function latin1ToUtf8(s: string): string {
  return Buffer.from(s, 'latin1').toString('utf8');
}
