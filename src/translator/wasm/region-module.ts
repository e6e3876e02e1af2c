/** Regions of one Wasm module: forms them, runs the passes, emits. Runs in compile workers and in prewarm. */
import type { RegionFrontEnd } from '../region/abi.ts';
import { analyse } from '../region/dataflow.ts';
import { type CodeReader, formRegion, type Region, type RegionLimits } from '../region/discover.ts';
import { injectFault } from '../region/faults.ts';
import { DeadRegisters } from '../region/dead.ts';
import { remembering } from '../region/remember.ts';
import { type Units, unitsOf } from '../region/units.ts';
import { Assembler, types } from './assembler.ts';
import type { ImportedHelper } from './builder.ts';
import { linkTableSize, SLOT_ENTRY, SLOT_PC, VCPU } from '../ir/layout.ts';
import { hostFusesMadd } from './fma-probe.ts';
import { hostNansAreX86 } from './nan-probe.ts';
import { emitRegion, LINKS, REGIONS, regionParams, regionResults } from './region.ts';
import { checkedBy, type RegionOptions } from './region-access.ts';

export interface CompiledRegion {
  pc: number;
  /** Name of the exported function. */
  name: string;
  /** Guest bytes it was made from: [start, end) pairs, merged and in order. */
  ranges: [number, number][];
  guestInstructions: number;
  raisesFloatFlags: boolean;
  /** Further entries: targets of the region's indirect jumps, with the names of their functions. */
  entries: { pc: number; name: string }[];
}

export interface CompiledModule {
  bytes: Uint8Array;
  regions: CompiledRegion[];
  /** Guest addresses of the module's links, by number: slots of the table `links`. */
  links: number[];
  /** Guest bytes beside those of the regions that were looked at, and would change the code: [start, end) pairs. */
  looked: [number, number][];
  /** Entries there was no room for. */
  left: number[];
  /** Contents of the jump tables, from the global `tables` on. */
  tables: Uint8Array;
}

export interface ModuleRequest {
  /** Entries that must be in the module. */
  entries: readonly number[];
  /** Guest addresses whose regions are welcome in it when a region of it calls them. */
  wanted: ReadonlySet<number>;
  /** Guest addresses that indirect jumps have been seen to go to. */
  jumpTargets?: ReadonlySet<number>;
  /** Entries whose regions are to be small ones, without indirect jumps inside. */
  apart?: ReadonlySet<number>;
  /** Addresses where functions are known to begin, in order: an indirect jump goes to targets in its own function. */
  functionStarts?: ArrayLike<number>;
  limits?: RegionLimits;
  /** Whether code that branches lead to has never run so far. */
  isCold?: (pc: number) => boolean;
  options: Omit<RegionOptions, 'x86Nans' | 'fusedMadd'>;
  /** Guest name of a function, for the name section. */
  nameOf?: (pc: number) => string | null;
  /** Sees the regions before they are emitted (--dump). */
  onRegion?: (region: Region) => void;
}

const MAX_REGIONS = 24;
const NO_TARGETS: ReadonlySet<number> = new Set();
const apartLimits: RegionLimits = { maxBlocks: 50, maxInstructions: 250 };
const MAX_MODULE_INSTRUCTIONS = 8000;

/** One for all modules: its columns have their size then. */
const assembler = new Assembler();

