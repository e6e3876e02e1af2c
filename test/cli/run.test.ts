/** The command line, end to end, with the host's own shell and tools as guests. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/runtime/package-root.ts';

const uktx = join(packageRoot(), 'bin/uktx');
const linuxHost = process.platform === 'linux' && process.arch === 'x64' && existsSync('/bin/dash');
let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'uktx-cli-'));
});
afterAll(() => rmSync(scratch, { recursive: true }));

function run(args: string[], options: { input?: string; env?: NodeJS.ProcessEnv; cwd?: string } = {}) {
  const r = spawnSync(uktx, ['run', ...args], { encoding: 'utf8', ...options, env: options.env ?? process.env });
  return { status: r.status, stdout: r.stdout, stderr: r.stderr };
}

describe.runIf(linuxHost)('uktx run', () => {
  it('passes the exit status through', () =>
    expect(run(['/bin/dash', '-c', 'exit 7'])).toEqual({ status: 7, stdout: '', stderr: '' }));
  it('gives 128 + N for death by signal N', () => expect(run(['/bin/dash', '-c', 'kill -9 $$']).status).toBe(137));
  it('says in one line what is not found, and gives 127', () => {
    const r = run(['no-such-program']);
    expect(r).toEqual({ status: 127, stdout: '', stderr: 'uktx: no-such-program: not found\n' });
  });
  it('says in one line what cannot run, and gives 126', () => {
    const text = join(scratch, 'text');
    writeFileSync(text, 'just text', { mode: 0o755 });
    const r = run([text]);
    expect(r.status).toBe(126);
    expect(r.stderr).toMatch(/^uktx: .*text: not an ELF file.*\n$/);
    expect(run(['/etc/passwd'])).toMatchObject({ status: 126, stderr: 'uktx: /etc/passwd: permission denied\n' });
  });
  it('says an internal error in one line, wherever it is thrown, and gives 70', () => {
    const thrower = join(scratch, 'thrower.cjs');
    writeFileSync(thrower, "setTimeout(() => { throw new Error('made up'); }, 50);");
    const env = { ...process.env, NODE_OPTIONS: `--require=${thrower}`, UKTX_DEBUG: undefined };
    expect(run(['/bin/sleep', '5'], { env })).toEqual({ status: 70, stdout: '', stderr: 'uktx: made up\n' });
  });
  it('leaves descriptors closed that are closed', () => {
    const list = (redirections: string): string => {
      const words = `exec "$0" run /bin/ls /proc/self/fd 3>&1 ${redirections}`;
      const r = spawnSync('/bin/sh', ['-c', words, uktx], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
      return r.stdout;
    };
    expect(list('')).toBe('0\n1\n2\n3\n');
    // ls opens the directory as the first free one.
    expect(list('<&-')).toBe('0\n1\n2\n');
    expect(list('2>&-')).toBe('0\n1\n2\n');
  });
  it('finds programs by PATH', () => expect(run(['echo', 'x']).stdout).toBe('x\n'));
  it('leaves flags behind PROGRAM to the guest, --help too', () => {
    expect(run(['echo', '--strace', '-e', '--help']).stdout).toBe('--strace -e --help\n');
    expect(run(['ls', '--help']).stdout).toContain('Usage: ls');
  });
  it('sets and removes variables', () => {
    const r = run(['-e', 'A=1 2', '-e', 'HOME', '/usr/bin/env'], {
      env: { PATH: process.env.PATH, HOME: '/x', B: 'ü' },
    });
    expect(
      r.stdout
        .split('\n')
        .filter((l) => /^(A|B|HOME)=/.test(l))
        .sort(),
    ).toEqual(['A=1 2', 'B=ü']);
  });
  it('sets the working folder and argv[0]', () => {
    expect(run(['-w', '/usr', '/bin/pwd']).stdout).toBe('/usr\n');
    expect(run(['--argv0', 'name', '/bin/dash', '-c', 'echo $0']).stdout).toBe('name\n');
    expect(run(['-w', '/no-such-place', '/bin/pwd']).status).not.toBe(0);
  });
  it('feeds stdin', () => expect(run(['/usr/bin/sort'], { input: 'b\na\n' }).stdout).toBe('a\nb\n'));
  it('keeps writes in memory and says so once', () => {
    const file = join(scratch, 'new');
    const r = run(['/bin/dash', '-c', `echo hello > ${file}; read x < ${file}; echo $x`]);
    expect(r.stdout).toBe('hello\n');
    expect(r.stderr).toMatch(/^uktx: 1 file .*\n$/);
    expect(existsSync(file)).toBe(false);
  });
  it('writes through --rw and -v', () => {
    run(['--rw', '/bin/dash', '-c', 'echo one > by-rw'], { cwd: scratch });
    expect(readFileSync(join(scratch, 'by-rw'), 'utf8')).toBe('one\n');
    expect(run(['-v', `${scratch}:/mnt`, '/bin/dash', '-c', 'echo two > /mnt/by-v'])).toMatchObject({
      status: 0,
      stderr: '',
    });
    expect(readFileSync(join(scratch, 'by-v'), 'utf8')).toBe('two\n');
    const r = run(['-v', `${scratch}:/mnt:ro`, '/bin/dash', '-c', 'echo three > /mnt/by-ro']);
    expect(r.status).toBe(2);
    expect(r.stderr).toContain('Read-only file system');
  });
  it('traces system calls to stderr', () => {
    const r = run(['--strace', '/bin/true']);
    expect(r.stdout).toBe('');
    expect(r.stderr).toContain('execve("/bin/true"');
    expect(r.stderr).toContain('exit_group(0)');
  });
  it('writes statistics as JSON', () => {
    const file = join(scratch, 'stats.json');
    run(['--stats-file', file, '/bin/true']);
    const stats = JSON.parse(readFileSync(file, 'utf8'));
    expect(stats.status).toEqual({ kind: 'exited', code: 0 });
    expect(stats.translator.blocks).toBeGreaterThan(100);
    expect(stats.kernel.internalErrors).toBe(0);
  });
  it('dumps assembly and IR of a range', () => {
    const r = run(['--dump', 'asm,ir', '/bin/true']);
    expect(r.stderr).toMatch(/^[0-9a-f]+: [0-9a-f ]+ mov/m);
    expect(r.stderr).toMatch(/^block 0x/m);
  });
  it('refuses bad flags in one line with status 2', () => {
    for (const args of [['--nope', 'x'], ['--memory', 'lots', 'x'], ['-v', 'nowhere', 'x'], []]) {
      const r = run(args);
      expect(r.status).toBe(2);
      expect(r.stderr).toMatch(/^uktx: [^\n]+\n$/);
    }
  });
  it('hands signals of the host to the guest', async () => {
    const child = spawn(
      uktx,
      ['run', '/bin/dash', '-c', 'trap "echo caught; exit 5" TERM; echo ready; while :; do :; done'],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    let out = '';
    child.stdout.on('data', (d: Buffer) => {
      out += d;
      if (out === 'ready\n') child.kill('SIGTERM');
    });
    const status = await new Promise((resolve) => child.on('exit', resolve));
    expect({ out, status }).toEqual({ out: 'ready\ncaught\n', status: 5 });
  });
  it('dies by a signal the guest does not catch', async () => {
    const child = spawn(uktx, ['run', '/bin/dash', '-c', 'echo ready; read x'], { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdout.once('data', () => child.kill('SIGTERM'));
    expect(await new Promise((resolve) => child.on('exit', resolve))).toBe(143);
  });
  it('shows its help for --help before PROGRAM', () => {
    const r = run(['--help']);
    expect(r.status).toBe(0);
    expect(r.stdout).toContain('--rootfs');
  });
});

it('lists system calls', () => {
  const r = spawnSync(uktx, ['syscalls', '--json'], { encoding: 'utf8' });
  const list = JSON.parse(r.stdout) as { name: string; support: string; x86_64: number }[];
  expect(list.find((s) => s.name === 'read')).toMatchObject({ x86_64: 0, aarch64: 63, support: 'full' });
});
