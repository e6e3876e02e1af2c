"""Plays a shell with job control on a terminal of its own: job-control.py KEYS PROGRAM [ARGS...].

KEYS is a Python list of pairs: text to wait for on the screen, and keys to press then. Prints what the shell saw.
"""
import os
import pty
import select
import signal
import sys
import termios
import time

LIMIT = 50


def shell(command):
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        os.tcsetpgrp(0, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.execvp(command[0], command)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    while True:
        _, status = os.waitpid(job, os.WUNTRACED)
        os.tcsetpgrp(0, os.getpid())
        if not os.WIFSTOPPED(status):
            print("EXIT", os.waitstatus_to_exitcode(status), flush=True)
            os._exit(0)
        cooked = bool(termios.tcgetattr(0)[3] & termios.ICANON)
        print("STOPPED", "cooked" if cooked else "raw", flush=True)
        os.tcsetpgrp(0, job)
        os.killpg(job, signal.SIGCONT)


pid, master = pty.fork()
if pid == 0:
    shell(sys.argv[2:])
steps = eval(sys.argv[1])
screen = b""
end = time.time() + LIMIT
while time.time() < end:
    if select.select([master], [], [], 0.1)[0]:
        try:
            got = os.read(master, 4096)
        except OSError:
            break
        if not got:
            break
        screen += got
    if steps and steps[0][0].encode() in screen:
        os.write(master, steps.pop(0)[1].encode())
sys.stdout.write(screen.decode())
