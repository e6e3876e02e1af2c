/**
 * The index of one image's translations: which modules there are, and what they were made from. A MessagePack file with a checksum; the modules' code lies beside it in plain .wasm files, each named
 * by its SHA-256.
 */
import type { CompiledRegion } from '../../translator/wasm/region-module.ts';
import { unsealed } from './checked.ts';
import { type Packed, unpack } from './msgpack.ts';

export const INDEX_FORMAT = 'UKTXIDX1';
/** Of one image: more are dropped, the oldest first. */
export const MAX_MODULES = 5000;
const ADDRESSES = 2 ** 32;

export interface CachedModule {
  /** SHA-256 of the Wasm bytes in hexadecimal: name of their file. */
  wasm: string;
  /** SHA-256 of the guest bytes it depends on: `ranges` of its regions in order, then `looked`. */
  guest: Uint8Array;
  regions: CompiledRegion[];
  /** Further guest bytes that the translator looked at: [start, end) pairs. */
  looked: [number, number][];
  links: number[];
  tables: Uint8Array;
}

/** Later modules are better. */
export type ImageIndex = CachedModule[];

/** Guest addresses that a module has functions for, with their names. */
export function* entriesOf(module: { regions: readonly CompiledRegion[] }): Generator<{ pc: number; name: string }> {
  for (const r of module.regions) {
    yield { pc: r.pc, name: r.name };
    yield* r.entries;
  }
}

/** What a module was made from, as one list. */
export const dependencies = (module: {
  regions: readonly CompiledRegion[];
  looked: readonly [number, number][];
}): [number, number][] => [...module.regions.flatMap((r) => r.ranges), ...module.looked];

/** As it is packed: arrays, without names, to be short. */
export function toPacked(modules: ImageIndex): unknown {
  const flat = (pairs: readonly (readonly [number, number])[]): number[] => pairs.flat();
  return modules.map((m) => [
    m.wasm,
    m.guest,
    m.regions.map((r) => [
      r.pc,
      r.name,
      flat(r.ranges),
      r.guestInstructions,
      r.raisesFloatFlags,
      r.entries.flatMap((e) => [e.pc, e.name]),
    ]),
    flat(m.looked),
    m.links,
    m.tables,
  ]);
}

class Malformed extends Error {}

function list(value: Packed | undefined): Packed[] {
  if (!Array.isArray(value)) throw new Malformed('no list');
  return value;
}
function text(value: Packed | undefined): string {
  if (typeof value !== 'string') throw new Malformed('no string');
  return value;
}
function bytes(value: Packed | undefined): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new Malformed('no bytes');
  return value;
}
function whole(value: Packed | undefined): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0 || (value as number) > ADDRESSES)
    throw new Malformed('no number');
  return value as number;
}
function pairs(value: Packed | undefined): [number, number][] {
  const flat = list(value).map(whole);
  if (flat.length % 2 !== 0) throw new Malformed('an odd list');
  const out: [number, number][] = [];
  for (let k = 0; k < flat.length; k += 2) {
    if (flat[k]! >= flat[k + 1]!) throw new Malformed('an empty range');
    out.push([flat[k]!, flat[k + 1]!]);
  }
  return out;
}
function region(value: Packed): CompiledRegion {
  const [pc, name, ranges, instructions, raises, entries] = list(value);
  const flat = list(entries);
  const further: { pc: number; name: string }[] = [];
  for (let k = 0; k < flat.length; k += 2) further.push({ pc: whole(flat[k]), name: text(flat[k + 1]) });
  return {
    pc: whole(pc),
    name: text(name),
    ranges: pairs(ranges),
    guestInstructions: whole(instructions),
    raisesFloatFlags: raises === true,
    entries: further,
  };
}

/** Null when the file is damaged, or none of ours. */
export function parseIndex(file: Buffer): ImageIndex | null {
  const payload = unsealed(INDEX_FORMAT, file);
  if (!payload) return null;
  try {
    return list(unpack(payload)).map((m) => {
      const [wasm, guest, regions, looked, links, tables] = list(m);
      if (!/^[0-9a-f]{64}$/.test(text(wasm))) throw new Malformed('no hash');
      return {
        wasm: text(wasm),
        guest: bytes(guest),
        regions: list(regions).map(region),
        looked: pairs(looked),
        links: list(links).map(whole),
        tables: bytes(tables),
      };
    });
  } catch (e) {
    if (e instanceof Malformed || e instanceof RangeError) return null;
    throw e;
  }
}

/** Both together; where both have a module for an entry, that of `newer` counts. Modules nothing is left of go. */
export function mergeIndexes(older: ImageIndex, newer: ImageIndex): ImageIndex {
  const modules: CachedModule[] = [];
  const taken = new Set<number>();
  const seen = new Set<string>();
  for (const m of [...older, ...newer].reverse()) {
    if (seen.has(m.wasm) || modules.length >= MAX_MODULES) continue;
    let needed = false;
    for (const { pc } of entriesOf(m))
      if (!taken.has(pc)) {
        taken.add(pc);
        needed = true;
      }
    if (!needed) continue;
    seen.add(m.wasm);
    modules.push(m);
  }
  return modules.reverse();
}
