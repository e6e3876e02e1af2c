import { expect, test } from 'vitest';
import { disassemble, disassembly } from '../../../src/translator/x86_64/disassemble.ts';

test('addresses, bytes and text, with targets relative to pc', async () => {
  const code = Uint8Array.of(0x48, 0x8d, 0x05, 0x10, 0, 0, 0, 0x06, 0xeb, 0xfe);
  const list = await disassemble(code, 0x401000);
  expect(list.map((i) => [i.pc, i.bytes.length, i.text])).toEqual([
    [0x401000, 7, 'lea rax, [0x401017]'],
    [0x401007, 1, '(bad)'],
    [0x401008, 2, 'jmp short 0x401008'],
  ]);
  expect((await disassembly(code, 0x401000)).split('\n')[2]).toMatch(/^401008: eb fe +jmp/);
});

test('F3 0F BC is BSF, as CPUID has no BMI', async () => {
  expect((await disassemble(Uint8Array.of(0xf3, 0x0f, 0xbc, 0xc1), 0))[0]!.text).toMatch(/bsf eax, ecx$/);
});
