/**
 * execve(2): a new program in a process. Everything that can be found out before the old program is given up is, and
 * fails with an errno and a reason; what goes wrong afterwards kills the process, as on Linux (fs/exec.c).
 */
import { errno, errnoName, SysError, sysError } from '../abi/errno.ts';
import type { OpenFile } from '../fs/open-file.ts';
import { AddressSpace } from '../mm/address-space.ts';
import { PROT_EXEC, PROT_READ, PROT_WRITE } from '../mm/guest-memory.ts';
import { type Layout, makeLayout } from '../mm/layout.ts';
import { MAP_GROWSDOWN, MAP_STACK } from '../mm/mman.ts';
import { UserMemory } from '../mm/user-memory.ts';
import type { Isa } from '../task/cpu-context.ts';
import type { GuestTask } from '../task/guest-task.ts';
import type { Task } from '../task/task.ts';
import { AT_FDCWD, type Executable, openExecutable } from './executable.ts';
import {
  checkPlaces,
  HEAD_SIZE,
  type Loaded,
  type MappedProgram,
  mapProgram,
  printable,
  type Program,
  readAt,
  readProgram,
  refusal,
} from './load.ts';
import { defaultHwcap, loadAddressBook, loaderOptions } from './options.ts';
import { isScript, MAX_SCRIPTS, parseScript } from './script.ts';
import { sigreturnOffset } from './vdso.ts';
import { argumentsError, type BuiltStack, buildStack, stackNeed } from './stack.ts';

const SIGSEGV = 11;

export interface ExecRequest {
  /** Path as the caller gave it, latin1; empty with AT_EMPTY_PATH. */
  file: string;
  /** Directory `file` is relative to, AT_FDCWD by default. */
  dirfd?: number;
  /** AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW. */
  flags?: number;
  /**
   * One char per byte. An empty list becomes one empty string, as since Linux 5.18. Functions are called once the file
   * is open, and may throw SysErrors.
   */
  argv: readonly string[] | (() => readonly string[]);
  envp: readonly string[] | (() => readonly string[]);
}

/** `fatal`: the old program was gone already, and the process has been killed. */
export type ExecResult =
  | { readonly ok: true }
  | { readonly ok: false; readonly errno: number; readonly reason: string; readonly fatal: boolean };

const reasons: Readonly<Record<number, string>> = {
  [errno.ENOENT]: 'not found',
  [errno.EACCES]: 'permission denied',
  [errno.ENOTDIR]: 'a part of the path is not a directory',
  [errno.ELOOP]: 'too many levels of symbolic links or scripts',
  [errno.ENAMETOOLONG]: 'name too long',
  [errno.E2BIG]: 'arguments and environment are too long',
  [errno.ENOMEM]: 'out of memory',
};
const reasonOf = (n: number): string => reasons[n] ?? errnoName(n);

/** Replaces the task's program. Never rejects for anything the guest or its files did. */
export async function loadProgram(task: Task, request: ExecRequest): Promise<ExecResult> {
  const found = await guarded(() => prepare(task, request));
  if (!found.ok) return { ...found, fatal: false };
  const prepared = found.value;
  try {
    const started = await guarded(() => start(task, prepared));
    if (started.ok) return { ok: true };
    // A thread that was ended by another one's execve does not take the process with it.
    if ((task as GuestTask).exitCode === null) task.process.exitGroup({ kind: 'killed', signal: SIGSEGV, core: false });
    return { ...started, fatal: true };
  } finally {
    prepared.program.file.unref();
    prepared.program.interpreter?.file.unref();
  }
}

/** SysErrors to refusals. */
async function guarded<T>(act: () => Promise<Loaded<T>>): Promise<Loaded<T>> {
  try {
    return await act();
  } catch (e) {
    if (e instanceof SysError) return refusal(e.errno, reasonOf(e.errno));
    throw e;
  }
}

interface Prepared {
  program: Program;
  executable: Executable;
  argv: string[];
  envp: string[];
  execfn: string;
  layout: Layout;
}

/** AT_EXECFN and the name scripts are called by (fs/exec.c, alloc_bprm). */
function execName({ file, dirfd = AT_FDCWD }: ExecRequest): string {
  if (dirfd === AT_FDCWD || file.startsWith('/')) return file;
  return file === '' ? `/dev/fd/${dirfd}` : `/dev/fd/${dirfd}/${file}`;
}

const listOf = (list: readonly string[] | (() => readonly string[])): string[] => [
  ...(typeof list === 'function' ? list() : list),
];

