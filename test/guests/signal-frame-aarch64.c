/*
 * The AArch64 signal frame as a handler sees it, and what becomes of what the handler writes into it: general registers, NZCV,
 * the pc, vector registers, FPCR and FPSR, the mask; by SIGSEGV, SIGILL, SIGTRAP and SIGUSR1, with SA_ONSTACK and nested. Left
 * out is what qemu-user does unlike Linux: si_code of SIGILL, SS_ONSTACK in uc_stack.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ucontext.h>
#include <unistd.h>
#include <asm/sigcontext.h>

extern const char fault_at[], fault_next[], ill_at[], ill_next[], trap_at[], trap_next[];
extern uint64_t run_fault(uint64_t *state), run_ill(uint64_t *state), run_trap(uint64_t *state);

/*
 * state: x19..x28 in, then out; NZCV out; v8, v31 as 2 x 64 bits in, then out; FPCR, FPSR out. One function for each instruction
 * that raises a signal.
 */
#define FUNCTION(name, at, next, instruction)                                                                       \
  asm(".text\n.balign 4\n.global run_" #name "," #at "," #next "\nrun_" #name ":\n"                                  \
      "stp x29,x30,[sp,#-112]!\nstp x19,x20,[sp,#16]\nstp x21,x22,[sp,#32]\nstp x23,x24,[sp,#48]\n"                   \
      "stp x25,x26,[sp,#64]\nstp x27,x28,[sp,#80]\nstp d8,d9,[sp,#96]\n"                                            \
      "mov x9,x0\nldp x19,x20,[x9]\nldp x21,x22,[x9,#16]\nldp x23,x24,[x9,#32]\nldp x25,x26,[x9,#48]\n"               \
      "ldp x27,x28,[x9,#64]\nldr q8,[x9,#96]\nldr q31,[x9,#112]\nmov x10,#0x10\nmov x11,#0x1111\n"                   \
      "msr nzcv,xzr\ncmp x10,#0x10\n" #at ": " instruction "\n" #next ":\n"                                         \
      "stp x19,x20,[x9]\nstp x21,x22,[x9,#16]\nstp x23,x24,[x9,#32]\nstp x25,x26,[x9,#48]\nstp x27,x28,[x9,#64]\n"    \
      "mrs x12,nzcv\nstr x12,[x9,#80]\nstr q8,[x9,#96]\nstr q31,[x9,#112]\nmrs x12,fpcr\nstr x12,[x9,#128]\n"         \
      "mrs x12,fpsr\nstr x12,[x9,#136]\nmsr fpcr,xzr\nmov x0,x11\n"                                                \
      "ldp x19,x20,[sp,#16]\nldp x21,x22,[sp,#32]\nldp x23,x24,[sp,#48]\nldp x25,x26,[sp,#64]\n"                     \
      "ldp x27,x28,[sp,#80]\nldp d8,d9,[sp,#96]\nldp x29,x30,[sp],#112\nret\n")
FUNCTION(fault, fault_at, fault_next, "ldr x11,[x10,#8]");
FUNCTION(ill, ill_at, ill_next, "udf #7");
FUNCTION(trap, trap_at, trap_next, "brk #5");

static int edit, depth, want_nested;
static char alternate[65536];

static struct fpsimd_context *fpsimd(ucontext_t *u) {
  struct _aarch64_ctx *head = (struct _aarch64_ctx *)u->uc_mcontext.__reserved;
  for (; head->magic; head = (struct _aarch64_ctx *)((char *)head + head->size))
    if (head->magic == FPSIMD_MAGIC) return (struct fpsimd_context *)head;
  return NULL;
}

static void print_place(uint64_t pc) {
  const char *at = (const char *)(uintptr_t)pc;
  const char *name = at == fault_at ? "fault" : at == ill_at ? "ill" : at == trap_at ? "trap" : "elsewhere";
  printf("  pc at %s\n", name);
}

