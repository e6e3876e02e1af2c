/** The regions of one memory: a table with a slot for each, and a table for each module of those that it calls elsewhere. */
import { PAGE_SIZE } from '../../kernel/mm/guest-memory.ts';
import { PAGE_EXEC } from '../../translator/ir/layout.ts';
import type { RegionCode } from '../code-blocks.ts';
import type { CodeSpace } from '../code-space.ts';
import type { LinearMemory } from '../linear-memory.ts';
import type { RegionLinkage } from './linkage.ts';

/** The first two are for what is not known: see missSlot. */
const FIRST_SLOT = 2;
/** Slots in use after which all regions are forgotten: those of dropped regions are not used again before. */
const MAX_SLOTS = 1_000_000;
/** Modules from which on those whose regions are gone are looked for. */
const SWEEP_FROM = 500;

/** A slot of a module's table of what it calls elsewhere. */
interface Link {
  readonly table: WebAssembly.Table;
  readonly slot: number;
}

/** The regions of a module, and [guest address, link] of what they call elsewhere. */
interface LinkedModule {
  readonly pc: number;
  readonly regions: readonly RegionCode[];
  readonly links: readonly (readonly [number, Link])[];
}

export class RegionLinks {
  readonly #memory: LinearMemory;
  readonly #code: CodeSpace;
  readonly #linkage: () => RegionLinkage;
  /** Modules installed since `keep`. */
  #modules: LinkedModule[] = [];
  /** Slots through which regions at `pc` called into another range; both are kept, but not mapped together now. */
  #unlinked: { pc: number; regions: readonly RegionCode[]; target: number; link: Link }[] = [];
  /** Number of modules at which those that are gone are forgotten. */
  #sweepAt = SWEEP_FROM;
  /** Links that hold the region of a pc. */
  readonly #links = new Map<number, Link[]>();
  readonly #functions = new Map<number, WebAssembly.ImportValue>();
  #nextSlot = FIRST_SLOT;

  constructor(memory: LinearMemory, code: CodeSpace, linkage: () => RegionLinkage) {
    this.#memory = memory;
    this.#code = code;
    this.#linkage = linkage;
  }

  get isFull(): boolean {
    return this.#nextSlot > MAX_SLOTS;
  }
  /** Whether there is a region at `pc`. */
  has(pc: number): boolean {
    return this.#functions.has(pc);
  }
  /** A new slot. */
  reserve(): number {
    const { table, misses } = this.#linkage();
    const slot = this.#nextSlot++;
    if (slot === table.length) table.grow(slot, misses.call);
    return slot;
  }
  /** Has a link lead to the region at `pc`, now and whenever there is another one. */
  link(pc: number, link: Link): void {
    const links = this.#links.get(pc);
    if (links) links.push(link);
    else this.#links.set(pc, [link]);
    link.table.set(link.slot, this.#functions.get(pc) ?? this.#missFor(pc));
  }
  /** To be called when there are other misses than before. */
  replaceMisses(): void {
    for (const [pc, links] of this.#links)
      if (!this.#functions.has(pc)) for (const { table, slot } of links) table.set(slot, this.#missFor(pc));
    for (const { target, link } of this.#unlinked) link.table.set(link.slot, this.#missFor(target));
  }
  /** The region at `pc` is there, in a slot of its own. */
  set(pc: number, slot: number, f: WebAssembly.ImportValue): void {
    const { table } = this.#linkage();
    table.set(slot, f);
    this.#functions.set(pc, f);
    for (const link of this.#links.get(pc) ?? []) link.table.set(link.slot, f);
  }
  drop(pc: number, slot: number): void {
    const { table } = this.#linkage();
    this.#functions.delete(pc);
    const miss = this.#missFor(pc);
    for (const link of this.#links.get(pc) ?? []) link.table.set(link.slot, miss);
    table.set(slot, miss);
  }
  #missFor(pc: number): WebAssembly.ImportValue {
    const { misses } = this.#linkage();
    return this.#code.places.isCallTarget(pc) ? misses.call : misses.jump;
  }

  /** True when modules were forgotten meanwhile. */
  addModule(module: LinkedModule): boolean {
    const full = this.#modules.length >= this.#sweepAt;
    if (full) this.#sweep();
    this.#modules.push(module);
    return full;
  }
  /** Forgets modules whose regions are gone: a guest that makes code all the time goes through any number of them. */
  #sweep(): void {
    const gone = new Set<Link>();
    this.#modules = this.#modules.filter(({ regions, links }) => {
      if (regions.some((region) => this.#code.stubs.holds(region))) return true;
      for (const [target, link] of links) {
        link.table.set(link.slot, this.#missFor(target));
        gone.add(link);
      }
      return false;
    });
    for (const [target, links] of this.#links) {
      const left = links.filter((link) => !gone.has(link));
      if (left.length === 0) this.#links.delete(target);
      else if (left.length < links.length) this.#links.set(target, left);
    }
    this.#sweepAt = Math.max(SWEEP_FROM, this.#modules.length * 2);
  }

  /** Another program begins. A region stays when all it was made from, and all it calls by itself, lies in one range. */
  keep(rangeAt: (pc: number) => number): void {
    for (const { pc, regions, links } of this.#modules) {
      const home = rangeAt(pc);
      const leaves = ([start, end]: readonly [number, number]): boolean =>
        home < 0 || rangeAt(start) !== home || rangeAt(end - 1) !== home;
      for (const region of regions) if (region.ranges.some(leaves)) this.#code.dropRegion(region);
      for (const [target, link] of links) {
        if (rangeAt(target) === home) continue;
        link.table.set(link.slot, this.#missFor(target));
        const left = this.#links.get(target)?.filter((l) => l !== link);
        if (left?.length) this.#links.set(target, left);
        else this.#links.delete(target);
        if (home >= 0 && rangeAt(target) >= 0) this.#unlinked.push({ pc, regions, target, link });
      }
    }
    this.#modules = [];
    this.#unlinked = this.#unlinked.filter(({ pc, target }) => rangeAt(pc) >= 0 && rangeAt(target) >= 0);
  }
  /** A kept range is mapped again: regions call from it, and into it, as they did. */
  shown(start: number, end: number): void {
    if (this.#unlinked.length === 0) return;
    const { pages } = this.#memory;
    const isMapped = (pc: number): boolean => (pages[Math.floor(pc / PAGE_SIZE)]! & PAGE_EXEC) !== 0;
    const isNew = (pc: number): boolean => start <= pc && pc < end;
    const back = new Map<readonly RegionCode[], { pc: number; links: [number, Link][] }>();
    this.#unlinked = this.#unlinked.filter(({ pc, regions, target, link }) => {
      if (!(isNew(pc) || isNew(target)) || !isMapped(pc) || !isMapped(target)) return true;
      this.link(target, link);
      const known = back.get(regions);
      if (known) known.links.push([target, link]);
      else back.set(regions, { pc, links: [[target, link]] });
      return false;
    });
    for (const [regions, { pc, links }] of back) this.#modules.push({ pc, regions, links });
  }
  /** Forgets everything. */
  clear(): void {
    const { table, misses } = this.#linkage();
    for (const links of this.#links.values()) for (const link of links) link.table.set(link.slot, misses.call);
    this.#links.clear();
    this.#functions.clear();
    this.#modules = [];
    this.#unlinked = [];
    for (let slot = FIRST_SLOT; slot < this.#nextSlot; slot++) table.set(slot, misses.call);
    this.#nextSlot = FIRST_SLOT;
  }
}
