/* System calls below several frames of hot code: what they change is seen by the callers that they return to. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 3000

typedef long work(void);

/* A frame whose registers and locals must be there when the call is over. */
__attribute__((noinline)) static long below(int depth, work *w) {
  volatile long kept = depth * 3 + 1;
  if (depth == 0) return w();
  double d = depth + 0.5;
  long r = below(depth - 1, w);
  __asm__ volatile("" : "+x"(d));
  return r + kept + (long)(d * 2);
}
static long frames(int depth) {
  long sum = 0;
  for (int k = 1; k <= depth; k++) sum += k * 3 + 1 + 2 * k + 1;
  return sum;
}
static void check(const char *name, int ok) { printf("%s: %s\n", name, ok ? "ok" : "WRONG"); }

static long plain(void) { return syscall(SYS_getppid); }

static volatile int handled;
static void count(int signo) { handled += signo == SIGUSR1; }
static long interrupts(void) {
  int before = handled;
  syscall(SYS_kill, getpid(), SIGUSR1);
  return handled == before + 1;
}

static sigjmp_buf out;
static void jump(int signo) { siglongjmp(out, signo); }
static long leaves(void) {
  syscall(SYS_kill, getpid(), SIGUSR2);
  return 1000000;
}

static long forks(void) {
  pid_t child = fork();
  if (child == 0) return 5;
  int status = 0;
  if (waitpid(child, &status, 0) != child) return -1000000;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1000000;
}

static int ends[2];
static void *writer(void *arg) {
  usleep(1000);
  return write(ends[1], arg, 1) == 1 ? arg : NULL;
}
static long waits(void) {
  pthread_t thread;
  char c = 0;
  void *result;
  pthread_create(&thread, NULL, writer, "w");
  long n = syscall(SYS_read, ends[0], &c, 1);
  pthread_join(thread, &result);
  return n == 1 && c == 'w' && result != NULL;
}

/* Code of our own: `push rbx; call *rdi; mov eax, NUMBER; pop rbx; ret`. */
static unsigned char *code;
static int number_at;
static void make_code(int number) {
  static const unsigned char bytes[] = {0x53, 0xff, 0xd7, 0xb8, 0, 0, 0, 0, 0x5b, 0xc3};
  memcpy(code, bytes, sizeof bytes);
  number_at = 4;
  memcpy(code + number_at, &number, 4);
}
static int file;
static void nothing(void) { syscall(SYS_getppid); }
static void overwrites(void) { syscall(SYS_pread64, file, code + number_at, 4, 0); }
static void replaces(void) {
  unsigned char copy[16];
  int other = 303;
  memcpy(copy, code, sizeof copy);
  memcpy(copy + number_at, &other, 4);
  syscall(SYS_munmap, code, 4096);
  mmap(code, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  memcpy(code, copy, sizeof copy);
  syscall(SYS_mprotect, code, 4096, PROT_READ | PROT_EXEC);
}
static void forbids(void) { syscall(SYS_mprotect, code, 4096, PROT_READ); }
static volatile int refused;
static void allow(int signo, siginfo_t *info, void *context) {
  (void)signo;
  (void)context;
  refused += info->si_addr == code + 3;
  mprotect(code, 4096, PROT_READ | PROT_EXEC);
}
typedef int made(void (*)(void));

int main(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  long ppid = getppid();
  int right = 0;
  for (int k = 0; k < ROUNDS; k++) right += below(k % 7, plain) == ppid + frames(k % 7);
  check("results", right == ROUNDS);

  signal(SIGUSR1, count);
  right = 0;
  for (int k = 0; k < ROUNDS; k++) right += below(k % 7, interrupts) == 1 + frames(k % 7);
  check("signals", right == ROUNDS && handled == ROUNDS);

  signal(SIGUSR2, jump);
  volatile int jumps = 0;
  for (volatile int k = 0; k < ROUNDS; k++) {
    if (sigsetjmp(out, 1) == SIGUSR2) jumps++;
    else below(k % 7, leaves);
  }
  check("jumps out of handlers", jumps == ROUNDS);

  pid_t self = getpid();
  right = 0;
  for (int k = 0; k < 60; k++) {
    long got = below(4, forks);
    if (getpid() != self) _exit((int)(got - frames(4)) + 1);
    right += got == 6 + frames(4);
  }
  check("forks", right == 60);

  if (pipe(ends) != 0) return 1;
  right = 0;
  for (int k = 0; k < 60; k++) right += below(5, waits) == 1 + frames(5);
  check("waits", right == 60);

#ifdef __x86_64__
  int number = 202;
  char name[] = "/tmp/calls-in-place-XXXXXX";
  file = mkstemp(name);
  unlink(name);
  if (write(file, &number, 4) != 4) return 1;
  code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  made *call = (made *)(void *)code;
  int sums[4] = {0};
  make_code(101);
  for (int k = 0; k < ROUNDS; k++) sums[0] += call(nothing) == 101;
  sums[1] = call(overwrites);
  for (int k = 0; k < ROUNDS; k++) sums[0] += call(nothing) == 202;
  sums[2] = call(replaces);
  for (int k = 0; k < ROUNDS; k++) sums[0] += call(nothing) == 303;
  check("code that a call changes", sums[0] == 3 * ROUNDS && sums[1] == 202 && sums[2] == 303);
  struct sigaction sa = {.sa_sigaction = allow, .sa_flags = SA_SIGINFO};
  sigaction(SIGSEGV, &sa, NULL);
  for (int k = 0; k < ROUNDS; k++) sums[3] += call(k % 100 == 99 ? forbids : nothing) == 303;
  check("code that a call forbids", sums[3] == ROUNDS && refused == ROUNDS / 100);
#endif
  return 0;
}
