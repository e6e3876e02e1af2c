/**
 * A guest that keeps making new code does not make uktx grow: `node test/jit/soak.ts [--minutes 30] [--guest generator|luajit]
 * [--mode rwx|toggle|fresh] [--threshold 100]`. Prints resident memory over time, and what became of the code; fails when the last
 * third of the run needs a quarter more than the second one did, or when the guest finds wrong results.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { packageRoot } from '../../src/runtime/package-root.ts';
import { guestProgram } from '../guests/build.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    guest: { type: 'string', default: 'generator' },
    mode: { type: 'string', default: '' },
    threshold: { type: 'string', default: '100' },
  },
});
const seconds = Math.round(Number(values.minutes) * 60);
const PERIOD_MS = 10_000;

/** New functions for ever, each run until LuaJIT has made a trace of it. */
const lua = `
local stop = os.time() + ${seconds}
local made, wrong = 0, 0
local random = math.random
while os.time() < stop do
  local a, b, c = random(1, 1e6), random(1, 1e6), random(1, 7)
  local text = "local s = 0 for i = 1, 2000 do s = (s * " .. c .. " + " .. a .. " + i % " .. b .. ") % 1000003 end return s"
  local f = loadstring(text)
  local s = 0
  for i = 1, 2000 do s = (s * c + a + i % b) % 1000003 end
  for _ = 1, 20 do if f() ~= s then wrong = wrong + 1 end end
  made = made + 1
end
io.stderr:write(made, " functions\\n")
print(wrong .. " wrong")
os.exit(wrong)
`;

const scratch = mkdtempSync(join(tmpdir(), 'uktx-soak-'));
function command(): string[] {
  if (values.guest === 'luajit') {
    if (!existsSync('/usr/bin/luajit')) throw new Error('no luajit here');
    const script = join(scratch, 'soak.lua');
    writeFileSync(script, lua);
    return ['/usr/bin/luajit', script];
  }
  const found = guestProgram('generator');
  if ('missing' in found) throw new Error(found.missing);
  return [found.path, String(seconds), values.mode];
}

const statsFile = join(scratch, 'stats.json');
const flags = ['--cache=off', `--jit-threshold=${values.threshold}`, '--stats-file', statsFile];
const child = spawn(join(packageRoot(), 'bin/uktx'), ['run', ...flags, ...command()], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
let output = '';
child.stdout.on('data', (text: Buffer) => {
  output += text;
});
const resident: number[] = [];
const started = Date.now();
const timer = setInterval(() => {
  const line = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${child.pid}/status`, 'latin1'));
  if (!line) return;
  const megabytes = Math.round(Number(line[1]) / 1024);
  resident.push(megabytes);
  process.stdout.write(`${Math.round((Date.now() - started) / 1000)} s: ${megabytes} MB\n`);
}, PERIOD_MS);
child.on('close', (status) => {
  clearInterval(timer);
  process.stdout.write(output);
  if (existsSync(statsFile)) {
    const { regions, translator } = JSON.parse(readFileSync(statsFile, 'utf8'));
    process.stdout.write(`${JSON.stringify({ regions, translator })}\n`);
  }
  rmSync(scratch, { recursive: true });
  const third = Math.floor(resident.length / 3);
  const middle = Math.max(...resident.slice(third, 2 * third));
  const last = Math.max(...resident.slice(2 * third));
  process.stdout.write(`most in the second third ${middle} MB, in the last ${last} MB\n`);
  const grows = third > 2 && last > middle * 1.25;
  if (grows) process.stdout.write('it grows\n');
  process.exit(status !== 0 || grows ? 1 : 0);
});
