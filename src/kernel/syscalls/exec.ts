/** execve(2) and execveat(2). */
import { errno, SysError, sysError } from '../abi/errno.ts';
import { loadProgram } from '../loader/exec.ts';
import { AT_FDCWD } from '../loader/executable.ts';
import { argumentLimit, MAX_ARG_STRLEN } from '../loader/stack.ts';
import type { Task } from '../task/task.ts';
import { EXEC_DONE } from './row-results.ts';
import { row, type SyscallRow } from './row.ts';

/** A NULL-terminated array of strings; NULL itself is an empty one (a Linux peculiarity, execve(2) NOTES). */
function readStrings(task: Task, address: number): string[] {
  const strings: string[] = [];
  if (address === 0) return strings;
  let room = argumentLimit(task.process.stackLimit);
  for (let at = address; ; at += 8) {
    const pointer = task.mem.readPointer(at);
    if (pointer === 0) return strings;
    const text = readString(task, pointer);
    strings.push(text);
    room -= text.length + 9;
    if (room < 0) throw sysError(errno.E2BIG);
  }
}

function readString(task: Task, address: number): string {
  try {
    return task.mem.readCString(address, MAX_ARG_STRLEN);
  } catch (e) {
    if (e instanceof SysError && e.errno === errno.ENAMETOOLONG) throw sysError(errno.E2BIG);
    throw e;
  }
}

async function exec(
  task: Task,
  dirfd: number,
  path: number,
  argv: number,
  envp: number,
  flags: number,
): Promise<number> {
  const file = task.mem.readCString(path);
  // As on Linux the file is opened first, and the strings are read afterwards.
  const strings = { argv: () => readStrings(task, argv), envp: () => readStrings(task, envp) };
  const result = await loadProgram(task, { file, dirfd, flags, ...strings });
  return result.ok || result.fatal ? EXEC_DONE : -result.errno;
}

function execve(task: Task, path: number, argv: number, envp: number): Promise<number> {
  return exec(task, AT_FDCWD, path, argv, envp, 0);
}

const atNames = { AT_SYMLINK_NOFOLLOW: 0x100, AT_EMPTY_PATH: 0x1000 };
const note = 'set-user-ID and file capabilities are ignored';

export const execRows: SyscallRow[] = [
  row('execve', 59, 221, 'pathname:path argv:strv envp:ptr', execve, { support: 'partial', note }),
  row('execveat', 322, 281, 'dirfd:dirfd pathname:path argv:strv envp:ptr flags:flags', exec, {
    support: 'partial',
    note,
    flagNames: { flags: atNames },
  }),
];
