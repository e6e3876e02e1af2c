/** The common heart of poll(2) and select(2): waiting until one of several files is ready. */
import type { Task, WaitResult } from '../task/task.ts';
import type { WaitQueue } from '../task/wait-queue.ts';
import { type OpenFile, POLLERR, POLLHUP, POLLNVAL } from './open-file.ts';

/** Reported whether asked for or not. */
export const POLL_ALWAYS = POLLERR | POLLHUP;

export interface PollItem {
  /** Null for a descriptor that is to be skipped (negative) or is not open. */
  readonly file: OpenFile | null;
  /** POLL* bits asked for. */
  readonly events: number;
  /** Result: bits that hold among those asked for and POLL_ALWAYS. */
  revents: number;
}

/** Fills in `revents` and returns the number of items with any. Items whose file is null keep theirs. */
export function pollOnce(items: readonly PollItem[], task?: Task): number {
  let ready = 0;
  for (const item of items) {
    if (item.file) item.revents = item.file.poll(task) & (item.events | POLL_ALWAYS);
    if (item.revents !== 0) ready++;
  }
  return ready;
}

export interface PollResult {
  readonly ready: number;
  readonly result: WaitResult;
}

/**
 * Waits until an item is ready, the time is up (`timeoutMs`; null: for ever) or a signal comes. A zero timeout only looks.
 * Settled at once, without a promise, when something is ready or nothing is to be waited for.
 */
export function pollFiles(
  task: Task,
  items: readonly PollItem[],
  timeoutMs: number | null,
): PollResult | Promise<PollResult> {
  const ready = pollOnce(items, task);
  if (ready > 0) return { ready, result: 'ready' };
  if (timeoutMs !== null && timeoutMs <= 0) return { ready: 0, result: 'timeout' };
  return waitForFiles(task, items, timeoutMs);
}

async function waitForFiles(task: Task, items: readonly PollItem[], timeoutMs: number | null): Promise<PollResult> {
  const files = new Set<OpenFile>();
  for (const { file } of items) if (file) files.add(file);
  const queues: WaitQueue[] = [];
  for (const file of files) {
    // Another thread may close the descriptor meanwhile; the file stays until the call ends.
    file.ref();
    queues.push(file.waiters);
  }
  try {
    const result = await task.wait(queues, () => pollOnce(items, task) > 0, timeoutMs);
    return { ready: pollOnce(items, task), result };
  } finally {
    for (const file of files) file.unref();
  }
}

/** The item for a descriptor of poll(2): POLLNVAL when it is not open. */
export function pollItem(task: Task, fd: number, events: number): PollItem {
  if (fd < 0) return { file: null, events, revents: 0 };
  const file = task.files.tryGet(fd);
  return { file, events, revents: file ? 0 : POLLNVAL };
}
