// The x87 instructions: from opcode and ModRM to what does them. An instruction is the low three bits of its opcode (D8 to DF)
// and ModRM, as in the last-opcode register; its address comes along for the instruction pointer.

import { accessible, EXIT_FAULT, EXIT_NONE, PAGE_READ, PAGE_WRITE } from './memory';
import { toSecond, unpack32, unpack64 } from './softfloat';
import {
  changeSign, compareToFlags, examine, integerOperand, loadDecimal, loadInteger, loadReal, memoryArithmetic, registerArithmetic, roundST, squareRootST,
  storeDecimal, storeExtended, storeInteger, storeReal, storeRegister, test, unorderedCompare,
} from './x87-arith';
import { initialize, restoreEnvironment, restoreState, saveEnvironment, saveState, setControl, statusWord } from './x87-control';
import { arctangent, circular, circularPair, exponential, logarithm, logarithmPlusOne } from './x87-functions';
import { extract, loadConstant, remainder, scale } from './x87-scale';
import {
  begin, empty, FCW, FDP, finish, FIP, FOP, free, FSW, FTOP, FTW, full, INDEFINITE, INDEFINITE_SE, keepCondition1, moveTop, pending, pop, push, pushChecked,
  put, signExponent, significand, stackFault, underflowTo,
} from './x87-state';

const RAX: u32 = 0x80;
const ES: u32 = 0x80;

function remember(at: u32, word: u64): void {
  store<u64>(at + FIP, word >> 32);
  store<u32>(at + FOP, <u32>word & 0x7ff);
}

/** FXCH. */
function exchange(i: u32): i32 {
  if (empty(0) || empty(i)) {
    if (!stackFault(false)) return finish();
    if (empty(0)) put(0, INDEFINITE, INDEFINITE_SE);
    if (empty(i)) put(i, INDEFINITE, INDEFINITE_SE);
  }
  const m = significand(0);
  const se = signExponent(0);
  put(0, significand(i), signExponent(i));
  put(i, m, se);
  return finish();
}

/** FLD ST(i). */
function loadRegister(i: u32): i32 {
  if (empty(i)) {
    if (stackFault(false)) push(INDEFINITE, INDEFINITE_SE);
  } else if (full()) {
    if (stackFault(true)) push(INDEFINITE, INDEFINITE_SE);
  } else push(significand(i), signExponent(i));
  return finish();
}

/** D9 with ModRM of D0 and more. */
function other(modrm: u32): i32 {
  switch (modrm) {
    case 0xd0: // FNOP
      return EXIT_NONE;
    case 0xe0:
      return changeSign(0xffff, 0x8000);
    case 0xe1:
      return changeSign(0x7fff, 0);
    case 0xe4:
      return test();
    case 0xe5:
      return examine();
    case 0xf0:
      return exponential();
    case 0xf1:
      return logarithm();
    case 0xf2:
      return circularPair(true);
    case 0xf3:
      return arctangent();
    case 0xf4:
      return extract();
    case 0xf5:
      return remainder(true);
    case 0xf6:
      moveTop(-1);
      return finish();
    case 0xf7:
      moveTop(1);
      return finish();
    case 0xf8:
      return remainder(false);
    case 0xf9:
      return logarithmPlusOne();
    case 0xfa:
      return squareRootST();
    case 0xfb:
      return circularPair(false);
    case 0xfc:
      return roundST();
    case 0xfd:
      return scale();
    case 0xfe:
      return circular(false);
    case 0xff:
      return circular(true);
  }
  return loadConstant(modrm & 7);
}

function drop(): i32 {
  pop();
  return finish();
}

/** An instruction on registers. */
export function x87_register(cpu: u32, word: u64): i32 {
  const opcode = (<u32>word >> 8) & 7;
  const modrm = <u32>word & 0xff;
  const r = (modrm >> 3) & 7;
  const i = modrm & 7;
  // Those that do not wait.
  if (opcode == 3 && r == 4) {
    if (i == 2) store<u32>(cpu + FSW, load<u32>(cpu + FSW) & 0x7f00);
    else if (i == 3) initialize(cpu);
    return EXIT_NONE;
  }
  if (opcode == 7 && r == 4) {
    store<u16>(cpu + RAX, statusWord(cpu));
    return EXIT_NONE;
  }
  if (!begin(cpu)) return pending(cpu);
  remember(cpu, word);
  switch (opcode) {
    case 0:
      return registerArithmetic(r, i, 0, u32(r == 3));
    case 1:
      if (r == 0) return loadRegister(i);
      if (r == 1) return exchange(i);
      if (r == 3) return empty(0) ? drop() : storeRegister(i, true); // No stack fault, and no write (AMD EPYC).
      return other(modrm);
    case 2: // DA E9
      return unorderedCompare(1, 2);
    case 3:
      return compareToFlags(i, r == 5, 0);
    case 4:
      return registerArithmetic(r, i, i, u32(r == 3));
    case 5:
      if (r == 0) {
        free(i);
        return finish();
      }
      if (r == 1) return exchange(i);
      if (r == 2) return storeRegister(i, false);
      if (r == 3) return storeRegister(i, true);
      return unorderedCompare(i, r - 4);
    case 6:
      if (r == 2) return registerArithmetic(3, i, i, 1);
      if (r == 3) return registerArithmetic(3, 1, 1, 2);
      return registerArithmetic(r, i, i, 1);
    default:
      if (r == 0) {
        free(i);
        return drop();
      }
      if (r == 1) return exchange(i);
      if (r == 2 || r == 3) return storeRegister(i, true);
      return compareToFlags(i, r == 5, 1);
  }
}

