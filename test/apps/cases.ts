/** The command lines of the application tests. */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: text of shells and other languages
import { jitCases } from './jit-cases.ts';
import { processCases } from './process-cases.ts';
import type { Case } from './run.ts';

/** Text and numbers from a fixed sequence. */
function words(count: number): string {
  const syllables = ['ka', 'to', 'mi', 'ra', 'su', 'ne', 'lo', 'vi', 'da', 'pe', 'Zu', 'Qi', 'é', 'ß'];
  let seed = 12345;
  const next = (n: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 12) % n;
  };
  let out = '';
  for (let k = 0; k < count; k++) {
    for (let n = 1 + next(4); n > 0; n--) out += syllables[next(syllables.length)];
    out += k % 9 === 8 ? '\n' : next(10) === 0 ? ` ${next(100000)} ` : ' ';
  }
  return `${out}\n`;
}
function noise(bytes: number): Uint8Array {
  const b = new Uint8Array(bytes);
  let s = 88172645;
  for (let k = 0; k < bytes; k++) {
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    // Half of it compresses.
    b[k] = (k >> 10) & 1 ? s & 0x0f : s & 0xff;
  }
  return b;
}
const text = words(6000);
const numbers = Array.from({ length: 3000 }, (_, k) => String((Math.imul(k, 2654435761) >>> 8) % 100000)).join('\n');
const table = Array.from(
  { length: 500 },
  (_, k) => `${k}\tname${(k * 7) % 500}\t${(k * 37) % 101}.${k % 10}\t${k % 3 ? 'even' : 'odd'}`,
).join('\n');
const tree: Record<string, string> = {};
for (let k = 0; k < 40; k++)
  tree[`tree/${k % 5}/${k % 3}/file${k}.${k % 2 ? 'txt' : 'c'}`] = `line one ${k}\nneedle ${k * k}\nlast\n`;
const big: Case['files'] = {
  'text.txt': text,
  'numbers.txt': numbers,
  'table.tsv': table,
  'noise.bin': noise(300_000),
  ...tree,
};

