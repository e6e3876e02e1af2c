/** Real machine code for the translator to work on: the executable segment of one of our guest programs. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LinearMemory } from '../../src/runtime/linear-memory.ts';
import { decode } from '../../src/translator/x86_64/decode.ts';
import { guestFolder } from '../programs.ts';

const PT_LOAD = 1;
const PF_X = 1;

export interface Corpus {
  memory: LinearMemory;
  /** Guest addresses of the code, `end` rounded up to a page. */
  start: number;
  end: number;
  /** Addresses of instructions, in order: a sweep through the first part of the segment. */
  instructions: number[];
}

const INSTRUCTIONS = 20_000;

/** Maps the segment as the loader would, without the kernel. */
export function loadCorpus(program = 'vm'): Corpus {
  const file = readFileSync(join(guestFolder, program));
  const memory = new LinearMemory();
  for (let k = 0; k < file.readUInt16LE(56); k++) {
    const header = Number(file.readBigUInt64LE(32)) + k * file.readUInt16LE(54);
    if (file.readUInt32LE(header) !== PT_LOAD || !(file.readUInt32LE(header + 4) & PF_X)) continue;
    const [offset, start] = [8, 16].map((at) => Number(file.readBigUInt64LE(header + at))) as [number, number];
    const size = Number(file.readBigUInt64LE(header + 32));
    const end = Math.ceil((start + size) / 4096) * 4096;
    memory.protect(start, end, 5);
    memory.u8.set(file.subarray(offset, offset + size), start);
    const instructions: number[] = [];
    for (let pc = start; pc < start + size && instructions.length < INSTRUCTIONS; ) {
      const d = decode(memory.u8, pc, end);
      if (typeof d === 'string') pc++;
      else {
        instructions.push(pc);
        pc = d.next;
      }
    }
    return { memory, start, end, instructions };
  }
  throw new Error(`${program} has no executable segment`);
}
