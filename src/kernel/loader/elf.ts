/**
 * ELF64 headers (elf(5), System V ABI chapters 4 and 5): everything a loader needs, checked. A file that cannot be
 * loaded is refused with a reason in words; nothing here throws, whatever the bytes.
 */
import { GUEST_LIMIT, PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE } from '../mm/guest-memory.ts';
import { pageDown, pageOffset, pageUp } from '../mm/layout.ts';
import { MMAP_MIN_ADDR } from '../mm/mman.ts';
import type { Isa } from '../task/cpu-context.ts';

export const EHDR_SIZE = 64;
export const PHDR_SIZE = 56;
/** Linux reads no more than 64 KiB of program headers (fs/binfmt_elf.c, load_elf_phdrs). */
export const MAX_PHDRS = Math.floor(65536 / PHDR_SIZE);
const PATH_MAX = 4096;

const ET_EXEC = 2;
const ET_DYN = 3;
const PT_LOAD = 1;
const PT_INTERP = 3;
const PT_GNU_STACK = 0x6474e551;
const PF_X = 1;
const PF_W = 2;
const PF_R = 4;
const EM_X86_64 = 62;
const EM_AARCH64 = 183;

const machineNames: Readonly<Record<number, string>> = {
  0: 'no machine',
  2: 'SPARC',
  3: 'i386',
  4: 'm68k',
  8: 'MIPS',
  15: 'PA-RISC',
  20: 'PowerPC',
  21: 'PowerPC64',
  22: 'S/390',
  40: 'ARM',
  42: 'SuperH',
  43: 'SPARC v9',
  50: 'IA-64',
  62: 'x86-64',
  94: 'Xtensa',
  164: 'Hexagon',
  183: 'AArch64',
  243: 'RISC-V',
  247: 'BPF',
  252: 'C-SKY',
  258: 'LoongArch',
  36902: 'Alpha',
};
const typeNames: Readonly<Record<number, string>> = { 0: 'no type', 1: 'an object file', 4: 'a core dump' };

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string };

export interface ElfHeader {
  readonly type: 'exec' | 'dyn';
  readonly isa: Isa;
  readonly entry: number;
  readonly phoff: number;
  readonly phnum: number;
}

/** A PT_LOAD with something in it. Sizes and addresses in bytes, not rounded. */
export interface Segment {
  readonly offset: number;
  readonly vaddr: number;
  readonly filesz: number;
  readonly memsz: number;
  /** PROT_*. */
  readonly prot: number;
}

export interface ElfImage extends ElfHeader {
  /** By address. */
  readonly segments: readonly Segment[];
  /** Page-aligned range all segments lie in, before the load bias. */
  readonly low: number;
  readonly high: number;
  /** Largest power-of-two p_align of a segment, at least the page size. */
  readonly align: number;
  /** Where the file has the interpreter's name, NUL included. */
  readonly interpreter: { readonly offset: number; readonly size: number } | null;
  /** PT_GNU_STACK asks for an executable stack. */
  readonly execStack: boolean;
  /** Address of the program headers in memory (before the load bias), null when no segment has them. */
  readonly phdrAddress: number | null;
}

const refuse = (reason: string): { ok: false; reason: string } => ({ ok: false, reason });

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** 64 bits as a number: exact below 2^53, and above only ever "too large". */
function u64(view: DataView, offset: number): number {
  return view.getUint32(offset + 4, true) * 0x1_0000_0000 + view.getUint32(offset, true);
}

