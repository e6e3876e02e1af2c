// Interpreter code of earlier runs, which lies in chunks in the code area: a block of it is checked, and made fit to run, when
// control first comes to it. Mirrors src/runtime/cache/chunk.ts, which has the format, src/runtime/code-chunks.ts, which keeps the
// table of chunks, and src/translator/ir/{layout,bytecode}.ts.

const BLOCKS: u32 = 8;
const STUBS: u32 = 12;
const CODE: u32 = 16;
const CALLS: u32 = 20;
const PAGES: u32 = 24;
const DAMAGED: u32 = 28;
const HEADER: u32 = 32;
const READY: u32 = 1 << 15;
const FLOAT: u32 = 1 << 16;
const REFUSED: u32 = 1 << 31;
const RETURN: u32 = 1 << 31;
const STUB: u32 = 16;
const MIN_WORDS: u32 = 4;
const COUNTED_LINK: u32 = 3;
const LINK_HOW: u32 = 2;
const LINK_ADDRESS: u32 = 4;
const LINK_PC: u32 = 8;
const PAGE_TABLE: u32 = 0xf1000000;
const PAGE_EXEC: u32 = 4;
const JUMP_CACHE: u32 = 0xf1100000;
const JUMP_CACHE_MASK: u32 = 0xffff;
const CACHE_SHIFT: u32 = 14;

// The table: how many chunks there are, the one used last, whether return sites may be entered from here, whether floating point
// may be, whether stubs count, how often the jump cache was written to; then, in order, of each chunk the addresses of its first
// and last block, and its own. At its end, the pairs of the jump cache that were written to, as far as there is room.
const TABLE: u32 = 0xf1380000;
const LAST_USED: u32 = TABLE + 4;
const RETURNS: u32 = TABLE + 8;
const FLOAT_USED: u32 = TABLE + 12;
const COUNTING: u32 = TABLE + 16;
const WRITTEN: u32 = TABLE + 20;
const WRITTEN_PAIRS: u32 = 0xf13f8000;
const MAX_WRITTEN: u32 = 0x2000;
const ENTRIES: u32 = TABLE + 32;
const ENTRY: u32 = 16;

/** Both sums of `checksum` in src/runtime/cache/checked.ts, over whole words: the first in the lower half. */
export function code_checksum(at: u32, words: u32): u64 {
  let low: u32 = 0x811c9dc5 ^ (words << 2);
  let high: u32 = 0x9747b28c ^ (words << 2);
  const end = at + (words << 2);
  for (; at < end; at += 4) {
    const word = load<u32>(at);
    low = (low ^ word) * 0x01000193;
    low ^= low >> 15;
    high = (high + word) * 0x5bd1e995;
    high ^= high >> 13;
  }
  low *= 0x01000193;
  low ^= low >> 15;
  high *= 0x5bd1e995;
  high ^= high >> 13;
  return (<u64>finish(high) << 32) | <u64>finish(low);
}
function finish(h: u32): u32 {
  h = (h ^ (h >> 16)) * 0x85ebca6b;
  h = (h ^ (h >> 13)) * 0xc2b2ae35;
  return h ^ (h >> 16);
}

/** Whether the guest's bytes at `pc` are those that `sum` was made from. */
function same(pc: u32, bytes: u32, sum: u32): bool {
  let h: u32 = 0x811c9dc5 ^ bytes;
  for (; bytes >= 4; bytes -= 4, pc += 4) {
    h = (h ^ load<u32>(pc)) * 0x01000193;
    h ^= h >> 15;
  }
  let rest: u32 = 0;
  for (let k: u32 = 0; k < bytes; k++) rest |= <u32>load<u8>(pc + k) << (k << 3);
  h = (h ^ rest) * 0x01000193;
  return (h ^ (h >> 15)) == sum;
}
/** Whether the words of code at `at` are as they were written. */
function whole(at: u32, words: u32, sum: u32): bool {
  let h: u32 = 0x811c9dc5 ^ words;
  for (const end = at + (words << 2); at < end; at += 4) {
    h = (h ^ load<u32>(at)) * 0x01000193;
    h ^= h >> 15;
  }
  return h == sum;
}

/** Where the columns of stubs begin. */
function stubColumns(chunk: u32): u32 {
  return chunk + HEADER + load<u32>(chunk + BLOCKS) * 28;
}
/** Where the stubs are. */
function stubsOf(chunk: u32): u32 {
  const words =
    HEADER / 4 +
    load<u32>(chunk + BLOCKS) * 7 +
    load<u32>(chunk + STUBS) * 2 +
    load<u32>(chunk + CALLS) +
    load<u32>(chunk + PAGES);
  return chunk + (((words + 1) & ~1) << 2) + (load<u32>(chunk + CODE) << 2);
}

/**
 * Looks whether the chunk of `words` words at `chunk` is whole but for its code, and makes its stubs, behind it. `count` is their
 * opcode, `usual` and `usualReturn` how often they are counted. 0: it is damaged.
 */
export function place_code(chunk: u32, words: u32, count: u32, usual: u32, usualReturn: u32): u32 {
  const columns = words - load<u32>(chunk + CODE);
  if (load<u64>(chunk) != code_checksum(chunk + 8, columns - 2)) return 0;
  const stubs = load<u32>(chunk + STUBS);
  const stubPcs = stubColumns(chunk);
  const stubBlocks = stubPcs + (stubs << 2);
  const places = chunk + HEADER + (load<u32>(chunk + BLOCKS) << 2);
  let at = chunk + (words << 2);
  for (let k: u32 = 0; k < stubs << 2; k += 4, at += STUB) {
    const target = load<u32>(stubBlocks + k);
    store<u32>(at, count);
    store<u32>(at + 4, target & RETURN ? usualReturn : usual);
    store<u32>(at + 8, chunk + load<u32>(places + ((target & ~RETURN) << 2)));
    store<u32>(at + 12, load<u32>(stubPcs + k));
  }
  return 1;
}