/** Null when nothing can be translated at the first entry. */
export function compileModule(
  frontEnd: RegionFrontEnd,
  code: CodeReader,
  request: ModuleRequest,
): CompiledModule | null {
  const front = remembering(frontEnd);
  const units = unitsOf(front.abi);
  const left: number[] = [];
  const regions = gather(front, code, request, left);
  if (regions.size === 0) return null;
  const m = assembler;
  try {
    m.importGlobal('tables');
    const type = m.signature(regionParams, regionResults);
    const tables: Uint16Array[] = [];
    let tableBytes = 0;
    const helpers = new Map<string, ImportedHelper>();
    const links = new Map<number, number>();
    const looked: [number, number][] = [];
    const exact = request.options.checks === 'range' || request.options.checks === 'full';
    const dead = new DeadRegisters(front, code, units, looked);
    // Code that is about to be changed may want its registers after all, and who handles a fault all but the flags.
    const mayBeDead = exact || request.options.watchStores ? units.flags : units.all;
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
      addTable(table: Uint16Array): number {
        tables.push(table);
        tableBytes += table.byteLength;
        return tableBytes - table.byteLength;
      },
      deadAt: (pc: number): Units => dead.at(pc) & mayBeDead,
    };
    for (const region of regions.values()) {
      const flows = analyse(region, units, {
        checked: checkedBy(request.options),
        deadAt: out.deadAt,
      });
      if (request.options.fault) injectFault(request.options.fault, flows, units);
      request.onRegion?.(region);
      for (const [start, end] of region.looked) looked.push([start, end]);
      const name = regionName(region.entry, request);
      emitRegion(out, name, region, flows, units, {
        ...request.options,
        x86Nans: hostNansAreX86(),
        fusedMadd: hostFusesMadd(),
      });
      m.addExport(name);
    }
    // Behind the regions themselves: of a module V8 optimises the first functions only.
    for (const region of regions.values())
      for (const { pc, name } of furtherEntries(region, request))
        addEntry(m, name, regionName(region.entry, request), pc);
    for (const h of helpers.values()) m.importFunction(h.name, h.params, h.result === types.none ? [] : [h.result]);
    // V8 has the first table at hand, others lie behind one more pointer.
    if (links.size > 0) m.importTable(LINKS, type, linkTableSize(links.size));
    m.importTable(REGIONS, type);
    return {
      bytes: m.emitBinary(),
      regions: [...regions.values()].map((region) => ({
        pc: region.entry,
        name: regionName(region.entry, request),
        ranges: rangesOf(region),
        guestInstructions: region.guestInstructions,
        entries: furtherEntries(region, request),
        raisesFloatFlags: [...region.blocks.values()].some((block) => front.raisesFloatFlags(block)),
      })),
      links: [...links.keys()],
      looked,
      left,
      tables: Buffer.concat(tables.map((t) => new Uint8Array(t.buffer))),
    };
  } finally {
    m.reset();
  }
}

const furtherEntries = (region: Region, request: ModuleRequest): { pc: number; name: string }[] =>
  region.dispatch
    .filter((pc) => pc !== region.entry)
    .map((pc) => ({ pc, name: `${regionName(region.entry, request)}+${pc.toString(16)}` }));

/** A function that enters the region `name` at a target of its indirect jumps. */
function addEntry(m: Assembler, entry: string, name: string, pc: number): void {
  const params = regionParams.map((type, k) => m.local.get(k, type));
  const cpu = (): number => m.i32.const(VCPU);
  m.addFunction(
    entry,
    regionParams,
    regionResults,
    [],
    m.block(null, [
      m.i64.store(SLOT_PC, 8, cpu(), m.i64.const(BigInt(pc))),
      m.i32.store(SLOT_ENTRY, 4, cpu(), m.i32.const(1)),
      m.returnCall(name, params),
    ]),
  );
  m.addExport(entry);
}

const regionName = (pc: number, request: ModuleRequest): string => {
  const name = request.nameOf?.(pc);
  return name ? `${name}@${pc.toString(16)}` : `g${pc.toString(16)}`;
};

/** The regions of the entries, then of wanted callees, nearest first. Entries there is no room for go to `left`. */
function gather(front: RegionFrontEnd, code: CodeReader, request: ModuleRequest, left: number[]): Map<number, Region> {
  const regions = new Map<number, Region>();
  const queue = [...request.entries];
  const seen = new Set(queue);
  // Entries that another region has as targets of its indirect jumps.
  const covered = new Set<number>();
  let instructions = 0;
  for (let k = 0; k < queue.length; k++) {
    if (regions.size >= MAX_REGIONS || instructions >= MAX_MODULE_INSTRUCTIONS) {
      left.push(...request.entries.slice(k).filter((pc) => !covered.has(pc)));
      break;
    }
    if (covered.has(queue[k]!)) continue;
    const entry = queue[k]!;
    const apart = request.apart?.has(entry) ?? false;
    const region = formRegion(
      front,
      code,
      entry,
      apart ? NO_TARGETS : request.jumpTargets,
      request.functionStarts,
      apart ? apartLimits : request.limits,
      request.isCold,
    );
    if (!region) continue;
    regions.set(region.entry, region);
    instructions += region.guestInstructions;
    for (const pc of region.dispatch) covered.add(pc);
    for (const callee of region.callees)
      if (!seen.has(callee) && request.wanted.has(callee)) {
        seen.add(callee);
        queue.push(callee);
      }
  }
  return regions;
}

function rangesOf(region: Region): [number, number][] {
  const sorted = [...region.blocks.values()]
    .filter((b) => Number.isInteger(b.pc))
    .map((b): [number, number] => [b.pc, b.end])
    .sort((a, b) => a[0] - b[0]);
  const out: [number, number][] = [];
  for (const [start, end] of sorted) {
    const last = out.at(-1);
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else out.push([start, end]);
  }
  return out;
}
