/**
 * `--strace`: one line a call, in the format of strace(1), made from the rows' argument kinds and the printers of
 * strace-decoders.ts. A call that waits while another thread is shown is split as strace -f does it.
 */
import { errno, errnoName, SysError } from '../abi/errno.ts';
import { errnoMessage } from '../abi/errno-messages.ts';
import { signalName } from '../abi/signals.ts';
import type { Kernel } from '../kernel.ts';
import type { UserMemory } from '../mm/user-memory.ts';
import type { GuestTask } from '../task/guest-task.ts';
import type { Process } from '../task/process.ts';
import { decodeArg } from './args.ts';
import type { Arg, ArgKind, SyscallRow } from './row.ts';
import { EXEC_DONE } from './row-results.ts';
import { type ArgContext, decoders } from './strace-decoders.ts';
import type { CallFilter } from './strace-filter.ts';
import { buffer, formatArg, hex, pointer } from './strace-format.ts';
import { syscallTable } from './table.ts';

export { flags } from './strace-format.ts';

/** Column of the equals sign (strace -a). */
const COLUMN = 39;
const O_CREAT = 0o100;
const O_TMPFILE_BIT = 0o2000_0000;

/** Kinds whose memory the call fills: looked at after it has returned. */
const OUTPUT: ReadonlySet<ArgKind> = new Set<ArgKind>(['outbuf', 'outstruct', 'inoutstruct']);

export interface TraceOptions {
  /** Calls to show; null: all. */
  filter?: CallFilter | null;
  /** The time of day in front of each line, and the time each call took behind it. */
  times?: boolean;
}

/** What one call's line is made of. */
interface Line {
  readonly name: string;
  /** Arguments as far as they are known before the call; null: to be shown afterwards. */
  readonly before: readonly (string | null)[];
  /** All of them, once the result is known. */
  args(result: number): string[];
  result(result: number): string;
}

/** open's mode counts, and is shown, only when a file may be made. */
function hidesMode(name: string, values: readonly number[]): boolean {
  const flagsAt = name === 'open' ? 1 : name === 'openat' ? 2 : -1;
  return flagsAt >= 0 && (values[flagsAt]! & (O_CREAT | O_TMPFILE_BIT)) === 0;
}

/** `3`, `0x7f0000000000`, `-1 ENOENT (No such file or directory)`, `? ERESTARTSYS (To be restarted ...)`. */
export function showResult(result: number, asHex: boolean): string {
  if (result === EXEC_DONE) return '0';
  if (result >= 0 || result < -4095) return asHex ? hex(result < 0 ? result + 2 ** 64 : result) : String(result);
  const name = errnoName(-result);
  const message = errnoMessage(-result);
  const head = -result >= errno.ERESTARTSYS ? '?' : '-1';
  return `${head} ${name}${message ? ` (${message})` : ''}`;
}

/** A structure that lies only partly in memory is shown as its address. */
function guarded(address: number, show: () => string): string {
  try {
    return show();
  } catch (e) {
    if (!(e instanceof SysError)) throw e;
    return pointer(address);
  }
}

/** A call no row describes: six registers. */
function rawLine(task: GuestTask, name: string): Line {
  const raw = [0, 1, 2, 3, 4, 5].map((i) => hex(decodeArg(task, i, 'ulong')));
  return { name, before: raw, args: () => raw, result: (result) => showResult(result, false) };
}

function rowLine(task: GuestTask, row: SyscallRow): Line {
  const { cpu, mem } = task;
  const { isa } = cpu;
  const decoder = decoders[row.name];
  const values = row.args.map((a, i) => decodeArg(task, i, a.kind));
  const context = (i: number, result: number): ArgContext => ({ mem, isa, values, value: values[i] ?? 0, result });
  const hidden = new Set<number>(hidesMode(row.name, values) ? [row.args.length - 1] : []);
  const before = row.args.map((a, i): string | null => {
    const own = decoder?.args?.[a.name];
    const shown = own?.in && guarded(values[i]!, () => own.in!(context(i, 0)));
    if (shown) return shown;
    if (own?.out) return null;
    // A printer with nothing to say: the call has no such argument.
    if (shown === '') hidden.add(i);
    return OUTPUT.has(a.kind) ? null : formatArg(mem, a, values, i);
  });
  const isExit = row.name === 'exit' || row.name === 'exit_group';
  return {
    name: row.name,
    before: before.filter((_, i) => !hidden.has(i)),
    args: (result) =>
      row.args
        .map(
          (a, i) =>
            before[i] ??
            output(mem, a, values, i, result, () => {
              const own = decoder?.args?.[a.name]?.out;
              return own && guarded(values[i]!, () => own(context(i, result)));
            }),
        )
        .filter((_, i) => !hidden.has(i)),
    result: (result) => {
      if (isExit) return '?';
      const more = decoder?.result ? guarded(0, () => decoder.result!(context(0, result))) : '';
      return `${showResult(result, row.hexResult === true)}${more && more !== 'NULL' ? ` (${more})` : ''}`;
    },
  };
}

