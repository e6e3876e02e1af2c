/** `uktx run`: puts host, kernel and engine together, runs one program, and reports. */
import { writeFileSync } from 'node:fs';
import { availableParallelism, constants } from 'node:os';
import { openStdio } from '../kernel/fs/host-stream.ts';
import { restoreTerminal } from '../kernel/fs/tty.ts';
import { Kernel } from '../kernel/kernel.ts';
import { type ExecResult, loadProgram } from '../kernel/loader/exec.ts';
import { configureLoader } from '../kernel/loader/options.ts';
import { mapVdso } from '../kernel/loader/vdso.ts';
import { errno } from '../kernel/abi/errno.ts';
import { syscallName } from '../kernel/syscalls/table.ts';
import { type ExitStatus, shellStatus } from '../kernel/task/exit-status.ts';
import type { GuestTask } from '../kernel/task/guest-task.ts';
import type { CodeCache } from '../runtime/cache/code-cache.ts';
import { openCodeCache } from '../runtime/cache/open.ts';
import { yieldToGuest } from '../runtime/jit/compiler-threads.ts';
import { EngineTable } from '../runtime/engine-table.ts';
import { isaRuntime, loadIsa } from '../runtime/isa.ts';
import { exitReason } from '../translator/ir/layout.ts';
import { Compiler } from '../runtime/jit/compiler.ts';
import { Ticker } from '../runtime/jit/ticker.ts';
import { NodeHost } from '../runtime/node-host.ts';
import { Scheduler } from '../runtime/scheduler.ts';
import { guestCpu } from './guest-cpu.ts';
import { guestEnvironment, toGuest } from './guest-environment.ts';
import { mountGuestRoot } from './guest-root.ts';
import { guestNetwork } from './network.ts';
import { followStops } from './job-control.ts';
import type { UsedCall } from '../kernel/syscalls/call-usage.ts';
import type { Observer } from '../kernel/syscalls/observer.ts';
import type { CallFilter } from '../kernel/syscalls/strace-filter.ts';
import { type RunOptions, UsageError } from './options.ts';

/** Entries of a block after which it is translated. */
const JIT_THRESHOLD = 3000;
const NOT_FOUND = 127;
const NOT_RUNNABLE = 126;

/** Signals of the host that the guest gets. */
const forwarded = [
  'SIGINT',
  'SIGTERM',
  'SIGHUP',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGALRM',
  'SIGCONT',
  'SIGTSTP',
] as const;

/** What the caller wants to know of a run. */
export interface RunHooks {
  /** Told at the end which system calls were used; asking for it costs a little on each. */
  onUsage?: (calls: readonly UsedCall[]) => void;
}

