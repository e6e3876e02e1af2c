import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InotifyFile, IN_ALL_EVENTS, MAX_QUEUED_EVENTS } from '../../../src/kernel/fs/inotify.ts';
import { watching } from '../../../src/kernel/fs/notify.ts';
import { Tmpfs } from '../../../src/kernel/fs/tmpfs.ts';
import { Vfs } from '../../../src/kernel/fs/vfs.ts';
import type { GuestTask } from '../../../src/kernel/task/guest-task.ts';
import { Guest } from '../fs/fake-task.ts';

let g: Guest;
let file: InotifyFile;
let released: number;

const names: Record<number, string> = {
  1: 'ACCESS',
  2: 'MODIFY',
  4: 'ATTRIB',
  8: 'CLOSE_WRITE',
  16: 'CLOSE_NOWRITE',
  32: 'OPEN',
  64: 'MOVED_FROM',
  128: 'MOVED_TO',
  256: 'CREATE',
  512: 'DELETE',
  1024: 'DELETE_SELF',
  2048: 'MOVE_SELF',
  16384: 'Q_OVERFLOW',
  32768: 'IGNORED',
};

/** What waits: `1 CREATE f`, `2 DELETE_SELF`. */
function events(): string[] {
  const out: string[] = [];
  while (file.poll() !== 0) {
    const dst = new Uint8Array(4096);
    const n = file.read(g.task, dst, null) as number;
    const view = new DataView(dst.buffer);
    for (let at = 0; at < n; ) {
      const mask = view.getUint32(at + 4, true);
      const length = view.getUint32(at + 12, true);
      const name = Buffer.from(dst.subarray(at + 16, at + 16 + length))
        .toString('latin1')
        .replace(/\0+$/, '');
      const bits = [names[mask & 0xffff], ...(mask & 0x4000_0000 ? ['DIR'] : []), ...(name ? [name] : [])];
      out.push(`${view.getInt32(at, true)} ${bits.join(' ')}`);
      at += 16 + length;
    }
  }
  return out;
}
const watch = (path: string, mask = IN_ALL_EVENTS): number => file.add(g.task.kernel.vfs.lookup(path), mask);

beforeEach(() => {
  const vfs = new Vfs(new Tmpfs({ mode: 0o777 }));
  g = new Guest(vfs);
  released = 0;
  file = new InotifyFile(true, () => released++);
  g.call('mkdirat', -100, '/d', 0o755);
});

afterEach(() => {
  if (released === 0) file.unref();
});

describe('inotify', () => {
  it('tells of files in a directory', () => {
    watch('/d');
    g.writeFile('/d/f', 'hello');
    expect(events()).toEqual(['1 CREATE f', '1 OPEN f', '1 MODIFY f', '1 CLOSE_WRITE f']);
    g.readFile('/d/f');
    expect(events()).toEqual(['1 OPEN f', '1 ACCESS f', '1 CLOSE_NOWRITE f']);
    g.call('mkdirat', -100, '/d/m', 0o755);
    g.call('unlinkat', -100, '/d/m', 0x200);
    expect(events()).toEqual(['1 CREATE DIR m', '1 DELETE DIR m']);
    g.call('fchmodat', -100, '/d/f', 0o600);
    expect(events()).toEqual(['1 ATTRIB f']);
  });
  it('joins the halves of a rename by a cookie', () => {
    g.writeFile('/d/f', 'x');
    watch('/d');
    const wd = watch('/d/f');
    g.call('renameat2', -100, '/d/f', -100, '/d/g', 0);
    expect(events()).toEqual(['1 MOVED_FROM f', '1 MOVED_TO g', `${wd} MOVE_SELF`]);
    g.call('renameat2', -100, '/d/g', -100, '/out', 0);
    expect(events()).toEqual(['1 MOVED_FROM g', `${wd} MOVE_SELF`]);
  });
  it('ends watches with their inode, after the last close', () => {
    g.writeFile('/d/f', 'x');
    const wd = watch('/d/f');
    g.task.kernel.tasks.set(g.task.tid, g.task as GuestTask);
    const fd = g.open('/d/f');
    g.call('unlinkat', -100, '/d/f', 0);
    expect(events()).toEqual([`${wd} OPEN`, `${wd} ATTRIB`]);
    g.call('close', fd);
    expect(events()).toEqual([`${wd} CLOSE_NOWRITE`, `${wd} DELETE_SELF`, `${wd} IGNORED`]);
    g.writeFile('/d/h', 'x');
    const other = watch('/d/h');
    g.call('unlinkat', -100, '/d/h', 0);
    expect(events()).toEqual([`${other} ATTRIB`, `${other} DELETE_SELF`, `${other} IGNORED`]);
  });
  it('merges equal events and overflows', () => {
    g.writeFile('/d/f', 'x');
    watch('/d', 2);
    const fd = g.open('/d/f', 1);
    for (let k = 0; k < 3; k++) g.call('write', fd, 'y', 1);
    expect(events()).toEqual(['1 MODIFY f']);
    const other = g.open('/d/g', 0o101);
    for (let k = 0; k < MAX_QUEUED_EVENTS; k++) g.call('write', k % 2 ? fd : other, 'y', 1);
    g.call('write', fd, 'y', 1);
    g.call('write', other, 'y', 1);
    const all = events();
    expect(all.length).toBe(MAX_QUEUED_EVENTS + 1);
    expect(all.at(-1)).toBe('-1 Q_OVERFLOW');
  });
  it('changes, adds to and removes watches', () => {
    expect(watch('/d', 0x100)).toBe(1);
    expect(watch('/d', 0x200)).toBe(1);
    g.writeFile('/d/a', 'x');
    expect(events()).toEqual([]);
    watch('/d', 0x100 | 0x2000_0000);
    g.writeFile('/d/b', 'x');
    expect(events()).toEqual(['1 CREATE b']);
    expect(() => watch('/d', 0x100 | 0x1000_0000)).toThrow(expect.objectContaining({ errno: 17 }));
    file.remove(1);
    expect(events()).toEqual(['1 IGNORED']);
    expect(watching()).toBe(false);
    expect(() => file.remove(1)).toThrow(expect.objectContaining({ errno: 22 }));
  });
  it('fires once when told so, and reads whole events only', () => {
    watch('/d', 0x8000_0100);
    g.writeFile('/d/a', 'x');
    g.writeFile('/d/b', 'x');
    expect(() => file.read(g.task, new Uint8Array(20), null)).toThrow(expect.objectContaining({ errno: 22 }));
    expect(events()).toEqual(['1 CREATE a', '1 IGNORED']);
    file.unref();
    expect([released, watching()]).toEqual([1, false]);
  });
});