async function prepare(task: Task, request: ExecRequest): Promise<Loaded<Prepared>> {
  const execfn = execName(request);
  const opened = await openExecutable(task, request.dirfd ?? AT_FDCWD, request.file, request.flags ?? 0);
  const strings = await closing(opened.file, async () => readArguments(task, request, execfn));
  if (!strings.ok) return strings;
  const { argv, envp } = strings.value;
  const resolved = await followScripts(task, opened, argv, execfn, isPrivateName(task, request));
  if (!resolved.ok) return resolved;
  const { executable, head } = resolved.value;
  const { file } = executable;
  const open = async (path: string): Promise<OpenFile> => (await openExecutable(task, AT_FDCWD, path, 0)).file;
  const read = await closing(file, () => readProgram(task, file, head, open, (isa) => isSupported(task, isa)));
  if (!read.ok) return read;
  const program = read.value;
  await loaderOptions(task.kernel).prepareIsa?.(program.image.isa);
  const layout = makeLayout(stackSize(task, argv, envp, execfn));
  const tooLong = argumentsError(argv, envp, execfn, task.process.stackLimit);
  const fits = tooLong ? refusal(tooLong, reasonOf(tooLong)) : checkPlaces(program, layout, memoryLimit(task));
  if (!fits.ok) {
    file.unref();
    program.interpreter?.file.unref();
    return fits;
  }
  return { ok: true, value: { program, executable, argv, envp, execfn, layout } };
}

function readArguments(task: Task, request: ExecRequest, execfn: string): Loaded<{ argv: string[]; envp: string[] }> {
  const envp = listOf(request.envp);
  const argv = listOf(request.argv);
  if (argv.length === 0) argv.push('');
  const tooLong = argumentsError(argv, envp, execfn, task.process.stackLimit);
  return tooLong ? refusal(tooLong, reasonOf(tooLong)) : { ok: true, value: { argv, envp } };
}

/** Runs `act`, and drops the file unless it succeeds. */
async function closing<T>(file: OpenFile, act: () => Promise<Loaded<T>>): Promise<Loaded<T>> {
  let kept = false;
  try {
    const result = await act();
    kept = result.ok;
    return result;
  } finally {
    if (!kept) file.unref();
  }
}

function isSupported(task: Task, isa: Isa): boolean {
  const { isaSupported, attachCpu } = loaderOptions(task.kernel);
  if (isaSupported) return isaSupported(isa);
  return isa === task.cpu.isa || attachCpu !== null;
}

function memoryLimit(task: Task): number {
  return task.kernel.options.memoryLimit || task.mm.memoryLimit;
}

/** The main stack has the size of RLIMIT_STACK, and room for the arguments in any case. */
function stackSize(task: Task, argv: string[], envp: string[], execfn: string): number {
  return Math.max(task.process.stackLimit, stackNeed(argv, envp, execfn) + 131072);
}

/** The script's name will lead nowhere after the exec: `/dev/fd/N` of a close-on-exec descriptor. */
function isPrivateName(task: Task, { file, dirfd = AT_FDCWD }: ExecRequest): boolean {
  return dirfd !== AT_FDCWD && !file.startsWith('/') && task.files.getCloexec(dirfd);
}

/** Goes from scripts to their interpreters; rewrites `argv` on the way. Owns the file it is given. */
async function followScripts(
  task: Task,
  first: Executable,
  argv: string[],
  execfn: string,
  privateName: boolean,
): Promise<Loaded<{ executable: Executable; head: Uint8Array }>> {
  let executable = first;
  let name = execfn;
  for (let depth = 0; ; depth++) {
    const { file } = executable;
    const looked = await closing(file, async (): Promise<Loaded<Uint8Array>> => {
      const bytes = await readAt(task, file, 0, HEAD_SIZE);
      if (!isScript(bytes)) return { ok: true, value: bytes };
      if (depth >= MAX_SCRIPTS) return refusal(errno.ELOOP, reasonOf(errno.ELOOP));
      if (privateName) return refusal(errno.ENOENT, 'a script on a close-on-exec descriptor');
      return { ok: true, value: bytes };
    });
    if (!looked.ok) return looked;
    if (!isScript(looked.value)) return { ok: true, value: { executable, head: looked.value } };
    const line = parseScript(looked.value);
    file.unref();
    if (!line) return refusal(errno.ENOEXEC, 'bad #! line');
    if (line.interpreter === '') return refusal(errno.EACCES, '#! without an interpreter');
    argv.splice(0, 1, line.interpreter, ...(line.argument === null ? [] : [line.argument]), name);
    try {
      executable = await openExecutable(task, AT_FDCWD, line.interpreter, 0);
    } catch (e) {
      if (!(e instanceof SysError)) throw e;
      return refusal(e.errno, `script interpreter ${printable(line.interpreter)}: ${reasonOf(e.errno)}`);
    }
    name = line.interpreter;
  }
}

