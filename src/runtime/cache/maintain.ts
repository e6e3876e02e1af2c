/** What `uktx cache` does: lists, checks, bundles. Nothing here is on the way of a run. */
import { readdirSync, rmSync } from 'node:fs';
import { Packr } from 'msgpackr';
import { BlockStore, BLOCKS } from './block-store.ts';
import { sealed, sha256Hex, unsealed } from './checked.ts';
import type { CacheFolder } from './folder.ts';
import { ORIGIN } from './images.ts';
import { dependencies, entriesOf, type ImageIndex, parseIndex } from './index-file.ts';
import { mergeIntoFile, wasmFile } from './index-writer.ts';
import { unpack } from './msgpack.ts';
import { encodeProfile, parseProfile, PROFILE } from './profile.ts';
import { type ImageFolder, imageFolders } from './sweep.ts';

/** What the cache holds of one image. */
export interface ImageReport extends ImageFolder {
  isa: string;
  /** SHA-256 of the mapped bytes. */
  hash: string;
  /** Guest address. */
  start: number;
  /** The file it was mapped from, as far as is known. */
  file: string;
  modules: number;
  regions: number;
  guestInstructions: number;
  blocks: number;
}

const IMAGE = /^(v\d+-[0-9a-f]{16})\/([a-z0-9_]+)-([0-9a-f]{64})-([0-9a-f]{1,8})$/;

function indexes(folder: CacheFolder, image: string): { name: string; index: ImageIndex | null }[] {
  return readdirSync(folder.file(image))
    .filter((n) => n.endsWith('.idx'))
    .map((name) => {
      const file = folder.read(folder.file(image, name));
      return { name, index: file && parseIndex(file) };
    });
}

function originOf(folder: CacheFolder, image: string): string {
  try {
    const { file } = JSON.parse(folder.read(folder.file(image, ORIGIN))?.toString() ?? '{}') as { file?: unknown };
    return typeof file === 'string' ? file : '';
  } catch {
    // Only for people.
    return '';
  }
}

export function listImages(folder: CacheFolder): ImageReport[] {
  const out: ImageReport[] = [];
  for (const image of imageFolders(folder)) {
    const m = IMAGE.exec(image.name);
    if (!m) continue;
    const modules = indexes(folder, image.name).flatMap(({ index }) => index ?? []);
    const blocks = folder.read(folder.file(image.name, BLOCKS));
    out.push({
      ...image,
      isa: m[2]!,
      hash: m[3]!,
      start: Number.parseInt(m[4]!, 16),
      file: originOf(folder, image.name),
      modules: modules.length,
      regions: modules.reduce((n, x) => n + x.regions.length, 0),
      guestInstructions: modules.reduce((n, x) => n + x.regions.reduce((k, r) => k + r.guestInstructions, 0), 0),
      blocks: blocks ? new BlockStore(blocks).size : 0,
    });
  }
  return out.sort((a, b) => b.lastUse - a.lastUse);
}

export interface Verified {
  files: number;
  bytes: number;
  /** One line for each bad file: its name, and why. */
  bad: { file: string; reason: string }[];
  /** Code that no index names: left by runs that were killed. */
  unused: string[];
}

/** Reads everything and checks what can be checked without the guest's files. */
export function verify(folder: CacheFolder): Verified {
  const result: Verified = { files: 0, bytes: 0, bad: [], unused: [] };
  for (const { name: image } of imageFolders(folder)) {
    const bad = (name: string, reason: string): void => {
      result.bad.push({ file: `${image}/${name}`, reason });
    };
    if (!IMAGE.test(image)) bad('', 'not a name of an image');
    const named = new Set<string>();
    for (const { name, index } of indexes(folder, image)) {
      if (!index) continue;
      for (const m of index) {
        named.add(wasmFile(m.wasm));
        const reason = folder.has(folder.file(image, wasmFile(m.wasm))) ? null : 'its code is missing';
        if (reason) bad(name, `module ${m.wasm.slice(0, 12)}: ${reason}`);
      }
    }
    for (const name of readdirSync(folder.file(image))) {
      const bytes = folder.read(folder.file(image, name));
      result.files++;
      result.bytes += bytes?.length ?? 0;
      const reason = bytes ? checkFile(name, bytes) : 'cannot be read';
      if (reason) bad(name, reason);
      else if (name.endsWith('.wasm') && !named.has(name)) result.unused.push(`${image}/${name}`);
    }
  }
  return result;
}

/** Why a file of an image's folder is bad; null when it is not. */
function checkFile(name: string, bytes: Buffer): string | null {
  if (name.endsWith('.wasm')) {
    if (wasmFile(sha256Hex(bytes)) !== name) return 'damaged';
    try {
      new WebAssembly.Module(bytes as Buffer<ArrayBuffer>);
      return null;
    } catch {
      return 'not WebAssembly that this Node.js runs';
    }
  }
  if (name.endsWith('.idx')) {
    const index = parseIndex(bytes);
    if (!index) return 'damaged';
    for (const m of index) if ([...entriesOf(m)].length === 0 || dependencies(m).length === 0) return 'an empty entry';
    return null;
  }
  if (name === PROFILE) return parseProfile(bytes) ? null : 'damaged';
  if (name === BLOCKS) return new BlockStore(bytes).damaged() === 0 ? null : 'damaged';
  if (name === ORIGIN || name.endsWith('.tmp') || name.endsWith('.lock')) return null;
  return 'none of ours';
}

