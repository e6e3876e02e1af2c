/**
 * gcc's execution tests (gcc.c-torture/execute), from the tarball of Debian's gcc-12-source or one named by
 * UKTX_GCC_SOURCE. They are unpacked and built outside the tree, in the user's cache folder.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join, relative } from 'node:path';

export const levels = ['-O0', '-O2'] as const;
export type Level = (typeof levels)[number];

export const isas = ['x86_64', 'aarch64'] as const;
export type SuiteIsa = (typeof isas)[number];

export interface SuiteTest {
  /** Path below `execute`, without `.c`. */
  name: string;
  sources: string[];
  options: string[];
}

const SUITE = 'gcc/testsuite/gcc.c-torture/execute';

/** Folder for what takes long to make: $XDG_CACHE_HOME/uktx/conformance. */
export function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'uktx', 'conformance');
}

/** Path of the source tarball; an Error says where it is looked for. */
export function findTarball(): string {
  const named = process.env.UKTX_GCC_SOURCE;
  if (named) {
    if (existsSync(named)) return named;
    throw new Error(`UKTX_GCC_SOURCE: no file ${named}`);
  }
  for (const version of ['12', '13', '14']) {
    const folder = `/usr/src/gcc-${version}`;
    if (!existsSync(folder)) continue;
    const tarball = readdirSync(folder).find((f) => /^gcc-.*\.tar\.(xz|gz|zst)$/.test(f));
    if (tarball) return join(folder, tarball);
  }
  throw new Error("no gcc source: install Debian's gcc-12-source, or set UKTX_GCC_SOURCE to a gcc tarball");
}

/** Unpacks the tests if that was not done before; returns their folder. */
export function unpack(tarball: string, cache: string): string {
  const name = basename(tarball).replace(/\.tar\..*$/, '');
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;
  const temporary = `${folder}.${process.pid}`;
  mkdirSync(temporary, { recursive: true });
  try {
    // The first component of the names is the version's folder.
    const depth = SUITE.split('/').length + 1;
    execFileSync('tar', [
      '-xf',
      tarball,
      '-C',
      temporary,
      `--strip-components=${depth}`,
      '--wildcards',
      `*/${SUITE}/*`,
    ]);
    renameSync(temporary, folder);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  return folder;
}

/** Options of dg-options and dg-additional-options that are unconditional or name the target. */
function dgOptions(text: string, isa: SuiteIsa): string[] {
  const options: string[] = [];
  for (const m of text.matchAll(
    /dg-(?:additional-)?options\s+(?:"([^"]*)"|\{\s*"([^"]*)"\s*\})\s*(?:\{\s*target\s+(.*?)\}\s*\})?/g,
  )) {
    const target = m[3];
    if (target !== undefined && ((!target.includes(isa) && !target.includes('fpic')) || /ia32/.test(target))) continue;
    options.push(...(m[1] ?? m[2] ?? '').split(/\s+/).filter(Boolean));
  }
  return options;
}

/** All tests, in alphabetical order. */
export function listTests(folder: string, isa: SuiteIsa): SuiteTest[] {
  const tests: SuiteTest[] = [];
  const files = (sub: string): string[] =>
    readdirSync(join(folder, sub))
      .filter((f) => f.endsWith('.c'))
      .sort()
      .map((f) => join(folder, sub, f));
  const add = (file: string, extra: string[], sources: string[]): void => {
    const name = relative(folder, file).replace(/\.c$/, '');
    tests.push({ name, sources, options: [...extra, ...dgOptions(readFileSync(file, 'latin1'), isa)] });
  };
  for (const f of files('.')) add(f, [], [f]);
  // As builtins.exp and ieee.exp have it. The tests bring their own memcpy and the like, also when linked statically.
  const builtins = [
    '-fno-tree-dse',
    '-fno-tree-loop-distribute-patterns',
    '-fno-tracer',
    '-fno-ipa-ra',
    '-fno-inline-functions',
    '-Wl,--allow-multiple-definition',
  ];
  for (const f of files('builtins')) {
    const library = f.replace(/\.c$/, '-lib.c');
    if (f.endsWith('-lib.c') || !existsSync(library)) continue;
    add(f, builtins, [f, library, join(folder, 'builtins/lib/main.c')]);
  }
  for (const f of files('ieee')) add(f, ['-fno-inline'], [f]);
  return tests.sort((a, b) => (a.name < b.name ? -1 : 1));
}
