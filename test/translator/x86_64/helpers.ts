/** The helper module over a memory of its own, for tests that call helpers directly. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../../src/runtime/package-root.ts';
import { LinearMemory } from '../../../src/runtime/linear-memory.ts';
import { VCPUS } from '../../../src/translator/ir/layout.ts';

type Helper = (...args: (number | bigint)[]) => number & bigint;

export class HelperModule {
  readonly memory = new LinearMemory();
  readonly cpu = VCPUS;
  readonly call: Record<string, Helper>;

  constructor() {
    const env = {
      memory: this.memory.memory,
      abort: (): never => {
        throw new Error('assertion in a helper');
      },
    };
    const module = new WebAssembly.Module(readFileSync(join(packageRoot(), 'dist/wasm/helpers.wasm')));
    this.call = new WebAssembly.Instance(module, { env }).exports as unknown as Record<string, Helper>;
  }
  get(slot: number): bigint {
    return this.memory.view.getBigUint64(this.cpu + slot, true);
  }
  set(slot: number, value: bigint | number): void {
    this.memory.view.setBigUint64(this.cpu + slot, BigInt.asUintN(64, BigInt(value)), true);
  }
}
