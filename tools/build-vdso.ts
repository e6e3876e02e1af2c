/**
 * `node tools/build-vdso.ts`: compiles src/kernel/loader/vdso/vdso.c and writes vdso-images.ts. Run by hand after a change
 * there: the images are kept in the tree, since not every machine that builds uktx has compilers for both ISAs.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const source = 'src/kernel/loader/vdso';
const targets = [
  {
    isa: 'x86_64',
    compiler: 'gcc',
    flags: ['-m64', '-mgeneral-regs-only', '-mtune=generic', '-fcf-protection=none', '-Wl,-soname=linux-vdso.so.1'],
    version: 'LINUX_2.6',
    names: ['clock_gettime', 'gettimeofday', 'clock_getres', 'time', 'getcpu', 'getrandom'].flatMap((n) => [
      n,
      `__vdso_${n}`,
    ]),
  },
  {
    isa: 'aarch64',
    compiler: 'aarch64-linux-gnu-gcc',
    flags: ['-mgeneral-regs-only', '-mbranch-protection=none', '-Wl,-soname=linux-vdso.so.1'],
    version: 'LINUX_2.6.39',
    names: ['rt_sigreturn', 'gettimeofday', 'clock_gettime', 'clock_getres', 'getrandom'].map((n) => `__kernel_${n}`),
  },
];

const scratch = mkdtempSync(join(tmpdir(), 'uktx-vdso-'));
const run = (command: string, args: string[]): string => {
  const r = spawnSync(command, args, { encoding: 'utf8' });
  if (r.status === 0) return r.stdout;
  process.stderr.write(`${command}: ${r.error?.message ?? r.stderr}\n`);
  process.exit(1);
};
try {
  let text = '/** Made by tools/build-vdso.ts from vdso/vdso.c: ELF images of the vDSO, base64. */\n';
  for (const { isa, compiler, flags, version, names } of targets) {
    const map = join(scratch, 'versions');
    const image = join(scratch, isa);
    writeFileSync(map, `${version} { global: ${names.map((n) => `${n};`).join(' ')} local: *; };\n`);
    run(compiler, [
      ...['-O2', '-Wall', '-Wextra', '-Werror', '-std=gnu17', '-ffreestanding', '-fno-builtin', '-fPIC', '-shared'],
      ...['-fno-stack-protector', '-fasynchronous-unwind-tables', '-fno-tree-loop-distribute-patterns', '-nostdlib'],
      ...[
        '-Wl,--hash-style=both',
        '-Wl,-Bsymbolic',
        '-Wl,-z,noexecstack',
        '-Wl,-z,max-page-size=4096',
        '-Wl,--build-id=none',
      ],
      ...[
        '-Wl,--eh-frame-hdr',
        '-Wl,--no-undefined',
        `-Wl,--version-script=${map}`,
        '-Wl,-T',
        `${source}/vdso.lds`,
        '-s',
      ],
      ...flags,
      ...['-o', image, `${source}/vdso.c`],
    ]);
    const symbols = run('readelf', ['-Ws', '--dyn-syms', image]);
    for (const name of names) if (!symbols.includes(` ${name}@@${version}`)) throw new Error(`${isa}: no ${name}`);
    if (run('readelf', ['-rW', image]).includes('R_')) throw new Error(`${isa}: the image has relocations`);
    const trampoline = /([0-9a-f]{16}) .* __kernel_rt_sigreturn@/.exec(symbols);
    const bytes = readFileSync(image);
    text += `
export const ${isa} = {
  /** Offset of __kernel_rt_sigreturn, 0 where signal handlers bring their own way back. */
  sigreturn: ${trampoline ? `0x${Number.parseInt(trampoline[1]!, 16).toString(16)}` : 0},
  image:
${bytes
  .toString('base64')
  .match(/.{1,110}/g)!
  .map((line, k) => `    ${k ? '' : ''}'${line}'`)
  .join(' +\n')},
};
`;
    process.stdout.write(`${isa}: ${bytes.length} bytes\n`);
  }
  writeFileSync('src/kernel/loader/vdso-images.ts', text);
} finally {
  rmSync(scratch, { recursive: true });
}
