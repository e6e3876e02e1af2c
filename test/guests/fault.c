/* Dies the way its first argument says, or catches the signal and says what it was told. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

static sigjmp_buf back;
static volatile int zero, one = 1;
static char page[8192] __attribute__((aligned(4096)));

static void handler(int signo, siginfo_t *info, void *context) {
  ucontext_t *u = context;
  unsigned long address = signo == SIGSEGV ? (unsigned long)info->si_addr : 0;
  if (address - (unsigned long)page < sizeof page) address -= (unsigned long)page;
  printf("signal %d code %d address %#lx trap %ld error %ld\n", signo, info->si_code, address, (long)u->uc_mcontext.gregs[REG_TRAPNO], (long)u->uc_mcontext.gregs[REG_ERR]);
  siglongjmp(back, 1);
}

static void act(const char *how) {
  if (!strcmp(how, "null")) *(volatile int *)0 = 1;
  else if (!strcmp(how, "read")) zero = *(volatile int *)0x10;
  else if (!strcmp(how, "wild")) zero = *(volatile char *)0x1234567890;
  else if (!strcmp(how, "noncanonical")) zero = *(volatile char *)0x8000000000000000;
  else if (!strcmp(how, "readonly")) {
    mprotect(page, 4096, PROT_READ | PROT_WRITE);
    page[5] = 0; /* now the page is present */
    mprotect(page, 4096, PROT_READ);
    page[5] = 1;
  } else if (!strcmp(how, "divide")) zero = one / zero;
  else if (!strcmp(how, "overflow")) {
    volatile int minimum = INT32_MIN, minus = -1;
    zero = minimum / minus;
  } else if (!strcmp(how, "illegal")) __asm__ volatile("ud2");
  else if (!strcmp(how, "privileged")) __asm__ volatile("hlt");
  else if (!strcmp(how, "trap")) __asm__ volatile("int3");
  else if (!strcmp(how, "execute")) ((void (*)(void))(uintptr_t)page)();
  else if (!strcmp(how, "abort")) abort();
  else if (!strcmp(how, "raise")) raise(SIGTERM);
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  setvbuf(stdout, 0, _IONBF, 0);
  if (argc > 2) {
    struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    for (const int *s = (const int[]){SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGBUS, SIGABRT, SIGTERM, 0}; *s; s++) sigaction(*s, &sa, 0);
    for (int k = 0; k < 2; k++)
      if (!sigsetjmp(back, 1)) act(argv[1]);
  } else act(argv[1]);
  puts("went on");
  return 0;
}
