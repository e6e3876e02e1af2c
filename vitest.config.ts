import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // No test finds what another one has left; those of the cache have folders of their own.
    env: { UKTX_CACHE: 'off' },
    // One worker a core: guests take 4 GiB of address space each, none of it resident.
    pool: 'forks',
    maxWorkers: 2,
  },
});
