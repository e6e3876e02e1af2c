/** Tar and cpio archives as read-only file systems: `--rootfs FILE`. */
import * as fs from 'node:fs';
import { readCpio } from './archive-cpio.ts';
import { readTar } from './archive-tar.ts';
import { ArchiveError, type ArchiveSource, FileSource, MemorySource } from './archive-source.ts';
import { ArchiveTree } from './archive-tree.ts';
import type { Tmpfs } from './tmpfs.ts';

export { ArchiveError };

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
    return process.getBuiltinModule('node:zlib').gunzipSync(packed);
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
