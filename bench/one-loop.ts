/**
 * A loop that is entered once and runs for ten seconds, against the same loop entered a thousand times: shows whether a
 * running loop gets onto the code that was made for it.
 */
import { join } from 'node:path';
import type { Engine } from './engines.ts';
import { type RunLimits, runOnce } from './measure.ts';
import { guestFolder } from './programs.ts';
import { median } from './statistics.ts';

export interface OneLoopResult {
  engine: Engine;
  /** Million iterations in all. */
  size: number;
  /** Seconds inside the guest, one figure a round. */
  single: number[];
  thousand: number[];
  /** Speed of the single call as a part of the other's. */
  part: number;
  error: string | null;
}

const CALLS = 1000;
/** Million iterations, half a second or so natively, from which the engine's speed is estimated. */
const PROBE = 200;

export async function runOneLoop(
  engine: Engine,
  seconds: number,
  rounds: number,
  limits: RunLimits,
  progress: (text: string) => void,
): Promise<OneLoopResult> {
  const result: OneLoopResult = { engine, size: PROBE, single: [], thousand: [], part: Number.NaN, error: null };
  const run = async (calls: number): Promise<number> => {
    const words = [join(guestFolder, 'one-loop'), String(result.size), '--calls', String(calls), '--repeat', '1'];
    const outcome = await runOnce([...engine.prefix, ...words], limits);
    result.error ??= outcome.error;
    return (outcome.repetitionsNs[0] ?? Number.NaN) / 1e9;
  };
  progress(`one loop, ${engine.label}: how long it has to be`);
  const probe = await run(CALLS);
  if (result.error !== null) return result;
  result.size = Math.max(1, Math.round((PROBE * seconds) / probe));
  for (let round = 1; round <= rounds && result.error === null; round++) {
    progress(`round ${round} of ${rounds}: one loop, ${engine.label}`);
    result.single.push(await run(1));
    result.thousand.push(await run(CALLS));
  }
  if (result.error === null) result.part = median(result.thousand) / median(result.single);
  return result;
}