const c = (name: string, command: string[], rest: Partial<Case> = {}): Case => ({ name, command, files: big, ...rest });
const coreutils: Case[] = [
  c('ls -la /usr', ['/bin/ls', '-la', '/usr']),
  c('ls -lanR', ['/bin/ls', '-lnR', '--time-style=+', 'tree']),
  c('ls --color -F', ['/bin/ls', '--color=always', '-F', '/', '/etc']),
  c('ls of what is not there', ['/bin/ls', '/no/such', '/etc/hostname'], { stderr: true }),
  c('cat of files', ['/bin/cat', '-n', 'text.txt', 'table.tsv']),
  c('cat of stdin', ['/bin/cat', '-A'], { stdin: text }),
  c('cat of much', ['/bin/cat', 'noise.bin', 'noise.bin', 'noise.bin']),
  c('cat of a folder', ['/bin/cat', 'tree', 'none'], { stderr: true }),
  c('sort', ['/usr/bin/sort', 'text.txt']),
  c('sort -n', ['/usr/bin/sort', '-nr', 'numbers.txt']),
  c('sort by keys', ['/usr/bin/sort', '-t\t', '-k4,4', '-k3,3nr', '-k2', 'table.tsv']),
  c('sort -u -o', ['/usr/bin/sort', '-u', '-o', 'sorted', 'text.txt'], { outputs: ['sorted'] }),
  c('wc', ['/usr/bin/wc', 'text.txt', 'numbers.txt', 'noise.bin']),
  c('wc -lmwc stdin', ['/usr/bin/wc', '-lmwcL'], { stdin: text }),
  c('sha256sum', ['/usr/bin/sha256sum', 'noise.bin', 'text.txt']),
  c('sha1sum stdin', ['/usr/bin/sha1sum'], { stdin: noise(100_000) }),
  c('md5sum', ['/usr/bin/md5sum', 'noise.bin', 'text.txt', 'none'], { stderr: true }),
  c('b2sum, cksum', ['/usr/bin/b2sum', 'noise.bin']),
  c('cksum', ['/usr/bin/cksum', 'noise.bin', 'text.txt']),
  c('cut', ['/usr/bin/cut', '-f2,4', 'table.tsv']),
  c('tr', ['/usr/bin/tr', 'a-z', 'A-Z'], { stdin: text }),
  c('uniq', ['/usr/bin/uniq', '-c', 'numbers.txt']),
  c('head and tail', ['/usr/bin/tail', '-n', '20', 'text.txt']),
  c('od', ['/usr/bin/od', '-A', 'x', '-t', 'x1z', '-N', '5000', 'noise.bin']),
  c('od of floats', ['/usr/bin/od', '-t', 'fD', '-N', '2000', 'noise.bin']),
  c('base64', ['/usr/bin/base64', 'noise.bin']),
  c('seq with floats', ['/usr/bin/seq', '-f', '%.3f', '0', '0.125', '50']),
  c('factor', ['/usr/bin/factor', '1234567890123', '18446744073709551557', '600851475143']),
  c('expr', ['/usr/bin/expr', '(', '7', '+', '5', ')', '*', '12', '%', '7']),
  c('printf', ['/usr/bin/printf', '%s %5d %-8.3f|%x %b\\n', 'text', '42', '3.14159', '255', 'a\\tb']),
  c('date', ['/bin/date', '-u', '-d', '@1234567890', '+%Y-%m-%dT%H:%M:%S %A %j %s']),
  c('stat', ['/usr/bin/stat', '-c', '%n %s %F %a %h %u %g', '/etc/passwd', '/dev/null', '/usr/bin', 'text.txt']),
  c('cp -a, then compare', ['/bin/cp', '-r', 'tree', 'copy'], { outputs: ['copy/0/0/file0.c', 'copy/4/2/file29.txt'] }),
  c('mv', ['/bin/mv', 'text.txt', 'moved'], { outputs: ['text.txt', 'moved'] }),
  c('rm -r', ['/bin/rm', '-rv', 'tree/1'], {
    outputs: ['tree/1/0/file6.c', 'tree/0/0/file0.c'],
    normalise: (s) => s.split('\n').sort().join('\n'),
  }),
  c('ln, readlink', ['/bin/ln', '-sv', 'text.txt', 'link'], { outputs: ['link'] }),
  c('dd', ['/bin/dd', 'if=noise.bin', 'of=part', 'bs=1000', 'skip=3', 'count=50', 'status=none'], {
    outputs: ['part'],
  }),
  c('split', ['/usr/bin/split', '-n', '5', 'text.txt', 'part.'], { outputs: ['part.aa', 'part.ae'] }),
  c('true and false', ['/bin/false']),
  c('id', ['/usr/bin/id']),
  c('uname', ['/bin/uname', '-s', '-m']),
  c('env', ['/usr/bin/env'], {
    env: { SOME: 'thing', EMPTY: '' },
    normalise: (s) =>
      s
        .split('\n')
        .filter((l) => !/^(_|OLDPWD|PWD|SHLVL)=/.test(l))
        .sort()
        .join('\n'),
  }),
  c('pwd', ['/bin/pwd'], { normalise: (s) => s.replace(/uktx-apps-\w+/, 'X') }),
];
const search: Case[] = [
  c('find', ['/usr/bin/find', 'tree', '-name', '*.txt', '-size', '-2', '-printf', '%p %s %y %m\\n'], {
    normalise: (s) => s.split('\n').sort().join('\n'),
  }),
  c(
    'find /usr/share/doc',
    ['/usr/bin/find', '/usr/share/doc', '-maxdepth', '2', '-type', 'f', '-newermt', '2001-01-01'],
    { normalise: (s) => s.split('\n').sort().join('\n') },
  ),
  c('grep -r', ['/bin/grep', '-rn', 'needle [0-9]*4$', 'tree'], { normalise: (s) => s.split('\n').sort().join('\n') }),
  c('grep -E -o', ['/bin/grep', '-Eo', '[A-Z][a-z]+(ka|to)[^ ]*', 'text.txt']),
  c('grep -P', ['/bin/grep', '-Pc', '(?<=mi)\\w*é', 'text.txt']),
  c('grep -vciw', ['/bin/grep', '-vciw', 'kato', 'text.txt']),
  c('grep without a match', ['/bin/grep', 'xyzzy', 'text.txt']),
  c('sed', ['/bin/sed', '-E', 's/([a-z]+) ([0-9]+)/\\2:\\1/g; /^k/d; y/abc/xyz/', 'text.txt']),
  c('sed script', ['/bin/sed', '-n', '1~3{h;d};/needle/{G;p};$='], {
    stdin: 'one\ntwo needle\nthree\nfour\nfive needle\nsix\n',
  }),
  c('sed -i', ['/bin/sed', '-i', 's/line/LINE/', 'tree/0/0/file0.c'], { outputs: ['tree/0/0/file0.c'] }),
  ...['/usr/bin/mawk', '/usr/bin/gawk'].flatMap((awk) => [
    c(
      `${awk} sums`,
      [
        awk,
        '-F\t',
        '{ s[$4] += $3; n[$4]++ } END { for (k in s) printf "%s %.4f %d\\n", k, s[k] / n[k], n[k] | "cat" }'.replace(
          ' | "cat"',
          '',
        ),
        'table.tsv',
      ],
      { normalise: (s: string) => s.split('\n').sort().join('\n') },
    ),
    c(`${awk} strings`, [
      awk,
      '{ gsub(/k[aeiou]/, "<&>"); print NR ": " toupper(substr($0, 3, 20)), length($0), index($0, "mi"), split($0, a, " ") }',
      'text.txt',
    ]),
    c(`${awk} arithmetic`, [
      awk,
      'BEGIN { for (i = 1; i <= 200; i++) { x = sin(i) * exp(i / 50) + log(i) ^ 2; printf "%d %.12g %s\\n", i, x, int(x) % 7 } }',
    ]),
  ]),
];
const shells: Case[] = ['/bin/bash', '/bin/dash']
  .flatMap((sh) => [
    c(`${sh} arithmetic`, [
      sh,
      '-c',
      'i=0; s=0; while [ $i -lt 2000 ]; do s=$((s + i * i % 7 - (i & 3 << 1))); i=$((i + 1)); done; echo $s $((0x7fffffffffffffff + 1)) $((-7 / 2)) $((-7 % 3))',
    ]),
    c(`${sh} builtins`, [
      sh,
      '-c',
      'set -- a "b c" d; for x; do printf "%s|" "$x"; done; shift; echo $# "$*"; case foo.txt in *.c) echo c;; *.txt) echo txt;; esac; unset y; echo ${y:-none} ${#1} ${1%c} ${1#b}; test -d /etc && [ -x /bin/sh ] && echo yes; f() { return 7; }; f; echo $?; umask; cd /etc && pwd; type cd; exit 9',
    ]),
    c(
      `${sh} redirections`,
      [
        sh,
        '-c',
        'echo one > f; echo two >> f; while read -r l; do echo "got $l"; done < f; exec 3< f; read a <&3; read b <&3; exec 3<&-; echo $b $a; echo err >&2; { echo x; echo y; } > g 2>&1; read z < g; echo $z; : > h; [ -s h ] || echo empty; echo no > /no/dir/x || echo failed $?',
      ],
      { stderr: true, outputs: ['f', 'g', 'h'] },
    ),
    c(`${sh} here-documents`, [sh, '-c', 'v=42; while read l; do echo "<$l>"; done <<EOF\nvalue $v\n  indented\nEOF']),
    c(`${sh} syntax error`, [sh, '-c', 'echo before; if then'], { stderr: true }),
    c(`${sh} traps`, [
      sh,
      '-c',
      'trap "echo got USR1" USR1; kill -USR1 $$; trap "echo bye" EXIT; echo end; kill -TERM $$',
    ]),
    c(`${sh} exec`, [sh, '-c', 'FOO=bar exec /usr/bin/printenv FOO']),
  ])
  .concat([
    c('bash arrays', [
      '/bin/bash',
      '-c',
      'a=(x y "z w"); a+=(v); declare -A m=([k]=1 [l]=2); for k in "${!a[@]}"; do echo $k "${a[k]}"; done; echo ${#a[@]} ${a[@]:1:2} ${m[k]}${m[l]}; s=hello; echo ${s^^} ${s/l/L} ${s:1:3}; [[ foobar =~ ^f(o+)(b.*)$ ]] && echo ${BASH_REMATCH[@]}; printf -v t "%05d" 42; echo $t; echo {1..5}{a,b}; mapfile -t L < text.txt; echo ${#L[@]} "${L[3]}"; printf "%q\\n" "a b\'c"',
    ]),
    c('bash loops', [
      '/bin/bash',
      '--norc',
      '-c',
      'n=0; for ((i = 0; i < 20000; i++)); do ((n += i ^ (i >> 3))); done; echo $n',
    ]),
    c('bash glob', [
      '/bin/bash',
      '--norc',
      '-c',
      'shopt -s globstar nullglob; echo tree/**/*.c; echo /etc/host*; echo nothing*',
    ]),
  ]);
