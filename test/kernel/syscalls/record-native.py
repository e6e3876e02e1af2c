#!/usr/bin/env python3
"""Records what Linux answers to many small system calls, for native.test.ts.

    setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --bounding-set=-all \
        python3 test/kernel/syscalls/record-native.py > test/kernel/syscalls/fixtures/native.json

Left out: what depends on the caller's place (setsid), on other processes, or on a newer kernel than 6.1.
Every call is made in a child process of its own. Recorded is the error name, or "ok". Arguments: numbers, "B" for 4096
zeroed writable bytes, "R" for readable zeros, "X" for an address that is not mapped.
"""
import ctypes, errno, itertools, json, mmap, os, signal, sys

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]

B = libc.mmap(None, 8192, 3, 0x22, -1, 0)
R = libc.mmap(None, 4096, 1, 0x22, -1, 0)
X = 0x1000
NOPID = 4194000

PTR = ["B", "R", "X", 0]
INTS = [0, 1, 2, 3, -1, 64, 65]
cases = {
    # number: (name, list of values per argument)
    13: ("rt_sigaction", [[0, 1, 9, 64, 65, -1], ["B", "X", 0], PTR, [8, 4, 0]]),
    14: ("rt_sigprocmask", [[0, 1, 2, 3, -1], ["B", "X", 0], PTR, [8, 16]]),
    127: ("rt_sigpending", [PTR, [0, 4, 8, 9]]),
    131: ("sigaltstack", [["B", "X", 0], PTR]),
    128: ("rt_sigtimedwait", [["B", "X"], ["B", "X", 0], ["B", "X"], [8, 4]]),
    62: ("kill", [[0, NOPID, -NOPID], [0, 65, -1]]),
    200: ("tkill", [[0, -1, NOPID], [0, 65, -1]]),
    234: ("tgkill", [[0, -1, NOPID], [0, -1, NOPID], [0, 65]]),
    129: ("rt_sigqueueinfo", [[0, -1, NOPID], [0, 65, 10], ["B", "X"]]),
    297: ("rt_tgsigqueueinfo", [[0, NOPID], [0, NOPID], [0, 65, 10], ["B", "X"]]),
    61: ("wait4", [[-1, 0, 5, -5, -2147483648], ["B", 0], [0, 1, 2, 4, 8, 16], [0, "X"]]),
    247: ("waitid", [[0, 1, 2, 3, 4, -1], [0, 5, -1], ["B", "X", 0], [0, 1, 4, 5, 0x100, 0x01000004], [0]]),
    121: ("getpgid", [[0, -1, NOPID]]),
    124: ("getsid", [[0, -1, NOPID]]),
    109: ("setpgid", [[0, -1, NOPID], [-1, NOPID]]),
    228: ("clock_gettime", [[0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, -1, -2, -6], ["B", "R", "X", 0]]),
    229: ("clock_getres", [[0, 1, 2, 3, 5, 9, 10, 12, -1, -2, -6], PTR]),
    227: ("clock_settime", [[0, 1, 5, 12, -1], ["B", "X", 0]]),
    230: ("clock_nanosleep", [[0, 1, 3, 4, 5, 7, 10, 11, 12, -1], [0, 1, 2], ["B", "X", 0], [0, "X"]]),
    35: ("nanosleep", [["B", "X", 0], [0, "X"]]),
    96: ("gettimeofday", [PTR, PTR]),
    164: ("settimeofday", [["B", "X", 0], ["B", "X", 0]]),
    201: ("time", [PTR]),
    100: ("times", [PTR]),
    98: ("getrusage", [[0, 1, -1, 2, -2], PTR]),
    36: ("getitimer", [[0, 1, 2, 3, -1], PTR]),
    38: ("setitimer", [[0, 1, 2, 3, -1], ["B", "X", 0], PTR]),
    159: ("adjtimex", [["B", "X", 0]]),
    305: ("clock_adjtime", [[0, 1, 2, 5, 12, -1], ["B", "X"]]),
    105: ("setuid", [[0, 1000, 1001, -1]]),
    106: ("setgid", [[0, 1000, 1001, -1]]),
    113: ("setreuid", [[0, 1000, -1], [0, 1000, -1]]),
    114: ("setregid", [[0, 1000, -1], [0, 1000, -1]]),
    117: ("setresuid", [[0, 1000, -1], [0, 1000, -1], [0, 1000, -1]]),
    119: ("setresgid", [[0, 1000, -1], [0, 1000, -1], [0, 1000, -1]]),
    118: ("getresuid", [["B", "X"], ["B", "R"], ["B", 0]]),
    120: ("getresgid", [["B", "X"], ["B", "R"], ["B", 0]]),
    115: ("getgroups", [[0, 1, -1, 70000], PTR]),
    116: ("setgroups", [[0, 1, -1, 70000], ["B", "X"]]),
    125: ("capget", [["B", "X", 0], ["B", "X", 0]]),
    126: ("capset", [["B", "X", 0], ["B", "X", 0]]),
    204: ("sched_getaffinity", [[0, -1, NOPID], [0, 1, 7, 12, 128], PTR]),
    203: ("sched_setaffinity", [[0, -1, NOPID], [0, 8, 128], ["B", "X", 0]]),
    143: ("sched_getparam", [[0, -1, NOPID], PTR]),
    142: ("sched_setparam", [[0, -1, NOPID], ["B", "X", 0]]),
    145: ("sched_getscheduler", [[0, -1, NOPID]]),
    144: ("sched_setscheduler", [[0, -1, NOPID], [0, 1, 2, 3, 4, 5, 7, -1, 0x40000000], ["B", "X", 0]]),
    146: ("sched_get_priority_max", [[0, 1, 2, 3, 4, 5, 6, 99, -1]]),
    147: ("sched_get_priority_min", [[0, 1, 2, 3, 4, 5, 6, 99, -1]]),
    148: ("sched_rr_get_interval", [[0, -1, NOPID], PTR]),
    315: ("sched_getattr", [[0, -1, NOPID], ["B", "X", 0], [0, 47, 48, 56, 64, 4096, 4097], [0, 1]]),
    140: ("getpriority", [[0, 1, 2, 3, -1], [0, NOPID]]),
    141: ("setpriority", [[0, 3, -1], [0, NOPID], [0, 5, 19, 100]]),
    252: ("ioprio_get", [[0, 1, 2, 3, 4], [0, NOPID]]),
    251: ("ioprio_set", [[0, 1, 4], [0, NOPID], [0, 1, 0x2000, 0x4000, 0x4007, 0x6000, 0x8000]]),
    309: ("getcpu", [PTR, PTR, [0, "X"]]),
    202: ("futex", [["B", "R", "X", 0], [1, 129, 3, 131, 4, 132, 14, 99, 257, 10, 138],
                    [0, 1, -1], [0], ["B", "X"], [0, 1]]),
    273: ("set_robust_list", [["B", 0, "X"], [0, 23, 24]]),
    274: ("get_robust_list", [[0, NOPID], PTR, PTR]),
    63: ("uname", [PTR]),
    99: ("sysinfo", [PTR]),
    170: ("sethostname", [["B", "X"], [0, 4, 65, -1]]),
    135: ("personality", [[0, 0xffffffff, 0x0040000]]),
    103: ("syslog", [[0, 5, 6], ["B", "X"], [0, 10]]),
    318: ("getrandom", [PTR, [0, 1, 16], [0, 1, 2, 4, 6, 8, -1]]),
    97: ("getrlimit", [[0, 7, 15, 16, -1], PTR]),
    160: ("setrlimit", [[3, 16, -1], ["X", 0]]),
    302: ("prlimit64", [[0, NOPID, -1], [0, 7, 16], [0, "X"], PTR]),
    157: ("prctl", [[*range(0, 9), *range(13, 16), 16, 19, 23, 24, 25, *range(27, 31), 33, 34, 36, 37, 38, 39, 41, 42, 47, 99, -1],
                    [0, 1, 2, 41, 65, "B", "X"], [0, 1, 45], [0], [0]]),
    158: ("arch_prctl", [[0x1003, 0x1004, 0x1011, 0x3001, 0], PTR[:2] + ["X", -1]]),
    272: ("unshare", [[0, 0x200, 0x400, 0x40000, 0x100, 0x800, 0x10000, 0x20000, 0x40000000, 1]]),
    153: ("vhangup", []),
    24: ("sched_yield", []),
}


def one(nr, args):
    real = [{"B": B, "R": R, "X": X}.get(a, a) for a in args]
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(2)
        res = libc.syscall(ctypes.c_long(nr), *[ctypes.c_long(a) for a in real])
        os.write(w, (errno.errorcode[ctypes.get_errno()].replace("ENOTSUP", "EOPNOTSUPP") if res == -1 and ctypes.get_errno() else "ok").encode())
        os._exit(0)
    os.close(w)
    out = os.read(r, 100).decode()
    os.close(r)
    os.waitpid(pid, 0)
    return out or "died"


out = {}
for nr, (name, values) in cases.items():
    out[name] = [[list(args), one(nr, args)] for args in itertools.product(*values)]
# One line a call.
print("{\n" + ",\n".join(f' {json.dumps(k)}: {json.dumps(v, separators=(",", ":"))}' for k, v in out.items()) + "\n}")