/** Removes the files that `verify` has found bad, and code that nothing names. */
export function removeBad(folder: CacheFolder, { bad, unused }: Verified): void {
  for (const file of [...bad.map((b) => b.file), ...unused])
    rmSync(folder.file(file), { recursive: true, force: true });
}

/** Removes everything that this cache has written. */
export function clear(folder: CacheFolder): { images: number; bytes: number } {
  const images = imageFolders(folder);
  for (const name of readdirSync(folder.path))
    if (/^v\d+-[0-9a-f]+$/.test(name) || name === 'files' || name === 'swept')
      rmSync(folder.file(name), { recursive: true, force: true });
  return { images: images.length, bytes: images.reduce((n, i) => n + i.bytes, 0) };
}

// Bundles: one sealed MessagePack file, a list of image folders with their files.

const BUNDLE = 'UKTXBUN1';
/** Files of an image that go into a bundle. */
const BUNDLED = /^([0-9a-f]{64}\.wasm|[a-z]+-[-nf]{2}\.idx|blocks|profile|origin)$/;

/** A bundle of the images whose names `wanted` accepts. */
export function exportBundle(folder: CacheFolder, wanted: (image: ImageReport) => boolean): Buffer {
  const packr = new Packr({ useRecords: false });
  const images = listImages(folder).filter(wanted);
  const content = images.map(({ name }) => [
    name,
    readdirSync(folder.file(name))
      .filter((n) => BUNDLED.test(n))
      .map((n) => ({ n, bytes: folder.read(folder.file(name, n)) }))
      .filter(({ n, bytes }) => bytes && checkFile(n, bytes) === null)
      .map(({ n, bytes }) => [n, bytes]),
  ]);
  return sealed(BUNDLE, packr.pack(content));
}

export class BundleError extends Error {}

/** Takes in a bundle: every file is checked before anything is written. Throws BundleError. */
export function importBundle(folder: CacheFolder, bundle: Buffer): { images: number; files: number; bytes: number } {
  const payload = unsealed(BUNDLE, bundle);
  if (!payload) throw new BundleError('not a bundle, or damaged');
  const images: { image: string; files: Map<string, Buffer> }[] = [];
  const wrong = (): never => {
    throw new BundleError('not made by uktx cache export');
  };
  let content: unknown;
  try {
    content = unpack(payload);
  } catch {
    wrong();
  }
  for (const entry of Array.isArray(content) ? (content as unknown[]) : wrong()) {
    const [image, list] = Array.isArray(entry) ? (entry as unknown[]) : wrong();
    if (typeof image !== 'string' || !IMAGE.test(image) || !Array.isArray(list)) return wrong();
    const files = new Map<string, Buffer>();
    for (const item of list as unknown[]) {
      const [name, bytes] = Array.isArray(item) ? (item as unknown[]) : wrong();
      if (typeof name !== 'string' || !BUNDLED.test(name) || !Buffer.isBuffer(bytes)) return wrong();
      // Records are read as words, so each file gets an aligned buffer of its own.
      const copy = Buffer.from(new Uint8Array(bytes).buffer as ArrayBuffer);
      const reason = checkFile(name, copy);
      if (reason) throw new BundleError(`${image}/${name}: ${reason}`);
      files.set(name, copy);
    }
    for (const [name, bytes] of files)
      if (name.endsWith('.idx'))
        for (const m of parseIndex(bytes)!)
          if (!files.has(wasmFile(m.wasm))) throw new BundleError(`${image}/${name}: its code is missing`);
    images.push({ image, files });
  }
  const result = { images: images.length, files: 0, bytes: 0 };
  // Code first, so that no index names what is not there.
  for (const { image, files } of images)
    for (const [name, bytes] of [...files].sort(
      ([a], [b]) => Number(a.endsWith('.idx')) - Number(b.endsWith('.idx')),
    )) {
      if (!importFile(folder, image, name, bytes)) throw new BundleError(`cannot write ${folder.file(image, name)}`);
      result.files++;
      result.bytes += bytes.length;
    }
  return result;
}

function importFile(folder: CacheFolder, image: string, name: string, bytes: Buffer): boolean {
  const path = folder.file(image, name);
  if (name.endsWith('.idx')) return mergeIntoFile(folder, image, name, parseIndex(bytes)!);
  if (name === PROFILE) {
    const before = folder.read(path);
    const known = before && parseProfile(before);
    const add = parseProfile(bytes)!;
    for (const kind of ['hot', 'jumpTargets'] as const) for (const pc of known?.[kind] ?? []) add[kind].add(pc);
    return folder.write(path, encodeProfile(add));
  }
  // Of two sets of blocks the larger one stays: what is missing is made again.
  if (name === BLOCKS && folder.has(path)) {
    const before = folder.read(path);
    if (before && new BlockStore(before).size >= new BlockStore(bytes).size) return true;
  }
  return folder.write(path, bytes);
}
