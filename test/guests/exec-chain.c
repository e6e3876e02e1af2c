/*
 * Programs of two instruction sets that start each other: exec-chain STEPS SELF OTHER. Each step is a letter: `e` execs OTHER
 * (which gets SELF and OTHER exchanged), `s` execs SELF, `f` runs the rest in a child made by fork and exec of OTHER, `p` by
 * posix_spawn, `t` in a child of a process with a second thread. What a signal handler, pipes and the environment carry over is
 * printed.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __x86_64__
#define NAME "x86-64"
#else
#define NAME "aarch64"
#endif

extern char **environ;

static volatile sig_atomic_t caught;
static void handler(int s) { caught = s; }

static void *sleeper(void *p) {
  for (;;) pause();
  return p;
}

/* Hot enough to be translated. */
static uint64_t work(uint64_t n) {
  uint64_t h = 1469598103934665603u;
  for (uint64_t k = 0; k < n; k++) h = (h ^ (k * 31 & 255)) * 1099511628211u;
  return h;
}

int main(int argc, char **argv) {
  if (argc != 4) return 99;
  const char *steps = argv[1];
  char *self = argv[2], *other = argv[3];
  struct utsname u;
  uname(&u);
  signal(SIGUSR1, handler);
  raise(SIGUSR1);
  char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  printf("%s: %s, signal %d, work %016llx, from %s\n", NAME, steps, (int)caught, (unsigned long long)work(200000),
         getenv("FROM") ? getenv("FROM") : "outside");
  fflush(stdout);
  setenv("FROM", NAME, 1);
  char *rest = strdup(*steps ? steps + 1 : "");
  char *swapped[] = {other, rest, other, self, NULL}, *same[] = {self, rest, self, other, NULL};
  pid_t child = 0;
  switch (*steps) {
    case '\0':
      return 7;
    case 'e':
      execv(other, swapped);
      return 98;
    case 's':
      execv(self, same);
      return 98;
    case 'p':
      if (posix_spawn(&child, other, NULL, NULL, swapped, environ)) return 97;
      break;
    case 't': {
      pthread_t t;
      pthread_create(&t, NULL, sleeper, NULL);
    } /* fall through */
    case 'f':
      child = fork();
      if (child == 0) {
        strcpy(shared, "from " NAME "'s child");
        execv(other, swapped);
        _exit(98);
      }
      break;
    default:
      return 96;
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child) return 95;
  printf("%s: child of %s: status %x, shared '%s'\n", NAME, steps, status, shared);
  fflush(stdout);
  return WEXITSTATUS(status) + 1;
}