const languages: Case[] = [
  c('bc', ['/usr/bin/bc', '-l'], {
    stdin:
      'scale=60\n4*a(1)\ne(1)\nsqrt(2)\n2^500\ndefine f(n) { if (n < 2) return 1; return n * f(n - 1) }\nf(60)\nfor (i = 0; i < 5; i++) i / 7\nobase=16\n255^9\n',
  }),
  c('dc', ['/usr/bin/dc', '-e', '20k 2v p 10 3 / p [la1+dsa*pla20>y]sy 0sa1lyx']),
  c('lua5.4', ['/usr/bin/lua5.4', '-'], {
    stdin: `local t = {}
for i = 1, 5000 do t[i] = (i * 7919) % 10007 end
table.sort(t)
print(t[1], t[2500], t[5000], #t)
print(string.format("%5.2f %d %s %q %x", math.pi, 42, "s", "quote\\n", 255), 7 // 2, 7 % -3, 2^53, 1e308 * 10, -(0/0) ~= -(0/0), 3 | 8, "10" + 5)
for w, n in ("a=1, bc=22, def=333"):gmatch("(%a+)=(%d+)") do io.write(w, ":", n, ";") end
print(("hello"):rep(3, "-"):upper():gsub("L+", "l"))
local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i * i) end end)
print(co(), co(), co())
print(pcall(error, {code = 5}), select("#", nil, nil), math.type(1), math.type(1.0), math.maxinteger + 1 == math.mininteger)
local s = 0; for i = 1, 300000 do s = s + i % 7 * 0.5 end; print(s)
goto done
::done:: print(string.pack("<i4d", 77, 1.5):byte(1, -1))
os.exit(6)`,
  }),
  c('perl', ['/usr/bin/perl', '-w', '-'], {
    stdin: `use strict; use List::Util qw(sum max first); use POSIX qw(floor fmod); use Data::Dumper; $Data::Dumper::Sortkeys = 1; $Data::Dumper::Indent = 1;
my %h; $h{$_ % 13}{count}++ for 1 .. 1000; print Dumper(\\%h);
my @w = sort { length $a <=> length $b or $a cmp $b } split ' ', 'the quick brown fox jumps over the lazy dog'; print "@w\\n";
print sum(map { $_ ** 2 } grep { $_ & 1 } 1 .. 999), " ", max(3, 9, 4), " ", floor(-2.5), " ", fmod(7.25, 2), "\\n";
my $t = "2024-02-29 and 1999-12-31"; while ($t =~ /(?<y>\\d{4})-(?<m>\\d\\d)-(\\d\\d)/g) { print "$+{y}/$+{m} at $-[0]\\n" }
printf "%s %.15g %e %b %o %s\\n", "x" x 5, 1 / 3, 12345.678, 37, 64, join ",", unpack("(A2)*", "aabbcc"); print pack("NnC", 1, 2, 3) eq "\\0\\0\\0\\1\\0\\2\\3" ? "ok\\n" : "no\\n";
(my $r = "hello world") =~ tr/a-y/b-z/; print ucfirst(reverse $r), "\\n"; local $@; eval { die { code => 42 } }; print "died $@->{code}\\n";
open my $f, '<', 'text.txt' or die; my $n = 0; while (<$f>) { $n += () = /\\bka\\w*/g } print "$n\\n"; my $s = 0; $s += $_ * 1.5 for 1 .. 100000; print "$s\\n"; exit 11;`,
  }),
  c('openssl dgst', ['/usr/bin/openssl', 'dgst', '-sha256', 'noise.bin', 'text.txt']),
  c('openssl dgst of several kinds', ['/usr/bin/openssl', 'dgst', '-sha3-512', '-hmac', 'key', 'noise.bin']),
  c('openssl md5, stdin', ['/usr/bin/openssl', 'md5'], { stdin: text }),
  c('openssl aes', [
    '/usr/bin/openssl',
    'enc',
    '-aes-256-cbc',
    '-K',
    '00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff',
    '-iv',
    '000102030405060708090a0b0c0d0e0f',
    '-base64',
    '-in',
    'text.txt',
  ]),
  c('openssl prime', ['/usr/bin/openssl', 'prime', '-hex', 'FFFFFFFFFFFFFFC5', '10001']),
];
const python = (name: string, script: string, rest: Partial<Case> = {}): Case =>
  c(`python3 ${name}`, ['/usr/bin/python3', '-c', script], rest);
