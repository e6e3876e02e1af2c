/* Exclusive loads and stores of all sizes, as compilers make of atomics for processors without atomic instructions. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct counters {
  uint8_t b;
  uint16_t h;
  uint32_t w;
  uint64_t x;
  _Alignas(16) unsigned __int128 q;
};

/* Pairs: 1 when the store was refused. */
static int exchange_pair(uint64_t *at, uint64_t low, uint64_t high) {
  uint64_t a, b;
  int status;
  __asm__ volatile("ldaxp %0, %1, [%3]\n\tstlxp %w2, %4, %5, [%3]" : "=&r"(a), "=&r"(b), "=&r"(status) : "r"(at), "r"(low + a % 3), "r"(high) : "memory");
  return status;
}
static int exchange_words(uint32_t *at, uint32_t low, uint32_t high) {
  uint32_t a, b;
  int status;
  __asm__ volatile("ldxp %w0, %w1, [%3]\n\tstxp %w2, %w4, %w5, [%3]" : "=&r"(a), "=&r"(b), "=&r"(status) : "r"(at), "r"(low), "r"(high) : "memory");
  return status;
}
/* A store elsewhere, and one without a load before it. */
static int elsewhere(uint32_t *at) {
  uint32_t a;
  int one, two;
  __asm__ volatile(
      "ldxr %w0, [%3]\n\tstxr %w1, %w0, [%4]\n\tldxr %w0, [%3]\n\tclrex\n\tstxr %w2, %w0, [%3]"
      : "=&r"(a), "=&r"(one), "=&r"(two)
      : "r"(at), "r"(at + 1)
      : "memory");
  return one + 2 * two;
}

int main(int argc, char **argv) {
  int rounds = argc > 1 ? atoi(argv[1]) : 1000;
  struct counters *c = aligned_alloc(16, 4096), on_stack = {0};
  *c = on_stack;
  int refused = 0, wrong = 0;
  uint64_t sum = 0;
  for (int k = 0; k < rounds; k++) {
    struct counters *at = k & 1 ? c : &on_stack;
    __atomic_fetch_add(&at->b, 3, __ATOMIC_SEQ_CST);
    __atomic_fetch_xor(&at->h, 0x1234, __ATOMIC_RELAXED);
    sum += __atomic_fetch_sub(&at->w, 7, __ATOMIC_ACQ_REL);
    uint64_t want = at->x;
    wrong += !__atomic_compare_exchange_n(&at->x, &want, want + k, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    refused += exchange_pair((uint64_t *)&at->q, k, 5);
    refused += exchange_words((uint32_t *)&at->x + 0, at->x, at->x >> 32);
    wrong += elsewhere((uint32_t *)&at->q) != 3;
  }
  printf("%d %d %lu %d %d %u %lu %lu\n", refused, wrong, sum, c->b, on_stack.h, c->w, on_stack.x, (uint64_t)(c->q >> 64));
}
