/** Input files, the same on every machine, made when first asked for. */
import { closeSync, existsSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type InputMaker, scriptFolder } from './programs.ts';

/** xorshift32. */
function randomNumbers(seed: number): (below: number) => number {
  let x = seed;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

/** Words of a made-up language, some far more frequent than others, in lines with numbers: compresses to two fifths. */
function writeText(path: string, bytes: number): void {
  const random = randomNumbers(88_172_645);
  const words = Array.from({ length: 4096 }, () =>
    Array.from({ length: 2 + random(9) }, () => String.fromCharCode(97 + Math.min(random(26), random(26)))).join(''),
  );
  const file = openSync(path, 'w');
  for (let left = bytes; left > 0; ) {
    let chunk = '';
    while (chunk.length < 1 << 16) {
      chunk += words[Math.min(random(4096), random(4096), random(4096))];
      chunk += random(12) > 0 ? ' ' : `,\n${random(100_000)} `;
    }
    chunk = chunk.slice(0, left);
    writeSync(file, chunk);
    left -= chunk.length;
  }
  closeSync(file);
}

export function inputMaker(scratch: string): InputMaker {
  return {
    text(bytes) {
      const path = join(scratch, `text-${bytes}`);
      if (!existsSync(path)) writeText(path, bytes);
      return path;
    },
    script(name, from, to) {
      const path = join(scratch, `${to}-${name}`);
      if (!existsSync(path)) writeFileSync(path, readFileSync(join(scriptFolder, name), 'utf8').replaceAll(from, to));
      return path;
    },
  };
}
