/** FXSAVE and FXRSTOR, and MXCSR. SDM volume 1, 10.2.3 and 10.5. */
import { CONST } from '../ir/layout.ts';
import { ins } from './row.ts';

const attributes = { noFuzz: 'has tests of its own' };

ins('np 0f ae /0 mem', 'fxsave', 'M', (c) => c.b.emit('x86.fxsave', 0, [c.effectiveAddress()]), attributes);
ins(
  'np 0f ae /1 mem',
  'fxrstor',
  'M',
  (c) => c.b.emit('x86.fxrstor', 0, [c.effectiveAddress(), CONST], c.i.next),
  attributes,
);
ins(
  'np 0f ae /2 mem',
  'ldmxcsr',
  'Md',
  (c) => c.b.emit('x86.ldmxcsr', 0, [c.load('i32'), CONST], c.i.next),
  attributes,
);
ins('np 0f ae /3 mem', 'stmxcsr', 'Md', (c) => c.b.emit('x86.stmxcsr', 0, [c.effectiveAddress()]), attributes);
