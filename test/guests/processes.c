// Processes, process groups, signals and shared memory. `processes NAME` runs one check and prints what it found.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
#define MUST(x) ({ long r_ = (long)(x); if (r_ == -1) { printf("%s: %s\n", #x, strerror(errno)); exit(1); } r_; })

static void show(int status) {
  if (WIFEXITED(status)) printf("exited %d\n", WEXITSTATUS(status));
  else if (WIFSIGNALED(status)) printf("killed %d\n", WTERMSIG(status));
  else if (WIFSTOPPED(status)) printf("stopped %d\n", WSTOPSIG(status));
  else if (WIFCONTINUED(status)) printf("continued\n");
}

static void waits(void) {
  int status;
  pid_t pid = MUST(fork());
  if (pid == 0) _exit(300);
  MUST(waitpid(pid, &status, 0));
  show(status);
  printf("again: %s\n", waitpid(pid, &status, 0) == -1 ? strerror(errno) : "?");
  pid = MUST(fork());
  if (pid == 0) { kill(getpid(), SIGSTOP); _exit(1); }
  MUST(waitpid(pid, &status, WUNTRACED));
  show(status);
  MUST(kill(pid, SIGCONT));
  MUST(waitpid(pid, &status, WCONTINUED));
  show(status);
  MUST(waitpid(pid, &status, 0));
  show(status);
  pid = MUST(fork());
  if (pid == 0) { pause(); _exit(1); }
  printf("nohang %d\n", waitpid(pid, &status, WNOHANG));
  MUST(kill(pid, SIGSEGV));
  siginfo_t info;
  memset(&info, 0, sizeof info);
  MUST(waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
  printf("waitid %d %d %d %d\n", info.si_signo, info.si_code == CLD_KILLED, info.si_status, info.si_pid == pid);
  struct rusage ru;
  MUST(wait4(-1, &status, 0, &ru));
  show(status);
  printf("none: %s\n", wait(0) == -1 ? strerror(errno) : "?");
  signal(SIGCHLD, SIG_IGN);
  pid = MUST(fork());
  if (pid == 0) _exit(0);
  printf("ignored: %s\n", wait(0) == -1 ? strerror(errno) : "?");
}

static volatile sig_atomic_t got, code, who, stat_;
static void on_child(int n, siginfo_t *i, void *c) { got++; code = i->si_code; who = i->si_pid; stat_ = i->si_status; }
static void child_signal(void) {
  struct sigaction sa = {.sa_sigaction = on_child, .sa_flags = SA_SIGINFO};
  sigaction(SIGCHLD, &sa, 0);
  sigset_t all, old;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, &old);
  pid_t pid = MUST(fork());
  if (pid == 0) _exit(9);
  while (!got) sigsuspend(&old);
  printf("SIGCHLD %d %d %d\n", code == CLD_EXITED, who == pid, stat_);
  wait(0);
  // EINTR and SA_RESTART.
  sigprocmask(SIG_SETMASK, &old, 0);
  int p[2];
  char c;
  MUST(pipe(p));
  pid = MUST(fork());
  if (pid == 0) { usleep(20000); _exit(0); }
  printf("read: %s\n", read(p[0], &c, 1) == -1 ? strerror(errno) : "?");
  wait(0);
  sa.sa_flags |= SA_RESTART;
  sigaction(SIGCHLD, &sa, 0);
  pid = MUST(fork());
  if (pid == 0) { pid_t q = fork(); if (q == 0) { usleep(40000); write(p[1], "x", 1); } _exit(0); }
  got = 0;
  printf("read: %zd, signals %d\n", read(p[0], &c, 1), got);
  wait(0);
}

static void groups(void) {
  int status;
  pid_t a = MUST(fork());
  if (a == 0) { pause(); _exit(0); }
  MUST(setpgid(a, a));
  pid_t b = MUST(fork());
  if (b == 0) { MUST(setpgid(0, a)); pause(); _exit(0); }
  MUST(setpgid(b, a));
  printf("groups %d %d\n", getpgid(a) == a, getpgid(b) == a);
  MUST(killpg(a, SIGTERM));
  for (int i = 0; i < 2; i++) { MUST(waitpid(-a, &status, 0)); show(status); }
  printf("empty: %s\n", killpg(a, 0) == -1 ? strerror(errno) : "?");
  pid_t c = MUST(fork());
  if (c == 0) {
    printf("setsid %d, then %s\n", setsid() == getpid(), setsid() == -1 ? strerror(errno) : "?");
    printf("sid %d pgid %d\n", getsid(0) == getpid(), getpgrp() == getpid());
    fflush(stdout);
    _exit(0);
  }
  MUST(waitpid(c, &status, 0));
}

