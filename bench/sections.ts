/** The tasks of each section, from the tables of programs and the engines there are. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { aarch64Engines, type Engine } from './engines.ts';
import { isExecutable } from './measure.ts';
import {
  aarch64GuestFolder,
  guestFolder,
  type InputMaker,
  kernelCommand,
  kernels,
  priceCount,
  realPrograms,
  repetitions,
  systemCalls,
} from './programs.ts';
import { type Lane, lane, type Task } from './schedule.ts';

export interface Choice {
  engines: readonly Engine[];
  quick: boolean;
  /** Multiplies the sizes of real programs. */
  scale: number;
  only: RegExp | null;
}

const wanted = ({ only }: Choice, section: string, name: string): boolean => only?.test(`${section}/${name}`) ?? true;

export function kernelTasks(choice: Choice): Task[] {
  return kernels
    .filter((k) => wanted(choice, 'kernels', k.name))
    .map((k) => ({
      name: k.name,
      about: k.about,
      measure: 'steady',
      lanes: choice.engines.map((e) => lane(e, kernelCommand(k, e.id, choice.quick))),
    }));
}

/** AArch64 programs under qemu-aarch64 and uktx, beside the same program as native x86-64. */
export function aarch64Tasks(choice: Choice): Task[] {
  const engines = aarch64Engines(choice.engines);
  const folder = (e: Engine): string => (e.id === 'native' ? guestFolder : aarch64GuestFolder);
  return kernels
    .filter((k) => wanted(choice, 'aarch64', k.name))
    .map((k) => ({
      name: k.name,
      about: k.about,
      measure: 'steady',
      lanes: engines.map((e) => lane(e, kernelCommand(k, e.id, choice.quick, folder(e)))),
    }));
}

/** The interpreter gets a tenth of the work, and a native run of that tenth to be compared with. */
export function realTasks(choice: Choice, input: InputMaker): Task[] {
  const tasks: Task[] = [];
  for (const program of realPrograms) {
    const path = program.paths.find(isExecutable);
    if (path === undefined || !wanted(choice, 'real', program.name)) continue;
    const full = Math.round(program.size * choice.scale * (choice.quick ? 0.1 : 1));
    const small = Math.ceil(full / 10);
    const words = (size: number): string[] => [path, ...program.args(size, input)];
    const lanes: Lane[] = [];
    for (const e of choice.engines) {
      if (e.id === 'interpreter') lanes.push(lane(e, words(small), 'tenth'));
      else lanes.push(lane(e, words(full)));
    }
    const native = choice.engines.find((e) => e.id === 'native');
    if (native && lanes.some((l) => l.workload === 'tenth')) lanes.push(lane(native, words(small), 'tenth'));
    tasks.push({ name: program.name, about: program.about, measure: 'wall', lanes });
  }
  return tasks;
}

/** A recursion of some native tenths of a second, once, as a whole process. */
export function wholeRunTasks(choice: Choice): Task[] {
  if (!wanted(choice, 'start-up', 'fib(40)')) return [];
  const program = [join(guestFolder, 'fib'), choice.quick ? '36' : '40'];
  const engines = choice.engines.filter((e) => e.id !== 'interpreter');
  return [
    { name: `fib(${program[1]})`, about: 'one call', measure: 'wall', lanes: engines.map((e) => lane(e, program)) },
  ];
}

/** Short runs, beside Node's own start-up. */
export function startUpTasks(choice: Choice): Task[] {
  const programs: [string, string[]][] = [
    ['hello, static, musl', [join(guestFolder, 'hello')]],
    ['hello, static, glibc', [join(guestFolder, 'system-calls'), '1']],
    ['hello, dynamic', ['/bin/echo', 'hello']],
    ['ls -la /usr', ['/bin/ls', '-la', '/usr']],
    ['python3 -c 0', ['/usr/bin/python3', '-c', '0']],
  ];
  const node: Lane = {
    engine: 'node',
    label: 'node -e 0',
    command: [process.execPath, '-e', '0'],
    workload: '',
    warmUp: false,
  };
  return programs
    .filter(([name, command]) => existsSync(command[0]!) && wanted(choice, 'start-up', name))
    .map(([name, program]) => ({
      name,
      about: '',
      measure: 'wall',
      lanes: [...choice.engines.map((e) => lane(e, program)), node],
    }));
}

/** An integer loop of five instructions, once long and once empty. */
export const LOOP_INSTRUCTIONS = 5;
export const loopCount = (quick: boolean): number => (quick ? 40_000_000 : 400_000_000);

export function integerLoopTasks(choice: Choice): Task[] {
  if (!wanted(choice, 'start-up', 'integer loop')) return [];
  const program = join(guestFolder, 'integer-loop');
  const task = (name: string, count: number): Task => ({
    name,
    about: '',
    measure: 'wall',
    lanes: choice.engines.map((e) => lane(e, [program, String(count)])),
  });
  return [task('integer loop', loopCount(choice.quick)), task('the same, empty', 1)];
}

export function systemCallTasks(choice: Choice): Task[] {
  const tasks: Task[] = [];
  for (const { name, program, kind } of systemCalls) {
    if (!wanted(choice, 'system-calls', name)) continue;
    const words = (e: Engine): string[] => [
      join(guestFolder, program),
      String(priceCount(name, choice.quick)),
      '--kind',
      String(kind),
      '--repeat',
      String(e.id === 'interpreter' ? 4 : repetitions(e.id, choice.quick)),
    ];
    tasks.push({ name, about: '', measure: 'steady', lanes: choice.engines.map((e) => lane(e, words(e))) });
  }
  return tasks;
}
