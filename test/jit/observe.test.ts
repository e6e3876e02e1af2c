/** What shows people where a guest spends its time, and what became of its code. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/runtime/package-root.ts';
import { guestProgram } from '../guests/build.ts';

const uktx = join(packageRoot(), 'bin/uktx');
const found = guestProgram('named');
let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'uktx-observe-'));
});
afterAll(() => rmSync(scratch, { recursive: true }));

function run(flags: string[], ...args: string[]) {
  const program = 'path' in found ? found.path : '';
  const r = spawnSync(uktx, ['run', '--cache=off', ...flags, program, ...args], {
    cwd: scratch,
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  });
  expect(r.status).toBe(0);
  return r;
}

interface Profile {
  nodes: { id: number; callFrame: { functionName: string; url: string }; hitCount: number; children: number[] }[];
  startTime: number;
  endTime: number;
  samples: number[];
  timeDeltas: number[];
}

describe.skipIf('missing' in found)('observing a guest', { timeout: 120_000 }, () => {
  it('--profile writes functions by name, with their callers', () => {
    const file = join(scratch, 'out.cpuprofile');
    run(['--profile', file], '8');
    const profile = JSON.parse(readFileSync(file, 'utf8')) as Profile;
    const byId = new Map(profile.nodes.map((n) => [n.id, n]));
    expect(profile.samples.length).toBe(profile.timeDeltas.length);
    expect(profile.samples.every((id) => byId.has(id))).toBe(true);
    const total = profile.timeDeltas.reduce((a, b) => a + b, 0);
    expect(Math.abs(profile.endTime - profile.startTime - total)).toBeLessThan(profile.samples.length + 1000);
    expect(profile.nodes.reduce((sum, n) => sum + n.hitCount, 0)).toBe(profile.samples.length);
    // Every node but the root is the child of one other.
    const children = profile.nodes.flatMap((n) => n.children);
    expect(new Set(children).size).toBe(children.length);
    expect(children.length).toBe(profile.nodes.length - 1);
    const looping = profile.nodes.filter((n) => n.callFrame.functionName === 'looping' && n.hitCount > 0);
    expect(looping.length).toBeGreaterThan(0);
    const callers = profile.nodes.filter((n) => n.children.some((id) => looping.some((l) => l.id === id)));
    expect(callers.map((n) => n.callFrame.functionName)).toContain('outer');
    expect(looping[0]!.callFrame.url).toMatch(/named$/);
  });

  it('--profile says when it cannot write', () => {
    const { stderr } = run(['--profile', join(scratch, 'no/such/folder')]);
    expect(stderr).toMatch(/^uktx: cannot write .*no\/such\/folder: ENOENT/m);
  });

  it('--perf-map lists translated functions by name', () => {
    const { pid } = run(['--perf-map', '--jit-sync', '--jit-threshold=50']);
    const map = `/tmp/perf-${pid}.map`;
    expect(existsSync(map)).toBe(true);
    const text = readFileSync(map, 'utf8');
    rmSync(map);
    expect(text).toMatch(/^[0-9a-f]+ [0-9a-f]+ \S*recursive@[0-9a-f]+/m);
    expect(text).toMatch(/^[0-9a-f]+ [0-9a-f]+ \S*looping\+0x[0-9a-f]+@[0-9a-f]+/m);
    // Nothing else is left behind.
    expect(existsSync(join(scratch, 'v8.log'))).toBe(false);
  });

  it('--dump=wat shows modules with the names of guest functions', () => {
    const { stderr } = run(['--dump=wat', '--jit-sync', '--jit-threshold=50']);
    expect(stderr).toMatch(/^ \(func \$recursive@[0-9a-f]+ \(param \$0 i32\)/m);
    expect(stderr).toMatch(/\(call \$recursive(\+0x[0-9a-f]+)?@/);
    expect(stderr).not.toMatch(/^block 0x/m);
  });

  it('--stats counts regions, time of compilation, queue and exits', () => {
    const file = join(scratch, 'stats.json');
    run(['--stats-file', file, '--jit-sync', '--jit-threshold=50']);
    const { regions, exits } = JSON.parse(readFileSync(file, 'utf8'));
    expect(regions.regions).toBeGreaterThan(2);
    expect(regions.modules).toBeGreaterThan(0);
    expect(regions.failed).toBe(0);
    for (const name of ['translateMs', 'compileMs', 'linkMs', 'wasmBytes', 'guestInstructions', 'maxQueue'])
      expect(regions[name], name).toBeGreaterThan(0);
    expect(exits.syscall).toBeGreaterThan(0);
    expect(exits.hot).toBeGreaterThan(0);
  });
});
