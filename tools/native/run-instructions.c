/*
 * Executes instructions on the CPU this runs on: run-instructions VECTORS RESULTS.
 *
 * A vector is a machine state and some code, followed in its page by INT3 everywhere. Every vector ends in a signal, if
 * only that of the INT3; the handler notes the state in the signal frame, puts the next vector's state in its place and
 * returns, so that the kernel loads all of the registers. tools/record-instructions.ts writes the vectors.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <fcntl.h>
#include <ucontext.h>
#include <unistd.h>

/* test/instructions/machine-state.ts has the same numbers. */
#define CODE_PAGE 0x10000000ul
#define CODE 0x10000800ul
#define DATA_PAGE 0x20000000ul
#define DATA 0x20000f00ul
#define DATA_BYTES 256
#define GS_BASE 0x1ff00000ul
#define MAX_CODE 64

struct vector {
  uint64_t gpr[16]; /* in the order of their numbers */
  uint64_t rflags;
  uint32_t code_bytes;
  uint32_t unused;
  uint8_t code[MAX_CODE];
  uint8_t fx[512]; /* FXSAVE image */
  uint8_t data[DATA_BYTES];
};

struct result {
  uint64_t gpr[16];
  uint64_t rflags;
  uint64_t rip;
  uint64_t address; /* si_addr */
  int32_t signal;
  int32_t signal_code;
  uint32_t stray; /* the data page changed outside of the buffer */
  uint32_t unused;
  uint8_t fx[512];
  uint8_t data[DATA_BYTES];
};

static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                              REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static const struct vector *vectors;
static struct result *results;
static size_t count, at;
static int started;

static void handler(int signal, siginfo_t *info, void *context) {
  ucontext_t *u = context;
  greg_t *g = u->uc_mcontext.gregs;
  uint8_t *fx = (uint8_t *)u->uc_mcontext.fpregs;
  if (started) {
    struct result *r = &results[at++];
    for (int k = 0; k < 16; k++) r->gpr[k] = g[order[k]];
    r->rflags = g[REG_EFL] & ~0x10000ul; /* RF says only how it ended */
    r->rip = g[REG_RIP];
    r->signal = signal;
    r->signal_code = info->si_code;
    r->address = (uint64_t)info->si_addr;
    memcpy(r->fx, fx, 512);
    memcpy(r->data, (void *)DATA, DATA_BYTES);
    for (uint64_t *p = (uint64_t *)DATA_PAGE; p < (uint64_t *)DATA; p++)
      if (*p) {
        r->stray = 1;
        *p = 0;
      }
  }
  started = 1;
  if (at == count) _exit(0);
  const struct vector *v = &vectors[at];
  for (int k = 0; k < 16; k++) g[order[k]] = v->gpr[k];
  g[REG_EFL] = v->rflags;
  g[REG_RIP] = CODE;
  memcpy(fx, v->fx, 464); /* the last 48 bytes are the kernel's */
  *(uint64_t *)(fx + 512) |= 3; /* XSTATE_BV: x87 and SSE are not in their initial state */
  memset((void *)CODE_PAGE, 0xcc, 4096);
  memcpy((void *)CODE, v->code, v->code_bytes);
  memcpy((void *)DATA, v->data, DATA_BYTES);
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: run-instructions VECTORS RESULTS\n");
    return 2;
  }
  int in = open(argv[1], O_RDONLY);
  struct stat st;
  if (in < 0 || fstat(in, &st) < 0) die(argv[1]);
  count = st.st_size / sizeof(struct vector);
  vectors = mmap(0, st.st_size, PROT_READ, MAP_PRIVATE, in, 0);
  int out = open(argv[2], O_RDWR | O_CREAT | O_TRUNC, 0666);
  if (out < 0 || ftruncate(out, count * sizeof(struct result)) < 0) die(argv[2]);
  results = mmap(0, count * sizeof(struct result), PROT_READ | PROT_WRITE, MAP_SHARED, out, 0);
  if (vectors == MAP_FAILED || results == MAP_FAILED) die("mmap");
  for (int k = 0; k < 2; k++) {
    void *want = (void *)(k ? DATA_PAGE : CODE_PAGE);
    int prot = PROT_READ | PROT_WRITE | (k ? 0 : PROT_EXEC);
    if (mmap(want, 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != want) die("mmap");
  }
  if (syscall(SYS_arch_prctl, ARCH_SET_GS, GS_BASE) < 0) die("arch_prctl");

  stack_t stack = {.ss_size = 1 << 20};
  stack.ss_sp = malloc(stack.ss_size);
  if (sigaltstack(&stack, 0) < 0) die("sigaltstack");
  struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  const int signals[] = {SIGTRAP, SIGILL, SIGFPE, SIGSEGV, SIGBUS};
  for (unsigned k = 0; k < sizeof signals / sizeof *signals; k++) sigaction(signals[k], &action, 0);
  alarm(60);
  raise(SIGTRAP);
  return 1;
}
