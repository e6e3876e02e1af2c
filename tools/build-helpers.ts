/** Compiles src/helpers (AssemblyScript) to dist/wasm/helpers.wasm. */
import { mkdirSync } from 'node:fs';
import asc from 'assemblyscript/asc';
import { HELPER_DATA } from '../src/translator/ir/layout.ts';

mkdirSync('dist/wasm', { recursive: true });
const { error, stderr } = await asc.main([
  'src/helpers/index.ts',
  '-o',
  'dist/wasm/helpers.wasm',
  '-O3',
  '--runtime',
  'stub',
  '--noAssert',
  '--disableWarning',
  '112',
  '--importMemory',
  '--sharedMemory',
  '--initialMemory',
  '65536',
  '--maximumMemory',
  '65536',
  '--memoryBase',
  String(HELPER_DATA),
  '--enable',
  'threads,simd,bulk-memory,sign-extension,mutable-globals,nontrapping-f2i,relaxed-simd',
  ...process.argv.slice(2),
]);
const messages = stderr.toString();
if (messages) process.stderr.write(messages);
if (error) {
  process.stderr.write(`helpers: ${error.message}\n`);
  process.exitCode = 1;
}
