/** How x86-64 regions keep and pass registers. */
import type { RegionAbi } from '../region/abi.ts';
import { CC_OP, CC_RES, gpr, RAX, RBP, RBX, RDI, RDX, RSI, RSP, xmm } from './state.ts';

const sixteen = Array.from({ length: 16 }, (_, n) => n);

export const abi: RegionAbi = {
  sp: gpr(RSP),
  params: [gpr(RDI), gpr(RSI), gpr(RDX)],
  kept: [gpr(RBX), gpr(RBP)],
  returnPops: true,
  result: gpr(RAX),
  integers: sixteen.map(gpr),
  vectors: sixteen.map(xmm),
  flags: { first: CC_OP, last: CC_RES },
};
