/** Generates the interpreter of each ISA, dist/wasm/interpreter-*.wasm, from its op table. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { abi as a64Abi } from '../src/translator/aarch64/abi.ts';
import { createOpTable as createA64OpTable } from '../src/translator/aarch64/index.ts';
import { generateInterpreter } from '../src/translator/wasm/interpreter.ts';
import { abi } from '../src/translator/x86_64/abi.ts';
import { createOpTable } from '../src/translator/x86_64/index.ts';

mkdirSync('dist/wasm', { recursive: true });
writeFileSync('dist/wasm/interpreter-x86_64.wasm', generateInterpreter(createOpTable(), abi));
writeFileSync('dist/wasm/interpreter-aarch64.wasm', generateInterpreter(createA64OpTable(), a64Abi));
