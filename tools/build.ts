/** `npm run build`: helper and interpreter modules, then the bundle of the command line. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';

const step = (...args: string[]): void => {
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
};
/** What only some programs need stays out of the main file, which every run reads. */
const separateIsas: Plugin = {
  name: 'separate-isas',
  setup({ onResolve }) {
    onResolve({ filter: /\/isa-aarch64\.ts$/ }, () => ({ path: '../runtime/isa-aarch64.cjs', external: true }));
  },
};
/** binaryen, which only text and `prewarm -O` need, stays out of what each worker loads. */
const separateBinaryen: Plugin = {
  name: 'separate-binaryen',
  setup({ onResolve }) {
    onResolve({ filter: /\/wasm\/(text|optimise)\.ts$/ }, ({ path, kind }) =>
      kind === 'dynamic-import' ? { path: `./${path.replace(/.*\/(\w+)\.ts$/, '$1.mjs')}`, external: true } : null,
    );
  },
};
const only = process.argv[2];
if (!only || only === 'wasm') {
  step('tools/build-helpers.ts');
  step('tools/build-interpreter.ts');
}
if (!only || only === 'js') {
  for (const folder of ['cli', 'chunks', 'runtime']) rmSync(`dist/${folder}`, { recursive: true, force: true });
  const common = {
    bundle: true,
    platform: 'node',
    target: 'node24',
    packages: 'external',
    outbase: 'src',
    outdir: 'dist',
    logLevel: 'warning',
  } as const;
  // What `uktx run` loads is one CommonJS file: it starts some 15 ms sooner than ES modules do.
  await build({
    ...common,
    entryPoints: ['src/cli/main.ts'],
    format: 'cjs',
    // bin/start.cjs loads it as a script: require() has all it needs, import() would be experimental there.
    supported: { 'dynamic-import': false },
    minifyWhitespace: true,
    minifySyntax: true,
    outExtension: { '.js': '.cjs' },
    logOverride: { 'empty-import-meta': 'silent' },
    plugins: [separateIsas],
  });
  await build({
    ...common,
    entryPoints: ['src/runtime/isa-aarch64.ts'],
    format: 'cjs',
    minifyWhitespace: true,
    minifySyntax: true,
    outExtension: { '.js': '.cjs' },
  });
  asFunction('dist/cli/main.cjs');
  rmSync('dist/worker', { recursive: true, force: true });
  await build({
    ...common,
    entryPoints: { compile: 'src/runtime/jit/compile-worker.ts' },
    outdir: 'dist/worker',
    format: 'cjs',
    minifyWhitespace: true,
    minifySyntax: true,
    outExtension: { '.js': '.cjs' },
    logOverride: { 'empty-import-meta': 'silent' },
    plugins: [separateBinaryen],
  });
  asFunction('dist/worker/compile.cjs');
  await build({
    ...common,
    entryPoints: ['src/translator/wasm/text.ts', 'src/translator/wasm/optimise.ts'],
    outbase: 'src/translator/wasm',
    outdir: 'dist/worker',
    format: 'esm',
    outExtension: { '.js': '.mjs' },
  });
  writeFileSync('dist/worker/version', `${translatorHash()}\n`);
  await build({
    ...common,
    entryPoints: readdirSync('src/cli/commands').map((f) => `src/cli/commands/${f}`),
    format: 'esm',
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
  });
  step('node_modules/oclif/bin/run.js', 'manifest');
  prime();
}

/** Makes a bundle what bin/bytecode.cjs loads: an expression whose value is the module's function. */
function asFunction(bundle: string): void {
  // esbuild copies the exports of every CommonJS module, for default imports; of node:fs that takes 3 ms, and we have none.
  const plain = readFileSync(bundle, 'utf8').replace(/__toESM\((require\("node:[a-z_/]+"\))(?:, ?1)?\)/g, '$1');
  // It knows the bundle by its hash; latin1 there, so nothing else may be in it.
  if (/[^\0-\x7f]/.test(plain)) throw new Error(`${bundle} is not ASCII`);
  const name = createHash('sha256').update(plain).digest('hex').slice(0, 16);
  // Put around it at each start, the text would be copied for that.
  writeFileSync(bundle, `/*${name}*/(function(exports,require,module,__filename,__dirname){${plain}\n})`);
}

/** What cached translations are known by: everything that decides about them. */
function translatorHash(): string {
  const hash = createHash('sha256');
  const add = (path: string): void => {
    if (!/\.(ts|json)$/.test(path)) {
      for (const name of readdirSync(path).sort()) add(`${path}/${name}`);
      return;
    }
    hash.update(`${path}\n`).update(readFileSync(path));
  };
  for (const path of ['src/translator', 'src/helpers', 'src/runtime/cache', 'src/runtime/code-space.ts']) add(path);
  for (const name of ['code-template', 'block-encoder', 'code-chunks', 'code-stubs']) add(`src/runtime/${name}.ts`);
  add('node_modules/binaryen/package.json');
  return hash.digest('hex');
}

/** Has some small programs run, so that bin/start.cjs and bin/worker.cjs find bytecode; else the first longer run makes it. */
function prime(): void {
  if (process.platform === 'win32') return;
  const run = (command: string[], guest: string): void => {
    const program = `test/guests/prebuilt/${guest}`;
    if (existsSync(program) && existsSync('dist/wasm/helpers.wasm'))
      spawnSync('bin/uktx', [...command, program], { stdio: 'ignore', env: { ...process.env, UKTX_PRIME: '1' } });
  };
  // The second run finds what the first has left in the cache, which takes code of its own.
  for (const guest of ['hello-musl-static', 'files-musl-static', 'hello-c'])
    for (let k = 0; k < 2; k++) run(['run'], guest);
  // The workers' is made of a whole program at once.
  const cache = mkdtempSync(join(tmpdir(), 'uktx-prime-'));
  run(['prewarm', '--all', '--cache-dir', cache], 'files-musl-static');
  rmSync(cache, { recursive: true });
}