export function isElf(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

/** The ELF header, from the first bytes of a file of `fileSize` bytes. */
export function parseHeader(head: Uint8Array, fileSize: number): Parsed<ElfHeader> {
  if (!isElf(head)) return refuse('not an ELF file');
  if (head.length < EHDR_SIZE) return refuse('truncated ELF header');
  const view = viewOf(head);
  const [elfClass, data, version] = [head[4], head[5], head[6]];
  if (elfClass === 1)
    return refuse(`32-bit ELF file (${machine(view.getUint16(18, data !== 2))}); only 64-bit programs run here`);
  if (elfClass !== 2) return refuse(`unknown ELF class ${elfClass}`);
  if (data === 2)
    return refuse(`big-endian ELF file (${machine(view.getUint16(18, false))}); only little-endian programs run here`);
  if (data !== 1) return refuse(`unknown ELF data encoding ${data}`);
  if (version !== 1) return refuse(`unknown ELF version ${version}`);
  const eMachine = view.getUint16(18, true);
  if (eMachine !== EM_X86_64 && eMachine !== EM_AARCH64) return refuse(`for another machine (${machine(eMachine)})`);
  const type = view.getUint16(16, true);
  if (type !== ET_EXEC && type !== ET_DYN) return refuse(`${typeNames[type] ?? `ELF type ${type}`}, not a program`);
  return parseTablePlace(
    view,
    fileSize,
    type === ET_EXEC ? 'exec' : 'dyn',
    eMachine === EM_X86_64 ? 'x86_64' : 'aarch64',
  );
}

function machine(number: number): string {
  return machineNames[number] ?? `machine ${number}`;
}

function parseTablePlace(view: DataView, fileSize: number, type: 'exec' | 'dyn', isa: Isa): Parsed<ElfHeader> {
  const entry = u64(view, 24);
  const phoff = u64(view, 32);
  const phentsize = view.getUint16(54, true);
  const phnum = view.getUint16(56, true);
  if (phnum === 0) return refuse('no program headers');
  if (phentsize !== PHDR_SIZE) return refuse(`program header size is ${phentsize}, not ${PHDR_SIZE}`);
  if (phnum > MAX_PHDRS) return refuse(`too many program headers (${phnum})`);
  if (phoff + phnum * PHDR_SIZE > fileSize)
    return refuse('truncated: the program headers lie beyond the end of the file');
  if (entry >= GUEST_LIMIT) return refuse(`entry point ${hex(entry)} is out of range`);
  return { ok: true, value: { type, isa, entry, phoff, phnum } };
}

function hex(n: number): string {
  return `0x${n.toString(16)}`;
}

interface Phdr {
  type: number;
  flags: number;
  offset: number;
  vaddr: number;
  filesz: number;
  memsz: number;
  align: number;
}

function readPhdr(view: DataView, at: number): Phdr {
  return {
    type: view.getUint32(at, true),
    flags: view.getUint32(at + 4, true),
    offset: u64(view, at + 8),
    vaddr: u64(view, at + 16),
    filesz: u64(view, at + 32),
    memsz: u64(view, at + 40),
    align: u64(view, at + 48),
  };
}

/** The image, from its header and the bytes of the program header table (`phnum * PHDR_SIZE` of them). */
export function parseImage(header: ElfHeader, table: Uint8Array, fileSize: number): Parsed<ElfImage> {
  if (table.length < header.phnum * PHDR_SIZE) return refuse('truncated program headers');
  const view = viewOf(table);
  const segments: Segment[] = [];
  let interpreter: ElfImage['interpreter'] = null;
  let execStack = false;
  let align = PAGE_SIZE;
  for (let i = 0; i < header.phnum; i++) {
    const p = readPhdr(view, i * PHDR_SIZE);
    if (p.type === PT_LOAD && p.memsz > 0) {
      const problem = segmentProblem(p, fileSize, header.type);
      if (problem) return refuse(`segment ${i}: ${problem}`);
      if (p.align > align && p.align <= GUEST_LIMIT && Number.isInteger(Math.log2(p.align))) align = p.align;
      segments.push({ offset: p.offset, vaddr: p.vaddr, filesz: p.filesz, memsz: p.memsz, prot: protOf(p.flags) });
    } else if (p.type === PT_LOAD && p.filesz > 0) {
      return refuse(`segment ${i}: larger in the file than in memory`);
    } else if (p.type === PT_INTERP && !interpreter) {
      if (p.filesz < 2 || p.filesz > PATH_MAX) return refuse(`the interpreter's name has a bad length (${p.filesz})`);
      if (p.offset + p.filesz > fileSize)
        return refuse("truncated: the interpreter's name lies beyond the end of the file");
      interpreter = { offset: p.offset, size: p.filesz };
    } else if (p.type === PT_GNU_STACK) {
      execStack = (p.flags & PF_X) !== 0;
    }
  }
  if (segments.length === 0) return refuse('no loadable segments');
  segments.sort((a, b) => a.vaddr - b.vaddr);
  return checkTogether(header, segments, { interpreter, execStack, align });
}

function protOf(flags: number): number {
  return (flags & PF_R ? PROT_READ : 0) | (flags & PF_W ? PROT_WRITE : 0) | (flags & PF_X ? PROT_EXEC : 0);
}

function segmentProblem(p: Phdr, fileSize: number, type: 'exec' | 'dyn'): string | null {
  if (p.filesz > p.memsz) return 'larger in the file than in memory';
  if (p.offset + p.filesz > fileSize) return 'truncated: it lies beyond the end of the file';
  if (p.vaddr + p.memsz > GUEST_LIMIT - PAGE_SIZE) return `addresses ${hex(p.vaddr)} and up are out of range`;
  if (p.filesz > 0 && pageOffset(p.offset) !== pageOffset(p.vaddr))
    return 'file offset and address are not aligned alike';
  if (type === 'exec' && p.vaddr < MMAP_MIN_ADDR)
    return `address ${hex(p.vaddr)} is below the lowest that can be mapped`;
  return null;
}

function checkTogether(
  header: ElfHeader,
  segments: readonly Segment[],
  rest: Pick<ElfImage, 'interpreter' | 'execStack' | 'align'>,
): Parsed<ElfImage> {
  let phdrAddress: number | null = null;
  let end = 0;
  for (const s of segments) {
    if (s.vaddr < end) return refuse(`segments overlap at ${hex(s.vaddr)}`);
    end = s.vaddr + s.memsz;
    if (s.offset <= header.phoff && header.phoff < s.offset + s.filesz)
      phdrAddress ??= header.phoff - s.offset + s.vaddr;
  }
  const low = pageDown(segments[0]!.vaddr);
  return { ok: true, value: { ...header, ...rest, segments, low, high: pageUp(end), phdrAddress } };
}

/** The whole file at once: for tools and tests. */
export function parseElf(bytes: Uint8Array): Parsed<ElfImage> {
  const header = parseHeader(bytes.subarray(0, EHDR_SIZE), bytes.length);
  if (!header.ok) return header;
  const { phoff, phnum } = header.value;
  return parseImage(header.value, bytes.subarray(phoff, phoff + phnum * PHDR_SIZE), bytes.length);
}

/** The interpreter's path from the bytes of PT_INTERP. */
export function interpreterPath(bytes: Uint8Array): Parsed<string> {
  const nul = bytes.indexOf(0);
  if (nul < 0 || bytes[bytes.length - 1] !== 0) return refuse("the interpreter's name does not end in NUL");
  if (nul === 0) return refuse("the interpreter's name is empty");
  return { ok: true, value: Buffer.from(bytes.subarray(0, nul)).toString('latin1') };
}
