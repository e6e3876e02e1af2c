/**
 * Records the fixtures of the instruction tests on the CPU this runs on (x86-64 Linux with gcc):
 * `node tools/record-instructions.ts [--filter REGEXP] [--dry]`. A filter keeps the other rows' fixtures as they are.
 * `--explore N` makes N sets of other vectors instead, compares them at once with the interpreter, and writes nothing.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { rows } from '../src/translator/x86_64/row.ts';
import '../src/translator/x86_64/index.ts';
import { fileOf, keyOf, reasonForNone, undefinedStatus, vectorsOf } from '../test/instructions/encodings.ts';
import {
  encodeFixtures,
  fixtureFiles,
  fixturesFolder,
  initialState,
  type Outcome,
  readFixtures,
  type Section,
  type Vector,
} from '../test/instructions/fixtures.ts';
import { DATA_BYTES, FX_BYTES, fxCompared } from '../test/instructions/machine-state.ts';
import { PREFIXES, prefixVectors, SEQUENCES, sequenceVectors } from '../test/instructions/sequences.ts';

const MAX_CODE = 64;
const VECTOR_BYTES = 128 + 8 + 8 + MAX_CODE + FX_BYTES + DATA_BYTES;
const RESULT_BYTES = 128 + 8 * 3 + 4 * 4 + FX_BYTES + DATA_BYTES;
const SIGTRAP = 5;
const SIGSEGV = 11;
/** Flags that are compared: the six, TF and DF. IF and bit 1 are always set. */
const FLAGS = 0xdd5n;

function buildRunner(folder: string): string {
  const runner = join(folder, 'run-instructions');
  execFileSync(
    'gcc',
    ['-O2', '-fno-stack-protector', '-o', runner, join(import.meta.dirname, 'native/run-instructions.c')],
    { stdio: 'inherit' },
  );
  return runner;
}

/** Runs vectors natively; null for one that wrote outside of the buffer. */
function execute(folder: string, runner: string, vectors: { key: string; vector: Vector }[]): (Outcome | null)[] {
  const input = new Uint8Array(vectors.length * VECTOR_BYTES);
  const v = new DataView(input.buffer);
  vectors.forEach(({ key, vector }, n) => {
    const s = initialState(key, vector);
    let at = n * VECTOR_BYTES;
    for (let k = 0; k < 16; k++) v.setBigUint64(at + k * 8, s.gpr[k]!, true);
    v.setBigUint64(at + 128, s.rflags, true);
    v.setUint32(at + 136, vector.code.length, true);
    at += 144;
    input.set(vector.code, at);
    input.set(s.fx, at + MAX_CODE);
    input.set(s.data, at + MAX_CODE + FX_BYTES);
  });
  const [from, to] = [join(folder, 'vectors'), join(folder, 'results')];
  writeFileSync(from, input);
  execFileSync(runner, [from, to], { stdio: 'inherit' });
  const output = readFileSync(to);
  const o = new DataView(output.buffer, output.byteOffset, output.length);
  return vectors.map(({ key, vector }, n): Outcome | null => {
    let at = n * RESULT_BYTES;
    const gpr = new BigUint64Array(16);
    for (let k = 0; k < 16; k++) gpr[k] = o.getBigUint64(at + k * 8, true);
    const rflags = (o.getBigUint64(at + 128, true) & FLAGS) | 0x202n;
    const rip = o.getBigUint64(at + 136, true);
    const address = o.getBigUint64(at + 144, true);
    const signal = o.getInt32(at + 152, true);
    const code = o.getInt32(at + 156, true);
    if (o.getUint32(at + 160, true)) return null;
    at += 168;
    const before = initialState(key, vector);
    const fx = new Uint8Array(output.subarray(at, at + FX_BYTES));
    for (let k = 0; k < FX_BYTES; k++) if (!fxCompared[k]) fx[k] = before.fx[k]!;
    const data = new Uint8Array(output.subarray(at + FX_BYTES, at + FX_BYTES + DATA_BYTES));
    const pageFault = signal === SIGSEGV && code > 0 && code < 128;
    // The CPU reports breakpoint traps at the next instruction.
    const pc = Number(rip) - (signal === SIGTRAP ? 1 : 0);
    return { signal, pc, address: pageFault ? address : null, state: { gpr, rflags, fx, data } };
  });
}

type Lists = Map<string, { key: string; vectors: Vector[] }[]>;

