/** From an ELF file to a mapped program: its image, its interpreter, where they go and what the auxiliary vector says. */
import { errno, SysError } from '../abi/errno.ts';
import type { MaybePromise, OpenFile } from '../fs/open-file.ts';
import type { AddressSpace } from '../mm/address-space.ts';
import { GUEST_LIMIT } from '../mm/guest-memory.ts';
import { type Layout, pageDown, pageOffset, pageUp, PIE_BASE } from '../mm/layout.ts';
import { MAP_FIXED, MAP_PRIVATE, MMAP_MIN_ADDR } from '../mm/mman.ts';
import { imageAddress } from '../mm/mmap.ts';
import { readFully } from '../mm/writeback.ts';
import type { Isa } from '../task/cpu-context.ts';
import type { Task } from '../task/task.ts';
import { EHDR_SIZE, type ElfImage, interpreterPath, isElf, parseHeader, parseImage, PHDR_SIZE } from './elf.ts';

export interface ImageFile {
  readonly file: OpenFile;
  readonly image: ElfImage;
}
export interface Program extends ImageFile {
  readonly interpreter: ImageFile | null;
}

/** `reason` is for people: lower case, no final stop. */
export type Loaded<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly errno: number; readonly reason: string };

export const refusal = (n: number, reason: string): { ok: false; errno: number; reason: string } => ({
  ok: false,
  errno: n,
  reason,
});

