/** `uktx cache`: looks after the translations of earlier runs. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { Args, Command, Flags } from '@oclif/core';
import { CacheFolder, defaultCacheFolder } from '../../runtime/cache/folder.ts';
import {
  BundleError,
  clear,
  exportBundle,
  type ImageReport,
  importBundle,
  listImages,
  removeBad,
  verify,
} from '../../runtime/cache/maintain.ts';
import { SIZE_LIMIT, sweep } from '../../runtime/cache/sweep.ts';
import { translatorVersion } from '../../runtime/cache/version.ts';
import { formatSize } from '../format-size.ts';
import { parseSize } from '../options.ts';

const actions = ['ls', 'info', 'verify', 'prune', 'clear', 'export', 'import'] as const;
const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;

export default class Cache extends Command {
  static override summary = 'Look after the code cache.';
  static override description = [
    'ls lists what is in it, info sums it up; verify reads everything and exits with 1 when something is bad (--fix: removes it).',
    'prune removes what was made by other versions, and what was not used for longest until the rest is below --limit; clear removes all.',
    'export writes a bundle of the images whose file names contain one of the words given (none: all); import checks a bundle and takes it in.',
  ].join('\n');
  static override usage = 'cache ACTION [BUNDLE] [WORDS...] [FLAGS]';
  static override examples = [
    '<%= config.bin %> cache ls',
    '<%= config.bin %> cache export python.uktx python3 libc.so',
    '<%= config.bin %> cache import python.uktx',
  ];
  static override strict = false;
  static override args = { action: Args.string({ required: true, options: [...actions], description: 'what to do' }) };
  static override flags = {
    'cache-dir': Flags.string({ env: 'UKTX_CACHE_DIR', helpValue: 'DIR', description: 'where the cache lies' }),
    json: Flags.boolean({ description: 'print JSON' }),
    limit: Flags.string({ helpValue: 'SIZE', description: 'prune: what may stay, e.g. 200M (default: 1G)' }),
    fix: Flags.boolean({ description: 'verify: remove what is bad' }),
  };

  override async run(): Promise<void> {
    const { args, argv, flags } = await this.parse(Cache);
    const [file, ...words] = (argv as string[]).slice(1);
    const bundled = args.action === 'export' || args.action === 'import';
    if (bundled !== (file !== undefined) || (words.length > 0 && args.action !== 'export'))
      this.error(bundled ? `cache ${args.action} needs a BUNDLE` : `unexpected argument: ${file}`, { exit: 2 });
    const path = flags['cache-dir'] ?? defaultCacheFolder(process.env);
    const reading = ['ls', 'info', 'export'].includes(args.action) || (args.action === 'verify' && !flags.fix);
    const folder = CacheFolder.open(path, reading ? 'ro' : 'rw', (m) => this.warn(m));
    if (!folder) {
      // Nothing there yet is nothing bad.
      if (flags.json) this.log(args.action === 'ls' ? '[]' : '{}');
      else this.log(`${path}: no cache`);
      return;
    }
    const result = this.#act(args.action as (typeof actions)[number], folder, flags, file ?? '', words);
    if (flags.json) this.log(JSON.stringify(result.json, null, 2));
    else for (const line of result.lines) this.log(line);
    if (result.bad) this.exit(1);
  }

  #act(
    action: (typeof actions)[number],
    folder: CacheFolder,
    flags: { limit?: string | undefined; fix: boolean },
    file: string,
    words: readonly string[],
  ): { json: unknown; lines: string[]; bad?: boolean } {
    switch (action) {
      case 'ls': {
        const images = listImages(folder);
        return { json: images, lines: table(images) };
      }
      case 'info': {
        const info = summary(folder, listImages(folder));
        return { json: info, lines: Object.entries(info).map(([k, v]) => `${k.padEnd(18)} ${v}`) };
      }
      case 'verify': {
        const result = verify(folder);
        const lines = result.bad.map((b) => `${b.file}: ${b.reason}`);
        if (flags.fix) removeBad(folder, result);
        lines.push(
          `${count(result.files, 'file')}, ${formatSize(result.bytes)}: ${result.bad.length || 'nothing'} bad, ${result.unused.length} unused`,
        );
        return { json: result, lines, bad: result.bad.length > 0 && !flags.fix };
      }
      case 'prune': {
        const current = translatorVersion();
        const others = listImages(folder).filter((i) => i.version !== current);
        for (const i of others) folder.remove(folder.file(i.name));
        const swept = sweep(folder, flags.limit === undefined ? SIZE_LIMIT : parseSize('limit', flags.limit));
        const json = {
          images: swept.images + others.length,
          bytes: swept.bytes + others.reduce((n, i) => n + i.bytes, 0),
        };
        return { json, lines: [`removed ${count(json.images, 'image')}, ${formatSize(json.bytes)}`] };
      }
      case 'clear': {
        const json = clear(folder);
        return { json, lines: [`removed ${count(json.images, 'image')}, ${formatSize(json.bytes)}`] };
      }
      case 'export': {
        const bundle = exportBundle(folder, (i) => words.length === 0 || words.some((w) => i.file.includes(w)));
        writeFileSync(file, bundle);
        return { json: { file, bytes: bundle.length }, lines: [`${file}: ${formatSize(bundle.length)}`] };
      }
      case 'import': {
        try {
          if (!statSync(file).isFile()) this.error(`${file}: not a file`, { exit: 1 });
          const json = importBundle(folder, readFileSync(file));
          return {
            json,
            lines: [`${count(json.images, 'image')}, ${count(json.files, 'file')}, ${formatSize(json.bytes)}`],
          };
        } catch (e) {
          if (!(e instanceof BundleError) && (e as NodeJS.ErrnoException).code === undefined) throw e;
          this.error(`${file}: ${(e as Error).message}`, { exit: 1 });
        }
      }
    }
  }
}

function table(images: readonly ImageReport[]): string[] {
  const rows = images.map((i) => [
    i.isa,
    i.start.toString(16).padStart(8, '0'),
    String(i.regions),
    String(i.blocks),
    formatSize(i.bytes),
    new Date(i.lastUse).toISOString().slice(0, 16).replace('T', ' '),
    i.version === translatorVersion() ? '' : 'old',
    i.file || i.hash.slice(0, 16),
  ]);
  rows.unshift(['ISA', 'ADDRESS', 'REGIONS', 'BLOCKS', 'SIZE', 'LAST USE', '', 'FILE']);
  const widths = rows[0]!.map((_, k) => Math.max(...rows.map((r) => r[k]!.length)));
  const right = [2, 3, 4];
  return rows.map((r) =>
    r
      .map((cell, k) => (right.includes(k) ? cell.padStart(widths[k]!) : cell.padEnd(widths[k]!)))
      .join('  ')
      .trimEnd(),
  );
}

function summary(folder: CacheFolder, images: readonly ImageReport[]): Record<string, string | number> {
  const sum = (of: (i: ImageReport) => number): number => images.reduce((n, i) => n + of(i), 0);
  return {
    folder: folder.path,
    version: translatorVersion() ?? 'none: not built',
    images: images.length,
    'of other versions': images.filter((i) => i.version !== translatorVersion()).length,
    modules: sum((i) => i.modules),
    regions: sum((i) => i.regions),
    instructions: sum((i) => i.guestInstructions),
    blocks: sum((i) => i.blocks),
    bytes: sum((i) => i.bytes),
    limit: SIZE_LIMIT,
  };
}
