/** Regions of one Wasm module: forms them, runs the passes, emits. Runs in compile workers and in prewarm. */
import binaryen from 'binaryen';
import type { Block } from '../ir/block.ts';
import type { RegionFrontEnd } from '../region/abi.ts';
import { analyse } from '../region/dataflow.ts';
import { type CodeReader, formRegion, type Region, type RegionLimits } from '../region/discover.ts';
import { RegisterUnits } from '../region/units.ts';
import type { ImportedHelper } from './builder.ts';
import { emitRegion, type RegionOptions } from './region.ts';

export interface CompiledRegion {
  pc: number;
  /** Name of the exported function. */
  name: string;
  /** Guest bytes it was made from: [start, end) pairs, merged and in order. */
  ranges: [number, number][];
  guestInstructions: number;
  raisesFloatFlags: boolean;
}

export interface CompiledModule {
  bytes: Uint8Array;
  regions: CompiledRegion[];
  /** Guest addresses of the module's links, by number: table slots from the global `links` on. */
  links: number[];
}

export interface ModuleRequest {
  /** Entries that must be in the module. */
  entries: readonly number[];
  /** Guest addresses whose regions are welcome in it when a region of it calls them. */
  wanted: ReadonlySet<number>;
  limits?: RegionLimits;
  options: RegionOptions;
  /** Guest name of a function, for the name section. */
  nameOf?: (pc: number) => string | null;
  /** Sees the regions before they are emitted (--dump). */
  onRegion?: (region: Region) => void;
}

const MAX_REGIONS = 24;
const MAX_MODULE_INSTRUCTIONS = 8000;

const features =
  binaryen.Features.Atomics |
  binaryen.Features.BulkMemory |
  binaryen.Features.SIMD128 |
  binaryen.Features.SignExt |
  binaryen.Features.NontrappingFPToInt |
  binaryen.Features.MutableGlobals |
  binaryen.Features.TailCall |
  binaryen.Features.Multivalue |
  binaryen.Features.ReferenceTypes;

/** Null when nothing can be translated at the first entry. */
export function compileModule(front: RegionFrontEnd, code: CodeReader, request: ModuleRequest): CompiledModule | null {
  const units = new RegisterUnits(front.abi);
  const regions = gather(front, code, request);
  if (regions.size === 0) return null;
  const m = new binaryen.Module();
  try {
    m.setFeatures(features);
    m.setMemory(65536, 65536, null, [], true);
    m.addMemoryImport('0', 'env', 'memory', true);
    m.addTableImport('table', 'env', 'table');
    m.addGlobalImport('links', 'env', 'links', binaryen.i32, false);
    const helpers = new Map<string, ImportedHelper>();
    const links = new Map<number, number>();
    const dead = new Map<number, boolean>();
    const exact = request.options.checks === 'range' || request.options.checks === 'full';
    const out = {
      m,
      helpers,
      functionOf: (pc: number) => (regions.has(pc) ? regionName(pc, request) : null),
      linkTo(pc: number): number {
        let link = links.get(pc);
        if (link === undefined) {
          link = links.size;
          links.set(pc, link);
        }
        return link;
      },
      flagsDeadAt(pc: number): boolean {
        if (exact) return false;
        let known = dead.get(pc);
        if (known === undefined) {
          known = flagsDeadAt(front, code, units, pc);
          dead.set(pc, known);
        }
        return known;
      },
    };
    for (const region of regions.values()) {
      const flows = analyse(region, units, {
        exactFaults: exact || request.options.watchStores,
        flagsDeadAt: out.flagsDeadAt,
      });
      request.onRegion?.(region);
      const name = regionName(region.entry, request);
      emitRegion(out, name, region, flows, units, request.options);
      m.addFunctionExport(name, name);
    }
    for (const h of helpers.values())
      m.addFunctionImport(h.name, 'helpers', h.name, binaryen.createType(h.params), h.result);
    if (process.env.UKTX_VALIDATE_WASM && !m.validate()) throw new Error('a translated module does not validate');
    return {
      bytes: m.emitBinary(),
      regions: [...regions.values()].map((region) => ({
        pc: region.entry,
        name: regionName(region.entry, request),
        ranges: rangesOf(region),
        guestInstructions: region.guestInstructions,
        raisesFloatFlags: [...region.blocks.values()].some((block) => front.raisesFloatFlags(block)),
      })),
      links: [...links.keys()],
    };
  } finally {
    m.dispose();
  }
}

const regionName = (pc: number, request: ModuleRequest): string => {
  const name = request.nameOf?.(pc);
  return name ? `${name}@${pc.toString(16)}` : `g${pc.toString(16)}`;
};

/** The regions of the entries, then of wanted callees, nearest first. */
function gather(front: RegionFrontEnd, code: CodeReader, request: ModuleRequest): Map<number, Region> {
  const regions = new Map<number, Region>();
  const queue = [...request.entries];
  const seen = new Set(queue);
  let instructions = 0;
  for (let k = 0; k < queue.length; k++) {
    if (regions.size >= MAX_REGIONS || instructions >= MAX_MODULE_INSTRUCTIONS) break;
    const region = formRegion(front, code, queue[k]!, request.limits);
    if (!region) continue;
    regions.set(region.entry, region);
    instructions += region.guestInstructions;
    for (const callee of region.callees)
      if (!seen.has(callee) && request.wanted.has(callee)) {
        seen.add(callee);
        queue.push(callee);
      }
  }
  return regions;
}

/** Whether the first block at `pc` sets every flag before it reads one. */
function flagsDeadAt(front: RegionFrontEnd, code: CodeReader, units: RegisterUnits, pc: number): boolean {
  let live = units.flags;
  let at = pc;
  for (let hop = 0; hop < 3; hop++) {
    const limit = code.limit(at);
    const lifted = limit > at ? front.liftRegionBlock(code.bytes, at, limit, null, null) : null;
    if (!lifted) return false;
    for (const inst of lifted.block.insts) {
      if (inst.op.opaque || (units.reads(inst) & live) !== 0n) return false;
      // Reads of flags that were set here are of no interest.
      live &= ~(units.writes(inst) & units.flags);
      if (live === 0n) return true;
    }
    const e = lifted.block.exit;
    if (e.kind === 'jump') at = e.target;
    else if (e.kind === 'call' && e.target !== null) at = e.target;
    else return false;
  }
  return false;
}

function rangesOf(region: Region): [number, number][] {
  const sorted = [...region.blocks.values()].map((b: Block): [number, number] => [b.pc, b.end]).sort((a, b) => a[0] - b[0]);
  const out: [number, number][] = [];
  for (const [start, end] of sorted) {
    const last = out.at(-1);
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else out.push([start, end]);
  }
  return out;
}
