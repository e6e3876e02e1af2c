/** The interpreter on loops of a few instructions, without a kernel. */
import { BareMachine, CODE, DATA, STACK_TOP } from '../../test/support/bare-machine.ts';
import { exitReason, SLOT_EXIT_ARG, SLOT_EXIT_IP } from '../../src/translator/ir/layout.ts';
import type { MicroCase } from './index.ts';

const word = (n: number): number[] => [n & 255, (n >>> 8) & 255, (n >>> 16) & 255, n >>> 24];
const movEcx = (n: number): number[] => [0xb9, ...word(n)];
const SYSCALL = [0x0f, 0x05];
const ROUNDS = 100_000;

/** Each loop counts ecx down and ends in a system call, which stops the machine. */
const loops: readonly { name: string; code: number[]; count: number; unit: string }[] = [
  { name: 'enter and leave', code: [...movEcx(1), ...SYSCALL], count: 1, unit: 'run' },
  {
    name: 'integer loop',
    // add rax, rcx; lea rdx, [rax + 3]; xor rax, rdx; sub rcx, 1; jnz
    code: [
      ...movEcx(ROUNDS),
      0x48,
      1,
      0xc8,
      0x48,
      0x8d,
      0x50,
      3,
      0x48,
      0x31,
      0xd0,
      0x48,
      0x83,
      0xe9,
      1,
      0x75,
      0xf0,
      ...SYSCALL,
    ],
    count: ROUNDS * 5,
    unit: 'guest instruction',
  },
  {
    name: 'memory loop',
    // mov edx, DATA; 1: mov rax, [rdx]; add rax, 1; mov [rdx], rax; sub ecx, 1; jnz 1b
    code: [
      ...movEcx(ROUNDS),
      0xba,
      ...word(DATA),
      0x48,
      0x8b,
      2,
      0x48,
      0x83,
      0xc0,
      1,
      0x48,
      0x89,
      2,
      0x83,
      0xe9,
      1,
      0x75,
      0xf1,
      ...SYSCALL,
    ],
    count: ROUNDS * 5,
    unit: 'guest instruction',
  },
  {
    name: 'call and return',
    // 1: call f; sub ecx, 1; jnz 1b; syscall; f: ret
    code: [...movEcx(ROUNDS), 0xe8, ...word(7), 0x83, 0xe9, 1, 0x75, 0xf6, ...SYSCALL, 0xc3],
    count: ROUNDS,
    unit: 'call',
  },
];

/** Runs to a system call as the runtime's thread loop does, jump cache and all; hot entries stay with the interpreter. */
function runToSystemCall({ engine, cpu, memory }: BareMachine): void {
  const { code } = engine;
  const word = (slot: number): number => memory.u32[(cpu.address + slot) >>> 2]!;
  let ip = 0;
  for (;;) {
    ip ||= code.entry(cpu.pc, cpu.flavour);
    const reason = engine.run(ip, 200_000);
    ip = 0;
    if (reason === exitReason.syscall) return;
    if (reason === exitReason.tick) ip = word(SLOT_EXIT_IP);
    else if (reason === exitReason.miss) ip = code.cachedEntry(cpu.pc, cpu.flavour);
    else if (reason === exitReason.link) ip = code.link(word(SLOT_EXIT_ARG), cpu.pc, cpu.flavour);
    else if (reason !== exitReason.hot) throw new Error(`the interpreter returns for reason ${reason}`);
  }
}

export function cases(): MicroCase[] {
  return loops.map(({ name, code, count, unit }) => {
    const machine = new BareMachine({});
    machine.load(code);
    return {
      name: `interpreter: ${name}`,
      run: () => {
        machine.cpu.reset(CODE, STACK_TOP);
        runToSystemCall(machine);
      },
      count,
      unit,
    };
  });
}
