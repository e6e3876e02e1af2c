/** Loads and stores of general and vector registers (Arm ARM, C4.1.94). */
import type { Operand } from '../ir/block.ts';
import { CONST, SLOT_ZERO } from '../ir/layout.ts';
import type { LiftContext } from './lift.ts';
import { ins, type Lift } from './row.ts';
import { extended } from './rows-register.ts';

/** How one register is transferred. */
interface Transfer {
  mnemonic: string;
  /** size, V, opc of the encoding. */
  code: string;
  opc: string;
  vector: boolean;
  load: boolean;
  op: string;
  log2: number;
}
const transfers: Transfer[] = [];
const general = (size: number, opc: string, mnemonic: string, op: string): void => {
  transfers.push({
    mnemonic,
    code: size.toString(2).padStart(2, '0'),
    opc,
    vector: false,
    load: op.startsWith('load'),
    op,
    log2: size,
  });
};
general(0, '00', 'strb', 'store.i8');
general(0, '01', 'ldrb', 'load.u8');
general(0, '10', 'ldrsb', 'load.s8.i64');
general(0, '11', 'ldrsb', 'load.s8.i32');
general(1, '00', 'strh', 'store.i16');
general(1, '01', 'ldrh', 'load.u16');
general(1, '10', 'ldrsh', 'load.s16.i64');
general(1, '11', 'ldrsh', 'load.s16.i32');
general(2, '00', 'str', 'store.i32');
general(2, '01', 'ldr', 'load.i32');
general(2, '10', 'ldrsw', 'load.s32.i64');
general(3, '00', 'str', 'store.i64');
general(3, '01', 'ldr', 'load.i64');
const vectorStores = ['store.i8', 'store.i16', 'store.i32', 'store.i64', 'store.v128'];
const vectorLoads = ['load.v128.z8', 'load.v128.z16', 'load.v128.z32', 'load.v128.z64', 'load.v128'];
for (let log2 = 0; log2 < 5; log2++)
  for (const load of [false, true])
    transfers.push({
      mnemonic: load ? 'ldr' : 'str',
      code: (log2 & 3).toString(2).padStart(2, '0'),
      opc: (log2 === 4 ? '1' : '0') + (load ? '1' : '0'),
      vector: true,
      load,
      op: (load ? vectorLoads : vectorStores)[log2]!,
      log2,
    });

/** Moves register `t` to or from memory. */
function transfer(c: LiftContext, k: Transfer, t: number, base: Operand, disp: number): void {
  const { base: slot, disp: imm } = c.address(base, disp);
  if (k.load) c.b.emit(k.op, k.vector ? c.v(t) : c.to(t), [slot], imm);
  else c.b.emit(k.op, 0, [slot, k.vector ? c.v(t) : c.x(t)], imm);
}

/** Pre- and post-indexed. A base that is also loaded has the loaded value in the end (constrained unpredictable). */
function withWriteback(
  c: LiftContext,
  offset: number,
  post: boolean,
  act: (base: Operand, disp: number) => void,
): void {
  const base = c.xsp(c.n);
  act(base, post ? 0 : offset);
  c.b.emit('add.i64', base, [base, CONST], offset);
}

for (const k of transfers) {
  const v = k.vector ? 1 : 0;
  const head = `${k.code} 111 ${v}`;
  ins(`${head} 01 ${k.opc} iiiiiiiiiiii nnnnn ttttt`, k.mnemonic, (c) =>
    transfer(c, k, c.d, c.xsp(c.n), c.u('i') * 2 ** k.log2),
  );
  const unscaled: Lift = (c) => transfer(c, k, c.d, c.xsp(c.n), c.s('i'));
  ins(`${head} 00 ${k.opc} 0 iiiiiiiii 00 nnnnn ttttt`, k.mnemonic.replace(/(ld|st)/, '$1u'), unscaled);
  // Unprivileged accesses are ordinary ones in user mode.
  if (!k.vector) ins(`${head} 00 ${k.opc} 0 iiiiiiiii 10 nnnnn ttttt`, k.mnemonic.replace(/(ld|st)/, '$1t'), unscaled);
  for (const [post, bits] of [
    [true, '01'],
    [false, '11'],
  ] as const)
    ins(`${head} 00 ${k.opc} 0 iiiiiiiii ${bits} nnnnn ttttt`, k.mnemonic, (c) => {
      const offset = c.s('i');
      if (!k.vector && c.d === c.n && c.n !== 31 && k.load) {
        transfer(c, k, c.d, c.xsp(c.n), post ? 0 : offset);
        return;
      }
      withWriteback(c, offset, post, (base, disp) => transfer(c, k, c.d, base, disp));
    });
  ins(`${head} 00 ${k.opc} 1 mmmmm ooo S 10 nnnnn ttttt`, k.mnemonic, (c) => {
    const option = c.u('o');
    if ((option & 2) === 0) return c.undefined();
    transfer(c, k, c.d, registerOffset(c, option, c.u('S') ? k.log2 : 0), 0);
  });
}