static void orphans(void) {
  int p[2];
  char c;
  MUST(prctl(PR_SET_CHILD_SUBREAPER, 1));
  MUST(pipe(p));
  pid_t mid = MUST(fork());
  if (mid == 0) {
    pid_t leaf = fork();
    if (leaf == 0) {
      prctl(PR_SET_PDEATHSIG, SIGUSR1);
      close(p[0]);
      while (1) pause();
    }
    usleep(10000);
    _exit(0);
  }
  close(p[1]);
  int status;
  MUST(waitpid(mid, &status, 0));
  show(status);
  pid_t leaf = MUST(wait(&status));
  show(status);
  printf("end of file %zd, other %d\n", read(p[0], &c, 1), leaf != mid);
}

static void vforks(void) {
  volatile int x = 1;
  pid_t pid = vfork();
  if (pid == 0) { x = 2; _exit(3); }
  int status;
  MUST(waitpid(pid, &status, 0));
  printf("x %d\n", x);
  show(status);
  char *args[] = {"sh", "-c", "echo spawned $0; exit 4", "here", 0};
  posix_spawn_file_actions_t fa;
  posix_spawn_file_actions_init(&fa);
  posix_spawn_file_actions_adddup2(&fa, 1, 2);
  fflush(stdout);
  int r = posix_spawn(&pid, "/bin/sh", &fa, 0, args, environ);
  MUST(waitpid(pid, &status, 0));
  printf("posix_spawn %d\n", r);
  show(status);
  printf("missing: %s\n", strerror(posix_spawn(&pid, "/no/such", 0, 0, args, environ)));
}

