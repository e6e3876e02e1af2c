// Control flow that compilers and run-time libraries make of more than calls and returns: tail calls, exceptions through many frames,
// return addresses that somebody changes, and signal handlers that look at every register of the code they interrupt, and change some.
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))

// Tail calls: each would need a frame were it a call.

struct State { uint64_t a, steps; };
NOINLINE static uint64_t even(State *s, uint64_t n);
NOINLINE static uint64_t odd(State *s, uint64_t n) { s->a = s->a * 3 + n; return n == 0 ? 1 : even(s, n - 1); }
NOINLINE static uint64_t even(State *s, uint64_t n) { s->a ^= n << 1; return n == 0 ? 0 : odd(s, n - 1); }
using Op = uint64_t (*)(State *, const uint8_t *);
static uint64_t op_add(State *s, const uint8_t *code);
static uint64_t op_mix(State *s, const uint8_t *code);
static uint64_t op_loop(State *s, const uint8_t *code);
static const Op table[] = {op_add, op_mix, op_loop};
static uint64_t op_add(State *s, const uint8_t *code) { s->a += 7; return table[code[0]](s, code + 1); }
static uint64_t op_mix(State *s, const uint8_t *code) { s->a ^= s->a >> 5; return table[code[0]](s, code + 1); }
static uint64_t op_loop(State *s, const uint8_t *code) { return --s->steps == 0 ? s->a : table[code[-4]](s, code - 3); }
static void tail_calls() {
  State s{1, 0};
  uint64_t r = even(&s, 300000);
  printf("tail calls %lu %lu\n", r, s.a);
  static const uint8_t code[] = {0, 1, 0, 2};
  s = {5, 50000};
  printf("threaded %lu\n", op_mix(&s, code));
}

// Exceptions.

static long destroyed;
struct Counted { long weight; explicit Counted(long w) : weight(w) {} ~Counted() { destroyed += weight; } };
NOINLINE static long thrower(int depth, int kind) {
  Counted c(depth & 3);
  if (depth == 0) {
    if (kind % 3 == 0) throw std::runtime_error("deep");
    if (kind % 3 == 1) throw kind;
    throw std::string("text");
  }
  return thrower(depth - 1, kind) + c.weight;
}
NOINLINE static int middle(int depth, int kind) {
  try {
    return (int)thrower(depth, kind);
  } catch (int n) {
    if (n % 2) throw;
    return n;
  }
}
static void exceptions() {
  long caught[4] = {};
  for (int k = 0; k < 100; k++) {
    try {
      caught[3] += middle(k % 50 == 0 ? 3000 : 40, k);
    } catch (const std::exception &e) { caught[0] += strlen(e.what()); }
    catch (int n) { caught[1] += n; }
    catch (const std::string &s) { caught[2] += s.size(); }
  }
  printf("exceptions %ld %ld %ld %ld, destroyed %ld\n", caught[0], caught[1], caught[2], caught[3], destroyed);
  int values[500];
  for (int k = 0; k < 500; k++) values[k] = (k * 7919) % 1009;
  long compared = 0;
  static long *counter;
  counter = &compared;
  try {
    qsort(values, 500, sizeof *values, [](const void *a, const void *b) {
      if (++*counter == 2000) throw 17;
      return *(const int *)a - *(const int *)b;
    });
  } catch (int n) { printf("out of qsort %d after %ld\n", n, compared); }
}

// Return addresses.

