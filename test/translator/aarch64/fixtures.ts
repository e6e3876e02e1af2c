/** Recorded outcomes: what qemu-aarch64 made of each vector. One gzip file per encoding group. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { Override, Profile } from './machine-state.ts';
import type { Vector } from './vectors.ts';

export const fixturesFolder = join(import.meta.dirname, 'fixtures');

export interface Outcome {
  signal: number;
  /** Relative to the first instruction. */
  pc: number;
  /** si_addr of SIGSEGV and SIGBUS, else 0. */
  address: bigint;
  nzcv: number;
  fpcr: number;
  fpsr: number;
  /** Registers (0..31, SP last), halves of vector registers, and words of the buffer that changed. */
  gpr: [number, bigint][];
  vectors: [number, bigint][];
  data: [number, bigint][];
}
export interface Section {
  key: string;
  vectors: { vector: Vector; outcome: Outcome }[];
}

const profiles: readonly Profile[] = ['integer', 'f16', 'f32', 'f64'];

class Writer {
  readonly bytes: number[] = [];
  /** LEB128. */
  number(v: bigint | number): void {
    let n = BigInt(v);
    do {
      const low = Number(n & 0x7fn);
      n >>= 7n;
      this.bytes.push(n ? low | 0x80 : low);
    } while (n);
  }
  pairs(list: readonly (readonly [number, bigint])[]): void {
    this.number(list.length);
    for (const [place, value] of list) {
      this.number(place);
      this.number(value);
    }
  }
}
class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }
  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }
  big(): bigint {
    let v = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.#bytes[this.#at++]!;
      v |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return v;
    }
  }
  number(): number {
    return Number(this.big());
  }
  pairs(): [number, bigint][] {
    return Array.from({ length: this.number() }, () => [this.number(), this.big()]);
  }
  text(): string {
    const length = this.number();
    this.#at += length;
    return Buffer.from(this.#bytes.subarray(this.#at - length, this.#at)).toString('latin1');
  }
}
const zigzag = (n: number): number => (n < 0 ? -2 * n - 1 : 2 * n);
const unzigzag = (n: number): number => (n & 1 ? -(n + 1) / 2 : n / 2);

export function encodeFixtures(sections: readonly Section[]): Uint8Array {
  const w = new Writer();
  for (const { key, vectors } of sections) {
    w.number(key.length);
    w.bytes.push(...Buffer.from(key, 'latin1'));
    w.number(vectors.length);
    for (const { vector, outcome: o } of vectors) {
      w.number(vector.words.length);
      for (const word of vector.words) w.number(word >>> 0);
      w.number(vector.seed);
      w.number(profiles.indexOf(vector.profile));
      w.pairs(vector.overrides);
      w.number(o.signal);
      w.number(zigzag(o.pc));
      w.number(o.address);
      w.number(o.nzcv >>> 28);
      w.number(o.fpcr);
      w.number(o.fpsr);
      w.pairs(o.gpr);
      w.pairs(o.vectors);
      w.pairs(o.data);
    }
  }
  return gzipSync(Uint8Array.from(w.bytes), { level: 9 });
}

export function decodeFixtures(bytes: Uint8Array): Section[] {
  const r = new Reader(gunzipSync(bytes));
  const sections: Section[] = [];
  while (!r.done) {
    const section: Section = { key: r.text(), vectors: [] };
    const count = r.number();
    for (let k = 0; k < count; k++) {
      const words = Array.from({ length: r.number() }, () => r.number() | 0);
      const vector: Vector = {
        words,
        seed: r.number(),
        profile: profiles[r.number()]!,
        overrides: r.pairs() as Override[],
      };
      const outcome: Outcome = {
        signal: r.number(),
        pc: unzigzag(r.number()),
        address: r.big(),
        nzcv: (r.number() << 28) >>> 0,
        fpcr: r.number(),
        fpsr: r.number(),
        gpr: r.pairs(),
        vectors: r.pairs(),
        data: r.pairs(),
      };
      section.vectors.push({ vector, outcome });
    }
    sections.push(section);
  }
  return sections;
}

export const fixtureFiles = (): string[] =>
  readdirSync(fixturesFolder)
    .filter((f) => f.endsWith('.bin.gz'))
    .map((f) => f.slice(0, -7));
export const readFixtures = (file: string): Section[] =>
  decodeFixtures(readFileSync(join(fixturesFolder, `${file}.bin.gz`)));