struct both { pthread_mutex_t m; pthread_cond_t c; pthread_barrier_t b; sem_t s; int n; int turn; };
static void shared(void) {
  struct both *s = (void *)MUST(mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  pthread_mutexattr_t ma;
  pthread_mutexattr_init(&ma);
  pthread_mutexattr_setpshared(&ma, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&ma, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&s->m, &ma);
  pthread_condattr_t ca;
  pthread_condattr_init(&ca);
  pthread_condattr_setpshared(&ca, PTHREAD_PROCESS_SHARED);
  pthread_cond_init(&s->c, &ca);
  sem_init(&s->s, 1, 0);
  int status;
  for (int k = 0; k < 3; k++) {
    if (MUST(fork()) == 0) {
      for (int i = 0; i < 500; i++) {
        pthread_mutex_lock(&s->m);
        s->n++;
        if (i % 20 == 0) sched_yield();
        pthread_mutex_unlock(&s->m);
      }
      sem_post(&s->s);
      _exit(0);
    }
  }
  for (int k = 0; k < 3; k++) sem_wait(&s->s);
  for (int k = 0; k < 3; k++) wait(&status);
  printf("n %d\n", s->n);
  if (MUST(fork()) == 0) {
    for (int i = 0; i < 100; i++) {
      pthread_mutex_lock(&s->m);
      while (s->turn != 1) pthread_cond_wait(&s->c, &s->m);
      s->turn = 0;
      pthread_cond_signal(&s->c);
      pthread_mutex_unlock(&s->m);
    }
    pthread_mutex_lock(&s->m);
    _exit(0);
  }
  for (int i = 0; i < 100; i++) {
    pthread_mutex_lock(&s->m);
    while (s->turn != 0) pthread_cond_wait(&s->c, &s->m);
    s->turn = 1;
    pthread_cond_signal(&s->c);
    pthread_mutex_unlock(&s->m);
  }
  wait(&status);
  printf("owner died %d\n", pthread_mutex_lock(&s->m) == EOWNERDEAD);
}

static void shm(void) {
  char name[40];
  sprintf(name, "/uktx-test-%d", getpid());
  int fd = MUST(shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600));
  MUST(ftruncate(fd, 20000));
  volatile int *p = (volatile int *)MUST(mmap(0, 20000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  int s[2];
  MUST(pipe(s));
  pid_t pid = MUST(fork());
  if (pid == 0) {
    p[4000] = 18;
    p[0] = 17;
    char c;
    read(s[0], &c, 1);
    _exit(p[1]);
  }
  while (p[0] != 17) sched_yield();
  printf("%d %d\n", p[0], p[4000]);
  p[1] = 42;
  int v;
  MUST(pread(fd, &v, 4, 4));
  printf("in the file: %d\n", v);
  write(s[1], "x", 1);
  int status;
  wait(&status);
  show(status);
  v = 7;
  MUST(pwrite(fd, &v, 4, 8));
  printf("from the file: %d\n", p[2]);
  MUST(shm_unlink(name));
  // A file of memory that only one of them keeps mapped.
  int m = MUST(memfd_create("m", 0));
  MUST(ftruncate(m, 4096));
  char *q = (char *)MUST(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, m, 0));
  if (fork() == 0) { strcpy(q, "from the child"); munmap(q, 4096); _exit(0); }
  wait(0);
  printf("%s\n", q);
}

static void pidfds(void) {
  pid_t pid = MUST(fork());
  if (pid == 0) { pause(); _exit(0); }
  int fd = MUST(syscall(SYS_pidfd_open, pid, 0));
  struct pollfd pf = {fd, POLLIN, 0};
  printf("poll %d\n", poll(&pf, 1, 0));
  MUST(syscall(SYS_pidfd_send_signal, fd, SIGTERM, 0, 0));
  printf("poll %d %x\n", poll(&pf, 1, 5000), pf.revents);
  siginfo_t info;
  MUST(waitid(3, fd, &info, WEXITED));
  printf("status %d\n", info.si_status);
  printf("gone: %s\n", syscall(SYS_pidfd_send_signal, fd, 0, 0, 0) == -1 ? strerror(errno) : "?");
  printf("none: %s\n", syscall(SYS_pidfd_open, pid, 0) == -1 ? strerror(errno) : "?");
  int self = MUST(syscall(SYS_pidfd_open, getpid(), 0));
  int copy = MUST(syscall(SYS_pidfd_getfd, self, 1, 0));
  dprintf(copy, "through a copy\n");
}

static int times;
static void on_alarm(int n) { times++; }
static void timers(void) {
  signal(SIGALRM, on_alarm);
  struct itimerval it = {{0, 5000}, {0, 5000}};
  setitimer(ITIMER_REAL, &it, 0);
  if (fork() == 0) {
    struct itimerval v;
    getitimer(ITIMER_REAL, &v);
    _exit(v.it_value.tv_usec != 0);
  }
  int status;
  while (wait(&status) == -1) ;
  show(status);
  while (times < 5) pause();
  memset(&it, 0, sizeof it);
  setitimer(ITIMER_REAL, &it, 0);
  printf("five\n");
  signal(SIGALRM, SIG_DFL);
  alarm(1);
  if (fork() == 0) { printf("child: %u\n", alarm(0)); fflush(stdout); _exit(0); }
  wait(&status);
  printf("left: %u\n", alarm(0));
}

static void queued(void) {
  sigset_t s;
  sigemptyset(&s);
  sigaddset(&s, SIGRTMIN);
  sigaddset(&s, SIGRTMIN + 1);
  sigaddset(&s, SIGUSR1);
  sigprocmask(SIG_BLOCK, &s, 0);
  pid_t me = getpid();
  if (fork() == 0) {
    for (int i = 0; i < 3; i++) sigqueue(me, SIGRTMIN + 1, (union sigval){.sival_int = i});
    for (int i = 0; i < 3; i++) sigqueue(me, SIGRTMIN, (union sigval){.sival_int = 10 + i});
    kill(me, SIGUSR1);
    kill(me, SIGUSR1);
    _exit(0);
  }
  wait(0);
  siginfo_t info;
  struct timespec none = {0, 0};
  int n;
  while ((n = sigtimedwait(&s, &info, &none)) > 0) printf("%s %d\n", n == SIGUSR1 ? "USR1" : n == SIGRTMIN ? "RT0" : "RT1", n == SIGUSR1 ? 0 : info.si_value.sival_int);
  printf("%s\n", strerror(errno));
}

static void pipes(int n) {
  int a[2], b[2];
  struct timespec t0, t1;
  char c = 'x';
  MUST(pipe(a));
  MUST(pipe(b));
  if (MUST(fork()) == 0) {
    close(a[1]);
    while (read(a[0], &c, 1) == 1) write(b[1], &c, 1);
    _exit(0);
  }
  clock_gettime(CLOCK_MONOTONIC, &t0);
  for (int i = 0; i < n; i++) {
    write(a[1], &c, 1);
    if (read(b[0], &c, 1) != 1) printf("short\n");
  }
  clock_gettime(CLOCK_MONOTONIC, &t1);
  close(a[1]);
  wait(0);
  fprintf(stderr, "%.0f ns a round trip\n", ((t1.tv_sec - t0.tv_sec) * 1e9 + (t1.tv_nsec - t0.tv_nsec)) / n);
  signal(SIGPIPE, SIG_IGN);
  close(b[1]);
  printf("broken: %s\n", (close(b[0]), write(b[1], &c, 1)) == -1 ? strerror(errno) : "?");
  if (fork() == 0) {
    signal(SIGPIPE, SIG_DFL);
    MUST(pipe(a));
    close(a[0]);
    write(a[1], &c, 1);
    _exit(0);
  }
  int status;
  wait(&status);
  show(status);
}

static void many(int n) {
  struct timespec t0, t1;
  clock_gettime(CLOCK_MONOTONIC, &t0);
  int bad = 0;
  for (int i = 0; i < n; i++) {
    pid_t pid;
    int status;
    char *args[] = {"true", 0};
    if (i % 2) {
      pid = MUST(fork());
      if (pid == 0) { execv("/bin/true", args); _exit(1); }
    } else if (posix_spawn(&pid, "/bin/true", 0, 0, args, environ)) bad++;
    MUST(waitpid(pid, &status, 0));
    bad += status != 0;
  }
  clock_gettime(CLOCK_MONOTONIC, &t1);
  fprintf(stderr, "%.2f ms each\n", ((t1.tv_sec - t0.tv_sec) * 1e3 + (t1.tv_nsec - t0.tv_nsec) / 1e6) / n);
  printf("bad %d\n", bad);
}

static void tree(void) {
  // Many at once, each with a pipe to its parent.
  int p[2];
  MUST(pipe(p));
  for (int i = 0; i < 40; i++) {
    if (MUST(fork()) == 0) {
      if (fork() == 0) { write(p[1], "b", 1); _exit(0); }
      wait(0);
      write(p[1], "a", 1);
      _exit(i);
    }
  }
  close(p[1]);
  int sum = 0, status, n = 0;
  while (wait(&status) > 0) sum += WEXITSTATUS(status);
  char c;
  while (read(p[0], &c, 1) == 1) n++;
  printf("sum %d, bytes %d\n", sum, n);
}

static void clone_flags(void) {
  printf("%s\n", syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0) == -1 ? strerror(errno) : "?");
  printf("%s\n", syscall(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0) == -1 ? strerror(errno) : "?");
  printf("%s\n", syscall(SYS_clone, CLONE_FS | CLONE_NEWNS, 0, 0, 0, 0) == -1 ? strerror(errno) : "?");
  printf("%s\n", syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID, 0, 0, 0, 0) == -1 ? strerror(errno) : "?");
  struct { unsigned long flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, n, cgroup; } a = {0};
  printf("%s\n", syscall(SYS_clone3, &a, 8) == -1 ? strerror(errno) : "?");
  printf("%s\n", syscall(SYS_clone3, 0, 88) == -1 ? strerror(errno) : "?");
  a.exit_signal = 65;
  printf("%s\n", syscall(SYS_clone3, &a, 88) == -1 ? strerror(errno) : "?");
  int pidfd = -1, tid = 0;
  a.exit_signal = SIGCHLD;
  a.flags = CLONE_PIDFD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | 0x100000000;
  a.pidfd = (long)&pidfd;
  a.parent_tid = a.child_tid = (long)&tid;
  signal(SIGUSR1, on_alarm);
  pid_t pid = MUST(syscall(SYS_clone3, &a, 88));
  if (pid == 0) {
    struct sigaction sa;
    sigaction(SIGUSR1, 0, &sa);
    _exit(sa.sa_handler == SIG_DFL && tid == getpid() ? 11 : 12);
  }
  siginfo_t info;
  MUST(waitid(3, pidfd, &info, WEXITED));
  printf("clone3 %d %d\n", tid == pid, info.si_status);
  // Another signal than SIGCHLD: only for those who ask.
  pid = MUST(syscall(SYS_clone, SIGUSR2 * 0, 0, 0, 0, 0));
  if (pid == 0) _exit(1);
  int status;
  printf("%s\n", waitpid(pid, &status, 0) == -1 ? strerror(errno) : "?");
  MUST(waitpid(pid, &status, __WCLONE));
  show(status);
}

int main(int argc, char **argv) {
  const char *n = argc > 1 ? argv[1] : "";
  int count = argc > 2 ? atoi(argv[2]) : 200;
  setvbuf(stdout, 0, _IOLBF, 0);
#define RUN(name, call) if (!strcmp(n, name)) { call; return 0; }
  RUN("waits", waits())
  RUN("child-signal", child_signal())
  RUN("groups", groups())
  RUN("orphans", orphans())
  RUN("vfork", vforks())
  RUN("shared", shared())
  RUN("shm", shm())
  RUN("pidfd", pidfds())
  RUN("timers", timers())
  RUN("queued", queued())
  RUN("pipes", pipes(count))
  RUN("many", many(count))
  RUN("tree", tree())
  RUN("clone", clone_flags())
  return 2;
}