/** Runs a program to its end; the result is the exit status for the host. */
export async function run(options: RunOptions, hooks: RunHooks = {}): Promise<number> {
  const host = new NodeHost(options.memory);
  const stdio = openStdio(process.env.UKTX_CLOSED_FDS);
  const root = mountGuestRoot(options, host, guestCpu, stdio.terminal);
  // What shows translations to people has them made, with names.
  const named = options.perfMap || options.jitVerify || (options.dump?.includes('wat') ?? false);
  const nameOf = named ? (await import('./guest-names.ts')).guestNames(() => kernel) : null;
  const usesCache = options.jit && !options.dump && !named && options.injectFault === undefined;
  if (options.perfMap) mapForPerf();
  const onDifference = options.jitVerify
    ? await (await import('./verify-report.ts')).differenceReporter(host, nameOf!)
    : null;
  const cache = usesCache ? openCodeCache(options, (m) => host.diagnostic(m)) : null;
  // A warm run: all its modules come in the first seconds.
  if (cache) cache.onFirstHit = yieldToGuest;
  const ticker = new Ticker();
  const engines = new EngineTable({
    compiler: new Compiler(options.jitWorkers ?? (availableParallelism() >= 4 ? 2 : 1), options.jitSync),
    verifyIr: options.verifyIr,
    disabledPasses: options.disabledPasses,
    ...(options.jit && {
      jit: {
        ticker,
        threshold: options.jitThreshold ?? JIT_THRESHOLD,
        checks: options.memoryChecks ?? 'null',
        cache,
        ...(onDifference && { onDifference }),
        ...(nameOf && { nameOf }),
        ...(options.injectFault !== undefined && { fault: options.injectFault }),
        ...(options.dump?.includes('wat') && { onText: (text: string) => host.raw(`${text}\n`) }),
        onError: (stack) => {
          // Tests that wait for each translation want to know.
          if (options.jitSync) throw new Error(`the translator failed: ${stack}`);
          if (options.debug) host.diagnostic(`the translator failed: ${stack}`);
        },
      },
    }),
  });
  const scheduler = new Scheduler(engines);
  const profiler = options.profile === undefined ? null : new (await import('../runtime/profile.ts')).Profiler();
  scheduler.profiler = profiler;
  const kernel: Kernel = new Kernel({
    host,
    vfs: root.vfs,
    createMemory: (program) => engines.takeMemory(program ?? null),
    machine: scheduler,
    network: guestNetwork(options, () => scheduler.gather()),
    options: {
      memoryLimit: host.memoryTotal,
      pid: process.pid,
      ppid: process.ppid,
      strace: options.strace ? (line) => host.raw(`${line}\n`) : null,
      debug: options.debug,
      onAttention: () => ticker.stir(),
      ...(options.stackSize !== undefined && { stackSize: options.stackSize }),
    },
  });
  root.procfs.kernel = kernel;
  configureLoader(kernel, {
    prepareIsa: loadIsa,
    mapVdso: (mm, isa) => mapVdso(kernel, mm, isa),
    attachCpu: (_task, mm, isa) => engines.newContext(mm, isa),
    hwcap: (isa) => [isaRuntime(isa).hwcap, isaRuntime(isa).hwcap2],
  });
  if (options.dump) {
    const { blockDumper } = await import('./dump.ts');
    engines.onCreate = await blockDumper(
      { what: options.dump, range: options.range ?? [0, Number.MAX_SAFE_INTEGER] },
      host,
    );
  }
  const task = kernel.spawnInit({
    cpu: (mm) => engines.newContext(mm, 'x86_64'),
    fs: root.context,
    stdio: stdio.files,
  });
  const { terminal } = stdio;
  if (terminal) {
    terminal.attach(task.process);
    kernel.foreground = () => terminal.pgrp;
  }

  followStops(kernel, terminal);

  const observer = await observe(kernel, options, hooks);
  const program = await start(task, options);
  if (program !== null) {
    host.diagnostic(program.message);
    return program.status;
  }
  const restore = forwardSignals(kernel);
  try {
    const status = await scheduler.run(task);
    // What the guest has written to the network still leaves.
    await kernel.net.shutdown();
    cache?.close();
    report(options, host, kernel, engines, task, status, cache);
    if (profiler) write(host, options.profile!, profiler.report());
    const { files } = root.overlay.changes();
    if (files > 0)
      host.diagnostic(
        `${files} file${files === 1 ? ' was' : 's were'} written in memory and ${files === 1 ? 'is' : 'are'} gone now; use --rw or -v SRC:DST to keep such files`,
      );
    return shellStatus(status);
  } finally {
    restore();
    restoreTerminal();
    if (observer?.usage) hooks.onUsage?.(observer.usage.report());
  }
}

/** Puts an observer behind the dispatcher where the flags ask for one; its code is loaded only then. */
async function observe(kernel: Kernel, options: RunOptions, hooks: RunHooks): Promise<Observer | null> {
  if (!options.strace && options.answers.size === 0 && !hooks.onUsage) return null;
  const [{ Observer }, { CallFilter }] = await Promise.all([
    import('../kernel/syscalls/observer.ts'),
    import('../kernel/syscalls/strace-filter.ts'),
  ]);
  let filter: CallFilter | null = null;
  try {
    if (options.straceCalls !== '') filter = CallFilter.parse(options.straceCalls);
  } catch (e) {
    throw new UsageError(`--strace: ${(e as Error).message}`);
  }
  const observer = new Observer(kernel, {
    trace: options.strace ? { filter, times: options.straceTimes } : null,
    answers: options.answers,
    usage: hooks.onUsage !== undefined,
  });
  kernel.observer = observer;
  return observer;
}

