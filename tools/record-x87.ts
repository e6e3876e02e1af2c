/**
 * Records what the CPU this runs on (x86-64 Linux with gcc) does with random operands in x87 and SSE instructions:
 * `node tools/record-x87.ts [SEED]`. The files are read by test/translator/x86_64/soft-float.ts.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const seed = process.argv[2] ?? '2026';
const target = join(import.meta.dirname, '../test/fixtures');
const folder = mkdtempSync(join(tmpdir(), 'uktx-x87-'));
try {
  const program = join(folder, 'record-x87');
  execFileSync('gcc', ['-O1', '-o', program, join(import.meta.dirname, 'native/record-x87.c')], { stdio: 'inherit' });
  const run = (...args: string[]): Buffer => execFileSync(program, args, { maxBuffer: 1 << 28 });
  mkdirSync(target, { recursive: true });
  for (const [kind, cases, file] of [
    ['x87', 10_000, 'x87'],
    ['functions', 3_000, 'x87-functions'],
    ['sse', 10_000, 'sse-exact'],
  ] as const)
    writeFileSync(join(target, `${file}.bin.gz`), gzipSync(run(kind, String(cases), seed), { level: 9 }));
} finally {
  rmSync(folder, { recursive: true });
}
