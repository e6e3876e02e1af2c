/** V8's flags are those of the process: threads that compile take turns with them. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { sharedLease, withOwnFlags, withUsualFlags } from '../../src/runtime/jit/flag-lease.ts';
import { compileInBaseline } from '../../src/runtime/jit/v8-flags.ts';
import { type LeaseData, OWN, USUAL } from './flag-lease-worker.ts';

function start(wasm?: string): { state: Int32Array; done: Promise<unknown>; compiles: Promise<void> } {
  const state = new Int32Array(new SharedArrayBuffer(12));
  state[0] = USUAL;
  const workerData: LeaseData = { lease: sharedLease(), state, ...(wasm && { wasm }) };
  const worker = new Worker(new URL('./flag-lease-worker.ts', import.meta.url), { workerData, execArgv: [] });
  const compiles = async (): Promise<void> => {
    const { async, value } = Atomics.waitAsync(state, 1, 0);
    if (async) await value;
  };
  return { state, done: once(worker, 'message'), compiles: compiles() };
}

const end = (state: Int32Array): void => {
  Atomics.store(state, 2, 1);
  Atomics.notify(state, 2);
};

/** Exports f, which returns 7. */
const SEVEN = Uint8Array.of(
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7f, 3, 2, 1, 0],
  ...[7, 5, 1, 1, 0x66, 0, 0, 10, 6, 1, 4, 0, 0x41, 7, 0x0b],
);

describe('turns with the flags', () => {
  it('are given back by the one who has set them', () => {
    const seen: string[] = [];
    const set = (name: string) => (): void => void seen.push(name);
    withOwnFlags(set('own'), set('usual'), set('compiles'));
    expect(seen).toEqual(['own', 'compiles', 'usual']);
    expect(sharedLease()[0]).toBe(0);
  });

  it('leave the flags alone when nobody has changed them', () => {
    expect(
      withUsualFlags(
        () => expect.unreachable(),
        () => 'compiled',
      ),
    ).toBe('compiled');
  });

  it('are given back when there is an error', () => {
    const fail = (): never => {
      throw new Error('no module');
    };
    const nothing = (): void => {};
    expect(() => withUsualFlags(nothing, fail)).toThrow('no module');
    expect(() => withOwnFlags(nothing, nothing, fail)).toThrow('no module');
    expect(sharedLease()[0]).toBe(0);
  });

  it('pass to the next while the one before still compiles', async () => {
    const { state, done, compiles } = start();
    await compiles;
    expect(state[0]).toBe(OWN);
    const during = withUsualFlags(
      () => Atomics.store(state, 0, USUAL),
      () => state[0],
    );
    expect(during).toBe(USUAL);
    // The worker leaves alone what is no longer its own.
    Atomics.store(state, 0, 3);
    end(state);
    await done;
    expect(state[0]).toBe(3);
    expect(sharedLease()[0]).toBe(0);
  });

  it('pass between two with flags of their own, and the last sets the usual ones', async () => {
    const first = start();
    await first.compiles;
    const second = start();
    await second.compiles;
    end(first.state);
    await first.done;
    expect(first.state[0]).toBe(OWN);
    expect(sharedLease()[0]).not.toBe(0);
    end(second.state);
    await second.done;
    expect(second.state[0]).toBe(USUAL);
    expect(sharedLease()[0]).toBe(0);
  });
});

it('a module is in baseline code while a worker has a large one optimised', async () => {
  setFlagsFromString('--allow-natives-syntax');
  const isBaseline = new Function('f', 'return %IsLiftoffFunction(f)') as (f: unknown) => boolean;
  setFlagsFromString('--no-allow-natives-syntax');
  const large = new URL('../../dist/wasm/interpreter-x86_64.wasm', import.meta.url).pathname;
  const { state, done, compiles } = start(large);
  await compiles;
  await sleep(5);
  const f = new WebAssembly.Instance(compileInBaseline(SEVEN)).exports.f as () => number;
  expect(f()).toBe(7);
  expect(state[2], 'the worker is not at it any more').toBe(0);
  expect(isBaseline(f)).toBe(true);
  await done;
});
