/*
 * A program that never stops making new code: generator SECONDS [rwx|toggle|fresh]. Each function is a loop over random
 * arithmetic, run until it is worth translating, and its result compared with what it must be. rwx: in turn in the slots of one area
 * that stays writable and executable. toggle: in pages that are written, then made executable. fresh: in a new mapping each.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

typedef uint32_t (*fn)(uint32_t);
enum { SLOTS = 64, SLOT = 4096, LOOPS = 4000, MOST = 40 };

static uint32_t state = 1;
static uint32_t next(void) {
  state ^= state << 13;
  state ^= state >> 17;
  return state ^= state << 5;
}

struct op { int kind; uint32_t value; };
static struct op ops[MOST];
static int count;

static unsigned char *word(unsigned char *p, uint32_t value) { memcpy(p, &value, 4); return p + 4; }
/* mov ecx, edi; xor eax, eax; L: (add | xor | imul) eax, imm32 ...; dec ecx; jnz L; ret */
static int emit(unsigned char *code) {
  static const unsigned char head[] = {0x89, 0xf9, 0x31, 0xc0};
  unsigned char *p = code;
  memcpy(p, head, sizeof head);
  p += sizeof head;
  unsigned char *loop = p;
  count = 1 + next() % MOST;
  for (int k = 0; k < count; k++) {
    ops[k] = (struct op){next() % 3, next()};
    if (ops[k].kind == 0) *p++ = 0x05;
    else if (ops[k].kind == 1) *p++ = 0x35;
    else { *p++ = 0x69; *p++ = 0xc0; }
    p = word(p, ops[k].value);
  }
  *p++ = 0xff, *p++ = 0xc9, *p++ = 0x0f, *p++ = 0x85;
  p = word(p, (uint32_t)(loop - (p + 4)));
  *p++ = 0xc3;
  return p - code;
}
static uint32_t expected(uint32_t n) {
  uint32_t a = 0;
  while (n-- > 0)
    for (int k = 0; k < count; k++) a = ops[k].kind == 0 ? a + ops[k].value : ops[k].kind == 1 ? a ^ ops[k].value : a * ops[k].value;
  return a;
}

int main(int argc, char **argv) {
  int seconds = argc > 1 ? atoi(argv[1]) : 1;
  const char *only = argc > 2 ? argv[2] : "";
  unsigned char *area = mmap(NULL, SLOTS * SLOT, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  unsigned char *pages = mmap(NULL, SLOTS * SLOT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  time_t end = time(NULL) + seconds;
  long made = 0, wrong = 0;
  for (; made < 30 || time(NULL) < end; made++) {
    int way = !strcmp(only, "rwx") ? 0 : !strcmp(only, "toggle") ? 1 : !strcmp(only, "fresh") ? 2 : made % 3;
    size_t at = made / 3 % SLOTS * SLOT;
    unsigned char *code = way == 0 ? area + at : way == 1 ? pages + at : mmap(NULL, SLOT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (way == 1) mprotect(code, SLOT, PROT_READ | PROT_WRITE);
    emit(code);
    if (way != 0) mprotect(code, SLOT, PROT_READ | PROT_EXEC);
    for (int k = 0; k < 8; k++)
      if (((fn)code)(LOOPS + k) != (k % 7 ? ((fn)code)(LOOPS + k) : expected(LOOPS + k))) wrong++;
    if (way == 2) munmap(code, SLOT);
  }
  if (seconds > 0) fprintf(stderr, "%ld functions\n", made);
  printf("%ld wrong\n", wrong);
  return wrong != 0;
}
