/** A thread that compiles with flags of its own: `flag-lease.test.ts`. */
import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { shareLease, withOwnFlags } from '../../src/runtime/jit/flag-lease.ts';
import { compileOptimised } from '../../src/runtime/jit/v8-flags.ts';

export const OWN = 1;
export const USUAL = 2;

export interface LeaseData {
  lease: Int32Array<SharedArrayBuffer>;
  /** What V8's flags are (OWN, USUAL); 1 once the worker compiles; 1 once it may end. */
  state: Int32Array;
  /** A module to compile with V8's own flags; none: nothing is compiled, and nothing set but `state`. */
  wasm?: string;
}

if (parentPort) {
  const { lease, state, wasm } = workerData as LeaseData;
  shareLease(lease);
  const compiling = (): void => {
    Atomics.store(state, 1, 1);
    Atomics.notify(state, 1);
  };
  if (wasm) {
    const bytes = readFileSync(wasm);
    compiling();
    compileOptimised(bytes);
    Atomics.store(state, 2, 1);
  } else
    withOwnFlags(
      () => Atomics.store(state, 0, OWN),
      () => Atomics.store(state, 0, USUAL),
      () => {
        compiling();
        Atomics.wait(state, 2, 0);
      },
    );
  parentPort.postMessage('done');
}
