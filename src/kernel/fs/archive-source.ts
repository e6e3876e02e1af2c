/** Where the bytes of an archive come from, and the errors of reading one. */
import * as fs from 'node:fs';
import { errno, sysError } from '../abi/errno.ts';
import type { FileData } from './file-data.ts';

/** An archive that cannot be read. The message says why, without its name. */
export class ArchiveError extends Error {}

/** Bytes at a position, from memory or from an open file. */
export interface ArchiveSource {
  readonly size: number;
  /** A view or copy of `length` bytes; fewer at the end. */
  slice(position: number, length: number): Uint8Array;
  read(dst: Uint8Array, position: number): number;
}

export class MemorySource implements ArchiveSource {
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
export class FileSource implements ArchiveSource {
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