/** FCMOVcc: ST(0) = ST(i) if the condition holds. */
export function x87_fcmov(cpu: u32, condition: u32, word: u64): i32 {
  if (!begin(cpu)) return pending(cpu);
  remember(cpu, word);
  const i = <u32>word & 7;
  if (empty(0) || empty(i)) {
    underflowTo(0);
    return finish();
  }
  keepCondition1();
  if (condition) put(0, significand(i), signExponent(i));
  return finish();
}

/** Control instructions that do not wait, or wait but leave the instruction pointer. */
function control(cpu: u32, address: u64, opcode: u32, r: u32, short: bool): i32 {
  if (opcode == 1) {
    switch (r) {
      case 4:
        return restoreEnvironment(cpu, address, short);
      case 5:
        if (!accessible(cpu, address, 2, PAGE_READ)) return EXIT_FAULT;
        setControl(cpu, load<u16>(<u32>address));
        return EXIT_NONE;
      case 6:
        return saveEnvironment(cpu, address, short);
      default:
        return storeWord(cpu, address, load<u32>(cpu + FCW));
    }
  }
  switch (r) {
    case 4:
      return restoreState(cpu, address, short);
    case 6:
      return saveState(cpu, address, short);
    default:
      return storeWord(cpu, address, statusWord(cpu));
  }
}
function storeWord(cpu: u32, address: u64, value: u32): i32 {
  if (!accessible(cpu, address, 2, PAGE_WRITE)) return EXIT_FAULT;
  store<u16>(<u32>address, value);
  return EXIT_NONE;
}

/** An instruction on memory at `address`. */
export function x87_memory(cpu: u32, address: u64, word: u64): i32 {
  const opcode = (<u32>word >> 8) & 7;
  const r = (<u32>word >> 3) & 7;
  const p = <u32>address;
  if ((opcode == 1 && r >= 4) || (opcode == 5 && (r == 4 || r >= 6))) {
    // FLDCW, FLDENV and FRSTOR wait.
    if ((r == 4 || (opcode == 1 && r == 5)) && load<u32>(cpu + FSW) & ES) return pending(cpu);
    return control(cpu, address, opcode, r, (<u32>word & 0x800) != 0);
  }
  if (!begin(cpu)) return pending(cpu);
  const result = operate(cpu, address, opcode, r, p);
  if (result == EXIT_NONE) {
    remember(cpu, word);
    store<u64>(cpu + FDP, address);
  }
  return result;
}

function operate(cpu: u32, address: u64, opcode: u32, r: u32, p: u32): i32 {
  // Arithmetic with an operand in memory.
  if ((opcode & 1) == 0) {
    const bytes: u32 = opcode == 4 ? 8 : opcode == 6 ? 2 : 4;
    if (!accessible(cpu, address, bytes, PAGE_READ)) return EXIT_FAULT;
    if (opcode == 0) unpack32(load<u32>(p));
    else if (opcode == 4) unpack64(load<u64>(p));
    if (opcode == 0 || opcode == 4) toSecond();
    else integerOperand(opcode == 2 ? <i64>load<i32>(p) : <i64>load<i16>(p));
    return memoryArithmetic(r);
  }
  switch ((opcode << 3) | r) {
    case 0x08: // FLD m32
      if (!accessible(cpu, address, 4, PAGE_READ)) return EXIT_FAULT;
      unpack32(load<u32>(p));
      return loadReal();
    case 0x28: // FLD m64
      if (!accessible(cpu, address, 8, PAGE_READ)) return EXIT_FAULT;
      unpack64(load<u64>(p));
      return loadReal();
    case 0x1d: // FLD m80
      if (!accessible(cpu, address, 10, PAGE_READ)) return EXIT_FAULT;
      pushChecked(load<u64>(p), load<u16>(p, 8));
      return finish();
    case 0x18: // FILD m32
      if (!accessible(cpu, address, 4, PAGE_READ)) return EXIT_FAULT;
      return loadInteger(load<i32>(p));
    case 0x38: // FILD m16
      if (!accessible(cpu, address, 2, PAGE_READ)) return EXIT_FAULT;
      return loadInteger(load<i16>(p));
    case 0x3d: // FILD m64
      if (!accessible(cpu, address, 8, PAGE_READ)) return EXIT_FAULT;
      return loadInteger(load<i64>(p));
    case 0x3c:
      return loadDecimal(address);
    case 0x3e:
      return storeDecimal(address);
    case 0x0a: // FST m32
      return storeReal(address, 4, false);
    case 0x0b:
      return storeReal(address, 4, true);
    case 0x2a: // FST m64
      return storeReal(address, 8, false);
    case 0x2b:
      return storeReal(address, 8, true);
    case 0x1f: // FSTP m80
      return storeExtended(address);
    case 0x19: // FISTTP
      return storeInteger(address, 4, true, true);
    case 0x29:
      return storeInteger(address, 8, true, true);
    case 0x39:
      return storeInteger(address, 2, true, true);
    case 0x1a: // FIST
      return storeInteger(address, 4, false, false);
    case 0x3a:
      return storeInteger(address, 2, false, false);
    case 0x1b: // FISTP
      return storeInteger(address, 4, true, false);
    case 0x3b:
      return storeInteger(address, 2, true, false);
    default: // 0x3f
      return storeInteger(address, 8, true, false);
  }
}

/** FWAIT, and what EMMS and others do first. */
export function x87_wait(cpu: u32): i32 {
  return load<u32>(cpu + FSW) & ES ? pending(cpu) : EXIT_NONE;
}

/** EMMS: like every MMX instruction it sets TOP to 0, but leaves the registers empty. */
export function x87_emms(cpu: u32): i32 {
  if (load<u32>(cpu + FSW) & ES) return pending(cpu);
  store<u32>(cpu + FTOP, 0);
  store<u32>(cpu + FTW, 0);
  return EXIT_NONE;
}
