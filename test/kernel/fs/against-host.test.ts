/** The same random operations on the host's file system and on ours must give the same results and the same tree. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HostFs } from '../../../src/kernel/fs/hostfs.ts';
import type { FileSystem } from '../../../src/kernel/fs/inode.ts';
import { Overlay } from '../../../src/kernel/fs/overlay.ts';
import { Tmpfs } from '../../../src/kernel/fs/tmpfs.ts';
import { Vfs } from '../../../src/kernel/fs/vfs.ts';
import { random } from '../mm/mem-file.ts';
import { Guest } from './fake-task.ts';
import { dump, guestMachine, hostMachine, type Operation, perform, randomOperations } from './scenario.ts';

let folder: string;
let umask: number;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'uktx-fs-'));
  umask = process.umask(0o022);
});
afterEach(() => {
  process.umask(umask);
  fs.rmSync(folder, { recursive: true, force: true });
});

/** Deep enough that links with `..` stay inside. */
const BELOW = 'v/w/x/y/z';

/** Folders `native` (the reference) and `other`, with the same files in both. */
function prepare(operations: readonly Operation[]): { native: string; other: string } {
  const native = path.join(folder, 'native');
  const other = path.join(folder, 'other');
  for (const dir of [native, other]) {
    fs.mkdirSync(path.join(dir, BELOW), { recursive: true });
    for (const op of operations) perform(hostMachine(path.join(dir, BELOW)), op);
  }
  return { native, other };
}

function compare(native: string, rootFs: FileSystem, operations: readonly Operation[]): void {
  const host = hostMachine(path.join(native, BELOW));
  const task = new Guest(new Vfs(rootFs));
  for (let i = 1; i <= 9; i += 2) task.call('mkdir', `/${BELOW.slice(0, i)}`, 0o755);
  const guest = guestMachine(task, `/${BELOW}`);
  operations.forEach((op, i) => {
    const expected = perform(host, op);
    const got = perform(guest, op);
    if (got !== expected) {
      const before = operations
        .slice(Math.max(0, i - 12), i)
        .map((o) => o.join(' '))
        .join('\n');
      expect.fail(
        `operation ${i}: ${op.join(' ')}: ${got}, on the host ${expected}\nafter\n${before}\ntree\n${dump(host).join('\n')}`,
      );
    }
  });
  expect(dump(guest)).toEqual(dump(host));
}

const SEEDS = [1, 2, 3, 4, 5, 6];
const COUNT = 500;
// Permissions are not the subject here, and the host would apply its own to anybody but root.
const suite = process.getuid?.() === 0 ? describe : describe.skip;

suite('against the host', () => {
  it.each(SEEDS)('tmpfs, seed %i', (seed) => {
    const { native } = prepare([]);
    compare(native, new Tmpfs(), randomOperations(random(seed), COUNT));
  });
  it.each(SEEDS)('overlay over files, seed %i', (seed) => {
    const { native, other } = prepare(randomOperations(random(seed + 100), 150));
    const before = dump(hostMachine(other));
    compare(native, new Overlay(new HostFs(other, { readOnly: true })), randomOperations(random(seed), COUNT));
    expect(dump(hostMachine(other)), 'the lower tree is untouched').toEqual(before);
  });
  it.each(SEEDS)('a host folder, seed %i', (seed) => {
    const { native, other } = prepare(randomOperations(random(seed + 100), 50));
    compare(native, new HostFs(other), randomOperations(random(seed), COUNT));
    expect(dump(hostMachine(other))).toEqual(dump(hostMachine(native)));
  });
});
