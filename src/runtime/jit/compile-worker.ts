/** Compile worker: translates regions and has V8 compile them, away from the guest's thread. */
import { workerData } from 'node:worker_threads';
import { GUEST_LIMIT, PAGE_SIZE } from '../../kernel/mm/guest-memory.ts';
import { PAGE_EXEC, PAGE_KEPT, PAGE_TABLE } from '../../translator/ir/layout.ts';
import { printBlock, type SlotNames } from '../../translator/ir/print.ts';
import type { RegionFrontEnd } from '../../translator/region/abi.ts';
import { type CodeReader, functionOf } from '../../translator/region/discover.ts';
import { pagesIn } from '../code-blocks.ts';
import { shareLease } from './flag-lease.ts';
import { compileOptimised } from './v8-flags.ts';
import type {
  CompileJob,
  CompileResult,
  Executed,
  FlushJob,
  ForgetJob,
  OptimiseJob,
  OptimiseResult,
  ReadyMessage,
  SaveJob,
  SaveResult,
  WorkerData,
} from './messages.ts';

const frontEnds = new Map<string, RegionFrontEnd>();

async function frontEnd(isa: string): Promise<RegionFrontEnd> {
  let front = frontEnds.get(isa);
  if (!front) {
    // Loaded one by one: their tables take time to make.
    if (isa === 'aarch64') front = new (await import('../../translator/aarch64/front-end.ts')).A64FrontEnd();
    else front = new (await import('../../translator/x86_64/front-end.ts')).X86FrontEnd();
    frontEnds.set(isa, front);
  }
  return front;
}

const slotNames = async (isa: string): Promise<SlotNames> =>
  (isa === 'aarch64'
    ? await import('../../translator/aarch64/names.ts')
    : await import('../../translator/x86_64/names.ts')
  ).slotNames;

/** That of the last job. */
let guestMemory: WebAssembly.Memory | null = null;

/** Reads guest code where the page table lets it be executed, now or in the next program. */
function reader(memory: WebAssembly.Memory): CodeReader {
  const bytes = new Uint8Array(memory.buffer);
  const pages = new Uint8Array(memory.buffer, PAGE_TABLE, GUEST_LIMIT / PAGE_SIZE);
  return {
    bytes,
    limit(pc) {
      if (!(pc >= 0 && pc < GUEST_LIMIT)) return pc;
      let page = Math.floor(pc / PAGE_SIZE);
      const last = page + 2;
      while (page < last && pages[page]! & (PAGE_EXEC | PAGE_KEPT)) page++;
      return Math.max(pc, page * PAGE_SIZE);
    },
  };
}

function coldOf({ blocks, ranges }: Executed): (pc: number) => boolean {
  const known = hashed(blocks);
  const { starts, ends } = merged(ranges);
  return (pc) => {
    if (known(pc)) return false;
    const k = functionOf(starts, pc);
    return k < 0 || pc >= ends[k]!;
  };
}

/**
 * Whether a number other than 0 is one of `values`: a table with open addressing. A Set of all that has run takes longer to
 * make than a module does to translate.
 */
function hashed(values: Uint32Array): (value: number) => boolean {
  const mask = 2 ** Math.ceil(Math.log2(2 * values.length + 2)) - 1;
  const table = new Uint32Array(mask + 1);
  const placeOf = (value: number): number => {
    let place = (Math.imul(value, 0x9e37_79b1) >>> 8) & mask;
    while (table[place] !== 0 && table[place] !== value) place = (place + 1) & mask;
    return place;
  };
  for (const value of values) table[placeOf(value)] = value;
  return (value) => table[placeOf(value)] === value;
}

/** Bytes of a range at most, a power of two: blocks are short. */
const MOST_LENGTH = 2 ** 20;

/** Ranges in order, without overlap. */
function merged(ranges: Uint32Array): { starts: Uint32Array; ends: Uint32Array } {
  // Start and length in one number, which is exact, for a sort without comparisons in JavaScript.
  const pairs = new Float64Array(ranges.length / 2);
  for (let k = 0; k < pairs.length; k++)
    pairs[k] = ranges[2 * k]! * MOST_LENGTH + Math.min(ranges[2 * k + 1]! - ranges[2 * k]!, MOST_LENGTH - 1);
  pairs.sort();
  const starts = new Uint32Array(pairs.length);
  const ends = new Uint32Array(pairs.length);
  let count = 0;
  for (const pair of pairs) {
    const start = Math.floor(pair / MOST_LENGTH);
    const end = start + (pair % MOST_LENGTH);
    if (count > 0 && start <= ends[count - 1]!) ends[count - 1] = Math.max(ends[count - 1]!, end);
    else {
      starts[count] = start;
      ends[count++] = end;
    }
  }
  return { starts: starts.subarray(0, count), ends: ends.subarray(0, count) };
}