/** Loads the program, found as execvp(3) does. Null, or why it cannot run. */
async function start(task: GuestTask, options: RunOptions): Promise<{ status: number; message: string } | null> {
  const environment = guestEnvironment(options.env, process.env);
  const name = toGuest(options.program);
  const argv = [options.argv0 === undefined ? name : toGuest(options.argv0), ...options.args.map(toGuest)];
  const path = environment.find((e) => e.startsWith('PATH='))?.slice(5) ?? '/usr/local/bin:/usr/bin:/bin';
  const candidates = name.includes('/') ? [name] : path.split(':').map((dir) => `${dir || '.'}/${name}`);
  let failure: Exclude<ExecResult, { ok: true }> | null = null;
  for (const file of candidates) {
    const result = await loadProgram(task, { file, argv, envp: environment });
    if (result.ok) {
      // The call that the guest's launcher would have made.
      const words = argv.map((a) => JSON.stringify(a)).join(', ');
      task.kernel.options.strace?.(`execve(${JSON.stringify(file)}, [${words}], /* ${environment.length} vars */) = 0`);
      return null;
    }
    if (!failure || failure.errno === errno.ENOENT || failure.errno === errno.ENOTDIR) failure = result;
    if (result.errno !== errno.ENOENT && result.errno !== errno.ENOTDIR && result.errno !== errno.EACCES) break;
  }
  const missing =
    !failure || ((failure.errno === errno.ENOENT || failure.errno === errno.ENOTDIR) && failure.reason === 'not found');
  return {
    status: missing ? NOT_FOUND : NOT_RUNNABLE,
    message: `${options.program}: ${failure?.reason ?? 'not found'}`,
  };
}

function forwardSignals(kernel: Kernel): () => void {
  const installed: [NodeJS.Signals, () => void][] = [];
  for (const name of forwarded) {
    const number = constants.signals[name];
    if (number === undefined) continue;
    const handler = (): void => kernel.hostSignal(number);
    try {
      process.on(name, handler);
      installed.push([name, handler]);
    } catch {
      // This host has no such signal.
    }
  }
  return () => {
    for (const [name, handler] of installed) process.off(name, handler);
  };
}

function report(
  options: RunOptions,
  host: NodeHost,
  kernel: Kernel,
  engines: EngineTable,
  task: GuestTask,
  status: ExitStatus,
  cache: CodeCache | null,
): void {
  if (!options.stats && options.statsFile === undefined) return;
  const engine = engines.of(task.mm.memory, task.cpu.isa);
  const { totals } = engines;
  const stats = {
    status,
    wallMs: Math.round(process.uptime() * 1000),
    translator: totals.code,
    exits: Object.fromEntries(Object.entries(exitReason).map(([name, n]) => [name, totals.exits[n]])),
    ...(options.jit && { regions: totals.regions }),
    ...(engine.verifier && { verified: engine.verifier.stats }),
    ...(cache && { cache: cache.stats }),
    kernel: kernel.stats.report((nr) => syscallName(task.cpu.isa, nr)),
    hostResidentBytes: process.memoryUsage.rss(),
  };
  if (options.statsFile !== undefined) {
    write(host, options.statsFile, `${JSON.stringify(stats, null, 2)}\n`);
  }
  if (options.stats) for (const line of JSON.stringify(stats, null, 2).split('\n')) host.diagnostic(line);
}

function write(host: NodeHost, file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (e) {
    host.diagnostic(`cannot write ${file}: ${(e as Error).message}`);
  }
}

/** Has V8 list what workers compile from now on in /tmp/perf-PID.map; its log, which comes with that, goes nowhere. */
function mapForPerf(): void {
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  for (const flag of ['--logfile=+', '--no-logfile-per-isolate', '--perf-basic-prof']) setFlagsFromString(flag);
}