/** An argument that could only be shown afterwards; of a call that failed, the address. */
function output(
  mem: UserMemory,
  arg: Arg,
  values: readonly number[],
  i: number,
  result: number,
  decoded: () => string | undefined,
): string {
  const address = values[i]!;
  if (result < 0 && result !== EXEC_DONE) return pointer(address);
  const own = decoded();
  if (own !== undefined) return own;
  if (arg.kind !== 'outbuf') return pointer(address);
  return buffer(mem, address, arg.length === undefined ? result : Math.min(result, values[arg.length] ?? 0));
}

/** One call on its way, for whoever makes it. */
export interface TracedCall {
  /** The call has not returned at once. */
  waits(): void;
  done(result: number): void;
}

interface Waiting {
  readonly task: GuestTask;
  readonly line: Line;
  /** `read(0,` has been printed. */
  split: boolean;
}

export class Tracer {
  readonly #kernel: Kernel;
  readonly #filter: CallFilter | null;
  readonly #times: boolean;
  readonly #waiting = new Set<Waiting>();

  /** Prints by way of `kernel.trace`. */
  constructor(kernel: Kernel, options: TraceOptions = {}) {
    this.#kernel = kernel;
    this.#filter = options.filter ?? null;
    this.#times = options.times ?? false;
    kernel.onProcessExit((process) => this.#ended(process));
  }

  /** Takes what must be seen before the call. Null for one that is not to be shown. */
  begin(task: GuestTask, nr: number): TracedCall | null {
    const row = syscallTable[task.cpu.isa][nr];
    const name = row?.name ?? `syscall_${nr}`;
    if (this.#filter && !this.#filter.has(name)) return null;
    const described = row && (row.args.length > 0 || row.handler !== null);
    const line = described ? rowLine(task, row) : rawLine(task, name);
    const started = this.#times ? this.#kernel.monotonicMs() : 0;
    const clock = this.#clock();
    let waiting: Waiting | null = null;
    return {
      waits: () => {
        waiting = { task, line, split: false };
        this.#waiting.add(waiting);
      },
      done: (result) => {
        if (waiting) this.#waiting.delete(waiting);
        const spent = this.#times ? ` <${((this.#kernel.monotonicMs() - started) / 1000).toFixed(6)}>` : '';
        const tail = ` = ${line.result(result)}${spent}`;
        const args = line.args(result);
        if (waiting?.split) {
          const rest = args.slice(knownArguments(line).length).join(', ');
          this.#print(task, `${this.#clock()}${`<... ${line.name} resumed>${rest})`.padEnd(COLUMN)}${tail}`);
        } else this.#print(task, `${clock}${`${line.name}(${args.join(', ')})`.padEnd(COLUMN)}${tail}`);
      },
    };
  }

  #clock(): string {
    if (!this.#times) return '';
    const [sec, nsec] = this.#kernel.host.realtime();
    const text = new Date(sec * 1000).toTimeString().slice(0, 8);
    return `${text}.${String(Math.floor(nsec / 1000)).padStart(6, '0')} `;
  }
  /** Calls of other threads that wait are split at this point. */
  #print(task: GuestTask, text: string): void {
    for (const w of this.#waiting) if (w.task !== task) this.#split(w);
    this.#kernel.trace(task, text);
  }
  #split(w: Waiting): void {
    if (w.split) return;
    w.split = true;
    const known = knownArguments(w.line);
    const more = known.length < w.line.before.length ? ', ' : '';
    this.#kernel.trace(
      w.task,
      `${this.#clock()}${w.line.name}(${known.join(', ')}${more} <unfinished ...>`.replace(',  <', ', <'),
    );
  }
  #ended(process: Process): void {
    for (const w of [...this.#waiting]) {
      if (w.task.process !== process) continue;
      this.#split(w);
      this.#waiting.delete(w);
    }
    const status = process.exitStatus;
    if (!status) return;
    const text =
      status.kind === 'exited'
        ? `+++ exited with ${status.code & 0xff} +++`
        : `+++ killed by ${signalName(status.signal)}${status.core ? ' (core dumped)' : ''} +++`;
    this.#kernel.traceProcess(process, `${this.#clock()}${text}`);
  }
}

/** Arguments up to the first that must wait for the result. */
function knownArguments({ before }: Line): string[] {
  const end = before.indexOf(null);
  return before.slice(0, end < 0 ? before.length : end) as string[];
}
