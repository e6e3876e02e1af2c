/**
 * `node test/kernel/syscalls/soak.ts [--calls N] [--seed N] [--piece N]`: the fuzzer of `fuzz.test.ts` for as long as one likes, in
 * pieces of `--piece` calls, each with the next seed. A line for each piece; exits with 1 when there is a finding.
 */
import { toolArguments } from '../../../tools/arguments.ts';
import { fuzzSyscalls } from './fuzz.ts';

const { values: flags } = toolArguments('usage: node test/kernel/syscalls/soak.ts [--calls N] [--seed N] [--piece N]', {
  options: {
    calls: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
    piece: { type: 'string', default: '50000' },
  },
});
const calls = Number(flags.calls);
let made = 0;
let findings = 0;
let escaped = 0;
for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (e) => {
    escaped++;
    console.log(`${event}: ${(e as Error).stack ?? e}`);
  });
}
for (let seed = Number(flags.seed); made < calls; seed++) {
  const report = await fuzzSyscalls(seed, Math.min(Number(flags.piece), calls - made));
  made += report.calls;
  findings += report.findings.length;
  console.log(
    `seed ${seed}: ${report.calls} calls, ${report.succeeded.size} kinds succeeded, ${report.interrupted} interrupted, ` +
      `${report.killed} killed, ${(process.memoryUsage().rss / 2 ** 20).toFixed(0)} MiB, ${report.findings.length} findings`,
  );
  for (const line of report.findings) console.log(`  ${line}`);
  if (report.calls === 0) break;
}
console.log(`${made} calls, ${findings} findings, ${escaped} exceptions outside of calls`);
process.exit(findings + escaped > 0 ? 1 : 0);
