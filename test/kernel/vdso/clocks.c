/* Guest of programs.test.ts; the first argument says which part runs. Exits 0 when all is as it should be. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(x) ((x) ? (void)0 : (printf("line %d: %s\n", __LINE__, #x), exit(1)))

static int64_t ns(struct timespec t) { return t.tv_sec * 1000000000LL + t.tv_nsec; }
static int64_t fast(clockid_t id) {
  struct timespec t;
  CHECK(clock_gettime(id, &t) == 0);
  CHECK(t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
  return ns(t);
}
static int64_t slow(clockid_t id) {
  struct timespec t;
  CHECK(syscall(SYS_clock_gettime, id, &t) == 0);
  return ns(t);
}

/* A million calls of each: the host counts what reaches the kernel. */
static void million(void) {
  struct timespec t;
  struct timeval tv;
  int64_t before = 0;
  for (int k = 0; k < 1000000; k++) {
    clock_gettime(CLOCK_MONOTONIC, &t);
    CHECK(ns(t) >= before);
    before = ns(t);
  }
  for (int k = 0; k < 1000000; k++) gettimeofday(&tv, 0);
  CHECK(tv.tv_usec >= 0 && tv.tv_usec < 1000000);
}

/* The vDSO's values lie between two of the system call's. */
static void same(void) {
  static const clockid_t ids[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
    CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_TAI, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
  for (unsigned k = 0; k < sizeof ids / sizeof *ids; k++)
    for (int n = 0; n < 200; n++) {
      int64_t a = slow(ids[k]), b = fast(ids[k]), c = slow(ids[k]);
      CHECK(a <= b && b <= c);
      struct timespec x, y;
      CHECK(clock_getres(ids[k], &x) == 0 && syscall(SYS_clock_getres, ids[k], &y) == 0 && ns(x) == ns(y));
    }
  int64_t a = slow(CLOCK_REALTIME) / 1000;
  struct timeval tv;
  struct timezone tz = {1, 1};
  CHECK(gettimeofday(&tv, (void *)&tz) == 0 && tz.tz_minuteswest == 0 && tz.tz_dsttime == 0);
  int64_t b = tv.tv_sec * 1000000LL + tv.tv_usec;
  CHECK(a <= b && b <= slow(CLOCK_REALTIME) / 1000);
  a = slow(CLOCK_REALTIME) / 1000000000;
  time_t t, r = time(&t);
  CHECK(t == r && a <= t && t <= slow(CLOCK_REALTIME) / 1000000000);
  struct timespec x;
  static const int bad[] = {8, 9, 10, 12, 15, 16, 1000, -1, 0x7fffffff, (int)0x80000000};
  for (unsigned k = 0; k < sizeof bad / sizeof *bad; k++) CHECK(clock_gettime(bad[k], &x) == -1 && errno == EINVAL);
  unsigned cpu = 99, node = 99;
  CHECK(getcpu(&cpu, &node) == 0 && cpu < 99 && node < 99);
}

static sigjmp_buf back;
static siginfo_t seen;
static void handler(int sig, siginfo_t *info, void *context) {
  (void)sig, (void)context;
  seen = *info;
  siglongjmp(back, 1);
}
static int faults(void (*act)(void)) {
  struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
  sigaction(SIGSEGV, &sa, 0);
  memset(&seen, 0, sizeof seen);
  if (!sigsetjmp(back, 1)) {
    act();
    return 0;
  }
  return seen.si_signo == SIGSEGV;
}
static void nowhere(void) { clock_gettime(CLOCK_MONOTONIC, (void *)0x20); }
static void readonly_page(void) { clock_gettime(CLOCK_REALTIME, (void *)"only to be read"); }
static void vvar_write(void) { *(volatile char *)(getauxval(AT_SYSINFO_EHDR) - 4096) = 1; }
static void vdso_write(void) { *(volatile char *)getauxval(AT_SYSINFO_EHDR) = 1; }

#define VSYSCALL(n) ((void *)(uintptr_t)(0xffffffffff600000 + (n) * 0x400))
static int (*const vgettimeofday)(struct timeval *, void *) = VSYSCALL(0);
static time_t (*const vtime)(time_t *) = VSYSCALL(1);
static long (*const vgetcpu)(unsigned *, unsigned *, void *) = VSYSCALL(2);
static void vsyscall_bad(void) { vtime((void *)0x20); }
static void vsyscall_none(void) { ((void (*)(void))VSYSCALL(3))(); }
static void vsyscall_middle(void) { ((void (*)(void))(uintptr_t)0xffffffffff600001)(); }
static void vsyscall_read(void) { (void)*(volatile char *)VSYSCALL(0); }

static void pointers(void) {
  CHECK(faults(nowhere) && seen.si_addr == (void *)0x20);
  CHECK(faults(readonly_page) && seen.si_code == SEGV_ACCERR);
  CHECK(faults(vvar_write) && seen.si_code == SEGV_ACCERR);
  CHECK(faults(vdso_write) && seen.si_code == SEGV_ACCERR);
  struct timespec t;
  CHECK(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, 0x20) == -1 && errno == EFAULT);
  /* The fall-back to the kernel is a system call in all respects. */
  CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, (void *)0x20) == -1 && errno == EFAULT);
  CHECK(clock_getres(CLOCK_MONOTONIC, 0) == 0 && clock_gettime(CLOCK_MONOTONIC, &t) == 0);
}

