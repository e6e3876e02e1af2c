import { describe, expect, it } from 'vitest';
import { parseSize, separateGuestArguments, UsageError } from '../../src/cli/options.ts';
import { parseRun } from '../../src/cli/parse-run.ts';

describe('separateGuestArguments', () => {
  const cases: [string, string][] = [
    ['ls --help', '-- ls --help'],
    ['--strace ls -la', '--strace -- ls -la'],
    ['-e A=1 -e B=2 prog -e C', '-e A=1 -e B=2 -- prog -e C'],
    ['-eA=1 prog', '-eA=1 -- prog'],
    ['--env=A=1 prog --strace', '--env=A=1 -- prog --strace'],
    ['--rootfs tree --rw prog', '--rootfs tree --rw -- prog'],
    ['-- prog -- x', '-- prog -- x'],
    ['--strace', '--strace'],
    ['- x', '-- - x'],
    ['-e', '-e'],
    ['', ''],
  ];
  for (const [given, want] of cases)
    it(`${given || '(nothing)'} -> ${want || '(nothing)'}`, () => {
      expect(separateGuestArguments(given.split(' ').filter(Boolean)).join(' ')).toBe(want);
    });
});

describe('parseRun', () => {
  const parse = (line: string, env = {}) => parseRun(line.split(' '), env)!;
  it('leaves everything from PROGRAM on to the guest', () => {
    const o = parse('--strace -w /tmp -v a:/b:ro -v c:/d prog --strace -w x');
    expect(o).toMatchObject({
      program: 'prog',
      args: ['--strace', '-w', 'x'],
      workdir: '/tmp',
      strace: true,
      volume: ['a:/b:ro', 'c:/d'],
    });
  });
  it('lets a flag win over the environment', () => {
    expect(parse('p', { UKTX_MEMORY: '64M' }).memory).toBe(64 << 20);
    expect(parse('--memory 1G p', { UKTX_MEMORY: '64M' }).memory).toBe(1 << 30);
  });
  it('takes a list of calls to trace, or none', () => {
    expect(parse('p')).toMatchObject({ strace: false, straceCalls: '' });
    expect(parse('--strace p')).toMatchObject({ strace: true, straceCalls: '', program: 'p' });
    expect(parse('--strace=open,%file --strace-times p')).toMatchObject({
      strace: true,
      straceCalls: 'open,%file',
      straceTimes: true,
    });
  });
  it('answers calls in the kernel’s place', () => {
    const { answers } = parse('--stub statx --fake getuid=7 --fake uname=EPERM --fake getpid=-3 p');
    expect([...answers]).toEqual([
      ['statx', -38],
      ['getuid', 7],
      ['uname', -1],
      ['getpid', -3],
    ]);
    for (const bad of ['--stub nope p', '--fake nope=1 p', '--fake getuid p', '--fake getuid=x p'])
      expect(() => parse(bad)).toThrow(UsageError);
  });
  it('asks for help only before PROGRAM', () => {
    expect(parseRun(['--help'], {})).toBeNull();
    expect(parse('ls --help').args).toEqual(['--help']);
  });
  for (const bad of ['--nope p', '--memory lots p', '--cpu z80 p', '--dump wasm p', '--range x p', '--strace'])
    it(`refuses ${bad}`, () => expect(() => parse(bad)).toThrow(UsageError));
});

describe('parseSize', () => {
  it('takes suffixes', () =>
    expect(['4096', '64K', '1.5M', '2GiB'].map((s) => parseSize('memory', s))).toEqual([
      4096,
      65536,
      1572864,
      2 ** 31,
    ]));
});
