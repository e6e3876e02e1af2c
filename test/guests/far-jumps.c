/* Indirect jumps from one piece of code to the next, 12,000 bytes apart: sometimes to few of them, sometimes to all, over half a megabyte. */
#include <stdint.h>
#include <stdio.h>

__asm__(
    ".text\n"
    "run:\n" /* rdi: steps, rsi: seed, rdx: mask of places */
    "  lea places(%rip), %r8\n"
    "  mov %rsi, %rax\n"
    "  jmp *(%r8)\n"
    ".macro place n\n"
    "  .zero 12000 + \\n * 7\n"
    "place\\n:\n"
    "  imul $1103515245, %rsi\n"
    "  add $12345 + \\n, %rsi\n"
    "  imul $31, %rax\n"
    "  add $\\n, %rax\n"
    "  mov %rsi, %rcx\n"
    "  shr $20, %rcx\n"
    "  and %rdx, %rcx\n"
    "  dec %rdi\n"
    "  jz 1f\n"
    "  jmp *(%r8, %rcx, 8)\n"
    "1: ret\n"
    ".endm\n"
    ".altmacro\n"
    ".set n, 0\n"
    ".rept 40\n"
    "  place %n\n"
    "  .set n, n + 1\n"
    ".endr\n"
    ".data\n"
    "places:\n"
    ".set n, 0\n"
    ".macro word n\n"
    "  .quad place\\n\n"
    ".endm\n"
    ".rept 40\n"
    "  word %n\n"
    "  .set n, n + 1\n"
    ".endr\n"
    ".noaltmacro\n"
    ".text\n");

uint64_t run(uint64_t steps, uint64_t seed, uint64_t mask);

int main(void) {
  static const uint64_t masks[] = {1, 32, 3, 12, 31, 7, 39};
  for (int k = 0; k < 7; k++) {
    uint64_t sum = 0;
    for (int turn = 1; turn <= 200; turn++) sum = sum * 31 + run(150 + turn, turn, masks[k]);
    printf("%lx\n", sum);
  }
}
