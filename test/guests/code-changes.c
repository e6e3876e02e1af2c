/* A function in a page that stays writable changes; the program's own functions, which are as hot, do not. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

typedef int (*fn)(int);
static unsigned mix(unsigned x, int rounds) {
  for (int i = 0; i < rounds; i++) x = x * 1103515245 + (x >> 7 ^ 12345);
  return x;
}
unsigned (*volatile mixer)(unsigned, int) = mix;

int main(void) {
  /* mov eax, edi; mov ecx, 20; L: add eax, imm32; dec ecx; jnz L; ret */
  static const unsigned char code[] = {0x89, 0xf8, 0xb9, 20, 0, 0, 0, 0x05, 1, 0, 0, 0, 0xff, 0xc9, 0x75, 0xf7, 0xc3};
  unsigned char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(p, code, sizeof code);
  unsigned sum = 1;
  for (int change = 0; change < 4; change++) {
    for (int i = 0; i < 1000000; i++) sum += ((fn)p)(i) ^ mixer(sum, 5);
    *(volatile int *)(p + 8) = change + 2;
  }
  printf("%u\n", sum);
}