static void vsyscall(void) {
  int64_t a = slow(CLOCK_REALTIME) / 1000;
  struct timeval tv;
  struct timezone tz = {1, 1};
  CHECK(vgettimeofday(&tv, &tz) == 0 && tz.tz_minuteswest == 0);
  int64_t b = tv.tv_sec * 1000000LL + tv.tv_usec;
  CHECK(a <= b && b <= slow(CLOCK_REALTIME) / 1000);
  time_t t = 0, r = vtime(&t);
  CHECK(t == r && r >= tv.tv_sec && vtime(0) >= r);
  unsigned cpu = 99, node = 99;
  CHECK(vgetcpu(&cpu, &node, 0) == 0 && cpu < 99 && node < 99 && vgetcpu(0, 0, 0) == 0);
  CHECK(faults(vsyscall_bad) && seen.si_addr == (void *)0x20);
  CHECK(faults(vsyscall_none));
  CHECK(faults(vsyscall_middle));
  CHECK(faults(vsyscall_read));
}

/* vgetrandom(): parameters, then numbers, all by way of the kernel. */
static void *symbol(const char *name);
static void getrandom_call(void) {
  long (*vgetrandom)(void *, size_t, unsigned, void *, size_t) = symbol("__vdso_getrandom");
  CHECK(vgetrandom);
  struct {
    unsigned size, prot, flags, reserved[13];
  } p;
  memset(&p, 0xff, sizeof p);
  CHECK(vgetrandom(0, 0, 0, &p, ~0UL) == 0 && p.size > 0 && p.size <= 4096 && p.prot == 3 && p.reserved[12] == 0);
  char state[4096], a[32] = {0}, b[32] = {0};
  CHECK(vgetrandom(a, sizeof a, 0, state, p.size) == 32 && vgetrandom(b, sizeof b, 1, state, p.size) == 32);
  CHECK(memcmp(a, b, 32));
  CHECK(vgetrandom(a, 32, 0, state, p.size + 1) == 32 && vgetrandom(a, 32, 0x80, state, p.size) == -EINVAL);
  CHECK(vgetrandom((void *)0x20, 32, 0, state, p.size) == -EFAULT);
}
#include <elf.h>
static void *symbol(const char *name) {
  char *base = (void *)getauxval(AT_SYSINFO_EHDR);
  Elf64_Ehdr *e = (void *)base;
  Elf64_Phdr *ph = (void *)(base + e->e_phoff);
  for (int k = 0; k < e->e_phnum; k++) {
    if (ph[k].p_type != PT_DYNAMIC) continue;
    Elf64_Sym *symbols = 0;
    char *strings = 0;
    unsigned *hash = 0;
    for (Elf64_Dyn *d = (void *)(base + ph[k].p_vaddr); d->d_tag; d++) {
      if (d->d_tag == DT_SYMTAB) symbols = (void *)(base + d->d_un.d_ptr);
      if (d->d_tag == DT_STRTAB) strings = base + d->d_un.d_ptr;
      if (d->d_tag == DT_HASH) hash = (void *)(base + d->d_un.d_ptr);
    }
    for (unsigned s = 1; s < hash[1]; s++)
      if (!strcmp(strings + symbols[s].st_name, name)) return base + symbols[s].st_value;
  }
  return 0;
}

