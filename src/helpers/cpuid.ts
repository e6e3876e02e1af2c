// CPUID. The table is that of src/translator/x86_64/cpuid.ts, where its meaning is; a test compares the two.

const ANY: u32 = 0xffffffff;
// Leaf, sub-leaf, EAX, EBX, ECX, EDX.
const LEAVES: StaticArray<u32> = [
  0x00000000, ANY, 0x00000007, 0x756e6547, 0x6c65746e, 0x49656e69,
  0x00000001, ANY, 0x000106a5, 0x00010800, 0x00982201, 0x07888111,
  0x00000002, ANY, 0x00ffff01, 0x00000000, 0x00000000, 0x00000000,
  0x00000004, 0x00000000, 0x00000121, 0x01c0003f, 0x0000003f, 0x00000000,
  0x00000004, 0x00000001, 0x00000122, 0x01c0003f, 0x0000003f, 0x00000000,
  0x00000004, 0x00000002, 0x00000143, 0x03c0003f, 0x000003ff, 0x00000000,
  0x00000004, 0x00000003, 0x00000163, 0x03c0003f, 0x00001fff, 0x00000000,
  0x80000000, ANY, 0x80000008, 0x00000000, 0x00000000, 0x00000000,
  0x80000001, ANY, 0x00000000, 0x00000000, 0x00000001, 0x20100800,
  0x80000002, ANY, 0x78746b75, 0x72697620, 0x6c617574, 0x55504320,
  0x80000006, ANY, 0x00000000, 0x00000000, 0x04008040, 0x00000000,
  0x80000007, ANY, 0x00000000, 0x00000000, 0x00000000, 0x00000100,
  0x80000008, ANY, 0x00003028, 0x00000000, 0x00000000, 0x00000000,
];

// Slots: src/translator/x86_64/state.ts.
const RAX: u32 = 0x80;
const RCX: u32 = 0x88;
const RDX: u32 = 0x90;
const RBX: u32 = 0x98;

export function x86_cpuid(cpu: u32): i32 {
  const leaf = load<u32>(cpu + RAX);
  const subleaf = load<u32>(cpu + RCX);
  store<u64>(cpu + RAX, 0);
  store<u64>(cpu + RBX, 0);
  store<u64>(cpu + RCX, 0);
  store<u64>(cpu + RDX, 0);
  for (let k = 0; k < LEAVES.length; k += 6) {
    if (unchecked(LEAVES[k]) != leaf) continue;
    const sub = unchecked(LEAVES[k + 1]);
    if (sub != ANY && sub != subleaf) continue;
    store<u64>(cpu + RAX, unchecked(LEAVES[k + 2]));
    store<u64>(cpu + RBX, unchecked(LEAVES[k + 3]));
    store<u64>(cpu + RCX, unchecked(LEAVES[k + 4]));
    store<u64>(cpu + RDX, unchecked(LEAVES[k + 5]));
    break;
  }
  return 0;
}
