/**
 * `npm run conformance:packages`: command lines of Debian arm64 programs (commands.txt) under uktx and under qemu-aarch64, in the
 * same root and with the same files; compares stdout, stderr, exit status, and the files that are left. Exit status 0 when all
 * are equal, 77 when what it takes is not there.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cacheFolder } from '../suite.ts';
import { writeFiles } from './files.ts';

const usage = `usage: npm run conformance:packages -- [options]
  --root FOLDER     Debian arm64 root (default: root-aarch64 in the cache folder; make-root.sh makes it)
  --filter REGEXP   only lines that match, or whose package does
  --flags STRING    flags of uktx run, e.g. '--jit off'
  --verbose         what differs in full`;
const SKIPPED = 77;
const LIMIT_MS = 120_000;
const here = import.meta.dirname;

interface Command {
  package: string;
  line: string;
}
interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
  files: string;
}

function readCommands(filter: RegExp): Command[] {
  const commands: Command[] = [];
  let name = '';
  // A line goes on while its quotes are open.
  let open = '';
  for (const text of readFileSync(join(here, 'commands.txt'), 'utf8').split('\n')) {
    const line = open ? `${open}\n${text}` : text;
    if (!open && line.startsWith('## ')) name = line.slice(3);
    else if (line && !line.startsWith('#')) {
      open = (line.match(/'/g)?.length ?? 0) % 2 ? line : '';
      if (!open) commands.push({ package: name, line });
    }
  }
  return commands.filter((c) => filter.test(c.package) || filter.test(c.line));
}

const environment: Record<string, string> = {
  PATH: '/usr/bin:/bin',
  LANG: 'C.UTF-8',
  HOME: '/root',
  TZ: 'UTC',
  PYTHONHASHSEED: '0',
  PYTHONDONTWRITEBYTECODE: '1',
  PERL_HASH_SEED: '0',
  // The features that uktx has, too.
  QEMU_CPU: 'cortex-a76',
};

/** Names, types, modes and contents of what lies in the folder. */
function describeFiles(folder: string, below = ''): string {
  let text = '';
  for (const name of readdirSync(join(folder, below)).sort()) {
    const path = join(below, name);
    const s = lstatSync(join(folder, path));
    const kind = s.isSymbolicLink()
      ? `-> ${readlinkSync(join(folder, path))}`
      : s.isFile()
        ? createHash('sha1')
            .update(readFileSync(join(folder, path)))
            .digest('hex')
        : '';
    text += `${path} ${s.mode.toString(8)} ${kind}\n`;
    if (s.isDirectory()) text += describeFiles(folder, path);
  }
  return text;
}

function run(work: string, command: string[]): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command[0]!, command.slice(1), {
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
      detached: true,
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    const timer = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), LIMIT_MS);
    child.stdout.on('data', (d: Buffer) => out.push(d));
    child.stderr.on('data', (d: Buffer) => err.push(d));
    child.stdin.end();
    child.on('error', reject);
    child.on('close', (status) => {
      clearTimeout(timer);
      const stdout = Buffer.concat(out).toString('latin1');
      const stderr = Buffer.concat(err)
        .toString('latin1')
        .replace(/^uktx: .*\n/gm, '')
        .replace(/^qemu: uncaught target signal.*\n/gm, '');
      resolve({ status, stdout, stderr, files: describeFiles(work) });
    });
  });
}

async function inFreshFolder(command: (work: string) => string[]): Promise<Outcome> {
  const parent = mkdtempSync(join(tmpdir(), 'uktx-packages-'));
  const work = join(parent, 'work');
  mkdirSync(work);
  writeFiles(work);
  try {
    return await run(work, command(work));
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
}

const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);

const reference = (root: string, line: string): Promise<Outcome> =>
  inFreshFolder((work) => [
    ...['unshare', '--user', '--map-root-user', '--mount', '--pid', '--fork', '--kill-child'],
    ...[join(here, 'in-namespace.sh'), root, work],
    ...['/usr/bin/env', '-i', ...variables, '/bin/sh', '-c', `cd /work; ${line}`],
  ]);

const underUktx = (root: string, line: string, flags: string[]): Promise<Outcome> =>
  inFreshFolder((work) => [
    ...[join(here, '../../bin/uktx'), 'run', ...flags, '--rootfs', root, '-v', `${work}:/work`],
    ...['/usr/bin/env', '-i', ...variables, '/bin/sh', '-c', `cd /work; ${line}`],
  ]);

/** What is not there, or null. */
function missing(root: string): string | null {
  if (!existsSync(join(root, 'usr/bin/env')))
    return `no Debian arm64 programs in ${root} (conformance/packages/make-root.sh makes them)`;
  for (const tool of ['qemu-aarch64', 'unshare']) if (spawnSync(tool, ['--version']).error) return `no ${tool} here`;
  const trial = spawnSync(
    'unshare',
    ['--user', '--map-root-user', '--mount', 'mount', '-t', 'binfmt_misc', 'none', '/proc/sys/fs/binfmt_misc'],
    { encoding: 'utf8' },
  );
  return trial.status === 0 ? null : `no binfmt_misc in a user namespace: ${trial.stderr.trim()}`;
}

function firstDifference(want: string, got: string): string {
  const [a, b] = [want.split('\n'), got.split('\n')];
  const k = a.findIndex((line, n) => line !== b[n]);
  const at = k < 0 ? a.length : k;
  const show = (s: string | undefined): string => (s === undefined ? 'nothing' : JSON.stringify(s.slice(0, 200)));
  return `line ${at + 1}: qemu ${show(a[at])}, uktx ${show(b[at])}`;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      root: { type: 'string' },
      filter: { type: 'string' },
      flags: { type: 'string' },
      verbose: { type: 'boolean' },
      help: { type: 'boolean' },
    },
    args: process.argv.slice(2).flatMap((a, k, all) => {
      if (all[k - 1] === '--flags') return [];
      return a === '--flags' ? [`${a}=${all[k + 1] ?? ''}`] : [a];
    }),
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const root = values.root ?? join(cacheFolder(), 'root-aarch64');
  const reason = missing(root);
  if (reason) {
    console.log(`skipped: ${reason}`);
    return SKIPPED;
  }
  const flags = (values.flags ?? '').split(' ').filter(Boolean);
  const totals = new Map<string, [equal: number, all: number]>();
  for (const c of readCommands(new RegExp(values.filter ?? ''))) {
    const want = await reference(root, c.line);
    const got = await underUktx(root, c.line, flags);
    const parts = (['status', 'stdout', 'stderr', 'files'] as const).filter((part) => want[part] !== got[part]);
    const total = totals.get(c.package) ?? [0, 0];
    totals.set(c.package, [total[0] + (parts.length ? 0 : 1), total[1] + 1]);
    if (parts.length === 0) continue;
    console.log(`${c.package}: ${c.line.split('\n')[0]}`);
    for (const part of parts) {
      console.log(`  ${part}: ${firstDifference(String(want[part]), String(got[part]))}`);
      if (values.verbose) console.log(`--- qemu\n${want[part]}--- uktx\n${got[part]}---`);
    }
  }
  let [equal, all] = [0, 0];
  for (const [name, [some, of]] of totals) {
    console.log(`${name}: ${some} of ${of} lines equal`);
    equal += some;
    all += of;
  }
  console.log(`${equal} of ${all} command lines equal qemu-aarch64`);
  return equal === all ? 0 : 1;
}

process.exitCode = await main();
