/** Tar and cpio archives as read-only file systems: `--rootfs FILE`. */
import * as fs from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { errno, sysError } from '../abi/errno.ts';
import { readCpio } from './archive-cpio.ts';
import { readTar } from './archive-tar.ts';
import { ArchiveTree } from './archive-tree.ts';
import type { FileData } from './file-data.ts';
import { Tmpfs } from './tmpfs.ts';

/** An archive that cannot be read. The message says why, without its name. */
export class ArchiveError extends Error {}

/** Bytes at a position, from memory or from an open file. */
export interface ArchiveSource {
  readonly size: number;
  /** A view or copy of `length` bytes; fewer at the end. */
  slice(position: number, length: number): Uint8Array;
  read(dst: Uint8Array, position: number): number;
}

class MemorySource implements ArchiveSource {
  readonly #bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }
  get size(): number {
    return this.#bytes.length;
  }
  slice(position: number, length: number): Uint8Array {
    return this.#bytes.subarray(position, position + length);
  }
  read(dst: Uint8Array, position: number): number {
    const part = this.slice(position, dst.length);
    dst.set(part);
    return part.length;
  }
}

/** Uncompressed archives stay on disk: only what is read of them is in memory. */
class FileSource implements ArchiveSource {
  readonly #fd: number;
  readonly size: number;
  constructor(fd: number) {
    this.#fd = fd;
    this.size = fs.fstatSync(fd).size;
  }
  slice(position: number, length: number): Uint8Array {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, this.size - position)));
    return bytes.subarray(0, this.read(bytes, position));
  }
  read(dst: Uint8Array, position: number): number {
    let done = 0;
    while (done < dst.length) {
      const n = fs.readSync(this.#fd, dst, done, dst.length - done, position + done);
      if (n === 0) break;
      done += n;
    }
    return done;
  }
}

/** Contents of a file in an archive. */
export class ArchiveData implements FileData {
  readonly size: number;
  readonly #source: ArchiveSource;
  readonly #start: number;

  constructor(source: ArchiveSource, start: number, size: number) {
    this.#source = source;
    this.#start = start;
    this.size = size;
  }
  get allocated(): number {
    return Math.ceil(this.size / 4096) * 4096;
  }
  read(dst: Uint8Array, position: number): number {
    const n = Math.max(0, Math.min(dst.length, this.size - position));
    return n === 0 ? 0 : this.#source.read(n < dst.length ? dst.subarray(0, n) : dst, this.#start + position);
  }
  write(): number {
    throw sysError(errno.EROFS);
  }
  truncate(): void {
    throw sysError(errno.EROFS);
  }
  punch(): void {
    throw sysError(errno.EROFS);
  }
  reserve(): void {
    throw sysError(errno.EROFS);
  }
  seekData(offset: number): number {
    return offset;
  }
  seekHole(): number {
    return this.size;
  }
}

/**
 * The tree in a tar or cpio file, gzip-compressed or not; which one is told by its first bytes.
 * Throws ArchiveError when it is none of them, or damaged.
 */
export function openArchive(path: string | Buffer): Tmpfs {
  const fd = fs.openSync(path, 'r');
  const head = new Uint8Array(2);
  const got = fs.readSync(fd, head, 0, 2, 0);
  if (got === 2 && head[0] === 0x1f && head[1] === 0x8b) {
    const packed = fs.readFileSync(fd);
    fs.closeSync(fd);
    return readArchive(new MemorySource(inflate(packed)));
  }
  // The descriptor stays open as long as the tree is in use, that is to the end.
  return readArchive(new FileSource(fd));
}

function inflate(packed: Uint8Array): Uint8Array {
  try {
    return gunzipSync(packed);
  } catch (e) {
    throw new ArchiveError(`its gzip data is damaged or too large: ${(e as Error).message}`);
  }
}

export const archiveFromBytes = (bytes: Uint8Array): Tmpfs => {
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return readArchive(new MemorySource(inflate(bytes)));
  return readArchive(new MemorySource(bytes));
};

function readArchive(source: ArchiveSource): Tmpfs {
  const tree = new ArchiveTree(source);
  const magic = Buffer.from(source.slice(0, 6)).toString('latin1');
  if (magic === '070701' || magic === '070702') readCpio(source, tree);
  else readTar(source, tree);
  return tree.finish();
}
