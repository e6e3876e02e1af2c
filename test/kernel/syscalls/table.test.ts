import { describe, expect, it } from 'vitest';
import { widths } from '../../../src/kernel/syscalls/args.ts';
import { syscallNames } from '../../../src/kernel/syscalls/names.ts';
import { describeSyscalls, syscallName, syscallRows, syscallTable } from '../../../src/kernel/syscalls/table.ts';
import { unsupportedRows } from '../../../src/kernel/syscalls/unsupported.ts';

describe('the table', () => {
  it('names every call of Linux 6.1', () => {
    for (const isa of ['x86_64', 'aarch64'] as const) {
      for (const [nr, name] of syscallNames[isa]) expect(syscallTable[isa][nr]?.name).toBe(name);
    }
    expect(syscallNames.x86_64.size).toBe(362);
    expect(syscallNames.aarch64.size).toBe(306);
    expect(syscallName('x86_64', 0)).toBe('read');
    expect(syscallName('x86_64', 450)).toBe('set_mempolicy_home_node');
    expect(syscallName('aarch64', 221)).toBe('execve');
    expect(syscallName('x86_64', 999)).toBe('syscall_999');
  });
  it('gives each row the numbers Linux gives its name', () => {
    // Beyond 6.1's last number, rows for newer calls stand alone.
    const last = 450;
    for (const row of [...syscallRows, ...unsupportedRows].filter((r) => (r.x86_64 ?? r.aarch64 ?? 0) <= last)) {
      for (const isa of ['x86_64', 'aarch64'] as const) {
        const expected = [...syscallNames[isa]].find(([, name]) => name === row.name)?.[0] ?? null;
        expect([row.name, isa, row[isa]]).toEqual([row.name, isa, expected]);
      }
    }
  });
  it('has well-formed rows', () => {
    for (const row of [...syscallRows, ...unsupportedRows]) {
      const at = row.name;
      expect(row.args.length, at).toBeLessThanOrEqual(6);
      for (const arg of row.args) {
        expect(widths[arg.kind], `${at} ${arg.name}: ${arg.kind}`).toBeDefined();
        if (arg.length !== undefined) expect(row.args[arg.length], at).toBeDefined();
      }
      // Handlers written with rest or default parameters say fewer than they take.
      if (row.handler) expect(row.handler.length - 1, at).toBeLessThanOrEqual(row.args.length);
      expect(row.support === 'none', at).toBe(row.handler === null);
      if (row.support === 'partial') expect(row.note, at).not.toBe('');
    }
  });
  it('describes itself', () => {
    const list = describeSyscalls();
    expect(list.length).toBeGreaterThan(360);
    expect(new Set(list.map((d) => d.name)).size).toBe(list.length);
    expect(list.find((d) => d.name === 'getpid')).toEqual({
      name: 'getpid',
      x86_64: 39,
      aarch64: 172,
      support: 'full',
      note: '',
      args: '',
    });
    expect(list.find((d) => d.name === 'ptrace')).toMatchObject({ support: 'none' });
    expect(list.find((d) => d.name === 'fork')).toMatchObject({ aarch64: null });
  });
});