/** A worker that only has V8 optimise the interpreter does without. */
const translator = () => import('../../translator/wasm/region-module.ts');

/** Only where there is a cache to write to. */
const keeper = () => import('../cache/keep.ts');

async function compile(job: CompileJob): Promise<CompileResult> {
  const result: CompileResult = {
    id: job.id,
    module: null,
    regions: [],
    links: [],
    looked: [],
    tables: new Uint8Array(0),
    left: [],
    wasmBytes: 0,
    translateMs: 0,
    compileMs: 0,
    error: null,
  };
  try {
    if (job.memory) guestMemory = job.memory;
    const memory = guestMemory!;
    const { compileModule } = await translator();
    const front = await frontEnd(job.isa);
    const start = performance.now();
    const ir: string[] = [];
    const names = job.text?.includes('ir') ? await slotNames(job.isa) : null;
    const compiled = compileModule(front, reader(memory), {
      entries: job.entries,
      wanted: new Set(job.wanted),
      jumpTargets: new Set(job.jumpTargets),
      apart: new Set(job.apart),
      functionStarts: job.functionStarts,
      ...(job.executed && { isCold: coldOf(job.executed) }),
      options: job.options,
      ...(job.names && { nameOf: (pc: number) => job.names!.get(pc) ?? null }),
      ...(names && {
        onRegion: ({ entry, blocks }) => {
          ir.push(`region 0x${entry.toString(16)}`, ...[...blocks.values()].map((block) => printBlock(block, names)));
        },
      }),
    });
    result.translateMs = performance.now() - start;
    if (compiled && job.text) {
      if (job.text.includes('wat')) ir.push((await import('../../translator/wasm/text.ts')).moduleText(compiled.bytes));
      result.text = ir.join('\n');
    }
    if (compiled && job.optimize) {
      const { optimiseModule } = await import('../../translator/wasm/optimise.ts');
      compiled.bytes = optimiseModule(compiled.bytes, job.optimize);
    }
    if (compiled) {
      const { bytes, regions, links, tables, left } = compiled;
      const translated = performance.now();
      if (!job.translateOnly) result.module = compileOptimised(bytes);
      result.compileMs = performance.now() - translated;
      Object.assign(result, {
        regions,
        links,
        tables,
        left,
        looked: pagesIn(compiled.looked),
        wasmBytes: bytes.length,
      });
      if (job.keepIn) (await keeper()).holdForSaving(job.id, compiled, new Uint8Array(memory.buffer), job.keepIn);
    }
  } catch (error) {
    result.error = (error as Error).stack ?? String(error);
  }
  return result;
}

const data = workerData as WorkerData;
const { port, posted } = data;
shareLease(data.lease);

/** Guest instructions after which most of the translator has been of use. */
const MOST_USED = 3000;
let translated = 0;

function keepBytecode({ regions }: CompileResult): void {
  for (const { guestInstructions } of regions) translated += guestInstructions;
  if (translated >= MOST_USED) data.saveCode?.();
}

port.on('message', async (job: CompileJob | FlushJob | ForgetJob | OptimiseJob | SaveJob) => {
  if ('forget' in job) {
    guestMemory = null;
    return;
  }
  if ('flush' in job) {
    (await keeper()).flush();
    port.postMessage({ id: job.id, saved: true } satisfies SaveResult);
  } else if ('save' in job) {
    (await keeper()).save(job.id, job.answer);
    if (job.answer) port.postMessage({ id: job.id, saved: true } satisfies SaveResult);
  } else if ('wasm' in job && job.wasm.length === 0) await Promise.all([translator(), frontEnd('x86_64')]);
  else if ('wasm' in job)
    port.postMessage({ id: job.id, modules: job.wasm.map(compileOptimised) } satisfies OptimiseResult);
  else {
    const result = await compile(job);
    port.postMessage(result);
    keepBytecode(result);
  }
  Atomics.add(posted, 0, 1);
  Atomics.notify(posted, 0);
});
port.postMessage({ ready: true } satisfies ReadyMessage);