/** Number of `value` among `length` words in order; -1: it is not there. */
function positionOf(words: u32, length: u32, value: u32): i32 {
  let low: u32 = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (load<u32>(words + (middle << 2)) < value) low = middle + 1;
    else high = middle;
  }
  return low < length && load<u32>(words + (low << 2)) == value ? low : -1;
}
/** The chunk around a guest address; 0: none. */
function chunkAround(pc: u32): u32 {
  const used = ENTRIES + load<u32>(LAST_USED) * ENTRY;
  if (load<u32>(used) <= pc && pc <= load<u32>(used + 4)) return load<u32>(used + 8);
  let low: u32 = 0;
  let high = load<u32>(TABLE);
  const count = high;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (load<u32>(ENTRIES + middle * ENTRY + 4) < pc) low = middle + 1;
    else high = middle;
  }
  const entry = ENTRIES + low * ENTRY;
  if (low == count || load<u32>(entry) > pc) return 0;
  store<u32>(LAST_USED, low);
  return load<u32>(entry + 8);
}

/** Address of block `k` of a chunk, which can be run from now on; 0: it cannot, as it is damaged, or the guest has other bytes. */
export function ready_code(chunk: u32, k: u32): u32 {
  const column = load<u32>(chunk + BLOCKS) << 2;
  const row = chunk + HEADER + (k << 2);
  const block = chunk + load<u32>(row + column);
  const kindAt = row + 2 * column;
  const kind = load<u32>(kindAt);
  if (kind & READY) return block;
  if (kind & REFUSED) return 0;
  if (!same(load<u32>(row), kind & 0xfff, load<u32>(row + 3 * column))) {
    store<u32>(kindAt, kind | REFUSED);
    return 0;
  }
  if (!whole(block, max<u32>(MIN_WORDS, (kind >> 17) & 0x3fff), load<u32>(row + 4 * column))) {
    store<u32>(kindAt, kind | REFUSED);
    store<u32>(chunk + DAMAGED, 1);
    return 0;
  }
  const links = chunk + HEADER + 5 * column + (k << 3);
  for (let at = links; at < links + 8; at += 4) {
    const link = load<u32>(at);
    if (!link) continue;
    const word = block + (link & 0xffff);
    const op = block + (link >> 16);
    store<u16>(op + LINK_HOW, <u16>load<u32>(word));
    store<u32>(op + LINK_ADDRESS, word);
    store<u32>(word, op);
  }
  store<u32>(kindAt, kind | READY);
  return block;
}

/** Code to go on at after the link op at `op`, of a block of a chunk, which leads there from now on; 0: the runtime must see to it. */
export function link_code(op: u32): u32 {
  const how = load<u16>(op + LINK_HOW);
  if (!how || load<u32>(op + LINK_PC + 4)) return 0;
  const pc = load<u32>(op + LINK_PC);
  const chunk = chunkAround(pc);
  if (!chunk) return 0;
  const n = load<u32>(chunk + BLOCKS);
  const k = positionOf(chunk + HEADER, n, pc);
  if (k < 0 || !mayEnter(chunk, n, k)) return 0;
  let ip = ready_code(chunk, k);
  if (ip && how == COUNTED_LINK && load<u32>(COUNTING)) {
    const stub = positionOf(stubColumns(chunk), load<u32>(chunk + STUBS), pc);
    if (stub < 0) return 0;
    ip = stubsOf(chunk) + stub * STUB;
  }
  if (ip) store<u32>(load<u32>(op + LINK_ADDRESS), ip);
  return ip;
}
/** Whether a block can be fetched, and needs nothing of the runtime. */
function mayEnter(chunk: u32, n: u32, k: u32): bool {
  const kind = load<u32>(chunk + HEADER + ((2 * n + k) << 2));
  if (kind & FLOAT && !load<u32>(FLOAT_USED)) return false;
  const pc = load<u32>(chunk + HEADER + (k << 2));
  const last = pc + (kind & 0xfff) - 1;
  return (load<u8>(PAGE_TABLE + (pc >> 12)) & load<u8>(PAGE_TABLE + (last >> 12)) & PAGE_EXEC) != 0;
}

/** Code to go on at when a call returns to `pc`, which is in the jump cache from now on; 0: the runtime must see to it. */
export function return_code(pc: u64): u32 {
  if (pc >> 32 || !load<u32>(RETURNS)) return 0;
  const at = <u32>pc;
  const chunk = chunkAround(at);
  if (!chunk) return 0;
  const stubs = load<u32>(chunk + STUBS);
  const columns = stubColumns(chunk);
  const stub = positionOf(columns, stubs, at);
  if (stub < 0) return 0;
  const target = load<u32>(columns + ((stubs + stub) << 2));
  const k = target & ~RETURN;
  if (!(target & RETURN) || !mayEnter(chunk, load<u32>(chunk + BLOCKS), k)) return 0;
  let ip = ready_code(chunk, k);
  if (!ip) return 0;
  if (load<u32>(COUNTING)) ip = stubsOf(chunk) + stub * STUB;
  const entry = JUMP_CACHE + (((at ^ (at >> CACHE_SHIFT)) & JUMP_CACHE_MASK) << 3);
  if (load<u32>(entry) != at) store<u64>(entry ^ 8, load<u64>(entry));
  store<u32>(entry, at);
  store<u32>(entry + 4, ip);
  const written = load<u32>(WRITTEN);
  if (written < MAX_WRITTEN) store<u32>(WRITTEN_PAIRS + (written << 2), entry & ~15);
  store<u32>(WRITTEN, written + 1);
  return ip;
}
