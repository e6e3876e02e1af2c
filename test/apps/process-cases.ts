/** Threads, processes and signals: guests of our own that check one thing each, and programs that start others. */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: text of shells and other languages
import type { Case } from './run.ts';

const threadChecks = [
  'mutex',
  'condvar',
  'barrier',
  'tls',
  'robust',
  'cancel',
  'detach',
  'rwlock',
  'pi',
  'signals',
  'thousand',
  'turn',
  'exit-group',
  'main-first',
  'exec',
  'fork',
  'handoff',
];
const processChecks = [
  'waits',
  'child-signal',
  'groups',
  'orphans',
  'vfork',
  'shared',
  'shm',
  'pidfd',
  'timers',
  'queued',
  'pipes',
  'tree',
  'clone',
];

/** Node's pipes are sockets, which have bash take itself for a remote shell, and read ~/.bashrc. */
const shell = (name: string, script: string, rest: Partial<Case> = {}): Case => ({
  name,
  command: ['/bin/bash', '--norc', '-c', script],
  ...rest,
});
const python = (name: string, script: string, rest: Partial<Case> = {}): Case => ({
  name,
  command: ['/usr/bin/python3', '-c', script],
  ...rest,
});

const program: Case['files'] = {
  'main.c': '#include <stdio.h>\nint twice(int);\nint main(void) { printf("%d\\n", twice(21)); return 0; }\n',
  'twice.c': 'int twice(int n) { return 2 * n; }\n',
  Makefile: 'main: main.o twice.o\n\t$(CC) -o $@ $^\n%.o: %.c\n\t$(CC) -O1 -c -o $@ $<\n',
};

const socketFile = `
import os, socket, stat
s, c = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
s.bind('sk'); s.listen(1); c.connect('sk')
a, _ = s.accept()
c.send(b'x')
print(a.recv(1), stat.S_ISSOCK(os.stat('sk').st_mode), os.listdir('.'))
os.unlink('sk')
print(os.listdir('.'))
`;
const procSignal = `
import os, signal
signal.signal(signal.SIGUSR1, lambda n, f: print('got', n))
fd = os.open(f'/proc/{os.getpid()}', os.O_DIRECTORY)
signal.pidfd_send_signal(fd, signal.SIGUSR1)
for path in '/', '/proc':
    try: signal.pidfd_send_signal(os.open(path, os.O_DIRECTORY), 0)
    except OSError as e: print(e.errno)
`;
// The same size, and times put back: only the status change shows that it is another program.
const changing = `
cp /bin/true p; truncate -s 1M p; touch -d 2020-01-01 p; sleep 2.1
for i in 1 2 3; do ./p; echo $?; done
cp /bin/false p; truncate -s 1M p; touch -d 2020-01-01 p
for i in 1 2; do ./p; echo $?; done
cp /bin/true q; truncate -s 1M q; mv q p; touch -d 2020-01-01 p
for i in 1 2; do ./p; echo $?; done
`;
const pool = `
import multiprocessing as mp, sys
def square(x): return x * x
def add(value, lock):
    for _ in range(50):
        with lock: value.value += 1
if __name__ == '__main__':
    with mp.Pool(3) as p: print(p.map(square, range(20)))
    value, lock = mp.Value('i', 0), mp.Lock()
    ps = [mp.Process(target=add, args=(value, lock)) for _ in range(3)]
    for p in ps: p.start()
    for p in ps: p.join()
    print(value.value, [p.exitcode for p in ps])
    q = mp.Queue()
    p = mp.Process(target=q.put, args=({'a': [1, 2]},))
    p.start()
    print(q.get())
    p.join()
`;
const threads = `
import threading, queue, concurrent.futures as f
q, out = queue.Queue(), []
def work():
    while (n := q.get()) is not None: out.append(n * n)
ts = [threading.Thread(target=work) for _ in range(8)]
for t in ts: t.start()
for n in range(200): q.put(n)
for _ in ts: q.put(None)
for t in ts: t.join()
print(sum(out), len(out))
c, n = threading.Condition(), [0]
def step():
    with c:
        n[0] += 1
        c.notify()
for _ in range(30): threading.Thread(target=step).start()
with c: c.wait_for(lambda: n[0] == 30)
print(n)
with f.ThreadPoolExecutor(5) as e: print(sum(e.map(lambda x: x * 3, range(100))))
e = threading.Event()
threading.Timer(0.01, e.set).start()
print(e.wait(10))
`;
const subprocess = `
import subprocess as s, sys, os, signal
print(s.run(['echo', 'hi'], capture_output=True))
print(s.run('exit 3', shell=True).returncode, s.run(['sh', '-c', 'kill -9 $$']).returncode)
p = s.Popen(['cat'], stdin=s.PIPE, stdout=s.PIPE)
print(p.communicate(b'x' * 200000)[0] == b'x' * 200000)
try: s.run(['sleep', '10'], timeout=0.05)
except s.TimeoutExpired: print('timeout')
p = s.Popen(['sleep', '100']); p.terminate(); print(p.wait())
try: s.run(['/no/such'])
except FileNotFoundError as e: print(e)
print(s.check_output(['tr', 'a-z', 'A-Z'], input=b'shout', start_new_session=True, cwd='/'))
pid = os.fork()
if pid == 0: os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;
const perl = `
my $p = fork; if (!$p) { print "child\\n"; exit 4 } wait; print $? >> 8, "\\n";
print \`echo sub\`; system("echo sys"); print $?, "\\n"; system("exit 5"); print $? >> 8, "\\n";
open(P, "-|", "seq 3"); print <P>; close P;
open(W, "|-", "sort -r"); print W "$_\\n" for 1 .. 5; close W;
pipe(R, S); if (!fork) { close R; print S "through\\n"; exit } close S; print <R>; wait;
$SIG{USR1} = sub { print "usr1\\n" }; kill USR1 => $$;
local $SIG{ALRM} = sub { die "alarm\\n" }; eval { alarm 1; select undef, undef, undef, 10; }; print $@;
`;

