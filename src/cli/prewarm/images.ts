/** Which files a program maps, and where: found by having its own dynamic linker list them (as ldd(1) does), in a run of its own. */
import { spawnSync } from 'node:child_process';
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { toStat } from '../../kernel/fs/hostfs.ts';
import type { Stat } from '../../kernel/fs/inode.ts';
import { parseHeader, parseImage, PHDR_SIZE, type ElfImage, interpreterPath } from '../../kernel/loader/elf.ts';
import { programBias } from '../../kernel/loader/load.ts';
import { PROT_EXEC, PROT_WRITE } from '../../kernel/mm/guest-memory.ts';
import { sigreturnOffset, vdsoImage } from '../../kernel/loader/vdso.ts';
import { makeLayout, pageDown, pageUp } from '../../kernel/mm/layout.ts';
import type { Isa } from '../../kernel/task/cpu-context.ts';
import { fileKey, VDSO } from '../../runtime/cache/images.ts';
import { packageRoot } from '../../runtime/package-root.ts';
import { functionsOf, pointersOf } from './functions.ts';

/** Bytes of the main stack, on which it depends where the vDSO lies. */
const STACK_SIZE = 8 << 20;

/** An executable segment at its place in guest memory. */
export interface CodeImage {
  readonly isa: Isa;
  /** Path in the guest. */
  readonly file: string;
  readonly start: number;
  readonly end: number;
  /** Place in the file of `start`. */
  readonly offset: number;
  /** What runs know the file's bytes by (runtime/cache/images.ts); null when it changed while it was read. */
  readonly key: string | null;
  /** `[start, end)` as it is mapped. */
  readonly bytes: Uint8Array;
  /** Function starts in it. */
  readonly functions: number[];
  /** Addresses in it that the file's data holds, in order. */
  readonly pointers: number[];
  /** The file's segments, by guest address: where tables are looked for. */
  readonly data: readonly { readonly start: number; readonly bytes: Uint8Array }[];
}

export class PrewarmError extends Error {}

/** Host path of a guest path; links inside of the root lead to places inside of it. */
function hostPath(root: string, path: string): string {
  if (root === '/') return realpathSync(path);
  let at = join(root, path);
  for (let hop = 0; hop < 40; hop++) {
    const real = realpathSync(at);
    if (real === root || real.startsWith(`${root}/`)) return real;
    // An absolute link of the guest.
    at = join(root, real);
  }
  throw new PrewarmError(`${path}: too many links`);
}

function readImage(bytes: Buffer, name: string): ElfImage {
  const header = parseHeader(bytes, bytes.length);
  if (!header.ok) throw new PrewarmError(`${name}: ${header.reason}`);
  const { phoff, phnum } = header.value;
  const image = parseImage(header.value, bytes.subarray(phoff, phoff + phnum * PHDR_SIZE), bytes.length);
  if (!image.ok) throw new PrewarmError(`${name}: ${image.reason}`);
  return image.value;
}

/** The executable segments of a file that is loaded with `bias`. */
function segments({ bytes, image, file, stat }: LoadedFile, bias: number): CodeImage[] {
  const all = [...functionsOf(bytes)].map((f) => f + bias);
  const pointers = [...pointersOf(bytes)].map((f) => f + bias);
  const data = image.segments.map((s) => ({
    start: s.vaddr + bias,
    bytes: bytes.subarray(s.offset, s.offset + s.filesz),
  }));
  return image.segments
    .filter((s) => s.prot & PROT_EXEC && !(s.prot & PROT_WRITE) && s.filesz > 0)
    .map((s) => {
      const start = pageDown(s.vaddr + bias);
      const end = pageUp(s.vaddr + bias + s.filesz);
      const offset = s.offset - (s.vaddr + bias - start);
      const mapped = new Uint8Array(end - start);
      mapped.set(bytes.subarray(offset, offset + mapped.length));
      const inside = (list: number[]): number[] => list.filter((f) => f >= start && f < end).sort((a, b) => a - b);
      return {
        isa: image.isa,
        file,
        start,
        end,
        offset,
        key: stat && fileKey(stat, offset, end - start),
        bytes: mapped,
        functions: inside(all),
        pointers: inside(pointers),
        data,
      };
    });
}

