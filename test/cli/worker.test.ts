/** bin/worker.cjs: bytecode of the compile workers' bundle, kept where there is none that serves. */
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
import { afterAll, beforeAll, expect, it } from 'vitest';
import { packageRoot } from '../../src/runtime/package-root.ts';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'uktx-worker-'));
  mkdirSync(join(root, 'bin'));
  mkdirSync(join(root, 'dist/worker'), { recursive: true });
  cpSync(join(packageRoot(), 'bin/worker.cjs'), join(root, 'bin/worker.cjs'));
});
afterAll(() => rmSync(root, { recursive: true }));

/** A bundle that says its word and whether it was asked to keep its bytecode, and does. */
const bundle = (name: string, word: string): void =>
  writeFileSync(
    join(root, 'dist/worker/compile.cjs'),
    `/*${name.padEnd(16, '0')}*/(function(exports,require){const{parentPort,workerData}=require('node:worker_threads');` +
      `const keeps=workerData.saveCode!==undefined;workerData.saveCode?.();parentPort.postMessage('${word} '+keeps)})`,
  );
const start = (launched: boolean): Promise<string> =>
  new Promise((resolve, reject) => {
    const worker = new Worker(join(root, 'bin/worker.cjs'), { workerData: { launched } });
    worker.once('message', (said: string) => worker.once('exit', () => resolve(said)));
    worker.once('error', reject);
  });
const codeFiles = (): string[] => readdirSync(join(root, 'dist/worker')).filter((f) => f !== 'compile.cjs');
const codeFile = (): string => join(root, 'dist/worker', codeFiles()[0]!);

it('keeps the bytecode once, under the flags of the launcher only', async () => {
  bundle('a', 'one');
  expect(await start(false)).toBe('one false');
  expect(codeFiles()).toEqual([]);
  expect(await start(true)).toBe('one true');
  expect(codeFiles()).toEqual([`compile-${process.version}-${process.arch}.code`]);
  expect(readFileSync(codeFile()).toString('latin1', 0, 20)).toBe('/*a000000000000000*/');
  expect(await start(true)).toBe('one false');
});
it('replaces the bytecode of another bundle, and what V8 rejects', async () => {
  bundle('b', 'two');
  expect(await start(true)).toBe('two true');
  expect(readFileSync(codeFile()).toString('latin1', 0, 20)).toBe('/*b000000000000000*/');
  truncateSync(codeFile(), 100);
  expect(await start(true)).toBe('two true');
  expect(await start(true)).toBe('two false');
  expect(codeFiles().length).toBe(1);
});