/** Base plus extended and scaled Rm. */
function registerOffset(c: LiftContext, option: number, amount: number): Operand {
  const { b } = c;
  const index = extended(c, option, 0, 'i64');
  const base = c.xsp(c.n);
  if (amount < 4) return b.value(`lea.${1 << amount}`, [base, index, CONST], 0);
  return b.value('add.i64', [base, b.valueConst('shl.i64', [index], amount)]);
}

// Literals.
for (const [opc, v, mnemonic, op] of [
  ['00', 0, 'ldr', 'load.i32'],
  ['01', 0, 'ldr', 'load.i64'],
  ['10', 0, 'ldrsw', 'load.s32.i64'],
  ['00', 1, 'ldr', 'load.v128.z32'],
  ['01', 1, 'ldr', 'load.v128.z64'],
  ['10', 1, 'ldr', 'load.v128'],
] as const)
  ins(`${opc} 011 ${v} 00 iiiiiiiiiiiiiiiiiii ttttt`, mnemonic, (c) =>
    c.b.emit(op, v ? c.v(c.d) : c.to(c.d), [SLOT_ZERO], c.pc + c.s('i') * 4),
  );

// Prefetches do nothing.
const nothing: Lift = () => {};
ins('11 011 0 00 iiiiiiiiiiiiiiiiiii ttttt', 'prfm', nothing);
ins('11 111 0 01 10 iiiiiiiiiiii nnnnn ttttt', 'prfm', nothing);
ins('11 111 0 00 10 0 iiiiiiiii 00 nnnnn ttttt', 'prfum', nothing);
ins('11 111 0 00 10 1 mmmmm ooo S 10 nnnnn ttttt', 'prfm', (c) => {
  if ((c.u('o') & 2) === 0) c.undefined();
});

// Pairs. The first half goes by way of a temporary: the second may fault.
interface Pair {
  opc: string;
  vector: boolean;
  log2: number;
  loadOp: string;
  storeOp: string;
  move: string;
}
const pairs: Pair[] = [
  { opc: '00', vector: false, log2: 2, loadOp: 'load.i32', storeOp: 'store.i32', move: 'mov.i64' },
  { opc: '10', vector: false, log2: 3, loadOp: 'load.i64', storeOp: 'store.i64', move: 'mov.i64' },
  { opc: '00', vector: true, log2: 2, loadOp: 'load.v128.z32', storeOp: 'store.i32', move: 'mov.v128' },
  { opc: '01', vector: true, log2: 3, loadOp: 'load.v128.z64', storeOp: 'store.i64', move: 'mov.v128' },
  { opc: '10', vector: true, log2: 4, loadOp: 'load.v128', storeOp: 'store.v128', move: 'mov.v128' },
];
const signedPair: Pair = { opc: '01', vector: false, log2: 2, loadOp: 'load.s32.i64', storeOp: '', move: 'mov.i64' };

function transferPair(c: LiftContext, p: Pair, load: boolean, base: Operand, disp: number): void {
  const { b } = c;
  const { base: slot, disp: imm } = c.address(base, disp);
  const second = imm + 2 ** p.log2;
  const [t, t2] = [c.d, c.a];
  if (!load) {
    b.emit(p.storeOp, 0, [slot, p.vector ? c.v(t) : c.x(t)], imm);
    b.emit(p.storeOp, 0, [slot, p.vector ? c.v(t2) : c.x(t2)], second);
    return;
  }
  const first = b.value(p.loadOp, [slot], imm);
  b.emit(p.loadOp, p.vector ? c.v(t2) : c.to(t2), [slot], second);
  if (p.vector || t !== 31) b.emit(p.move, p.vector ? c.v(t) : c.x(t), [first]);
}
for (const p of [...pairs, signedPair])
  for (const load of [false, true]) {
    if (!load && p === signedPair) continue;
    const l = load ? 1 : 0;
    const mnemonic = p === signedPair ? 'ldpsw' : load ? 'ldp' : 'stp';
    const head = `${p.opc} 101 ${p.vector ? 1 : 0}`;
    const plain: Lift = (c) => {
      // Two loads into one register are constrained unpredictable: the first wins here, as the order above has it.
      transferPair(c, p, load, c.xsp(c.n), c.s('i') * 2 ** p.log2);
    };
    if (p !== signedPair) ins(`${head} 000 ${l} iiiiiii uuuuu nnnnn ttttt`, load ? 'ldnp' : 'stnp', plain);
    ins(`${head} 010 ${l} iiiiiii uuuuu nnnnn ttttt`, mnemonic, plain);
    for (const post of [true, false])
      ins(`${head} ${post ? '001' : '011'} ${l} iiiiiii uuuuu nnnnn ttttt`, mnemonic, (c) => {
        const offset = c.s('i') * 2 ** p.log2;
        if (!p.vector && load && c.n !== 31 && (c.d === c.n || c.a === c.n)) {
          transferPair(c, p, load, c.xsp(c.n), post ? 0 : offset);
          return;
        }
        withWriteback(c, offset, post, (base, disp) => transferPair(c, p, load, base, disp));
      });
  }
