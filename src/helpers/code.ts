// Interpreter code of earlier runs, put back many blocks at a time. Mirrors src/runtime/cache/chunk.ts, which has the format,
// and src/translator/ir/{layout,bytecode}.ts.

const BLOCKS: u32 = 8;
const STUBS: u32 = 12;
const CODE: u32 = 16;
const CALLS: u32 = 20;
const PAGES: u32 = 24;
const OPEN: u32 = 28;
const HEADER: u32 = 32;
const FLOAT: u32 = 1 << 16;
const RETURN: u32 = 1 << 31;
const STUB: u32 = 16;
const LINK_ADDRESS: u32 = 4;
const JUMP_CACHE: u32 = 0xf1100000;
const JUMP_CACHE_MASK: u32 = 0xffff;
const CACHE_SHIFT: u32 = 14;

const DAMAGED: u32 = 0;
const OTHER: u32 = 1;
const DONE: u32 = 2;

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

function publish(pc: u32, ip: u32): void {
  const at = JUMP_CACHE + (((pc ^ (pc >> CACHE_SHIFT)) & JUMP_CACHE_MASK) << 3);
  if (load<u32>(at) != pc) store<u64>(at ^ 8, load<u64>(at));
  store<u32>(at, pc);
  store<u32>(at + 4, ip);
}

/**
 * Puts the chunk of `words` words at `chunk` in place at `base`, below it: stubs, then the code, linked. `count` is the opcode
 * of stubs, `usual` and `usualReturn` how often they are counted; with `usual` 0 links pass them by. `returns`: return sites go
 * into the jump cache. 0: the chunk is damaged; 1: the guest has other bytes; 2: done.
 */
export function restore_code(
  chunk: u32,
  words: u32,
  base: u32,
  count: u32,
  usual: u32,
  usualReturn: u32,
  returns: u32,
): u32 {
  const sum = code_checksum(chunk + 8, words - 2);
  if (load<u64>(chunk) != sum) return DAMAGED;
  const n = load<u32>(chunk + BLOCKS);
  const stubs = load<u32>(chunk + STUBS);
  const code = load<u32>(chunk + CODE);
  const column = n << 2;
  const pcs = chunk + HEADER;
  const places = pcs + column;
  const kinds = places + column;
  const sums = kinds + column;
  const links = sums + column;
  const stubPcs = links + 2 * column;
  const stubBlocks = stubPcs + (stubs << 2);
  const codeAt = stubBlocks + ((stubs + load<u32>(chunk + CALLS) + load<u32>(chunk + PAGES) + 2 * load<u32>(chunk + OPEN)) << 2);
  for (let k: u32 = 0; k < column; k += 4)
    if (!same(load<u32>(pcs + k), load<u32>(kinds + k) & 0xfff, load<u32>(sums + k))) return OTHER;

  const stubBytes = stubs * STUB;
  memory.copy(base + stubBytes, codeAt, code << 2);
  for (let k: u32 = 0; k < stubs; k++) {
    const pc = load<u32>(stubPcs + (k << 2));
    const target = load<u32>(stubBlocks + (k << 2));
    const block = (target & ~RETURN) << 2;
    const at = base + k * STUB;
    const ip = base + load<u32>(places + block);
    store<u32>(at, count);
    store<u32>(at + 4, target & RETURN ? usualReturn : usual);
    store<u32>(at + 8, ip);
    store<u32>(at + 12, pc);
    if (returns && target & RETURN && !(load<u32>(kinds + block) & FLOAT)) publish(pc, usual ? at : ip);
  }
  for (let k: u32 = 0; k < 2 * n; k++) {
    const link = load<u32>(links + (k << 2));
    if (!link) continue;
    const block = base + load<u32>(places + ((k >> 1) << 2));
    const word = block + (link & 0xffff);
    const op = block + (link >> 16);
    store<u32>(op + LINK_ADDRESS, word);
    let to = load<u32>(word);
    if (!to) {
      store<u32>(word, op);
      continue;
    }
    // Its lowest bit tells it from none.
    to &= ~1;
    if (!usual && to < stubBytes) to = load<u32>(places + ((load<u32>(stubBlocks + (to >> 4 << 2)) & ~RETURN) << 2));
    store<u32>(word, base + to);
  }
  return DONE;
}