const pythons: Case[] = [
  python('hello', 'import sys; print("hello", sys.version_info[:2], sys.byteorder, sys.maxsize)'),
  python(
    'json',
    'import json; d = json.loads(\'{"a": [1, 2.5, -3e10, null, true], "b": {"c": "\\\\u00e9\\\\n"}}\'); d["big"] = list(range(2000)); s = json.dumps(d, sort_keys=True, indent=1); print(len(s), s[:300]); print(json.loads(s) == d)',
  ),
  python(
    're',
    'import re; t = open("text.txt", encoding="utf-8").read(); print(len(re.findall(r"\\b(?:ka|mi)+\\w*\\b", t)), re.sub(r"(\\d+)", lambda m: hex(int(m[1])), t)[:500]); print(re.match(r"(?P<x>a+)(?:b|c)*?(d)$", "aaabcbcd").groupdict())',
  ),
  python(
    'hashlib',
    'import hashlib; b = open("noise.bin", "rb").read(); [print(n, hashlib.new(n, b).hexdigest()) for n in ("md5", "sha1", "sha256", "sha512", "sha3_256", "blake2b")]; print(hashlib.pbkdf2_hmac("sha256", b"pw", b"salt", 100).hex())',
  ),
  python(
    'decimal',
    'from decimal import *; getcontext().prec = 60; print(Decimal(2).sqrt(), Decimal(1) / 7, Decimal("1e50").ln(), Decimal("0.1") + Decimal("0.2"), (Decimal(10) ** -30).exp()); from fractions import Fraction; print(sum(Fraction(1, n) for n in range(1, 60)))',
  ),
  python(
    'struct',
    'import struct, array, zlib, binascii; p = struct.pack("<bHiQfd5s", -1, 65535, -2**31, 2**64 - 1, 1.1, 2.2, b"abc"); print(p.hex(), struct.unpack("<bHiQfd5s", p)); a = array.array("d", [x / 3 for x in range(100)]); print(sum(a), zlib.crc32(a.tobytes()), len(zlib.compress(open("text.txt", "rb").read(), 9)), binascii.crc_hqx(b"abc", 0))',
  ),
  python(
    'floats',
    'import math, cmath, statistics\nfor x in (0.1, 1e-310, 5e-324, 1.7976931348623157e308, -0.0, math.pi, 1e16, 123456789.123456789, float("nan"), float("-inf")):\n  print(repr(x), x.hex(), "%.20e" % x, f"{x:.3g}", math.copysign(1, x))\nprint([math.sin(x), math.cos(x * 1e5), math.tan(x), math.exp(x / 9), math.log(x + 1e-9), math.gamma(1.5), math.erf(x), math.atan2(x, -1), math.fma(2, 3, 4) if hasattr(math, "fma") else 0] if (x := 2.5) else 0)\nprint(round(2.5), round(-1.15, 1), 7.0 // -2, -7 % 2.5, 2 ** 0.5, (-8) ** (1 / 3), math.fsum([0.1] * 10), int(1e22), float("1.7976931348623158e308"), cmath.exp(1j), statistics.stdev([1, 2, 4, 8.5]))',
  ),
  python(
    'integers',
    'print(3 ** 1000 % (2 ** 127 - 1), pow(7, 10 ** 50, 10 ** 30 + 57), math.isqrt(10 ** 101), math.factorial(300) // math.comb(200, 77), hash("x") if 0 else hash(2 ** 70), int("z" * 50, 36), (-5) // 3, -5 % 3, ~7 << 70 >> 68, 0xdeadbeef.bit_count())'.replace(
      'print',
      'import math; print',
    ),
  ),
  python(
    'generators and classes',
    'import itertools, functools, collections, dataclasses, enum\n@dataclasses.dataclass(order=True)\nclass P:\n  x: int\n  y: float = 0.5\n@functools.lru_cache(None)\ndef fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)\nprint(sorted([P(3), P(1, 2.0), P(1)]), fib(200), list(itertools.islice(itertools.permutations("abc"), 4)), collections.Counter("mississippi").most_common(2))\nclass C(enum.Flag):\n  A = 1\n  B = 2\nprint(C.A | C.B, [*map(str, range(3))], {**{"a": 1}, "b": 2}, (lambda *a, **k: (a, k))(1, z=2))\ntry:\n  [][3]\nexcept IndexError as e:\n  print(type(e).__name__, e)',
  ),
  python(
    'text',
    'import unicodedata, textwrap, difflib, string, base64, datetime, calendar; print(unicodedata.normalize("NFD", "é").encode(), "ß".upper(), "{:>10}|{:^10}|{:,}".format("a", "b", 1234567), textwrap.fill("word " * 40, 40)); print("\\n".join(difflib.unified_diff(["a", "b"], ["a", "c"], lineterm=""))); print(base64.b85encode(b"some bytes"), datetime.datetime(2024, 2, 29, tzinfo=datetime.timezone.utc).isoformat(), datetime.date(2024, 12, 30).isocalendar(), calendar.month(2023, 5))',
  ),
  python(
    'files',
    'import os, tempfile, shutil, glob, pathlib\nos.makedirs("o/p", exist_ok=True)\nwith open("o/p/f", "w") as f: f.write("x" * 100000); f.seek(5); f.write("yy")\nprint(os.path.getsize("o/p/f"), sorted(os.listdir("o")), sorted(glob.glob("tree/*/*/*.c"))[:5], pathlib.Path("o/p/f").read_text()[:9])\nos.rename("o/p/f", "o/g"); shutil.copy("o/g", "o/h"); os.remove("o/g"); print(sorted(p.name for p in pathlib.Path("o").iterdir()), os.path.exists("o/g"), os.stat("o/h").st_size)\ntry:\n  open("none")\nexcept OSError as e:\n  print(e)',
    { outputs: ['o/h'] },
  ),
  python(
    'exit status and traceback',
    'import sys\ndef f(): raise ValueError("no")\ntry:\n  f()\nexcept ValueError:\n  import traceback; traceback.print_exc()\nprint("out"); sys.stderr.write("err\\n"); sys.exit(77)',
    { stderr: true },
  ),
  python(
    'sorting',
    'import random, heapq, bisect; random.seed(42); a = [random.random() for _ in range(20000)]; a.sort(); print(a[0], a[10000], bisect.bisect(a, 0.5), heapq.nsmallest(3, a), random.gauss(0, 1), random.sample(range(1000), 5))',
  ),
  python(
    'sqlite',
    'import sqlite3; d = sqlite3.connect(":memory:"); d.execute("create table t(a integer primary key, b text, c real)"); d.executemany("insert into t(b, c) values (?, ?)", ((f"n{i % 97}", i / 7) for i in range(3000))); print(d.execute("select b, count(*), sum(c) from t group by b order by 3 desc limit 5").fetchall())',
  ),
  python(
    'big import',
    'import argparse, ast, asyncio.events, csv, email, http.client, inspect, logging, pickle, urllib.parse, xml.etree.ElementTree as E; print(ast.dump(ast.parse("a + b * 2"))[:80], urllib.parse.urlparse("http://h:80/p?q#f"), E.tostring(E.fromstring("<a><b x=\'1\'/>t</a>")), pickle.loads(pickle.dumps({1: (2, [3])})))',
  ),
];
const sql = `create table people(id integer primary key, name text, city integer, score real);
create table cities(id integer primary key, name text unique);
with recursive n(k) as (select 1 union all select k + 1 from n where k < 50) insert into cities(name) select 'city' || k from n;
with recursive n(k) as (select 1 union all select k + 1 from n where k < 10000) insert into people(name, city, score) select 'name' || (k * 7919 % 10007), k * 31 % 50 + 1, k * 1.25 / 3 from n;
create index by_name on people(name); create index by_city on people(city, score desc);
select count(*), sum(score), avg(length(name)), min(name), max(name) from people;
select c.name, count(*), round(total(p.score), 3) from people p join cities c on c.id = p.city where p.name like 'name1%' group by c.id having count(*) > 5 order by 3 desc limit 10;
select p.id, q.id from people p join people q on q.name = 'name' || (p.id + 1) where p.id between 100 and 110;
update people set score = score * 2 where city = 7; delete from people where id % 3 = 0; select count(*), sum(score) from people;
explain query plan select * from people where name = 'x'; select json_extract('{"a":[1,{"b":2}]}', '$.a[1].b'), printf('%.10f', 1.0 / 3), upper('abc'), date(86400 * 365, 'unixepoch');
begin; delete from people; rollback; select count(*) from people; pragma integrity_check;
`;
const databases: Case[] = [
  c('sqlite3 in memory', ['/usr/bin/sqlite3', '-header', ':memory:'], { stdin: sql }),
  c('sqlite3 in a file', ['/usr/bin/sqlite3', 'data.db'], { stdin: sql, outputs: ['data.db'] }),
  c(
    'sqlite3 reads a file',
    ['/usr/bin/sqlite3', 'data.db', 'select count(*), sum(b) from t; insert into t values (1, 2); select changes();'],
    {
      prepare: [
        '/usr/bin/sqlite3',
        'data.db',
        'create table t(a, b); with recursive n(k) as (select 1 union all select k + 1 from n where k < 1000) insert into t select k, k * k from n;',
      ],
      outputs: ['data.db'],
    },
  ),
  c('sqlite3 error', ['/usr/bin/sqlite3', ':memory:', 'select * from none;'], { stderr: true }),
];
const archives: Case[] = [
  c('gzip', ['/bin/gzip', '-9nc', 'text.txt']),
  c('gzip of noise', ['/bin/gzip', '-nk', 'noise.bin'], { outputs: ['noise.bin.gz'] }),
  c('gzip -dc', ['/bin/gzip', '-dc', 'text.txt.gz'], { prepare: ['/bin/gzip', '-k', 'text.txt'] }),
  c('gzip -t of rubbish', ['/bin/gzip', '-t', 'text.txt'], { stderr: true }),
  c('xz', ['/usr/bin/xz', '-6', '-c', 'text.txt']),
  c('xz -dc', ['/usr/bin/xz', '-dc', 'noise.bin.xz'], { prepare: ['/usr/bin/xz', '-k', 'noise.bin'] }),
  c('bzip2', ['/bin/bzip2', '-c', 'text.txt']),
  c('bzip2 -dc', ['/bin/bzip2', '-dc', 'noise.bin.bz2'], { prepare: ['/bin/bzip2', '-k', 'noise.bin'] }),
  c('tar c', [
    '/bin/tar',
    '--sort=name',
    '--mtime=@0',
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '-cf',
    '-',
    'tree',
  ]),
  c('tar x', ['/bin/tar', '-xvf', 'a.tar'], {
    prepare: ['/bin/tar', '-cf', 'a.tar', '--transform=s/^tree/new/', 'tree'],
    outputs: ['new/0/0/file0.c', 'new/4/2/file29.txt'],
  }),
];
const busybox = (name: string, args: string[], rest: Partial<Case> = {}): Case =>
  c(`busybox ${name}`, ['/bin/busybox', ...args], rest);