/** Load addresses by path, as the program's dynamic linker prints them; `opened` are loaded, too. */
function listLibraries(program: string, flags: readonly string[], opened: readonly string[]): Map<string, number> {
  const env = [
    '-e',
    'LD_TRACE_LOADED_OBJECTS=1',
    ...(opened.length > 0 ? ['-e', `LD_PRELOAD=${opened.join(':')}`] : []),
  ];
  const args = [join(packageRoot(), 'bin/start.cjs'), 'run', '--jit=off', ...env, ...flags];
  const { stdout } = spawnSync(process.execPath, [...args, program], {
    encoding: 'utf8',
    timeout: 60_000,
    maxBuffer: 16 * 2 ** 20,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const found = new Map<string, number>();
  for (const line of stdout.split('\n')) {
    const m = /^\s*(?:\S+ => )?(\/\S+) \(0x([0-9a-f]+)\)$/.exec(line);
    if (m) found.set(m[1]!, Number.parseInt(m[2]!, 16));
  }
  return found;
}

interface LoadedFile {
  bytes: Buffer;
  image: ElfImage;
  /** Path in the guest. */
  file: string;
  /** Null when it changed meanwhile. */
  stat: Stat | null;
}

function load(root: string, path: string): LoadedFile {
  try {
    const real = hostPath(root, path);
    const before = statSync(real, { bigint: true });
    const bytes = readFileSync(real);
    const after = statSync(real, { bigint: true });
    const same = before.mtimeNs === after.mtimeNs && before.ctimeNs === after.ctimeNs && before.ino === after.ino;
    const file = root === '/' ? real : real.slice(root.length);
    return { bytes, image: readImage(bytes, path), file, stat: same ? toStat(after) : null };
  } catch (e) {
    if (e instanceof PrewarmError) throw e;
    throw new PrewarmError(`${path}: ${(e as NodeJS.ErrnoException).code ?? (e as Error).message}`);
  }
}

/** Whether the file is no program but what programs load. Throws PrewarmError. */
export function isLibrary(path: string, root: string): boolean {
  const { image } = load(root, path);
  if (image.type === 'exec') return false;
  return /\.so(\.[0-9.]+)?$/.test(path) || (!image.interpreter && image.entry === 0);
}

/**
 * Images of a program and of the libraries `opened` that it loads by itself (dlopen(3)); with `libraries`, those of what they are
 * linked with, too. Throws PrewarmError.
 */
export function programImages(
  program: string,
  root: string,
  flags: readonly string[],
  libraries: boolean,
  opened: readonly string[] = [],
): CodeImage[] {
  const loaded = load(root, program);
  const { bytes, image } = loaded;
  const images = segments(loaded, programBias(image));
  images.push(vdso(image.isa));
  if (!libraries && opened.length === 0) return images;
  const listed = isDynamic(bytes, image) ? listLibraries(program, flags, opened) : new Map<string, number>();
  for (const path of opened) if (!listed.has(path)) throw new PrewarmError(`${path}: ${program} does not load it`);
  for (const [path, base] of listed) {
    if (!libraries && !opened.includes(path)) continue;
    images.push(...segments(load(root, path), base));
  }
  return images;
}

/** The vDSO, where a program has it with the usual size of the stack. */
function vdso(isa: Isa): CodeImage {
  const image = vdsoImage(isa);
  const bytes = new Uint8Array(pageUp(image.length));
  bytes.set(image);
  const end = makeLayout(STACK_SIZE).mmapTop;
  const start = end - bytes.length;
  const functions = [...functionsOf(image), sigreturnOffset(isa)].filter((f) => f > 0 && f < image.length);
  return {
    isa,
    file: VDSO,
    start,
    end,
    offset: 0,
    key: null,
    bytes,
    functions: functions.map((f) => start + f).sort((a, b) => a - b),
    pointers: [],
    data: [{ start, bytes }],
  };
}

/** Other dynamic linkers than glibc's and musl's would run the program. */
function isDynamic(bytes: Buffer, image: ElfImage): boolean {
  if (!image.interpreter) return false;
  const { offset, size } = image.interpreter;
  const interpreter = interpreterPath(bytes.subarray(offset, offset + size));
  return interpreter.ok && /\/ld-(linux|musl)[^/]*$/.test(interpreter.value);
}
