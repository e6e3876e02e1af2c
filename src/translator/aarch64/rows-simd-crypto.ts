/** AES, SHA-1, SHA-256 and polynomial products of 64 bits (Arm ARM, C4.1.96). */
import { isWide } from './simd-forms.ts';
import { ins } from './row.ts';

for (const [opcode, name] of [
  ['00100', 'aese'],
  ['00101', 'aesd'],
] as const)
  ins(`01001110 00 10100 ${opcode} 10 nnnnn ddddd`, name, (c) =>
    c.b.emit(`a64.${name}`, c.v(c.d), [c.v(c.d), c.v(c.n)]),
  );
for (const [opcode, name] of [
  ['00110', 'aesmc'],
  ['00111', 'aesimc'],
] as const)
  ins(`01001110 00 10100 ${opcode} 10 nnnnn ddddd`, name, (c) => c.b.emit(`a64.${name}`, c.v(c.d), [c.v(c.n)]));

for (const [opcode, name] of [
  ['000', 'sha1c'],
  ['001', 'sha1p'],
  ['010', 'sha1m'],
] as const)
  ins(`01011110 000 mmmmm 0 ${opcode} 00 nnnnn ddddd`, name, (c) =>
    c.b.emit(`a64.${name}`, c.v(c.d), [c.v(c.d), c.v(c.n), c.v(c.m)]),
  );
ins('01011110 000 mmmmm 0 011 00 nnnnn ddddd', 'sha1su0', (c) =>
  c.b.emit('a64.sha1su0', c.v(c.d), [c.v(c.d), c.v(c.n), c.v(c.m)]),
);
ins('01011110 00 10100 00000 10 nnnnn ddddd', 'sha1h', (c) =>
  c.b.emit('v128.zext32', c.v(c.d), [c.b.value('a64.sha1h', [c.v(c.n)])]),
);
ins('01011110 00 10100 00001 10 nnnnn ddddd', 'sha1su1', (c) =>
  c.b.emit('a64.sha1su1', c.v(c.d), [c.v(c.d), c.v(c.n)]),
);

ins('01011110 000 mmmmm 0 100 00 nnnnn ddddd', 'sha256h', (c) =>
  c.b.emit('a64.sha256h', c.v(c.d), [c.v(c.d), c.v(c.n), c.v(c.m)]),
);
// Its operands are the halves in the other order.
ins('01011110 000 mmmmm 0 101 00 nnnnn ddddd', 'sha256h2', (c) =>
  c.b.emit('a64.sha256h2', c.v(c.d), [c.v(c.n), c.v(c.d), c.v(c.m)]),
);
ins('01011110 000 mmmmm 0 110 00 nnnnn ddddd', 'sha256su1', (c) =>
  c.b.emit('a64.sha256su1', c.v(c.d), [c.v(c.d), c.v(c.n), c.v(c.m)]),
);
ins('01011110 00 10100 00010 10 nnnnn ddddd', 'sha256su0', (c) =>
  c.b.emit('a64.sha256su0', c.v(c.d), [c.v(c.d), c.v(c.n)]),
);

ins('0 q 0 01110 11 1 mmmmm 1110 00 nnnnn ddddd', 'pmull', (c) => {
  const half = isWide(c) ? 8 : 0;
  c.b.emit('a64.pmull.64', c.v(c.d), [c.v(c.n) + half, c.v(c.m) + half]);
});