const busyboxes: Case[] = [
  busybox('ls', ['ls', '-ln', 'tree/0']),
  busybox('sort', ['sort', '-k2', 'table.tsv']),
  busybox('awk', ['awk', '{ n += $3 } END { print n, NR }', 'table.tsv']),
  busybox('sed', ['sed', '-n', 's/needle/&&/p', 'tree/1/1/file1.txt']),
  busybox('grep', ['grep', '-c', 'ka', 'text.txt']),
  busybox('md5sum', ['md5sum', 'noise.bin']),
  busybox('sha512sum', ['sha512sum', 'noise.bin']),
  busybox('gzip', ['gzip', '-c', 'text.txt'], { normalise: (s) => s.slice(8) }),
  busybox('find', ['find', 'tree', '-name', '*.c'], { normalise: (s) => s.split('\n').sort().join('\n') }),
  busybox('wc', ['wc', 'text.txt', 'noise.bin']),
  busybox('vi is not asked', ['nosuch'], { stderr: true }),
  busybox('sh', ['sh', '-c', 'x=5; while [ $x -gt 0 ]; do echo $x; x=$((x-1)); done; exit 3']),
  busybox('dc', ['dc', '-e', '12 7 * p 2 100 ^ p']),
  busybox('tar', ['tar', 'cf', '-', '--help'], { stderr: true }),
  busybox('xxd', ['xxd', '-l', '200', 'noise.bin']),
  busybox('date', ['date', '-u', '-d', '@86400', '+%F %T']),
];
const hellos: Case[] = [
  'hello-c',
  'hello-c-no-pie',
  'hello-c-static',
  'hello-c-static-pie',
  'hello-musl',
  'hello-musl-static',
  'hello-cpp',
  'hello-cpp-static',
  'hello-cpp-static-pie',
  'hello-rust',
  'hello-rust-static',
  'hello-rust-static-pie',
].map((name) => ({ name, command: [`guest:${name}`, 'one', 'two words', '--flag'], stderr: true }));
const faults: Case[] = [
  'null',
  'read',
  'wild',
  'noncanonical',
  'readonly',
  'divide',
  'overflow',
  'illegal',
  'privileged',
  'trap',
  'execute',
  'abort',
  'raise',
].flatMap((how) => [
  { name: `death: ${how}`, command: ['guest:fault-musl-static', how] },
  { name: `handler: ${how}`, command: ['guest:fault-musl-static', how, 'handler'] },
]);
const scripts: Case[] = [
  { name: 'file calls', command: ['guest:files-musl-static', '.'], stderr: true },
  { name: 'pseudoterminals', command: ['guest:pty'] },
  { name: 'inotify', command: ['guest:inotify', '.'] },
  ...['shm', 'sem', 'msg'].map((what) => ({ name: `System V ${what}`, command: ['guest:sysv-ipc', what] })),
  ...['queue', 'signalfd'].map((what) => ({ name: `POSIX ${what}`, command: ['guest:mqueue', what] })),
  {
    name: 'script',
    command: ['/usr/bin/script', '-qec', 'stty size; tty | sed s/[0-9]*$//; exit 3', '/dev/null'],
  },
  {
    name: 'python pty',
    command: [
      '/usr/bin/python3',
      '-c',
      'import pty, os; print(os.waitstatus_to_exitcode(pty.spawn(["sh", "-c", "stty -a; tty | wc -l; exit 6"])))',
    ],
  },
  {
    name: 'script with an interpreter line',
    command: ['/bin/sh', './script', 'x'],
    files: { script: '#!/bin/dash\necho "$0 $1 $#"\nexit 4\n' },
  },
];

