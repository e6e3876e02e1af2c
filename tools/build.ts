/** `npm run build`: helper and interpreter modules, then the bundle of the command line. */
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { build } from 'esbuild';

const step = (...args: string[]): void => {
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
};
const only = process.argv[2];
if (!only || only === 'wasm') {
  step('tools/build-helpers.ts');
  step('tools/build-interpreter.ts');
}
if (!only || only === 'js') {
  for (const folder of ['cli', 'chunks']) rmSync(`dist/${folder}`, { recursive: true, force: true });
  await build({
    entryPoints: ['src/cli/main.ts', ...readdirSync('src/cli/commands').map((f) => `src/cli/commands/${f}`)],
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    packages: 'external',
    outbase: 'src',
    outdir: 'dist',
    chunkNames: 'chunks/[name]-[hash]',
    logLevel: 'warning',
  });
  step('node_modules/oclif/bin/run.js', 'manifest');
}