asm(R"(
.text
skipper:            # returns behind the 5 bytes that follow the call
  addq $5, (%rsp)
  ret
skips:
  xorl %eax, %eax
  subq $8, %rsp
  call skipper
  movl $100, %eax   # 5 bytes
  addl $1, %eax
  addq $8, %rsp
  ret
inner_of_two:       # returns to its caller's caller
  addq $8, %rsp
  leaq 3(%rdi), %rax
  ret
outer_of_two:
  call inner_of_two
  movl $-1, %eax
  ret
jump_by_return:     # goes to an address that it pushes
  leaq 1f(%rip), %rax
  pushq %rax
  ret
  ud2
1: leaq 5(%rdi), %rax
  ret
where_am_i:         # takes the return address away
  call 2f
2: popq %rdx
  leaq 2b(%rip), %rax
  subq %rdx, %rax
  addq %rdi, %rax
  ret
retpoline:          # an indirect jump made of a call and a changed return address
  leaq 5f(%rip), %rax
  call 4f
3: pause
  jmp 3b
4: movq %rax, (%rsp)
  ret
5: leaq 7(%rdi), %rax
  ret
)");
extern "C" {
long skips(long) asm("skips");
long outer_of_two(long) asm("outer_of_two");
long jump_by_return(long) asm("jump_by_return");
long where_am_i(long) asm("where_am_i");
long retpoline(long) asm("retpoline");
}
static void return_addresses() {
  long (*const all[])(long) = {skips, outer_of_two, jump_by_return, where_am_i, retpoline};
  for (auto f : all) {
    long sum = 0;
    for (long k = 0; k < 3000; k++) sum += f(k);
    printf("return %ld\n", sum);
  }
}

// Registers that functions give back as they got them, but for these.

asm(R"(
.text
turn:               # exchanges two of them
  xchgq %rbx, %rbp
  addq $1, %rbx
  ret
turn_by_jump:
  leaq turn(%rip), %rax
  jmp *%rax
change_two_up:      # changes both, and returns to its caller's caller
  xorq $5, %rbx
  leaq (%rbp,%rbx,2), %rbp
  addq $8, %rsp
  ret
change_two:
  call change_two_up
  ud2
count_down:         # has a loop, in which both change
  movl $20, %ecx
1: addq %rcx, %rbp
  rolq $3, %rbx
  decl %ecx
  jnz 1b
  ret
ask:                # a system call in between
  movl $39, %eax
  syscall
  subq $2, %rbp
  ret
changed:            # rdi: a number, rsi: what to call
  pushq %rbx
  pushq %rbp
  pushq %r12
  leaq (%rdi,%rdi,2), %rbp
  movq %rdi, %rbx
  movq %rsi, %r12
  call turn
  call *%r12
  call change_two
  testb $127, %bl
  jnz 1f
  call ask
1: call count_down
  leaq turn_by_jump(%rip), %rax
  call *%rax
  movq %rbx, %rax
  xorq %rbp, %rax
  popq %r12
  popq %rbp
  popq %rbx
  ret
)");
extern "C" {
uint64_t changed(uint64_t, void (*)()) asm("changed");
void turn() asm("turn");
void turn_by_jump() asm("turn_by_jump");
void change_two() asm("change_two");
void count_down() asm("count_down");
void ask() asm("ask");
}
static void changed_registers() {
  void (*const all[])() = {turn, turn_by_jump, change_two, count_down, ask};
  uint64_t sum = 0;
  for (uint64_t k = 0; k < 40000; k++) sum = sum * 3 + changed(k, all[k % 7 < 4 ? k % 7 : k % 64 == 0 ? 4 : 1]);
  printf("changed registers %lx\n", (unsigned long)sum);
}

// Signal handlers: `interrupt` fills every register, then does something that faults at `fault_at`.

asm(R"(
.text
interrupt:          # rdi: kind, rsi: a bad address, rdx: where the registers go afterwards
  pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15
  pushq %rdx
  movq %rdi, %rax
  movl $0x1111, %ebx; movl $0x2222, %ebp; movl $0x8888, %r8d; movl $0x9999, %r9d; movl $0xaaaa, %r10d
  movl $0xbbbb, %r11d; movl $0xcccc, %r12d; movl $0xdddd, %r13d; movl $0xeeee, %r14d; movl $0xffff, %r15d
  movl $0x3333, %ecx; movl $0x4444, %edx; movl $0x5555, %edi
  movq %rbx, %xmm3; pshufd $0x44, %xmm3, %xmm3
  cmpl $0, %eax
  je 10f
  cmpl $1, %eax
  je 11f
  cmpl $2, %eax
  je 12f
  cmpl $3, %eax
  je 13f
  xorl %ebp, %ebp   # 4: a store; flags ZF and PF
14: movq %rbx, 8(%rsi)
  jmp 20f
10: subl $1, %ebx   # a load
  addl $0x7fffffff, %ebx  # flags: OF, SF
  movq (%rsi), %rcx
  jmp 20f
11: xorl %edx, %edx # a division
  xorl %ecx, %ecx
  divl %ecx
  jmp 20f
12: addb $1, %bl    # an instruction that is none
  ud2
  jmp 20f
13: negl %ebp       # read, change, write
  notq (%rsi)
20: popq %rsi
  movq %rax, (%rsi); movq %rbx, 8(%rsi); movq %rcx, 16(%rsi); movq %rbp, 24(%rsi); movq %r12, 32(%rsi); movq %xmm3, 40(%rsi)
  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx
  ret
)");
extern "C" void interrupt(long kind, void *bad, uint64_t *out) asm("interrupt");

