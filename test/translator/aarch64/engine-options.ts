import type { EngineOptions } from '../../../src/runtime/engine.ts';

export const engineOptions: EngineOptions = { verifyIr: true };