/** The vectors of all rows, by file. */
function makeVectors(salt: number, filter: RegExp | null): Lists {
  const files: Lists = new Map();
  const add = (file: string, key: string, vectors: Vector[]): void => {
    files.set(file, [...(files.get(file) ?? []), { key, vectors }]);
  };
  const seen = new Set<string>();
  for (const row of rows) {
    const key = keyOf(row);
    if (seen.has(key)) console.log(`defined twice: ${key}`);
    if (seen.has(key) || reasonForNone(row) !== null || (salt > 0 && filter?.test(key) === false)) continue;
    seen.add(key);
    const vectors = vectorsOf(row, salt);
    if (vectors.length === 0) console.log(`no encoding found: ${key}`);
    else add(fileOf(row), key, vectors);
  }
  add('sequences', SEQUENCES, sequenceVectors(4000, salt));
  if (salt === 0) add('sequences', PREFIXES, prefixVectors());
  return files;
}

/** Runs the vectors of one file; `stray` counts those that are dropped. */
function record(
  folder: string,
  runner: string,
  file: string,
  list: { key: string; vectors: Vector[] }[],
): { sections: Section[]; stray: number } {
  const flat = list.flatMap(({ key, vectors }) => vectors.map((vector) => ({ key, vector })));
  const outcomes = flat.length ? execute(folder, runner, flat) : [];
  let n = 0;
  let stray = 0;
  const sections = list.map(({ key, vectors }) => {
    const section: Section = { key, vectors: [] };
    for (const vector of vectors) {
      const outcome = outcomes[n++]!;
      if (!outcome) {
        stray++;
        continue;
      }
      // CPUs differ on the flags of a repeated comparison that faults (SDM: as before it; AMD: of the last element).
      if (outcome.signal !== SIGTRAP && /^a[67ef] /.test(key)) vector.undefinedFlags |= 0x8d5;
      if (file === 'x87') {
        const [before, after] = [initialState(key, vector).fx, outcome.state.fx];
        const same =
          Buffer.compare(before.subarray(32, 42), after.subarray(32, 42)) === 0 ||
          ((after[41]! & 0x7f) === 0x7f && after[40] === 0xff);
        vector.undefinedFlags |= undefinedStatus(key, new DataView(after.buffer).getUint16(2, true), same);
      }
      section.vectors.push({ vector, outcome });
    }
    return section;
  });
  return { sections, stray };
}

async function explore(folder: string, runner: string, sets: number, filter: RegExp | null): Promise<void> {
  const { check, needsExact, Replayer } = await import('../test/instructions/replay.ts');
  const replayer = new Replayer();
  let total = 0;
  let wrong = 0;
  for (let salt = 1; salt <= sets; salt++)
    for (const [file, list] of makeVectors(salt, filter))
      for (const { key, vectors } of record(folder, runner, file, list).sections)
        for (const { vector, outcome } of vectors) {
          total++;
          const report = await check(replayer, key, vector, outcome, needsExact(key, vector));
          if (report === null) continue;
          wrong++;
          console.log(report);
        }
  console.log(`${wrong} of ${total} vectors differ`);
  if (wrong > 0) process.exitCode = 1;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { filter: { type: 'string' }, dry: { type: 'boolean' }, explore: { type: 'string' } },
  });
  const filter = values.filter === undefined ? null : new RegExp(values.filter);
  const folder = mkdtempSync(join(tmpdir(), 'uktx-record-'));
  try {
    const runner = buildRunner(folder);
    if (values.explore !== undefined) {
      await explore(folder, runner, Number(values.explore), filter);
      return;
    }
    const known = new Map<string, Section>();
    mkdirSync(fixturesFolder, { recursive: true });
    if (filter) for (const file of fixtureFiles()) for (const s of readFixtures(file).sections) known.set(s.key, s);
    let total = 0;
    for (const [file, list] of makeVectors(0, filter)) {
      const todo = list.filter(({ key }) => filter === null || filter.test(key) || !known.has(key));
      const { sections: made, stray } = record(folder, runner, file, todo);
      const byKey = new Map(made.map((s) => [s.key, s]));
      const sections = list.map(({ key }) => byKey.get(key) ?? known.get(key)!);
      const bytes = encodeFixtures(cpus()[0]!.model, sections);
      total += bytes.length;
      console.log(
        `${file}: ${sections.length} rows, ${sections.reduce((sum, s) => sum + s.vectors.length, 0)} vectors, ${bytes.length} bytes${stray ? `; ${stray} dropped (wrote elsewhere)` : ''}`,
      );
      if (!values.dry) writeFileSync(join(fixturesFolder, `${file}.bin.gz`), bytes);
    }
    console.log(`${total} bytes in all`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await main();