static uint64_t seen;
static int last_signal, last_code, first_rounds = 2;
static void *bad;
static void on_fault(int signo, siginfo_t *info, void *context) {
  ucontext_t *c = (ucontext_t *)context;
  greg_t *g = c->uc_mcontext.gregs;
  last_signal = signo;
  last_code = info->si_code;
  if (first_rounds > 0) {
    static const int shown[] = {REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RDI, REG_RBP, REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    char line[512];
    int n = snprintf(line, sizeof line, "signal %d code %d", signo, info->si_code);
    if (signo == SIGSEGV || signo == SIGBUS) n += snprintf(line + n, sizeof line - n, " at +%ld", (long)((char *)info->si_addr - (char *)bad));
    for (int r : shown) n += snprintf(line + n, sizeof line - n, " %llx", g[r]);
    // Arithmetic flags; what DIV leaves of them is nobody's business.
    if (signo != SIGFPE) n += snprintf(line + n, sizeof line - n, " flags %llx", g[REG_EFL] & 0x8d5);
    n += snprintf(line + n, sizeof line - n, " xmm3 %x\n", c->uc_mcontext.fpregs->_xmm[3].element[2]);
    write(1, line, n);
  }
  for (int r = 0; r < 16; r++) if (r != REG_RSI && r != REG_RSP) seen = seen * 31 + g[r];
  if (signo != SIGFPE) seen = seen * 31 + (g[REG_EFL] & 0x8d5);
  const unsigned char *at = (const unsigned char *)g[REG_RIP];
  g[REG_RBX] += 0x10000;
  g[REG_R12] ^= 0xff;
  c->uc_mcontext.fpregs->_xmm[3].element[0] += 5;
  // Behind the instruction: mov 3 or 4 bytes, div and ud2 two, not three.
  g[REG_RIP] += at[0] == 0xf7 || at[0] == 0x0f ? 2 : at[1] == 0x8b || at[1] == 0xf7 ? 3 : 4;
}

static void handlers() {
  struct sigaction act = {};
  act.sa_sigaction = on_fault;
  act.sa_flags = SA_SIGINFO;
  for (int s : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigaction(s, &act, nullptr);
  void *none = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int file = memfd_create("short", 0);
  void *beyond = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  struct { const char *name; long kind; void *address; } const all[] = {
      {"load", 0, none}, {"store", 4, none}, {"both", 3, none}, {"beyond the file", 0, beyond}, {"store beyond", 4, beyond}, {"division", 1, none}, {"undefined", 2, none}};
  for (auto &[name, kind, address] : all) {
    uint64_t out[6], sum = 0;
    bad = address;
    first_rounds = 1;
    seen = 0;
    for (int k = 0; k < 600; k++) {
      interrupt(kind, address, out);
      first_rounds = 0;
      // The first one comes before its code is translated, the last one long after.
      if (k == 598) first_rounds = 1;
      for (uint64_t v : out) sum = sum * 17 + v;
    }
    printf("%s: signal %d code %d, seen %lx, out %lx\n", name, last_signal, last_code, seen, sum);
    fflush(stdout);
  }
}

int main() {
  tail_calls();
  exceptions();
  return_addresses();
  changed_registers();
  fflush(stdout);
  handlers();
  return 0;
}
