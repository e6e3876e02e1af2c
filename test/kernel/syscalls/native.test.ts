import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { dispatchSyscall } from '../../../src/kernel/syscalls/dispatch.ts';
import { Credentials } from '../../../src/kernel/task/credentials.ts';
import { DATA, Machine, named, RODATA } from './harness.ts';

/** What Linux answered to the same calls (record-native.py). */
const recorded: Record<string, [(number | string)[], string][]> = JSON.parse(
  readFileSync(new URL('fixtures/native.json', import.meta.url), 'utf8'),
);

/** Answers that differ and why. */
const quirks: Record<string, (args: (number | string)[]) => string | null> = {};

const places: Record<string, number> = { B: DATA, R: RODATA, X: 0x1000 };

describe('as Linux answers', () => {
  it.each(Object.entries(recorded))('%s', async (name, calls) => {
    const different: string[] = [];
    for (const [args, expected] of calls) {
      const m = new Machine({ cred: new Credentials(1000, 1000, []) });
      m.load(name, args.map((a) => (typeof a === 'string' ? places[a]! : a)));
      const made = dispatchSyscall(m.task);
      // Nothing recorded waits longer than a turn of the event loop.
      const result = typeof made === 'number' ? made : await made;
      const got = result < 0 && result > -4096 ? String(named(result)) : 'ok';
      const reason = quirks[name]?.(args) ?? null;
      if (got !== expected && reason === null) different.push(`${name}(${args.join(', ')}) is ${expected}, not ${got}`);
    }
    expect(different).toEqual([]);
  });
});
