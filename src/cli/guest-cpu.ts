/** The CPU of the guest, from the table that CPUID answers from. */
import type { CpuDescription } from '../kernel/fs/procfs/cpu.ts';
import { features, hwcapBits, MIDR } from '../translator/aarch64/cpu-features.ts';
import {
  brand,
  cacheLineBytes,
  caches,
  family,
  flagNames,
  leaves,
  model,
  physicalAddressBits,
  stepping,
  vendor,
  virtualAddressBits,
} from '../translator/x86_64/cpuid.ts';

export const guestCpu: CpuDescription = {
  vendor,
  family,
  model,
  stepping,
  name: brand,
  cpuidLevel: Math.max(...leaves.map((l) => l.leaf).filter((leaf) => leaf < 0x8000_0000)),
  // RDTSC counts nanoseconds.
  mhz: 1000,
  flags: flagNames,
  cacheLineBytes,
  physicalBits: physicalAddressBits,
  virtualBits: virtualAddressBits,
  caches,
  aarch64: {
    features: [...features].sort((a, b) => hwcapBits[a] - hwcapBits[b]),
    midr: Number(MIDR),
  },
};
