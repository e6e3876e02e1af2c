/** The files that the command lines find in /work: always the same. */
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const MODIFIED = new Date('2024-03-05T06:07:08Z');

function sequence(): (below: number) => number {
  let state = 20_240_305;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 10) % below;
  };
}

function words(count: number): string {
  const next = sequence();
  const syllables = ['ka', 'to', 'mi', 'ra', 'su', 'ne', 'lo', 'vi', 'da', 'pe', 'Zu', 'Qi', 'é', 'ß'];
  let text = '';
  for (let k = 0; k < count; k++) {
    for (let n = 1 + next(4); n > 0; n--) text += syllables[next(syllables.length)];
    text += next(9) === 0 ? '\n' : next(12) === 0 ? ` ${next(100_000)} ` : ' ';
  }
  return `${text}\n`;
}

/** Half of it compresses. */
function noise(bytes: number): Uint8Array {
  const next = sequence();
  return Uint8Array.from({ length: bytes }, (_, k) => next((k >> 10) & 1 ? 256 : 16));
}

/** Writes the files into an empty folder. */
export function writeFiles(folder: string): void {
  const next = sequence();
  const files: Record<string, string | Uint8Array> = {
    'text.txt': words(5000),
    'numbers.txt': `${Array.from({ length: 3000 }, () => next(100_000)).join('\n')}\n`,
    'table.tsv': Array.from(
      { length: 500 },
      (_, k) => `${k}\tname${(k * 7) % 500}\t${(k * 37) % 101}.${k % 10}\t${k % 3 ? 'even' : 'odd'}\n`,
    ).join(''),
    'noise.bin': noise(100_000),
  };
  for (let k = 0; k < 40; k++)
    files[`tree/${k % 5}/${k % 3}/file${k}.${k % 2 ? 'txt' : 'c'}`] = `line one ${k}\nneedle ${k * k}\nlast\n`;
  const folders = new Set<string>();
  for (const [name, contents] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, contents);
    utimesSync(path, MODIFIED, MODIFIED);
    for (let f = dirname(path); f !== dirname(folder); f = dirname(f)) folders.add(f);
  }
  for (const f of folders) utimesSync(f, MODIFIED, MODIFIED);
}