/** What configure scripts do: small programs in substitutions, tests, here documents. */
const configure = `#!/bin/sh
i=0
found=0
while [ $i -lt \${1:-25} ]; do
  name=$(echo "feature-$i" | sed 's/-/_/g')
  case $(expr $i % 3) in
    0) found=$(expr $found + 1) ;;
    1) test "$(printf %s "$name" | tr a-z A-Z)" = "FEATURE_$i" && found=$((found + 1)) ;;
  esac
  if (exit $((i % 2))) 2>/dev/null; then found=$((found + 1)); fi
  cat >conf.h <<EOF
#define $name $found
EOF
  grep -q "$name" conf.h || exit 1
  i=$((i + 1))
done
echo "$found"
`;
const goProgram: Case['files'] = {
  'go.mod': 'module hello\ngo 1.19\n',
  'main.go':
    'package main\nimport "fmt"\nfunc main() { c := make(chan int); go func() { for i := 0; i < 10; i++ { c <- i }; close(c) }(); s := 0; for v := range c { s += v }; fmt.Println(s) }\n',
};

const leases = `
import fcntl, os, signal, time
from fcntl import F_GETLEASE, F_SETLEASE, F_RDLCK, F_WRLCK, F_UNLCK, F_SETSIG
def attempt(what, f, *a):
  try: print(what, f(*a), flush=True)
  except OSError as e: print(what, e.errno, flush=True)
told = []
signal.signal(signal.SIGIO, lambda *a: told.append('io'))
w = os.open('f', os.O_RDWR | os.O_CREAT)
attempt('read lease on a writer', fcntl.fcntl, w, F_SETLEASE, F_RDLCK)
attempt('write lease', fcntl.fcntl, w, F_SETLEASE, F_WRLCK)
attempt('held', fcntl.fcntl, w, F_GETLEASE)
attempt('none there', fcntl.fcntl, os.open('/', os.O_RDONLY), F_SETLEASE, F_RDLCK)
attempt('bad type', fcntl.fcntl, w, F_SETLEASE, 7)
def child(f):
  pid = os.fork()
  if pid == 0:
    f(); os._exit(0)
  return pid
def until(f):
  while not f(): time.sleep(0.005)
os.waitpid(child(lambda: attempt('busy', os.open, 'f', os.O_RDONLY | os.O_NONBLOCK)), 0)
until(lambda: told)
attempt('to be', fcntl.fcntl, w, F_GETLEASE)
attempt('given up', fcntl.fcntl, w, F_SETLEASE, F_UNLCK)
attempt('not held', fcntl.fcntl, w, F_SETLEASE, F_UNLCK)
os.close(w)
r = os.open('f', os.O_RDONLY)
attempt('read lease', fcntl.fcntl, r, F_SETLEASE, F_RDLCK)
os.waitpid(child(lambda: attempt('another reader', lambda: os.open('f', os.O_RDONLY) > 0)), 0)
got = []
signal.signal(signal.SIGRTMIN, lambda *a: got.append(1))
fcntl.fcntl(r, F_SETSIG, signal.SIGRTMIN)
pid = child(lambda: attempt('after a wait', lambda: os.open('f', os.O_WRONLY) > 0))
until(lambda: got)
attempt('to be', fcntl.fcntl, r, F_GETLEASE)
print('gives way', flush=True)
fcntl.fcntl(r, F_SETLEASE, F_UNLCK)
os.waitpid(pid, 0)
attempt('read lease', fcntl.fcntl, r, F_SETLEASE, F_RDLCK)
pid = child(lambda: (os.close(r), attempt('truncated', os.truncate, 'f', 3)))
until(lambda: len(told) > 1)
print('closes', flush=True)
os.close(r)
os.waitpid(pid, 0)
print(os.stat('f').st_size)
`;

