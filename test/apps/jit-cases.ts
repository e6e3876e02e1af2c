/**
 * Translated code: every piece that is entered some dozen times is translated, and the guest waits for that, so that each
 * run goes through the same translations.
 */
import { join } from 'node:path';
import type { Case } from './run.ts';

const eager = { UKTX_JIT_SYNC: '1', UKTX_JIT_THRESHOLD: '60' };
const kernels = join(import.meta.dirname, '../../bench/guests');

const guest = (name: string, program: string, env: Record<string, string> = {}, ...args: string[]): Case => ({
  name: `translated: ${name}`,
  command: [`guest:${program}`, ...args],
  env: { ...eager, ...env },
  limit: 120,
});
const kernel = (name: string, size: number): Case => ({
  name: `translated: ${name}`,
  command: [join(kernels, name), String(size), '--repeat', '3'],
  env: eager,
  limit: 120,
});

export const jitCases: readonly Case[] = [
  guest('control flow', 'control-flow'),
  guest('control flow, all accesses checked', 'control-flow', { UKTX_MEMORY_CHECKS: 'full' }),
  guest('tail calls, exceptions, return addresses, registers in handlers', 'odd-control'),
  guest('the same, all accesses checked', 'odd-control', { UKTX_MEMORY_CHECKS: 'full' }),
  guest('code made at run time', 'code-generation'),
  guest('code made over and over', 'generator', {}, '0'),
  guest('a pointer into the first page', 'wild'),
  guest('a pointer into the first page, all accesses checked', 'wild', { UKTX_MEMORY_CHECKS: 'full' }),
  guest('indirect jumps over long ways', 'far-jumps'),
  guest('locked accesses at odd addresses', 'split-lock'),
  guest('locked accesses at odd addresses, nothing checked', 'split-lock', { UKTX_MEMORY_CHECKS: 'none' }),
  guest('accesses at the edge of what is mapped', 'edge'),
  guest('the same with code that may be written', 'edge', {}, 'code'),
  guest('endless recursion', 'control-flow', {}, 'overflow'),
  guest('floats', 'floats'),
  guest('floats, accesses checked by range', 'floats', { UKTX_MEMORY_CHECKS: 'range' }),
  guest('memory above 8 GiB', 'high-heap'),
  guest('memory above 8 GiB, accesses checked by range', 'high-heap', { UKTX_MEMORY_CHECKS: 'range' }),
  guest('memory above 8 GiB, its faults caught', 'high-heap', {}, 'faults'),
  kernel('fib', 15),
  kernel('nbody', 1000),
  kernel('spectral-norm', 50),
  kernel('fannkuch', 6),
  kernel('binary-trees', 6),
  kernel('sha256', 8),
  kernel('matmul-float', 24),
  kernel('qsort', 500),
  kernel('hash-table', 500),
  kernel('strings', 1),
  kernel('vm', 300),
  kernel('virtual-call', 2),
];
