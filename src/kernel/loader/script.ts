/** `#!` lines (execve(2), "Interpreter scripts"), read exactly as fs/binfmt_script.c does. */

/** BINPRM_BUF_SIZE: how much of a file is looked at. */
export const SCRIPT_HEAD = 256;
/** Scripts whose interpreter is a script again: five are run, a sixth is ELOOP. */
export const MAX_SCRIPTS = 5;

export interface ScriptLine {
  /** Path of the interpreter, latin1. */
  readonly interpreter: string;
  /** Everything after it, one argument whatever blanks it has; null for none. */
  readonly argument: string | null;
}

export function isScript(head: Uint8Array): boolean {
  return head.length >= 2 && head[0] === 0x23 && head[1] === 0x21;
}

const isBlank = (c: string): boolean => c === ' ' || c === '\t';

/**
 * The line, or null when there is no interpreter on it or its path might be cut off (ENOEXEC). `head` is the start of
 * the file, at most SCRIPT_HEAD bytes of it are looked at.
 */
export function parseScript(head: Uint8Array): ScriptLine | null {
  // The kernel's buffer is padded with NULs, and its last byte stands in for a terminator.
  const text = Buffer.from(head.subarray(0, SCRIPT_HEAD)).toString('latin1').padEnd(SCRIPT_HEAD, '\0');
  const line = wholeLine(text) ?? truncatedLine(text);
  if (line === null) return null;
  const words = line.replace(/^[ \t]+/, '');
  let stop = 0;
  while (stop < words.length && !isBlank(words[stop]!) && words[stop] !== '\0') stop++;
  const interpreter = words.slice(0, stop);
  // Only blanks before the newline: no script. A file that ends there names the interpreter "", which is EACCES.
  if (interpreter === '' && words[0] !== '\0') return null;
  if (words[stop] === undefined || words[stop] === '\0') return { interpreter, argument: null };
  const argument = words
    .slice(stop)
    .replace(/^[ \t]+/, '')
    .split('\0')[0]!;
  return { interpreter, argument: argument === '' ? null : argument };
}

/** What stands between `#!` and the newline, trailing blanks dropped. */
function wholeLine(text: string): string | null {
  const newline = text.indexOf('\n');
  const nul = text.indexOf('\0');
  if (newline < 0 || (nul >= 0 && nul < newline)) return null;
  return text.slice(2, newline).replace(/[ \t]+$/, '');
}

/** Without a newline the interpreter's path must end inside the buffer; arguments may be cut off. */
function truncatedLine(text: string): string | null {
  const body = text.slice(2);
  const start = body.search(/[^ \t]/);
  if (start < 0 || body.slice(start).search(/[ \t\0]/) < 0) return null;
  return body.slice(0, -1).replace(/[ \t]+$/, '');
}
