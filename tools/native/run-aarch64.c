// Runs instruction vectors on an AArch64 Linux machine (or qemu-aarch64) and writes down what they did:
// run-aarch64 VECTORS RESULTS. Everything happens in the signal handler: it takes the outcome of one vector out of the
// context it interrupted and puts the state of the next one in. Layout: tools/record-aarch64.ts.
#include <asm/sigcontext.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <ucontext.h>
#include <unistd.h>

#define CODE_PAGE 0x10000000ul
#define CODE (CODE_PAGE + 0x800)
#define DATA_PAGE 0x20000000ul
#define DATA (DATA_PAGE + 0x700)
#define DATA_BYTES 512
#define MAX_WORDS 12
#define BRK 0xd4200000u

struct state {
  uint64_t x[31], sp;
  uint32_t nzcv, fpcr, fpsr, pad;
  unsigned char v[512];
  unsigned char data[DATA_BYTES];
};
struct vector {
  uint32_t count, words[MAX_WORDS], pad;
  struct state before;
};
struct result {
  int32_t signal, pad;
  uint64_t pc, address;
  struct state after;
};

static struct vector *vectors;
static struct result *results;
static long count, next;
static const char *output;

static struct fpsimd_context *fpsimd(ucontext_t *u) {
  unsigned char *at = (unsigned char *)u->uc_mcontext.__reserved;
  for (;;) {
    struct _aarch64_ctx *head = (struct _aarch64_ctx *)at;
    if (head->magic == FPSIMD_MAGIC) return (struct fpsimd_context *)at;
    if (head->magic == 0) abort();
    at += head->size;
  }
}

static void finish(void) {
  int fd = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  size_t size = count * sizeof *results;
  for (size_t done = 0; done < size;) {
    ssize_t n = write(fd, (char *)results + done, size - done);
    if (n <= 0) _exit(2);
    done += n;
  }
  _exit(0);
}

static void handler(int signal, siginfo_t *info, void *context) {
  ucontext_t *u = context;
  struct sigcontext *m = (struct sigcontext *)&u->uc_mcontext;
  struct fpsimd_context *f = fpsimd(u);
  if (next > 0) {
    struct result *r = &results[next - 1];
    r->signal = signal;
    r->pc = m->pc;
    r->address = signal == SIGSEGV || signal == SIGBUS ? (uint64_t)info->si_addr : 0;
    memcpy(r->after.x, m->regs, sizeof r->after.x);
    r->after.sp = m->sp;
    r->after.nzcv = m->pstate & 0xf0000000u;
    r->after.fpcr = f->fpcr;
    r->after.fpsr = f->fpsr;
    memcpy(r->after.v, f->vregs, 512);
    memcpy(r->after.data, (void *)DATA, DATA_BYTES);
  }
  if (next == count) finish();
  struct vector *v = &vectors[next++];
  uint32_t *code = (uint32_t *)CODE;
  for (int k = 0; k < MAX_WORDS; k++) code[k] = k < (int)v->count ? v->words[k] : BRK;
  __builtin___clear_cache((char *)CODE, (char *)CODE + MAX_WORDS * 4);
  memset((void *)DATA_PAGE, 0, 4096);
  memcpy((void *)DATA, v->before.data, DATA_BYTES);
  memcpy(m->regs, v->before.x, sizeof v->before.x);
  m->sp = v->before.sp;
  m->pstate = (m->pstate & ~0xf0000000ul) | v->before.nzcv;
  m->pc = CODE;
  f->fpcr = v->before.fpcr;
  f->fpsr = v->before.fpsr;
  memcpy(f->vregs, v->before.v, 512);
}

int main(int argc, char **argv) {
  if (argc != 3) return 1;
  output = argv[2];
  int fd = open(argv[1], O_RDONLY);
  struct stat st;
  if (fd < 0 || fstat(fd, &st)) return 1;
  count = st.st_size / sizeof *vectors;
  vectors = mmap(0, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  results = calloc(count, sizeof *results);
  uint32_t *code = mmap((void *)CODE_PAGE, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  void *data = mmap((void *)DATA_PAGE, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
                    -1, 0);
  if ((uint64_t)code != CODE_PAGE || (uint64_t)data != DATA_PAGE) return 1;
  for (int k = 0; k < 1024; k++) code[k] = BRK;
  static unsigned char stack[65536] __attribute__((aligned(16)));
  stack_t alt = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&alt, 0);
  struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  int signals[] = {SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE};
  for (int k = 0; k < 5; k++) sigaction(signals[k], &action, 0);
  __asm__ volatile("brk #0");
  return 1;
}
