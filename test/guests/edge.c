/*
 * Sequences of accesses around one address, of pushes, and of accesses by index, that run into a page which may not be accessed, or
 * only be read. A handler looks at the registers and at what has been stored by then, opens the page, and has the instruction done again.
 * With an argument there is a page that is writable and executable, too.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define PAGE 4096
static unsigned char *area, *closed;
static uint64_t sum;
static int faults, protection;
uint64_t saved;
extern char fields_start[], fields_end[];

static void mix(uint64_t v) { sum = (sum ^ v) * 0x9e3779b97f4a7c15ul + (sum >> 29); }
/* Addresses differ from run to run. */
static uint64_t known(uint64_t v) {
  if (v - (uint64_t)area < 4 * PAGE) return v - (uint64_t)area + 0x1000000;
  if (v - (uint64_t)fields_start < (uint64_t)(fields_end - fields_start)) return v - (uint64_t)fields_start + 0x2000000;
  return v;
}

static void handler(int sig, siginfo_t *info, void *context) {
  static const int shown[] = {REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI, REG_R8, REG_R9, REG_R10, REG_R11, REG_RIP};
  greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
  mix(sig);
  mix(info->si_code);
  mix(known((uint64_t)info->si_addr));
  for (unsigned k = 0; k < sizeof shown / sizeof *shown; k++) mix(known(regs[shown[k]]));
  if ((uint64_t)regs[REG_RSP] - (uint64_t)area < 4 * PAGE) mix(known(regs[REG_RSP]));
  /* Whether it was read or written first is not told apart in instructions that do both. */
  mix(regs[REG_ERR] & ~2);
  for (unsigned char *p = closed - 96; p < closed; p++) mix(*p);
  if (mprotect(closed, PAGE, PROT_READ | PROT_WRITE)) abort();
  faults++;
}

void fields(unsigned char *p, uint64_t k);
void pushes(unsigned char *p, uint64_t k);
void indexed(unsigned char *p, uint64_t k);
__asm__(
    "fields_start:\n"
    "fields: push %rbx\n mov %rsi, %rax\n imul $77, %rsi, %rbx\n xor %ecx, %ecx\n xor %edx, %edx\n mov %rsi, %r8\n"
    " mov %rdi, %r9\n mov %rsi, %r10\n lea 5(%rdi), %r11\n"
    " mov %rax, (%rdi)\n add $3, %rax\n mov %eax, 24(%rdi)\n mov 8(%rdi), %rcx\n add %rbx, %rcx\n mov %cx, -6(%rdi)\n"
    " movzbl 33(%rdi), %edx\n sub %rdx, %r8\n add %r8, 40(%rdi)\n sbb %r10, %r10\n mov %r10b, 61(%r9)\n"
    " add $16, %r9\n movups -16(%r9), %xmm0\n paddd %xmm0, %xmm0\n movups %xmm0, 7(%r9)\n xor %r8, 32(%r11)\n inc %rbx\n"
    " lock xadd %ebx, 3(%r11)\n mov %rbx, 16(%rdi)\n pop %rbx\n ret\n"
    "pushes: push %rbx\n mov %rsp, saved(%rip)\n mov %rsi, %rbx\n xor %ecx, %ecx\n xor %edx, %edx\n mov %rsi, %r8\n mov %rdi, %r9\n"
    " xor %r10d, %r10d\n xor %r11d, %r11d\n xor %eax, %eax\n mov %rdi, %rsp\n"
    " push %rsi\n sub $24, %rsp\n add $5, %rbx\n push %rbx\n mov 8(%rsp), %rax\n add %rax, %rbx\n pushq $7\n mov %bl, 17(%rsp)\n pop %r10\n"
    " pop %r11\n add $24, %rsp\n pop %rcx\n mov saved(%rip), %rsp\n pop %rbx\n ret\n"
    "indexed: push %rbx\n xor %ebx, %ebx\n xor %ecx, %ecx\n mov %rsi, %rax\n mov %rdi, %r8\n mov %rdi, %r9\n mov %rdi, %r10\n mov %rdi, %r11\n xor %edx, %edx\n"
    "1: mov (%rdi,%rcx,4), %edx\n add %edx, %eax\n mov %eax, 4(%rdi,%rcx,4)\n rol $5, %rax\n mov %al, 9(%rdi,%rcx,4)\n inc %rcx\n cmp $6, %ecx\n jne 1b\n pop %rbx\n ret\n"
    "fields_end:\n");

int main(int argc, char **argv) {
  (void)argv;
  stack_t stack = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
  struct sigaction act = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigaltstack(&stack, NULL);
  sigaction(SIGSEGV, &act, NULL);
  if (argc > 1 && mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED) return 1;
  area = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  closed = area + 2 * PAGE;
  for (int turn = 0; turn < 40; turn++) {
    for (int at = -80; at < 24; at++) {
      protection = (turn + at) & 1 ? PROT_NONE : PROT_READ;
      memset(closed, turn + at, 128);
      if (mprotect(closed, PAGE, protection)) return 1;
      (turn & 2 ? fields : indexed)(closed + at, turn * 131 + at);
      for (unsigned char *p = closed - 96; p < closed; p++) mix(*p);
      if (mprotect(closed, PAGE, PROT_READ | PROT_WRITE)) return 1;
    }
    /* Downwards. */
    unsigned char *low = closed;
    closed -= PAGE;
    for (int at = 0; at < 96; at += 1) {
      memset(closed + PAGE - 128, turn + at, 256);
      if (mprotect(closed, PAGE, PROT_NONE)) return 1;
      pushes(closed + PAGE + at, turn * 17 + at);
      if (mprotect(closed, PAGE, PROT_READ | PROT_WRITE)) return 1;
      for (unsigned char *p = closed + PAGE - 128; p < closed + PAGE + 128; p++) mix(*p);
    }
    closed = low;
  }
  printf("%d faults, %016lx\n", faults, sum);
}
