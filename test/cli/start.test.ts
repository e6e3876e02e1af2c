/** bin/start.cjs and bin/worker.cjs: bytecode of their bundles kept between runs, whatever state its file is in. */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/runtime/package-root.ts';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'uktx-start-'));
  mkdirSync(join(root, 'bin'));
  for (const folder of ['dist/cli', 'dist/worker']) mkdirSync(join(root, folder), { recursive: true });
  for (const file of ['bytecode', 'start', 'worker'].map((name) => `bin/${name}.cjs`))
    cpSync(join(packageRoot(), file), join(root, file));
});
afterAll(() => rmSync(root, { recursive: true }));

/** A bundle of one length, whatever it prints. */
const bundle = (name: string, word: string): void =>
  writeFileSync(
    join(root, 'dist/cli/main.cjs'),
    `/*${name.padEnd(16, '0')}*/(function(){function later(x){return x+'${word}'}process.stdout.write(later(process.argv[2]))})`,
  );
const start = (...flags: string[]): string => {
  const r = spawnSync(process.execPath, [...flags, join(root, 'bin/start.cjs'), '>'], { encoding: 'utf8' });
  return r.stdout + r.stderr;
};
const codeFiles = (folder = 'cli'): string[] =>
  readdirSync(join(root, 'dist', folder)).filter((f) => !f.endsWith('.cjs'));
const codeFile = (folder = 'cli'): string => join(root, 'dist', folder, codeFiles(folder)[0]!);

it('writes the bytecode once and runs from it', () => {
  bundle('a', 'one');
  expect(start()).toBe('>one');
  expect(codeFiles()).toEqual([`main-${process.version}-${process.arch}.code`]);
  const first = readFileSync(codeFile());
  expect(first.toString('latin1', 0, 20)).toBe('/*a000000000000000*/');
  expect(start()).toBe('>one');
  expect(readFileSync(codeFile()).equals(first)).toBe(true);
});
it('never uses the bytecode of another bundle of the same length', () => {
  bundle('b', 'two');
  expect(start()).toBe('>two');
  expect(readFileSync(codeFile()).toString('latin1', 0, 20)).toBe('/*b000000000000000*/');
});
it('replaces what V8 rejects: other flags, cut short, or no bytecode at all', () => {
  expect(start('--no-opt', '--no-maglev')).toBe('>two');
  truncateSync(codeFile(), 100);
  expect(start()).toBe('>two');
  expect(readFileSync(codeFile()).length).toBeGreaterThan(100);
  writeFileSync(codeFile(), '/*b000000000000000*/ no bytecode, but the right name in front of it');
  expect(start()).toBe('>two');
  expect(codeFiles().length).toBe(1);
});

describe('compile workers', () => {
  /** A bundle that says its word and whether it was asked to keep its bytecode, and does. */
  const workerBundle = (name: string, word: string): void =>
    writeFileSync(
      join(root, 'dist/worker/compile.cjs'),
      `/*${name.padEnd(16, '0')}*/(function(exports,require){const{parentPort,workerData}=require('node:worker_threads');` +
        `const keeps=workerData.saveCode!==undefined;workerData.saveCode?.();parentPort.postMessage('${word} '+keeps)})`,
    );
  const startWorker = (launched: boolean): Promise<string> =>
    new Promise((resolve, reject) => {
      const worker = new Worker(join(root, 'bin/worker.cjs'), { workerData: { launched } });
      worker.once('message', (said: string) => worker.once('exit', () => resolve(said)));
      worker.once('error', reject);
    });

  it('keep the bytecode once, under the flags of the launcher only', async () => {
    workerBundle('a', 'one');
    expect(await startWorker(false)).toBe('one false');
    expect(codeFiles('worker')).toEqual([]);
    expect(await startWorker(true)).toBe('one true');
    expect(codeFiles('worker')).toEqual([`compile-${process.version}-${process.arch}.code`]);
    expect(readFileSync(codeFile('worker')).toString('latin1', 0, 20)).toBe('/*a000000000000000*/');
    expect(await startWorker(true)).toBe('one false');
  });
  it('replace the bytecode of another bundle, and what V8 rejects', async () => {
    workerBundle('b', 'two');
    expect(await startWorker(true)).toBe('two true');
    expect(readFileSync(codeFile('worker')).toString('latin1', 0, 20)).toBe('/*b000000000000000*/');
    truncateSync(codeFile('worker'), 100);
    expect(await startWorker(true)).toBe('two true');
    expect(await startWorker(true)).toBe('two false');
    expect(codeFiles('worker').length).toBe(1);
  });
});
