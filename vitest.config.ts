import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // One worker a core: guests take 4 GiB of address space each, none of it resident.
    pool: 'forks',
    maxWorkers: 2,
  },
});
