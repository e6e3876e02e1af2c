/** Engines whose code is translated the first time that it runs. */
import { Compiler } from '../../src/runtime/jit/compiler.ts';
import type { EngineOptions } from '../../src/runtime/engine.ts';
import { Ticker } from '../../src/runtime/jit/ticker.ts';
import type { MemoryChecks } from '../../src/translator/wasm/region-access.ts';

/** What an engine needs for that; the caller waits for each translation. */
export const regionOptions = (checks: MemoryChecks): EngineOptions => ({
  compiler: new Compiler(1, true),
  jit: {
    ticker: new Ticker(),
    threshold: 1,
    checks,
    onError: (stack) => {
      throw new Error(stack);
    },
  },
});
