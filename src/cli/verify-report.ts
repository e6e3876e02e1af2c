/** What `--jit=verify` says of a difference, and the end of the run. */
import type { Engine } from '../runtime/engine.ts';
import type { Difference } from '../runtime/jit/verifier.ts';
import type { LinearMemory } from '../runtime/linear-memory.ts';
import type { NodeHost } from '../runtime/node-host.ts';
import { printBlock } from '../translator/ir/print.ts';
import { formatDisassembly, loadDisassembler } from '../translator/x86_64/disassemble.ts';

/** Exit status of a run that ends with a difference. */
const DIFFERENCE_STATUS = 70;
/** Blocks listed of those that ran: the last ones. */
const TRACED = 40;
const LISTED = 6;

const hex = (n: number): string => `0x${n.toString(16)}`;

/** Makes what the engine calls with the first difference. */
export async function differenceReporter(
  host: NodeHost,
  nameOf: (memory: LinearMemory, pc: number) => string | null,
): Promise<(engine: Engine, difference: Difference) => never> {
  const disassemble = await loadDisassembler();
  return (engine, { entry, trace, findings }) => {
    const { isa, memory, code, front, regions } = engine;
    const say = (text: string): void => host.raw(`${text}\n`);
    const name = nameOf(memory, entry);
    host.diagnostic(
      `--jit=verify: the region at ${hex(entry)}${name ? ` (${name})` : ''} does not do what the interpreter does`,
    );
    for (const finding of findings) say(`  ${finding}`);
    const first = Math.max(0, trace.length - TRACED);
    say(`blocks run: ${trace.length}${first > 0 ? `, the last ${TRACED}` : ''}`);
    say(
      `  ${trace
        .slice(first)
        .map(({ pc, end }) => `${hex(pc)}-${hex(end)}`)
        .join(' ')}`,
    );
    const listed = new Map(trace.map((step) => [`${step.pc} ${step.end}`, step]));
    for (const { pc, end } of [...listed.values()].slice(-LISTED)) {
      const bytes = memory.u8.slice(pc, end);
      say(`\n${isa.listing ? isa.listing(bytes, pc) : formatDisassembly(disassemble(bytes, pc))}`);
      const lifted = front.liftRegionBlock(memory.u8, pc, end, null, null);
      if (lifted) say(`before the passes: ${printBlock(lifted.block, isa.slotNames)}`);
    }
    // The last block may belong to a region that the first one has called.
    const last = trace.at(-1)?.pc ?? entry;
    for (const pc of new Set([entry, code.stubs.regionAround(last) ?? entry]))
      say(`\nafter the passes: ${regions?.describe(pc) ?? ''}`);
    process.exit(DIFFERENCE_STATUS);
  };
}