static void handler(int signo, siginfo_t *info, void *context) {
  ucontext_t *u = context;
  mcontext_t *m = &u->uc_mcontext;
  char here;
  depth++;
  printf("signal %d code %d depth %d on %s stack\n", signo, signo == SIGUSR1 || signo == SIGILL ? 0 : info->si_code, depth,
         &here >= alternate && &here < alternate + sizeof alternate ? "the alternate" : "the main");
  if (signo == SIGSEGV) printf("  si_addr %p fault_address %llx\n", info->si_addr, m->fault_address);
  if (signo != SIGUSR1) {
    if (signo != SIGSEGV) printf("  si_addr is pc: %d\n", (uint64_t)(uintptr_t)info->si_addr == m->pc);
    print_place(m->pc);
    for (int k = 19; k <= 28; k++) printf("  x%d %016llx\n", k, m->regs[k]);
    printf("  x10 %llx x11 %llx nzcv %llx sp aligned %d\n", m->regs[10], m->regs[11], m->pstate & 0xf0000000,
           !(m->sp & 15));
  }
  struct fpsimd_context *f = fpsimd(u);
  printf("  fpsimd: %s, size %u\n", f ? "there" : "missing", f ? f->head.size : 0);
  if (!f) exit(1);
  const uint64_t *v = (const uint64_t *)f->vregs;
  if (signo != SIGUSR1)
    printf("  v8 %016lx:%016lx v31 %016lx:%016lx fpcr %x\n", v[17], v[16], v[63], v[62], f->fpcr);
  printf("  mask: usr1 %d usr2 %d segv %d; flags %lx link %p\n", sigismember(&u->uc_sigmask, SIGUSR1),
         sigismember(&u->uc_sigmask, SIGUSR2), sigismember(&u->uc_sigmask, SIGSEGV), u->uc_flags, (void *)u->uc_link);
  printf("  uc_stack: size %zu\n", u->uc_stack.ss_size);
  if (want_nested && signo != SIGUSR1) raise(SIGUSR1);
  /* What the handler itself does to registers must not reach the program. */
  asm volatile("movi v8.16b,#0x5a\nmovi v31.16b,#0xa5\nmov x27,#1\nmsr fpcr,%0" ::"r"(3ull << 22) : "v8", "v31", "x27");
  if (edit && signo != SIGUSR1) {
    for (int k = 19; k <= 28; k++) m->regs[k] = ~m->regs[k];
    m->regs[11] = 0x2222;
    m->pstate = (m->pstate & ~0xf0000000ull) | 0x90000000;
    __uint128_t *w = (__uint128_t *)f->vregs;
    w[8] = ~w[8];
    w[31] = (__uint128_t)0x0123456789abcdefull << 64 | 0xfedcba9876543210ull;
    f->fpcr = 1u << 22;
    f->fpsr = 1u << 27 | 1;
    sigaddset(&u->uc_sigmask, SIGUSR2);
  }
  if (signo == SIGSEGV && edit == 2) m->regs[10] = (uint64_t)(uintptr_t)&alternate; /* again, with another base */
  else if (signo != SIGUSR1) m->pc += 4;
  depth--;
}

static void run(const char *name, uint64_t (*f)(uint64_t *)) {
  uint64_t state[18] = {0};
  for (int k = 0; k < 10; k++) state[k] = 0x1122334455667700ull * (k + 1) + k;
  for (int k = 12; k < 16; k++) state[k] = 0x0101010101010101ull * (k - 11);
  printf("%s, edit %d\n", name, edit);
  uint64_t x11 = f(state);
  printf("after: x11 %llx nzcv %llx fpcr %llx qc+ioc %llx\n", (unsigned long long)x11, (unsigned long long)state[10],
         (unsigned long long)state[16], (unsigned long long)(edit ? state[17] & 0x8000001 : 0));
  for (int k = 0; k < 10; k++) printf("  x%d %016lx\n", k + 19, state[k]);
  printf("  v8 %016lx:%016lx v31 %016lx:%016lx\n", state[13], state[12], state[15], state[14]);
  sigset_t now;
  sigprocmask(SIG_BLOCK, NULL, &now);
  printf("  mask now: usr2 %d segv %d\n", sigismember(&now, SIGUSR2), sigismember(&now, SIGSEGV));
  sigemptyset(&now);
  sigprocmask(SIG_SETMASK, &now, NULL);
}

int main(void) {
  stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
  sigaltstack(&stack, NULL);
  memset(alternate, 0x77, 64);
  for (int on_stack = 0; on_stack < 2; on_stack++) {
    struct sigaction a = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | (on_stack ? SA_ONSTACK : 0)};
    sigaddset(&a.sa_mask, SIGUSR2);
    for (const int *s = (const int[]){SIGSEGV, SIGILL, SIGTRAP, SIGUSR1, 0}; *s; s++) sigaction(*s, &a, NULL);
    want_nested = on_stack;
    for (edit = 0; edit < 3; edit++) {
      run("fault", run_fault);
      run("ill", run_ill);
      run("trap", run_trap);
    }
    raise(SIGUSR1);
  }
  return 3;
}
