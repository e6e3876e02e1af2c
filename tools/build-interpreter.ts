/** Generates dist/wasm/interpreter-x86_64.wasm from the op table. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { generateInterpreter } from '../src/translator/wasm/interpreter.ts';
import { createOpTable } from '../src/translator/x86_64/index.ts';

mkdirSync('dist/wasm', { recursive: true });
writeFileSync('dist/wasm/interpreter-x86_64.wasm', generateInterpreter(createOpTable()));
