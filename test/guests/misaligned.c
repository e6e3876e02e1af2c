/* An atomic instruction at an odd address, in code that is hot by then; caught if there is an argument. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void *expected;
static void caught(int signal, siginfo_t *info, void *context) {
  printf("%d %d %d\n", signal, info->si_code, info->si_addr == expected);
  fflush(stdout);
  _exit(0);
}

static __attribute__((noinline)) unsigned long add(unsigned long *at, unsigned long value) {
  __asm__ volatile(".arch armv8.1-a\n\tldadd %0, %0, [%1]" : "+r"(value) : "r"(at) : "memory");
  return value;
}

int main(int argc, char **argv) {
  static unsigned long words[4];
  unsigned long sum = 0;
  expected = (char *)words + 3;
  if (argc > 1) sigaction(SIGBUS, &(struct sigaction){.sa_sigaction = caught, .sa_flags = SA_SIGINFO}, NULL);
  for (int k = 0; k < 3000; k++) sum += add(words + (k & 3), k);
  printf("%lu\n", sum);
  fflush(stdout);
  add(expected, 1);
}