const MB = 1 << 20;
let twenty: Uint8Array | null = null;
/** 20 MB that compress by about half. */
const much = (): Uint8Array => (twenty ??= noise(20 * MB));
const slowFiles: Case['files'] = {
  get data() {
    return much();
  },
};
const slow: Case[] = (
  [
    { name: 'gzip of 20 MB', command: ['/bin/gzip', '-nk', 'data'], outputs: ['data.gz'] },
    { name: 'gzip -d of 20 MB', command: ['/bin/gzip', '-dc', 'data.gz'], prepare: ['/bin/gzip', '-k', 'data'] },
    { name: 'xz of 20 MB', command: ['/usr/bin/xz', '-3', '-T1', '-k', 'data'], outputs: ['data.xz'] },
    {
      name: 'xz -d of 20 MB',
      command: ['/usr/bin/xz', '-dc', 'data.xz'],
      prepare: ['/usr/bin/xz', '-1', '-k', 'data'],
    },
    { name: 'sha256sum of 20 MB', command: ['/usr/bin/sha256sum', 'data'] },
    { name: 'sort of much', command: ['/usr/bin/sort', 'data'] },
    {
      name: 'python3 compile all',
      command: [
        '/usr/bin/python3',
        '-c',
        'import ast, glob; print(sum(len(ast.dump(ast.parse(open(f, encoding="utf-8").read()))) for f in sorted(glob.glob("/usr/lib/python3.11/*.py"))[:60]))',
      ],
    },
    {
      name: 'find /usr',
      command: ['/usr/bin/find', '/usr/share', '-type', 'f', '-size', '+100k'],
      normalise: (s: string) => s.split('\n').sort().join('\n'),
    },
    {
      name: 'grep -r /usr/include',
      command: ['/bin/grep', '-rc', 'define', '/usr/include'],
      normalise: (s: string) => s.split('\n').sort().join('\n'),
    },
  ] as Case[]
).map((x) => ({ files: slowFiles, slow: true, limit: 600, ...x }));

export const cases: Case[] = [
  ...hellos,
  ...scripts,
  ...coreutils,
  ...search,
  ...shells,
  ...languages,
  ...databases,
  ...archives,
  ...busyboxes,
  ...pythons,
  ...faults,
  ...processCases,
  ...jitCases,
  ...slow,
];