const quick: Case[] = [
  shell('a pipe', 'echo a | tr a b'),
  { name: 'a pipe in dash', command: ['/bin/sh', '-c', 'ls / | wc -l; echo $?'] },
  shell('a long pipe', 'for i in $(seq 200); do echo $i; done | sort -rn | head -3'),
  shell('a pipe that breaks', 'yes | head -100000 | tail -1; echo "${PIPESTATUS[@]}"'),
  shell('subshells', '(exit 3); echo $?; x=$(echo $(echo deep)); echo $x; (kill -TERM $BASHPID); echo $?'),
  shell('process substitution', 'diff <(seq 5) <(seq 2 6); paste <(echo a) <(echo b)'),
  shell(
    'traps and background jobs',
    'sleep 0.02 & wait $!; echo $?; trap "echo usr1" USR1; kill -USR1 $$; trap "echo bye" EXIT; sh -c "kill -INT \\$\\$"; echo $?; sleep 10 & sleep 0.2; kill %1; wait %1; echo $?',
  ),
  shell(
    'job control',
    'set -m; sleep 0.05 & jobs; fg >/dev/null; sh -c "kill -STOP \\$\\$" & sleep 0.1; kill -CONT %1; wait; echo done',
  ),
  shell(
    'coproc and read -t',
    'coproc cat; echo hello >&${COPROC[1]}; read -t 5 l <&${COPROC[0]}; echo $l; kill $COPROC_PID',
  ),
  shell('xargs and parallel children', 'seq 20 | xargs -P 4 -n 3 echo | sort'),
  shell(
    'timeout',
    'timeout 0.05 sleep 10; echo $?; timeout -s KILL 0.05 sleep 10; echo $?; nice -n 5 nohup true; echo $?',
  ),
  shell('find -exec', 'find /etc/default -type f -exec wc -c {} + | sort; find /bin/sh -exec echo {} \\;'),
  shell('exec and env', 'env -i A=1 sh -c "echo \\$A"; exec -a name sh -c "echo \\$0"'),
  shell('here documents', 'cat <<E | rev\nabc\nE\nwc -c <<< word; echo a b | { read x y; echo $y $x; }'),
  {
    name: 'busybox sh',
    command: ['/bin/busybox', 'sh', '-c', 'seq 50 | grep 5 | wc -l; (exit 2) || echo $?; x=`echo y`; echo $x'],
  },
  python('python3 threads', threads),
  python('python3 subprocess', subprocess),
  { name: 'python3 multiprocessing', command: ['/usr/bin/python3', 'pool.py'], files: { 'pool.py': pool } },
  { name: 'perl processes', command: ['/usr/bin/perl', '-e', `$| = 1; ${perl}`] },
  {
    name: 'gcc of one file',
    command: ['/bin/sh', '-c', 'gcc -O1 -o twice main.c twice.c && ./twice'],
    files: program,
    outputs: ['twice'],
  },
  {
    name: 'make -j3',
    command: ['/usr/bin/make', '-j3', '-s', 'main'],
    files: program,
    outputs: ['main.o', 'main'],
  },
  {
    name: 'git init, add, commit, log',
    command: [
      '/bin/bash',
      '-c',
      'git init -q r && cd r && echo hi > f && git add f && git commit -qm first && git log --format=%H && git status --short && echo x >> f && git diff --stat',
    ],
    env: {
      GIT_AUTHOR_NAME: 'n',
      GIT_AUTHOR_EMAIL: 'a@b',
      GIT_COMMITTER_NAME: 'n',
      GIT_COMMITTER_EMAIL: 'a@b',
      GIT_AUTHOR_DATE: '2020-01-01T00:00:00Z',
      GIT_COMMITTER_DATE: '2020-01-01T00:00:00Z',
    },
    outputs: ['r/f'],
  },
  {
    name: 'xz -T4',
    command: ['/usr/bin/xz', '-T4', '-1', '--block-size=100000', '-k', 'data'],
    files: { data: 'some data, some more\n'.repeat(20_000) },
    outputs: ['data.xz'],
  },
  {
    name: 'pigz',
    command: [
      '/bin/sh',
      '-c',
      'pigz -n -p 4 -b 128 -k data && pigz -dc data.gz | cmp - data && pigz -l data.gz | wc -l',
    ],
    files: { data: 'some data, some more\n'.repeat(40_000) },
    outputs: ['data.gz'],
  },
  {
    name: 'a script like those of autoconf',
    command: ['/bin/sh', 'configure'],
    files: { configure },
    outputs: ['conf.h'],
  },
  shell(
    'stopped and continued jobs',
    'set -m; sleep 100 & jobs; kill -STOP %1; until jobs | grep -q Stopped; do sleep 0.01; done; jobs; bg %1; jobs; kill %1; wait %1; echo $?',
  ),
  shell(
    'FIFOs in a folder of the host',
    'mkfifo -m 640 p; stat -c "%F %a" p; (echo one > p) & cat p; mv p q; ls -F; ln q r; (echo two > r) & cat q; rm q r; touch q; stat -c %F q',
    { stderr: true },
  ),
  python('a socket in a folder of the host', socketFile),
  python('a signal through /proc/PID', procSignal),
  python('leases', leases),
  shell('programs that change under one name', changing),
  ...threadChecks.map((n): Case => ({ name: `threads: ${n}`, command: ['guest:threads', n] })),
  ...processChecks.map((n): Case => ({ name: `processes: ${n}`, command: ['guest:processes', n] })),
];

const slow: Case[] = (
  [
    { name: '200,000 threads in turn', command: ['guest:threads', 'turn', '200000'] },
    { name: '2,000 programs in turn', command: ['guest:processes', 'many', '2000'] },
    shell(
      'a script of 2,000 forks',
      'n=0; for i in $(seq 1000); do x=$(echo $i); n=$((n + x)); /bin/true; done; echo $n',
    ),
    {
      name: 'configure, 250 features with some 2,000 forks',
      command: ['/bin/sh', 'configure', '250'],
      files: { configure },
    },
    {
      name: 'go build',
      command: ['/bin/sh', '-c', 'go build -o hello . && ./hello'],
      files: goProgram,
      env: { GOCACHE: '/tmp/gocache', GOFLAGS: '-mod=mod', HOME: '/tmp' },
    },
    { name: 'pipe ping-pong', command: ['guest:processes', 'pipes', '50000'] },
  ] satisfies Case[]
).map((c) => ({ ...c, slow: true, limit: 600 }));

export const processCases: Case[] = [...quick, ...slow];
