/**
 * Guest instructions to IR, before and after the dead-code pass. `vitest -u` rewrites the golden file; review its diff.
 */
import { expect, it } from 'vitest';
import { DeadCodePass } from '../../../src/translator/ir/passes/dead-code.ts';
import { printBlock } from '../../../src/translator/ir/print.ts';
import { verifyBlock } from '../../../src/translator/ir/verify.ts';
import { createOpTable } from '../../../src/translator/x86_64/index.ts';
import { liftBlock } from '../../../src/translator/x86_64/lift.ts';
import { slotNames } from '../../../src/translator/x86_64/names.ts';
import { CC_OP, CC_RES } from '../../../src/translator/x86_64/state.ts';

const blocks: [string, string][] = [
  ['a counting loop', '4801c8 83c301 39f3 7cf6'],
  ['partial registers', '00e0 6601d8 88c4 b405 c3'],
  ['memory read-modify-write', '48014304 83042410 c3'],
  ['addressing modes', '488b44cb10 8b0500010000 64488b042528000000 67 8b03 c3'],
  ['a function prologue', '55 4889e5 4883ec20 897dfc e800000000'],
  ['test and branch', '4885c0 7405'],
  ['carry chain', '4801d8 4811d1 4883d000 72f0'],
  ['scalar and packed floats', 'f20f58c1 0f57c0 660f6fca c3'],
];

it('lifts as the golden file says', async () => {
  const table = createOpTable();
  const deadCode = new DeadCodePass(table, { first: CC_OP, last: CC_RES });
  const text: string[] = [];
  for (const [name, hex] of blocks) {
    const code = new Uint8Array(0x1100);
    code.set(Buffer.from(hex.replaceAll(' ', ''), 'hex'), 0x1000);
    const block = liftBlock(table, code, 0x1000, 0x1000 + hex.replaceAll(' ', '').length / 2, false)!;
    verifyBlock(block, slotNames);
    text.push(`# ${name}: ${hex}`, printBlock(block, slotNames));
    deadCode.run(block);
    verifyBlock(block, slotNames);
    text.push('after dead-code:', printBlock(block, slotNames), '');
  }
  await expect(text.join('\n')).toMatchFileSnapshot('golden.txt');
});
