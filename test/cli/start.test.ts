/** bin/start.cjs: bytecode of the bundle kept between runs, whatever state its file is in. */
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
import { afterAll, beforeAll, expect, it } from 'vitest';
import { packageRoot } from '../../src/runtime/package-root.ts';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'uktx-start-'));
  mkdirSync(join(root, 'bin'));
  mkdirSync(join(root, 'dist/cli'), { recursive: true });
  cpSync(join(packageRoot(), 'bin/start.cjs'), join(root, 'bin/start.cjs'));
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
const codeFiles = (): string[] => readdirSync(join(root, 'dist/cli')).filter((f) => f !== 'main.cjs');
const codeFile = (): string => join(root, 'dist/cli', codeFiles()[0]!);

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