/** The point of no return lies at the start of this function. */
async function start(task: Task, prepared: Prepared): Promise<Loaded<null>> {
  const { program, argv, envp, execfn, layout, executable } = prepared;
  const { isa } = program.image;
  const alone = task.process.tasks.size === 1 && task.tid === task.process.pid;
  // Killed meanwhile: what is returned does not matter any more.
  if (!alone && !(await (task as GuestTask).becomeOnlyThread())) return refusal(errno.EINTR, 'killed');
  const mm = await takeAddressSpace(task, isa, program.file.mapKey());
  mm.layout = layout;
  mm.memoryLimit = memoryLimit(task);
  mm.limits = task.process;
  mm.book = loadAddressBook(task.kernel);
  const mapped = await mapProgram(mm, task, program);
  mapStack(mm, layout, program.image.execStack);
  const vdso = loaderOptions(task.kernel).mapVdso?.(mm, isa) ?? 0;
  task.process.sigreturnTrampoline = vdso && vdso + sigreturnOffset(isa);
  const stack = buildStack({ ...stackInit(task, isa, mapped, vdso), top: layout.stackTop, argv, envp, execfn });
  mm.memory.u8.set(stack.bytes, stack.sp);
  mm.memory.written(stack.sp, layout.stackTop);
  becomeProgram(task, executable, stack, execfn);
  task.cpu.reset(mapped.start, stack.sp);
  return { ok: true, value: null };
}

/**
 * The address space for the new program: the task's own, emptied, or a new one when others use the old one, too, or when it
 * keeps what a child of the program that ran there will want again.
 */
async function takeAddressSpace(task: Task, isa: Isa, program: object | null): Promise<AddressSpace> {
  const { attachCpu } = loaderOptions(task.kernel);
  const { mm } = task;
  const better = attachCpu && mm.kept.program !== program && task.process !== task.kernel.init;
  if (mm.users === 1 && isa === task.cpu.isa && !better) {
    await mm.release(task);
    task.kernel.machine?.forgetCode(mm.memory);
    mm.kept.program = program;
    return mm;
  }
  if (!attachCpu) throw sysError(errno.ENOMEM);
  const fresh = new AddressSpace(task.kernel.createMemory(program));
  fresh.kept.program = program;
  const before = task.cpu;
  task.cpu = attachCpu(task, fresh, isa);
  task.mm = fresh;
  task.mem = new UserMemory(fresh.memory, fresh.window);
  task.kernel.machine?.releaseCpu(before, mm);
  if (mm.users === 1) await mm.flush(task);
  task.kernel.releaseMemory(mm);
  return fresh;
}

function mapStack(mm: AddressSpace, layout: Layout, executable: boolean): void {
  const prot = PROT_READ | PROT_WRITE | (executable ? PROT_EXEC : 0);
  mm.mapAnonymous(layout.stackBottom, layout.stackTop, prot, '[stack]', MAP_GROWSDOWN | MAP_STACK);
}

function stackInit(task: Task, isa: Isa, mapped: MappedProgram, vdso: number) {
  const { hwcap: capabilities, minSigStackSize } = loaderOptions(task.kernel);
  const [hwcap, hwcap2] = capabilities?.(isa) ?? [defaultHwcap[isa], 0];
  const { uid, euid, gid, egid } = task.cred;
  const random = new Uint8Array(16);
  task.kernel.host.randomFill(random);
  const { phdr, phnum, base, entry } = mapped;
  return {
    isa,
    random,
    hwcap,
    hwcap2,
    minSigStackSize,
    phdr,
    phnum,
    base,
    entry,
    uid,
    euid,
    gid,
    egid,
    secure: uid !== euid || gid !== egid,
    vdso,
  };
}

/** What execve changes besides memory and registers (execve(2), "Effect on process attributes"). */
function becomeProgram(task: Task, executable: Executable, stack: BuiltStack, execfn: string): void {
  const { process } = task;
  process.exe = executable.path;
  process.exePath = executable.file.path;
  process.argStart = stack.argStart;
  process.argEnd = stack.argEnd;
  process.envStart = stack.envStart;
  process.envEnd = stack.envEnd;
  process.auxv = stack.auxv;
  task.files.closeOnExec();
  (task as GuestTask).afterExec(execfn.slice(execfn.lastIndexOf('/') + 1));
}