static void maps(void) {
  char line[256];
  unsigned long start, end, vvar_end = 0, vdso = 0;
  int vsyscalls = 0;
  FILE *f = fopen("/proc/self/maps", "r");
  CHECK(f);
  while (fgets(line, sizeof line, f)) {
    char perm[8];
    CHECK(sscanf(line, "%lx-%lx %7s", &start, &end, perm) == 3);
    if (strstr(line, "[vvar]")) vvar_end = end, CHECK(!strcmp(perm, "r--p"));
    if (strstr(line, "[vdso]")) vdso = start, CHECK(!strcmp(perm, "r-xp"));
    if (strstr(line, "[vsyscall]")) vsyscalls++, CHECK(start == 0xffffffffff600000 && !strcmp(perm, "--xp"));
  }
  CHECK(vdso == getauxval(AT_SYSINFO_EHDR) && vvar_end > 0 && vvar_end <= vdso && vsyscalls == 1);
}

/* A child has it, too. */
static void child(void) {
  int64_t before = fast(CLOCK_MONOTONIC);
  int pipes[2];
  CHECK(pipe(pipes) == 0);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    int64_t now = fast(CLOCK_MONOTONIC);
    _exit(write(pipes[1], &now, 8) != 8);
  }
  int64_t between;
  int status;
  CHECK(read(pipes[0], &between, 8) == 8 && waitpid(pid, &status, 0) == pid && status == 0);
  CHECK(before <= between && between <= fast(CLOCK_MONOTONIC));
}

static clockid_t of_thread;
static int64_t thread_time;
static void *spin(void *unused) {
  CHECK(pthread_getcpuclockid(pthread_self(), &of_thread) == 0);
  while (fast(CLOCK_THREAD_CPUTIME_ID) < 30000000) {}
  thread_time = fast(of_thread);
  CHECK(thread_time >= 30000000);
  return unused;
}
/* CPU-time clocks: they stand while the thread waits, and run while it runs. */
static void cpu(void) {
  struct timespec pause = {0, 100000000};
  int64_t a = fast(CLOCK_PROCESS_CPUTIME_ID), t = fast(CLOCK_THREAD_CPUTIME_ID), w = fast(CLOCK_MONOTONIC);
  CHECK(nanosleep(&pause, 0) == 0);
  CHECK(fast(CLOCK_MONOTONIC) - w >= 100000000);
  CHECK(fast(CLOCK_PROCESS_CPUTIME_ID) - a < 60000000 && fast(CLOCK_THREAD_CPUTIME_ID) - t < 60000000);
  pthread_t thread;
  a = fast(CLOCK_PROCESS_CPUTIME_ID), t = fast(CLOCK_THREAD_CPUTIME_ID);
  CHECK(pthread_create(&thread, 0, spin, 0) == 0 && pthread_join(thread, 0) == 0);
  int64_t all = fast(CLOCK_PROCESS_CPUTIME_ID) - a, own = fast(CLOCK_THREAD_CPUTIME_ID) - t;
  CHECK(all >= 30000000 && own < all - 25000000);
  struct timespec x;
  CHECK(clock_gettime(of_thread, &x) == -1 && errno == EINVAL); /* gone */
  clockid_t id;
  CHECK(clock_getcpuclockid(getpid(), &id) == 0 && clock_getcpuclockid(0, &id) == 0);
  int64_t p = fast(CLOCK_PROCESS_CPUTIME_ID), q = fast(id);
  CHECK(p <= q && q <= fast(CLOCK_PROCESS_CPUTIME_ID));
  CHECK(clock_getcpuclockid(getppid() + 100000, &id) == ESRCH);
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*act)(void);
  } parts[] = {{"million", million}, {"same", same}, {"pointers", pointers}, {"vsyscall", vsyscall},
    {"getrandom", getrandom_call}, {"maps", maps}, {"child", child}, {"cpu", cpu}};
  for (unsigned k = 0; k < sizeof parts / sizeof *parts; k++)
    if (argc > 1 && !strcmp(argv[1], parts[k].name)) {
      parts[k].act();
      return 0;
    }
  return 2;
}
