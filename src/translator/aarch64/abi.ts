/** How AArch64 regions keep and pass registers. */
import type { RegionAbi } from '../region/abi.ts';
import { CC_OP, CC_RES, gpr, SP, vec } from './state.ts';

export const abi: RegionAbi = {
  sp: SP,
  params: [gpr(0), gpr(1), gpr(2)],
  kept: [gpr(19), gpr(20)],
  returnPops: false,
  result: gpr(0),
  integers: [...Array.from({ length: 31 }, (_, n) => gpr(n)), SP],
  vectors: Array.from({ length: 32 }, (_, n) => vec(n)),
  flags: { first: CC_OP, last: CC_RES },
};
