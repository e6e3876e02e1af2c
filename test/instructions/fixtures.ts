/** Fixture files: what a real CPU did with each vector. Little endian, gzip; numbers are LEB128 unless said otherwise. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import {
  DATA_BYTES,
  FX_BYTES,
  hash,
  type MachineState,
  makeState,
  type Override,
  profiles,
  type Profile,
} from './machine-state.ts';

export const fixturesFolder = join(import.meta.dirname, 'fixtures');
const MAGIC = 0x314b5855; // 'UXK1'

export interface Vector {
  /** Seeds the initial state, together with the section's key. */
  index: number;
  profile: Profile;
  code: Uint8Array;
  overrides: Override[];
  /** rflags bits that the code leaves undefined; above bit 16, x87 status bits. */
  undefinedFlags: number;
}

/** How it ended. SIGTRAP with the address of an INT3 is the normal end. */
export interface Outcome {
  signal: number;
  /** Where the instruction pointer stood: of the INT3 itself at the end. */
  pc: number;
  /** Of a page fault; null for other signals and for #GP. */
  address: bigint | null;
  state: MachineState;
}

export interface Section {
  key: string;
  vectors: { vector: Vector; outcome: Outcome }[];
}

export const initialState = (key: string, v: Vector): MachineState =>
  makeState((hash(key) + Math.imul(v.index, 0x9e3779b1)) >>> 0, v.profile, v.overrides);

class Writer {
  #bytes = new Uint8Array(1 << 16);
  #at = 0;
  byte(b: number): void {
    if (this.#at === this.#bytes.length) {
      const more = new Uint8Array(this.#at * 2);
      more.set(this.#bytes);
      this.#bytes = more;
    }
    this.#bytes[this.#at++] = b;
  }
  number(n: number | bigint): void {
    let v = BigInt(n);
    for (; v >= 0x80n; v >>= 7n) this.byte(Number(v & 0x7fn) | 0x80);
    this.byte(Number(v));
  }
  bytes(b: Uint8Array): void {
    for (const x of b) this.byte(x);
  }
  string(s: string): void {
    const b = Buffer.from(s, 'utf8');
    this.number(b.length);
    this.bytes(b);
  }
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }
  byte(): number {
    if (this.#at >= this.#bytes.length) throw new Error('fixture file is cut short');
    return this.#bytes[this.#at++]!;
  }
  big(): bigint {
    let v = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const b = this.byte();
      v |= BigInt(b & 0x7f) << shift;
      if (b < 0x80) return v;
    }
  }
  number(): number {
    let v = 0;
    for (let scale = 1; ; scale *= 128) {
      const b = this.byte();
      v += (b & 0x7f) * scale;
      if (b < 0x80) return v;
    }
  }
  bytes(n: number): Uint8Array {
    this.#at += n;
    return this.#bytes.slice(this.#at - n, this.#at);
  }
  string(): string {
    return Buffer.from(this.bytes(this.number())).toString('utf8');
  }
}

/** Runs of changed bytes: distance from the last run, length, bytes; length 0 ends. */
function writeChanges(w: Writer, before: Uint8Array, after: Uint8Array): void {
  let last = 0;
  for (let at = 0; at < before.length; at++) {
    if (before[at] === after[at]) continue;
    let end = at + 1;
    // Up to three equal bytes are cheaper than a new run.
    for (let k = end; k < before.length && k < end + 4; k++) if (before[k] !== after[k]) end = k + 1;
    w.number(end - at);
    w.number(at - last);
    w.bytes(after.subarray(at, end));
    last = end;
    at = end - 1;
  }
  w.number(0);
}
function readChanges(r: Reader, state: Uint8Array): void {
  let at = 0;
  for (let n = r.number(); n > 0; n = r.number()) {
    at += r.number();
    state.set(r.bytes(n), at);
    at += n;
  }
}

export function encodeFixtures(cpu: string, sections: readonly Section[]): Uint8Array {
  const w = new Writer();
  w.number(MAGIC);
  w.string(cpu);
  w.number(sections.length);
  for (const { key, vectors } of sections) {
    w.string(key);
    w.number(vectors.length);
    for (const { vector: v, outcome: o } of vectors) {
      w.number(v.index);
      w.byte(profiles.indexOf(v.profile));
      w.number(v.code.length);
      w.bytes(v.code);
      w.number(v.undefinedFlags);
      w.number(v.overrides.length);
      for (const { place, value } of v.overrides) {
        w.number(place);
        w.number(value);
      }
      const before = initialState(key, v);
      w.byte(o.signal);
      w.number(o.pc);
      w.number(o.address === null ? 0 : o.address + 1n);
      let changed = 0;
      for (let k = 0; k < 16; k++) if (before.gpr[k] !== o.state.gpr[k]) changed |= 1 << k;
      w.number(changed);
      for (let k = 0; k < 16; k++) if (changed & (1 << k)) w.number(o.state.gpr[k]!);
      w.number(o.state.rflags);
      writeChanges(w, before.fx, o.state.fx);
      writeChanges(w, before.data, o.state.data);
    }
  }
  return gzipSync(w.finish(), { level: 9 });
}

export function decodeFixtures(file: Uint8Array): { cpu: string; sections: Section[] } {
  const r = new Reader(gunzipSync(file));
  if (r.number() !== MAGIC) throw new Error('not a fixture file of this version');
  const cpu = r.string();
  const sections: Section[] = [];
  for (let n = r.number(); n > 0; n--) {
    const section: Section = { key: r.string(), vectors: [] };
    for (let m = r.number(); m > 0; m--) {
      const index = r.number();
      const profile = profiles[r.byte()]!;
      const code = r.bytes(r.number());
      const undefinedFlags = r.number();
      const overrides: Override[] = [];
      for (let k = r.number(); k > 0; k--) overrides.push({ place: r.number(), value: r.big() });
      const vector: Vector = { index, profile, code, overrides, undefinedFlags };
      const state = initialState(section.key, vector);
      const signal = r.byte();
      const pc = r.number();
      const address = r.big();
      const changed = r.number();
      for (let k = 0; k < 16; k++) if (changed & (1 << k)) state.gpr[k] = r.big();
      state.rflags = r.big();
      readChanges(r, state.fx);
      readChanges(r, state.data);
      section.vectors.push({ vector, outcome: { signal, pc, address: address === 0n ? null : address - 1n, state } });
    }
    sections.push(section);
  }
  return { cpu, sections };
}

export const fixtureFiles = (): string[] =>
  readdirSync(fixturesFolder)
    .filter((f) => f.endsWith('.bin.gz'))
    .sort();
export const readFixtures = (name: string): { cpu: string; sections: Section[] } =>
  decodeFixtures(readFileSync(join(fixturesFolder, name)));
export { DATA_BYTES, FX_BYTES };
