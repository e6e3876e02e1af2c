import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { dispatchSyscall } from '../../../src/kernel/syscalls/dispatch.ts';
import { Credentials } from '../../../src/kernel/task/credentials.ts';
import { DATA, Machine, named, RODATA } from './harness.ts';

/** What Linux answered to the same calls (record-native.py). */
const recorded: Record<string, [(number | string)[], string][]> = JSON.parse(
  readFileSync(new URL('fixtures/native.json', import.meta.url), 'utf8'),
);

const places: Record<string, number> = { B: DATA, R: RODATA, X: 0x1000 };

describe('as Linux answers', () => {
  it.each(Object.entries(recorded))('%s', async (name, calls) => {
    const different: string[] = [];
    let m = new Machine({ cred: new Credentials(1000, 1000, []) });
    for (const [args, expected] of calls) {
      m.mem.copyOut(DATA, new Uint8Array(4096));
      m.load(
        name,
        args.map((a) => (typeof a === 'string' ? places[a]! : a)),
      );
      const made = dispatchSyscall(m.task);
      // Nothing recorded waits longer than a turn of the event loop.
      const result = typeof made === 'number' ? made : await made;
      const got = result < 0 && result > -4096 ? String(named(result)) : 'ok';
      // A call that succeeds may have changed something.
      if (got === 'ok') m = new Machine({ cred: new Credentials(1000, 1000, []) });
      if (got !== expected) different.push(`${name}(${args.join(', ')}) should be ${expected}, is ${got}`);
    }
    expect(different).toEqual([]);
  });
});