/** A name out of a file, fit for a terminal. */
export function printable(name: string): string {
  const clean = name.replace(/[^\x20-\x7e]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return clean.length > 200 ? `${clean.slice(0, 200)}...` : clean;
}

/** What the loader reads of a file before anything else: the ELF header and most program header tables. */
export const HEAD_SIZE = 2048;

/** Bytes `[position, position + length)` of a file, fewer at its end. */
export async function readAt(task: Task, file: OpenFile, position: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  return bytes.subarray(0, await readFully(task, file, bytes, position));
}

/** Headers of an ELF file. `head` is its first HEAD_SIZE bytes. */
async function readImage(task: Task, file: OpenFile, head: Uint8Array): Promise<Loaded<ElfImage>> {
  const { size } = file.stat();
  const header = parseHeader(head, size);
  if (!header.ok) return refusal(errno.ENOEXEC, header.reason);
  const { phoff, phnum } = header.value;
  const end = phoff + phnum * PHDR_SIZE;
  const table = end <= head.length ? head.subarray(phoff, end) : await readAt(task, file, phoff, end - phoff);
  const image = parseImage(header.value, table, size);
  return image.ok ? image : refusal(errno.ENOEXEC, image.reason);
}

/**
 * Everything about the program that can be known before the old one is given up. `openInterpreter` throws SysErrors.
 * The caller owns `file`; the interpreter's file, when there is one, is the caller's, too.
 */
export async function readProgram(
  task: Task,
  file: OpenFile,
  head: Uint8Array,
  openInterpreter: (path: string) => MaybePromise<OpenFile>,
  supported: (isa: Isa) => boolean,
): Promise<Loaded<Program>> {
  const main = await readImage(task, file, head);
  if (!main.ok) return main;
  const image = main.value;
  if (!supported(image.isa)) return refusal(errno.ENOEXEC, `for ${image.isa}, which does not run here yet`);
  if (!image.interpreter) return { ok: true, value: { file, image, interpreter: null } };
  const { offset, size } = image.interpreter;
  const path = interpreterPath(await readAt(task, file, offset, size));
  if (!path.ok) return refusal(errno.ENOEXEC, path.reason);
  const interpreter = await readInterpreter(task, path.value, image.isa, openInterpreter);
  return interpreter.ok ? { ok: true, value: { file, image, interpreter: interpreter.value } } : interpreter;
}

async function readInterpreter(
  task: Task,
  path: string,
  isa: Isa,
  open: (path: string) => MaybePromise<OpenFile>,
): Promise<Loaded<ImageFile>> {
  const name = `interpreter ${printable(path)}`;
  let file: OpenFile;
  try {
    file = await open(path);
  } catch (e) {
    if (!(e instanceof SysError)) throw e;
    return refusal(e.errno, e.errno === errno.ENOENT ? `${name} not found` : `${name}: ${e.message}`);
  }
  const bad = (reason: string): Loaded<ImageFile> => {
    file.unref();
    return refusal(errno.ELIBBAD, `${name}: ${reason}`);
  };
  const head = await readAt(task, file, 0, HEAD_SIZE);
  if (!isElf(head) || head.length < EHDR_SIZE) return bad('not an ELF file');
  const image = await readImage(task, file, head);
  if (!image.ok) return bad(image.reason);
  if (image.value.isa !== isa) return bad(`for ${image.value.isa}, the program is for ${isa}`);
  return { ok: true, value: { file, image: image.value } };
}

/** Load bias of the program itself: 0 for a fixed address, else such that it starts near PIE_BASE, aligned. */
export function programBias(image: ElfImage): number {
  if (image.type === 'exec') return 0;
  return Math.ceil((PIE_BASE - image.low) / image.align) * image.align;
}

/** ENOMEM with a reason when the program cannot be placed in an empty address space of this layout. */
export function checkPlaces(program: Program, layout: Layout, memoryLimit: number): Loaded<null> {
  const bias = programBias(program.image);
  const low = program.image.low + bias;
  const high = program.image.high + bias;
  if (low < MMAP_MIN_ADDR || high > layout.mmapTop)
    return refusal(errno.ENOMEM, 'no room for its segments below the stack');
  let needed = layout.stackTop - layout.stackBottom + footprint(program.image);
  const ld = program.interpreter?.image;
  if (ld) {
    needed += footprint(ld);
    const fixed = ld.type === 'exec';
    if (fixed && (ld.high > layout.mmapTop || (ld.low < high && low < ld.high))) {
      return refusal(errno.ENOMEM, "its interpreter's fixed address is taken");
    }
    const window = layout.mmapTop - Math.max(layout.mmapBase, high);
    if (!fixed && ld.high - ld.low + 2 * Math.max(ld.align, 65536) > window)
      return refusal(errno.ENOMEM, 'no room for its interpreter');
  }
  if (needed > memoryLimit)
    return refusal(errno.ENOMEM, `it needs ${Math.ceil(needed / 2 ** 20)} MiB of memory, more than there is`);
  return { ok: true, value: null };
}

/** Bytes of accessible memory an image takes. */
function footprint(image: ElfImage): number {
  let total = 0;
  for (const s of image.segments) if (s.prot !== 0) total += pageUp(s.vaddr + s.memsz) - pageDown(s.vaddr);
  return total;
}

export interface MappedProgram {
  /** Where execution starts: in the interpreter when there is one. */
  readonly start: number;
  /** AT_ENTRY, AT_PHDR, AT_PHNUM, AT_BASE. */
  readonly entry: number;
  readonly phdr: number;
  readonly phnum: number;
  readonly base: number;
}

/** Maps a program that passed `checkPlaces` into an empty address space and starts the heap behind it. */
export async function mapProgram(mm: AddressSpace, task: Task, program: Program): Promise<MappedProgram> {
  const { image, interpreter } = program;
  const bias = programBias(image);
  await mapImage(mm, task, program, bias);
  mm.setBrk(image.high + bias);
  const entry = image.entry + bias;
  const phdr = image.phdrAddress === null ? 0 : image.phdrAddress + bias;
  const common = { entry, phdr, phnum: image.phnum };
  if (!interpreter) return { ...common, start: entry, base: 0 };
  const base = interpreterBias(mm, interpreter);
  await mapImage(mm, task, interpreter, base);
  return { ...common, start: interpreter.image.entry + base, base };
}

/** Interpreters go to the image window, like the libraries they load. */
function interpreterBias(mm: AddressSpace, { file, image }: ImageFile): number {
  if (image.type === 'exec') return 0;
  const { align } = image;
  const low = Math.floor(image.low / align) * align;
  const start = imageAddress(mm, file, image.high - low, align);
  if (start >= 0) return start - low;
  return Math.ceil(mm.findFree(0, image.high - low + align) / align) * align - low;
}

/** Maps the segments of an image, file pages first, zeros behind them (the bss). */
async function mapImage(mm: AddressSpace, task: Task, { file, image }: ImageFile, bias: number): Promise<void> {
  for (const s of image.segments) {
    const start = pageDown(s.vaddr + bias);
    const fileEnd = s.vaddr + s.filesz + bias;
    const end = Math.min(pageUp(s.vaddr + s.memsz + bias), GUEST_LIMIT);
    if (s.filesz === 0) {
      mm.mapAnonymous(start, end, s.prot);
      continue;
    }
    const offset = s.offset - pageOffset(s.vaddr);
    await mm.mmap(task, {
      address: start,
      length: fileEnd - start,
      prot: s.prot,
      flags: MAP_PRIVATE | MAP_FIXED,
      file,
      offset,
    });
    if (s.memsz === s.filesz) continue;
    zeroTail(mm, fileEnd);
    mm.mapAnonymous(pageUp(fileEnd), end, s.prot);
  }
}

/** The part of the last file page that belongs to the bss. */
function zeroTail(mm: AddressSpace, from: number): void {
  const to = pageUp(from);
  if (from === to) return;
  mm.zeroBytes(from, to);
  mm.memory.written(from, to);
  const vma = mm.find(from);
  if (vma) vma.pristine = false;
}
