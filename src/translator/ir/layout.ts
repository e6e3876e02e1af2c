/**
 * The part of the vCPU state that every ISA shares. A vCPU is 4096 bytes; slots are byte offsets into it and fit 16 bits.
 * [0, 0x80) common, [0x80, 0x400) the ISA's registers, then temporaries, which live within one guest instruction.
 */
export const VCPU_SIZE = 0x1000;

/**
 * The runtime's part of linear memory, above every guest address. It is guest-writable in the end (a host bug away), so
 * nothing outside Wasm trusts what it reads there.
 */
export const RUNTIME_BASE = 0xf000_0000;
/** vCPU states of threads that do not run, VCPU_SIZE each. */
export const VCPUS = RUNTIME_BASE;
/**
 * The vCPU state of the thread that runs. So low that machine code reaches it by a displacement, without a register; below
 * all that a guest may map (vm.mmap_min_addr), so its null pointers with small offsets do not get here in any mode.
 */
export const VCPU = 0xe000;
/** i64: bits of a guest address that count, wherever addresses are checked (`foldAddresses` of GuestMemory). Next to VCPU for the same reason. */
export const ADDRESS_MASK = VCPU + VCPU_SIZE;
/** One byte of PAGE_* bits per 4 KiB page of the whole 4 GiB. */
export const PAGE_TABLE = 0xf100_0000;
/** Jump cache: JUMP_CACHE_ENTRIES of { pc: u32, ip: u32 }, by cacheIndex(pc), or in the other one of a pair of entries. */
export const JUMP_CACHE = 0xf110_0000;
export const JUMP_CACHE_ENTRIES = 0x10000;
/** Region cache: entries of { pc: u32, table slot: u32 }; what indirect jumps of regions look at. Aligned to its size. */
export const REGION_CACHE = 0xf130_0000;
export const REGION_CACHE_SIZE = 0x8_0000;
/** Bits of a pc that say where its entry lies: functions next to each other have theirs in the same page. */
export const REGION_CACHE_MASK = REGION_CACHE_SIZE - 8;
/** How far higher bits are moved down to them. */
export const REGION_CACHE_SHIFT = 16;
/** Address of the entry for a pc. */
export const regionCacheEntry = (pc: number): number =>
  REGION_CACHE + ((pc ^ (pc >>> REGION_CACHE_SHIFT)) & REGION_CACHE_MASK);
/** Chunks of code of earlier runs in the code area: CHUNK_HEAD bytes, then CHUNK_ENTRY for each (src/helpers/code.ts). */
export const CHUNK_TABLE = 0xf138_0000;
export const CHUNK_TABLE_END = 0xf140_0000;
/** How far higher bits of a pc are moved down: the lowest ones of functions are all zero. */
export const CACHE_SHIFT = 14;
export const cacheIndex = (pc: number, entries: number): number => (pc ^ (pc >>> CACHE_SHIFT)) & (entries - 1);
/** Tables of regions for indirect jumps: u16 for each byte of guest code between the targets. */
export const JUMP_TABLES = 0xf800_0000;
/** What regions made for --jit=verify write down: blocks that they run, 8 bytes each (start and end), */
export const TRACE = 0xf140_0000;
/** and what their stores overwrite, JOURNAL_ENTRY bytes each: address (u32), length (u32), the old bytes. */
export const JOURNAL = 0xf150_0000;
export const JOURNAL_ENTRY = 24;
export const JUMP_TABLES_END = 0xff00_0000;
/** What calls by pointer have found last in the region cache, an entry for each place that calls: callSite(pc). */
export const CALL_SITES = 0xf118_0000;
export const CALL_SITES_SIZE = 0x4000;
const CALL_SITES_SHIFT = 11;
/** Address of the entry for the call at a pc. Places may share one. */
export const callSite = (pc: number): number =>
  CALL_SITES + (((pc ^ (pc >>> CALL_SITES_SHIFT)) << 3) & (CALL_SITES_SIZE - 8));
/** i64: where the host leaves the CPU's counter when it is asked for it (`hostCounter`). */
export const COUNTER = 0xf11f_fff8;
/** Static data of the helper module. */
export const HELPER_DATA = 0xf120_0000;
/** Interpreter code. */
export const CODE_START = 0xf200_0000;
export const CODE_END = 0xf800_0000;

export const SLOT_PC = 0x00;
/** Always zero; the base of absolute addresses. */
export const SLOT_ZERO = 0x08;
/** u32: address of the interpreter op that exited. */
export const SLOT_EXIT_IP = 0x10;
/** u32: meaning depends on the exit reason. */
export const SLOT_EXIT_ARG = 0x14;
/** i64: guest address of a fault. */
export const SLOT_FAULT_ADDRESS = 0x18;
/** u32: ACCESS_*. */
export const SLOT_FAULT_ACCESS = 0x20;

