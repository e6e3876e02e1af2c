/* A program without libc: text, read-only data, data and bss, each in a segment of its own.
 * It exits with 0 when its stack and data are as they should be. Built by build.sh in this folder. */
static volatile int initialised = 42;
static volatile char zeroed[10000];
static const char message[] = "tiny\n";

static long call(long n, long a, long b, long c) {
  long r;
  __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
  return r;
}

__attribute__((used)) void start(long *sp) {
  long argc = sp[0];
  int bad = initialised != 42 || argc < 1 || sp[1 + argc] != 0 || ((long)sp & 15);
  for (unsigned i = 0; i < sizeof zeroed; i++) bad |= zeroed[i];
  zeroed[9999] = 1;
  call(1, 1, (long)message, sizeof message - 1);
  call(231, bad, 0, 0);
}

__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tcall start\n\thlt\n");
