/**
 * What the kernel needs of a guest's memory: views on one 4 GiB linear memory and a page-permission table.
 * The runtime implements it over a WebAssembly.Memory; tests may implement it over a plain SharedArrayBuffer.
 */

export const PAGE_SIZE = 4096;

/** Guest addresses are below this line; everything above belongs to the runtime. */
export const GUEST_LIMIT = 0xf000_0000;

export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const PROT_EXEC = 4;

export interface GuestMemory {
  /** Whole linear memory, index = guest address. Never detached. */
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  /** Little-endian accesses through `view` need the `true` argument. */
  readonly view: DataView;

  /**
   * Sets what the guest's own loads, stores and fetches may do in `[start, end)` (page-aligned, below GUEST_LIMIT).
   * `prot` is a mask of PROT_*, or -1 for "not mapped". Drops translated code made from the range.
   */
  protect(start: number, end: number, prot: number): void;

  /**
   * As `protect` with -1, but the bytes stay, and so does what was translated from them, for `show`. Without it nothing is
   * kept in a memory from one program to the next.
   */
  hide?(start: number, end: number): void;
  /** As `protect` with PROT_READ and perhaps PROT_EXEC, for bytes that are what they were when hidden. */
  show?(start: number, end: number, prot: number): void;

  /** The PROT_* mask of the page that holds `address`, -1 when it is not mapped or not below GUEST_LIMIT. */
  protection(address: number): number;

  /** Makes `[start, end)` read as zeros, without touching pages that already do. Permissions are not looked at. */
  zero(start: number, end: number): void;

  /** The kernel has written `[start, end)`: drops code translated from it. Cheap when the range holds none. */
  written(start: number, end: number): void;

  /**
   * From now on bits of the upper half of an address that are set in `high` do not count, for the guest's own accesses; 0: all do.
   * Without it no program gets memory above 4 GiB.
   */
  foldAddresses?(high: number): void;

  /** Told of every `written` range, when set. */
  onWritten?: ((start: number, end: number) => void) | null;
}
