// Programs that do not return where they came from: each part prints what it did.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

static long depth(long n) { return n == 0 ? 0 : 1 + depth(n - 1); }
static long (*volatile depth_p)(long) = depth;
static __attribute__((noinline)) long deep(long n, long *sum) {
  long local[4] = {n, n + 1, n + 2, n + 3};
  *sum += local[n & 3];
  long r = n == 0 ? 0 : deep(n - 1, sum);
  return r + local[(n + 1) & 3];
}

static jmp_buf env;
static __attribute__((noinline)) void thrower(int n) { if (n == 0) longjmp(env, 7); thrower(n - 1); __asm__ volatile(""); }

static ucontext_t main_context, co[2];
static char stacks[2][65536];
static volatile long turns;
static void coroutine(int id) {
  for (long k = 0; k < 20000; k++) { turns += id + k % 3; swapcontext(&co[id], &co[1 - id]); }
  swapcontext(&co[id], &main_context);
}

typedef long (*fn)(long);
static void selfmod(void) {
  unsigned char *p = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  // lea rax, [rdi + imm32]; ret
  unsigned char code[] = {0x48, 0x8d, 0x87, 0, 0, 0, 0, 0xc3};
  memcpy(p, code, sizeof code);
  long sum = 0;
  for (int round = 0; round < 300; round++) {
    int32_t imm = round * 3;
    memcpy(p + 3, &imm, 4);
    for (int k = 0; k < 200; k++) sum += ((fn)p)(k);
  }
  printf("selfmod %ld\n", sum);
  munmap(p, 4096);
  // mprotect toggling
  p = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  sum = 0;
  for (int round = 0; round < 100; round++) {
    mprotect(p, 4096, PROT_READ | PROT_WRITE);
    memcpy(p, code, sizeof code);
    int32_t imm = round * 7;
    memcpy(p + 3, &imm, 4);
    mprotect(p, 4096, PROT_READ | PROT_EXEC);
    for (int k = 0; k < 500; k++) sum += ((fn)p)(k);
  }
  printf("toggled %ld\n", sum);
}

static __attribute__((noinline)) int computed(const unsigned char *code) {
  static void *const labels[] = {&&inc, &&dbl, &&neg, &&halt, &&sub};
  int acc = 1;
#define NEXT goto *labels[*code++]
  NEXT;
inc: acc++; NEXT;
dbl: acc *= 2; NEXT;
neg: acc = -acc; NEXT;
sub: acc -= 5; NEXT;
halt: return acc;
}

static volatile sig_atomic_t faults;
static char *guarded;
static void on_segv(int s, siginfo_t *i, void *u) {
  ucontext_t *c = u;
  faults++;
  if (i->si_addr != guarded + 100) { static const char m[] = "wrong address\n"; write(1, m, sizeof m - 1); _exit(1); }
  if (faults % 2) { mprotect(guarded, 4096, PROT_READ | PROT_WRITE); }
  else { c->uc_mcontext.gregs[REG_RAX] += 1000; c->uc_mcontext.gregs[REG_RIP] += 3; }
}
static void recover(void) {
  struct sigaction sa = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO};
  sigaction(SIGSEGV, &sa, 0);
  guarded = mmap(0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  long sum = 0;
  for (int k = 0; k < 4000; k++) {
    mprotect(guarded, 4096, PROT_NONE);
    long rax = k;
    // mov 100(%rcx), %al, which is 3 bytes long
    __asm__ volatile("lea 1(%%rax), %%rax\n\t.byte 0x8a, 0x41, 0x64" : "+a"(rax) : "c"(guarded) : "memory");
    sum += rax;
  }
  printf("recover %ld %d\n", sum, (int)faults);
}

static volatile int fpes;
static sigjmp_buf fpe_env;
static void on_fpe(int s) { fpes++; siglongjmp(fpe_env, 1); }
static void divides(void) {
  signal(SIGFPE, on_fpe);
  volatile int zero = 0; long sum = 0;
  for (int k = 0; k < 3000; k++) { if (sigsetjmp(fpe_env, 1) == 0) { sum += k / (k % 3 ? k : zero); } else sum += 2; }
  printf("divides %ld %d\n", sum, fpes);
}

int main(int argc, char **argv) {
  printf("depth %ld\n", depth_p(100000));
  long sum = 0; long r = 0;
  for (int k = 0; k < 20; k++) r += deep(20000, &sum);
  printf("deep %ld %ld\n", r, sum);
  volatile int jumps = 0;
  for (volatile int k = 0; k < 5000; k++) { if (setjmp(env) == 0) thrower(k % 50); else jumps++; }
  printf("jumps %d\n", jumps);
  for (int k = 0; k < 2; k++) { getcontext(&co[k]); co[k].uc_stack.ss_sp = stacks[k]; co[k].uc_stack.ss_size = sizeof stacks[k]; co[k].uc_link = &main_context; makecontext(&co[k], (void (*)(void))coroutine, 1, k); }
  swapcontext(&main_context, &co[0]);
  printf("turns %ld\n", turns);
  selfmod();
  unsigned char prog[1000]; for (int k = 0; k < 999; k++) prog[k] = "\0\1\2\4\0"[k % 5]; prog[999] = 3;
  unsigned total = 0; for (int k = 0; k < 3000; k++) { prog[k % 900] ^= 1; if (prog[k % 900] > 4) prog[k % 900] = 0; if (prog[k % 900] == 3) prog[k % 900] = 0; total = total * 31 + (unsigned)computed(prog); }
  printf("computed %u\n", total);
  divides();
  recover();
  fflush(stdout);
  if (argc > 1) { fflush(stdout); volatile long v = depth_p(1000000000); printf("not reached %ld\n", v); }
  return 0;
}
