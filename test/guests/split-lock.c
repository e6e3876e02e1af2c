/* Locked instructions of all sizes at odd distances from their base register: aligned, and across cache lines. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static unsigned char bytes[256] __attribute__((aligned(64)));

static __attribute__((noinline)) uint64_t turn(unsigned char *p, int k) {
  unsigned char frame[128];
  memset(frame, k, sizeof frame);
  uint64_t q = k * 0x100000001ul;
  uint32_t d = k * 77;
  uint16_t w = k * 5;
  __asm__ volatile("lock xaddq %0, 0x79(%3)\n\tlock xaddl %k1, 0x3d(%3)\n\tlock xaddw %w2, 0x1f(%3)" : "+r"(q), "+r"(d), "+r"(w) : "r"(p) : "memory", "cc");
  __asm__ volatile("lock addl $3, 0x11(%0)\n\tlock orq $5, 0x23(%0)\n\tlock incw 0x2b(%0)\n\txchgl %1, 0x55(%0)" : : "r"(p), "r"(k) : "memory", "cc");
  uint64_t old = *(uint64_t *)(p + 0x79);
  __asm__ volatile("lock cmpxchgq %2, 0x79(%1)" : "+a"(old) : "r"(p), "r"(q + old) : "memory", "cc");
  __asm__ volatile("lock xaddl %0, %1\n\tlock addq $9, %2" : "+r"(d), "+m"(*(uint32_t *)(frame + 13)), "+m"(*(uint64_t *)(frame + 61)) : : "memory", "cc");
  return q + d + w + old + frame[13] + frame[62];
}

int main(void) {
  uint64_t sum = 0;
  for (int k = 0; k < 4000; k++) sum = sum * 31 + turn(bytes + (k & 7), k);
  for (int k = 0; k < 256; k++) sum = sum * 33 + bytes[k];
  printf("%lx\n", sum);
}
