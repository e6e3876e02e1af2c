/**
 * Records the fixtures of the AArch64 instruction tests under qemu-aarch64 (or on an AArch64 machine); needs
 * aarch64-linux-gnu-gcc: `node tools/record-aarch64.ts [--filter REGEXP] [--dry]`. A filter keeps the other rows' fixtures
 * as they are. `--explore N` makes N sets of other vectors instead, compares them with the interpreter, and writes nothing.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import '../src/translator/aarch64/index.ts';
import { rows } from '../src/translator/aarch64/row.ts';
import {
  encodeFixtures,
  fixtureFiles,
  fixturesFolder,
  type Outcome,
  readFixtures,
  type Section,
} from '../test/translator/aarch64/fixtures.ts';
import { CODE, DATA_BYTES, initialState, type MachineState } from '../test/translator/aarch64/machine-state.ts';
import { check, outcomeOf, Replayer } from '../test/translator/aarch64/replay.ts';
import {
  EXCLUSIVES,
  exclusiveVectors,
  fileOf,
  keyOf,
  SEQUENCES,
  sequenceVectors,
  type Vector,
  vectorsOf,
} from '../test/translator/aarch64/vectors.ts';

const MAX_WORDS = 12;
const STATE_BYTES = 256 + 16 + 512 + DATA_BYTES;
const VECTOR_BYTES = 4 + MAX_WORDS * 4 + 4 + STATE_BYTES;
const RESULT_BYTES = 24 + STATE_BYTES;

function putState(bytes: Uint8Array, at: number, s: MachineState): void {
  const v = new DataView(bytes.buffer);
  for (let k = 0; k < 32; k++) v.setBigUint64(at + k * 8, s.gpr[k]!, true);
  v.setUint32(at + 256, s.nzcv, true);
  v.setUint32(at + 260, s.fpcr, true);
  v.setUint32(at + 264, s.fpsr, true);
  bytes.set(s.vectors, at + 272);
  bytes.set(s.data, at + 784);
}
function getState(bytes: Uint8Array, at: number): MachineState {
  const v = new DataView(bytes.buffer, bytes.byteOffset);
  const gpr = new BigUint64Array(32);
  for (let k = 0; k < 32; k++) gpr[k] = v.getBigUint64(at + k * 8, true);
  return {
    gpr,
    nzcv: v.getUint32(at + 256, true),
    fpcr: v.getUint32(at + 260, true),
    fpsr: v.getUint32(at + 264, true),
    vectors: bytes.slice(at + 272, at + 784),
    data: bytes.slice(at + 784, at + 784 + DATA_BYTES),
  };
}

/** Runs vectors under qemu. */
function execute(folder: string, runner: string, vectors: readonly Vector[]): Outcome[] {
  const input = new Uint8Array(vectors.length * VECTOR_BYTES);
  const v = new DataView(input.buffer);
  const before = vectors.map((x) => initialState(x.seed, x.profile, x.overrides));
  vectors.forEach(({ words }, n) => {
    const at = n * VECTOR_BYTES;
    v.setUint32(at, words.length, true);
    for (const [k, word] of words.entries()) v.setUint32(at + 4 + k * 4, word >>> 0, true);
    putState(input, at + 56, before[n]!);
  });
  const [from, to] = [join(folder, 'vectors'), join(folder, 'results')];
  writeFileSync(from, input);
  const command =
    process.arch === 'arm64' ? [runner, from, to] : ['qemu-aarch64', '-cpu', 'cortex-a76', runner, from, to];
  execFileSync(command[0]!, command.slice(1), { stdio: 'inherit', timeout: 60_000 });
  const output = readFileSync(to);
  return vectors.map((_, n) => {
    const at = n * RESULT_BYTES;
    const end = {
      signal: output.readInt32LE(at),
      pc: Number(output.readBigUInt64LE(at + 8) - BigInt(CODE)),
      address: output.readBigUInt64LE(at + 16),
    };
    return outcomeOf(before[n]!, getState(output, at + 24), end);
  });
}

/** The vectors of all rows, by file. */
function makeVectors(salt: number, filter: RegExp | null): Map<string, { key: string; vectors: Vector[] }[]> {
  const files = new Map<string, { key: string; vectors: Vector[] }[]>();
  const add = (file: string, key: string, make: () => Vector[]): void => {
    if (filter?.test(key) === false && salt > 0) return;
    const vectors = make();
    if (vectors.length === 0) console.log(`no vectors: ${key}`);
    else files.set(file, [...(files.get(file) ?? []), { key, vectors }]);
  };
  for (const row of rows) if (row.noFuzz === undefined) add(fileOf(row), keyOf(row), () => vectorsOf(row, salt));
  add('sequences', SEQUENCES, () => sequenceVectors(3000, salt));
  if (salt === 0) add('sequences', EXCLUSIVES, () => exclusiveVectors(600));
  return files;
}

function main(): void {
  const { values } = parseArgs({
    options: { filter: { type: 'string' }, dry: { type: 'boolean' }, explore: { type: 'string' } },
  });
  const filter = values.filter === undefined ? null : new RegExp(values.filter);
  const folder = mkdtempSync(join(tmpdir(), 'uktx-record-'));
  try {
    const runner = join(folder, 'run-aarch64');
    const gcc = process.arch === 'arm64' ? 'gcc' : 'aarch64-linux-gnu-gcc';
    const source = join(import.meta.dirname, 'native/run-aarch64.c');
    execFileSync(gcc, ['-O1', '-static', '-o', runner, source], { stdio: 'inherit' });
    if (values.explore !== undefined) {
      explore(folder, runner, Number(values.explore), filter);
      return;
    }
    mkdirSync(fixturesFolder, { recursive: true });
    const known = new Map<string, Section>();
    if (filter && existsSync(fixturesFolder))
      for (const file of fixtureFiles()) for (const s of readFixtures(file)) known.set(s.key, s);
    for (const [file, list] of makeVectors(0, filter)) {
      const sections = list.map(({ key, vectors }): Section => {
        const old = known.get(key);
        if (old && !filter!.test(key)) return old;
        const outcomes = execute(folder, runner, vectors);
        return { key, vectors: vectors.map((vector, k) => ({ vector, outcome: outcomes[k]! })) };
      });
      const bytes = encodeFixtures(sections);
      const count = sections.reduce((sum, s) => sum + s.vectors.length, 0);
      console.log(`${file}: ${sections.length} rows, ${count} vectors, ${bytes.length} bytes`);
      if (!values.dry) writeFileSync(join(fixturesFolder, `${file}.bin.gz`), bytes);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function explore(folder: string, runner: string, sets: number, filter: RegExp | null): void {
  const replayer = new Replayer();
  let total = 0;
  const wrong = new Map<string, number>();
  for (let salt = 1; salt <= sets; salt++)
    for (const list of makeVectors(salt, filter).values()) {
      const flat = list.flatMap(({ key, vectors }) => vectors.map((vector) => ({ key, vector })));
      const outcomes = execute(
        folder,
        runner,
        flat.map((x) => x.vector),
      );
      flat.forEach(({ key, vector }, n) => {
        total++;
        const report = check(replayer, key, vector, outcomes[n]!);
        if (report === null) return;
        const times = (wrong.get(key) ?? 0) + 1;
        wrong.set(key, times);
        if (times <= 3) console.log(report);
      });
    }
  for (const [key, times] of wrong) console.log(`${times} wrong: ${key}`);
  console.log(`${[...wrong.values()].reduce((a, b) => a + b, 0)} of ${total} vectors differ`);
  if (wrong.size > 0) process.exitCode = 1;
}

main();