/** i32: bytes of host stack that regions which the interpreter enters may use. */
export const SLOT_STACK = 0x28;
/** i32: a region whose stack would fall below this leaves; the ticker raises it above everything to get attention. */
export const SLOT_LIMIT = 0x2c;
/** i32: non-zero tells a region to go on at SLOT_PC, one of its indirect jumps' targets, instead of its entry. */
export const SLOT_ENTRY = 0x30;
/** i32: why a region was left with LEFT, as an exit reason. */
export const SLOT_WHY = 0x34;
/** u64: the interpreter, called by a region, goes back to it where control goes on with the stack pointer above this. */
export const SLOT_STOP = 0x38;
/** u64: stack pointer with which the interpreter has entered the region that runs, or the one that has called that. */
export const SLOT_ENTERED = 0x40;
/** u32 each, of regions made for --jit=verify: where the next entry of TRACE goes, where they stop, the next of JOURNAL. */
export const SLOT_TRACE = 0x48;
export const SLOT_TRACE_END = 0x4c;
export const SLOT_JOURNAL = 0x50;
/** u64: what a region has called last without there being a region for it. */
export const SLOT_CALLED = 0x58;
export const ATTENTION = 0x7fff_ffff;

export const ISA_STATE = 0x80;
export const TEMPS = 0x400;
export const TEMP_COUNT = 256;
export const VECTOR_TEMPS = 0xc00;
export const VECTOR_TEMP_COUNT = 64;

/** Operand value that means "the constant in `imm`" (allowed for the last input only). */
export const CONST = -1;

/** Page-permission bits, one byte a page (runtime/address-space). WRITE is clear on pages that hold translated code. */
export const PAGE_READ = 1;
export const PAGE_WRITE = 2;
export const PAGE_EXEC = 4;
/** The guest may write here, whether or not the store must first drop translated code. */
export const PAGE_GUEST_WRITE = 16;
/** Not mapped: code that was there is kept for the next program. */
export const PAGE_KEPT = 32;
export const PAGE_MAPPED = 128;

/** The host's function for system calls, among the helpers that regions import: 0 when the guest's code may go on. */
export const SYSCALL_IMPORT = 'host_syscall';

/** Why the interpreter returned. Helpers return 0 to go on, or one of these. */
export const exitReason = {
  none: 0,
  /** No translation for the pc in SLOT_PC; SLOT_EXIT_IP is the op that wanted it. */
  miss: 1,
  /** An unlinked exit: SLOT_EXIT_ARG is the address of the link word, SLOT_PC the target. */
  link: 2,
  /** System call; SLOT_PC is the next instruction. */
  syscall: 3,
  /** SLOT_EXIT_ARG is a `trap` number; SLOT_EXIT_IP the op. */
  trap: 4,
  /** Guest memory access refused: SLOT_FAULT_*, SLOT_EXIT_IP the op. */
  fault: 5,
  /** The budget of block exits is used up; SLOT_EXIT_IP is where to go on. */
  tick: 6,
  /** The floating-point mode changed: go on at SLOT_PC in code of the flavour that fits. */
  mode: 7,
  /** A counted entry (SLOT_PC) became hot; SLOT_EXIT_IP is its stub. */
  hot: 8,
  /** A region wants the instruction at SLOT_PC interpreted. */
  interpret: 9,
  /** A region was left at SLOT_PC because it was asked to, or its host stack is used up. */
  attention: 10,
  /** Of an interpreter that a region has called: what it was called for is done, SLOT_PC says where to go on. */
  stopped: 11,
} as const;

/** Slots of the table of regions that no region gets: what stands there runs the guest's code at SLOT_PC in the interpreter. */
export const missSlot = { call: 0, jump: 1 } as const;

/**
 * The type of all functions in tables of regions: bytes of host stack left, stack pointer, three registers, two kept ones; stack pointer
 * and pc in one (or LEFT in the pc's place), the result register, the two kept ones. These are integers that travel as doubles.
 */
export const regionType = {
  params: ['i32', 'i64', 'i64', 'i64', 'i64', 'f64', 'f64'],
  results: ['i64', 'i64', 'f64', 'f64'],
} as const;
/** Where the kept registers stand among the parameters and the results. */
export const keptParam = regionType.params.indexOf('f64');
export const keptResult = regionType.results.indexOf('f64');

/** Slots of the table for a module's links: there are few sizes, since each takes a module to make (runtime/jit/region-table.ts). */
export const linkTableSize = (links: number): number => 2 ** Math.ceil(Math.log2(links));

/** What a region returns in the low half of its first result in place of a pc: all state is in the vCPU, SLOT_WHY says why. */
export const LEFT = 0xffff_ffff;

/** Synchronous exceptions a guest instruction can raise, other than memory faults. */
export const trap = {
  invalidOpcode: 1,
  divide: 2,
  breakpoint: 3,
  debug: 4,
  privileged: 5,
  overflow: 6,
  x87: 7,
  simd: 8,
  /** Misaligned operand of an instruction that demands alignment (#GP on x86). */
  protection: 9,
} as const;
export type TrapNumber = (typeof trap)[keyof typeof trap];
