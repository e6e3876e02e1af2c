/** The host's standard descriptors, with real files, pipes and processes. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const program = join(import.meta.dirname, 'stdio-program.ts');
let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'uktx-stdio-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Runs a shell line in which `P` stands for the program. */
function shell(line: string): { stdout: string; lines: string[]; status: number | null } {
  const p = `'${process.execPath}' '${program}'`;
  const { stdout, stderr, status } = spawnSync('sh', ['-c', line.replaceAll(/\bP\b/g, p)], {
    cwd: dir,
    encoding: 'latin1',
    timeout: 20_000,
  });
  return { stdout, lines: stderr.split('\n').slice(0, -1), status };
}

describe.skipIf(process.platform !== 'linux')('host descriptors', () => {
  it('leaves the shared offset of a file where the guest left it', () => {
    writeFileSync(join(dir, 'in'), 'line1\nline2\nline3\n');
    const r = shell('(P read:100 seek:6; cat) < in');
    expect(r.lines).toEqual([JSON.stringify('line1\nline2\nline3\n'), 'at 6']);
    expect(r.stdout).toBe('line2\nline3\n');
  });

  it('moves the offset along when much is read', () => {
    writeFileSync(join(dir, 'big'), Buffer.alloc(1_500_000, 'x'));
    const r = shell('(P cat | wc -c; wc -c) < big');
    expect(r.stdout.split('\n').map((s) => s.trim())).toEqual(['1500000', '0', '']);
  });

  it('writes behind what others have written', () => {
    writeFileSync(join(dir, 'log'), 'old\n');
    const r = shell('(echo a; P write:b tell; echo c) >> log');
    expect(readFileSync(join(dir, 'log'), 'latin1')).toBe('old\na\nbc\n');
    expect(r.lines).toEqual(['wrote 1', 'at 7']);
    shell('(echo a; P write:b; echo c) > log');
    expect(readFileSync(join(dir, 'log'), 'latin1')).toBe('a\nbc\n');
  });

  it('shows what the host descriptors are', () => {
    const r = shell('P stat flags < /dev/null | cat');
    expect(r.lines[0]).toMatch(/^20000 10000 /);
    expect(r.lines[1]).toMatch(/^100000 1 /);
  });

  it('reads a pipe no further than asked', () => {
    const r = shell('printf abcdef | (P poll:1000 available nonblock; cat)');
    expect(r.lines).toEqual(['ready 1', '6', '"abcdef"']);
    const s = shell('printf abcdef | (P poll:1000 read:2; cat)');
    expect(s.lines).toEqual(['ready 1', '"ab"']);
    expect(s.stdout).toBe('cdef');
  });

  it('waits for a pipe and sees its end', async () => {
    const child = spawn(process.execPath, [program, 'nonblock', 'poll:0', 'read:10', 'poll:-1', 'read:10', 'read:10'], {
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.setEncoding('latin1').on('data', (text: string) => {
      said += text;
      // Each answer is sent when the program has come to wait for it.
      if (said === '"EAGAIN"\ntimeout 0\n') child.stdin.write('first');
      if (said.endsWith('"first"\n')) child.stdin.write('second');
      if (said.endsWith('"second"\n')) child.stdin.end();
    });
    const status = await new Promise((resolve) => child.on('close', resolve));
    expect(status).toBe(7);
    expect(said).toBe('"EAGAIN"\ntimeout 0\n"first"\nready 1\n"second"\n""\n');
  });

  it('exits while a read is pending', () => {
    const child = spawn(process.execPath, [program, 'pend', 'poll:5'], { stdio: ['pipe', 'ignore', 'ignore'] });
    return new Promise<void>((resolve, reject) => {
      // The pipe stays open: only the program's own exit ends it.
      child.on('exit', (code) => (code === 7 ? resolve() : reject(new Error(`status ${code}`))));
    });
  });

  it('waits for a slow reader and gets SIGPIPE when it goes', () => {
    const slow = shell('P fill:1000000 | (sleep 0.1; wc -c)');
    expect(slow.stdout.trim()).toBe('1000000');
    expect(slow.lines).toEqual(['wrote 1000000, SIGPIPE false']);
    const gone = shell('P fill:1000000 fill:1 | head -c 1');
    expect(gone.stdout).toBe('a');
    expect(gone.lines[1]).toBe('wrote EPIPE, SIGPIPE true');
  });

  it('closes the pipe when the guest closes it', () => {
    // wc ends although the program still runs.
    const r = shell('P write:abc close sleep:400 | (cat; echo end >&2)');
    expect(r.stdout).toBe('abc');
    expect(r.lines).toContain('end');
  });
});
