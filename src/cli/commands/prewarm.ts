/** `uktx prewarm`: translates programs before they are run. */
import { availableParallelism } from 'node:os';
import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command, Flags } from '@oclif/core';
import { openCodeCache } from '../../runtime/cache/open.ts';
import { Compiler } from '../../runtime/jit/compiler.ts';
import type { MemoryChecks } from '../../translator/wasm/region-access.ts';
import { formatSize } from '../format-size.ts';
import { type CodeImage, isLibrary, PrewarmError, programImages } from '../prewarm/images.ts';
import { type ImageSummary, Prewarm } from '../prewarm/prewarm.ts';

export default class PrewarmCommand extends Command {
  static override summary = 'Translate programs ahead of time.';
  static override description =
    'Finds the functions of each program (symbols, unwind tables, calls, switch tables, what earlier runs found hot). Code for the interpreter is made of all of them; translations of those with loops, with many callers, or that earlier runs found hot, unless --all is given. With --libs that goes for its libraries and its dynamic linker, too. Libraries that a program opens while it runs are named after it. Interrupted and started again, it goes on where it was.';
  static override usage = 'prewarm PROGRAM... [LIBRARY...] [FLAGS]';
  static override examples = [
    '<%= config.bin %> prewarm --libs /usr/bin/python3 /usr/lib/python3.11/lib-dynload/_json*.so',
  ];
  static override strict = false;
  static override flags = {
    rootfs: Flags.string({ env: 'UKTX_ROOTFS', helpValue: 'DIR', description: "the guest's root, a folder" }),
    libs: Flags.boolean({ description: 'shared libraries and the dynamic linker, too' }),
    all: Flags.boolean({
      description: 'translate all functions, also those that are hardly ever hot: several times as many',
    }),
    jobs: Flags.integer({ char: 'j', min: 1, max: 64, helpValue: 'N', description: 'threads (default: one a CPU)' }),
    optimize: Flags.integer({
      char: 'O',
      min: 0,
      max: 3,
      default: 0,
      helpValue: '0-3',
      description: "level of binaryen's optimiser: smaller code, in several times the time (default: 0)",
    }),
    'memory-checks': Flags.string({
      options: ['none', 'null', 'range', 'full'],
      env: 'UKTX_MEMORY_CHECKS',
      description: 'translations for this mode of `run` (default: null)',
    }),
    'cache-dir': Flags.string({ env: 'UKTX_CACHE_DIR', helpValue: 'DIR', description: 'where the cache lies' }),
    json: Flags.boolean({ description: 'print JSON' }),
  };

  override async run(): Promise<void> {
    const { argv, flags } = await this.parse(PrewarmCommand);
    const dir = flags['cache-dir'];
    const cache = openCodeCache({ cache: 'rw', ...(dir !== undefined && { cacheDir: dir }) }, (m) => this.warn(m));
    if (!cache) this.error('there is no code cache to write to', { exit: 1 });
    const root = flags.rootfs === undefined ? '/' : this.#folder(flags.rootfs);
    let status = 0;
    const programs: string[] = [];
    const opened: string[] = [];
    for (const path of argv as string[])
      try {
        if (isLibrary(path, root)) opened.push(root === '/' ? resolve(path) : path);
        else programs.push(path);
      } catch (e) {
        if (!(e instanceof PrewarmError)) throw e;
        this.warn(e.message);
        status = 1;
      }
    if (programs.length === 0 && status === 0)
      this.error(opened.length > 0 ? 'a LIBRARY needs the PROGRAM that opens it' : 'prewarm needs a PROGRAM', {
        exit: 2,
      });
    const start = performance.now();
    const compiler = new Compiler(flags.jobs ?? availableParallelism());
    const summaries: ImageSummary[] = [];
    const done = new Set<string>();
    const prewarm = new Prewarm(
      cache,
      compiler,
      (flags['memory-checks'] ?? 'null') as MemoryChecks,
      flags.optimize,
      flags.all,
    );
    for (const program of programs) {
      let images: CodeImage[];
      try {
        const runFlags = flags.rootfs === undefined ? [] : [`--rootfs=${root}`];
        images = programImages(program, root, runFlags, flags.libs, opened);
      } catch (e) {
        if (!(e instanceof PrewarmError)) throw e;
        this.warn(e.message);
        status = 1;
        continue;
      }
      // Libraries that programs share are done once.
      const fresh = images.filter((i) => !done.has(`${i.file}@${i.start}`));
      for (const i of fresh) done.add(`${i.file}@${i.start}`);
      const bar = process.stderr.isTTY && !flags.json;
      if (bar) prewarm.onProgress = (p) => drawBar(program, p.done, p.total);
      summaries.push(...(await prewarm.run(fresh)));
      if (bar) process.stderr.write('\r\x1b[K');
    }
    const ms = Math.round(performance.now() - start);
    if (flags.json) this.log(JSON.stringify({ ms, images: summaries }, null, 2));
    else for (const line of report(summaries, ms)) this.log(line);
    process.exit(status);
  }

  #folder(path: string): string {
    try {
      return realpathSync(path);
    } catch (e) {
      return this.error(`${path}: ${(e as NodeJS.ErrnoException).code}`, { exit: 1 });
    }
  }
}

function drawBar(name: string, done: number, total: number): void {
  const width = 30;
  const filled = total === 0 ? width : Math.floor((done / total) * width);
  const bar = '#'.repeat(filled).padEnd(width, '.');
  process.stderr.write(`\r${name} [${bar}] ${done}/${total} functions\x1b[K`);
}

function report(summaries: readonly ImageSummary[], ms: number): string[] {
  const percent = (bytes: number, s: ImageSummary): string =>
    `${Math.round((100 * bytes) / Math.max(1, s.codeBytes))} %`;
  const lines = summaries.map((s) => {
    const before = s.before > 0 ? `, ${s.before} of them before` : '';
    return (
      `${s.file}: ${s.translated} of ${s.chosen} functions${before} (${s.functions} are known), ${percent(s.coveredBytes, s)} of the code, ` +
      `${formatSize(s.wasmBytes)} of WebAssembly; ${s.blocks} blocks, ${percent(s.blockBytes, s)}`
    );
  });
  const total = summaries.reduce((n, s) => n + s.translated - s.before, 0);
  const bytes = summaries.reduce((n, s) => n + s.wasmBytes, 0);
  lines.push(`${total} functions translated in ${(ms / 1000).toFixed(1)} s, ${formatSize(bytes)}`);
  return lines;
}
