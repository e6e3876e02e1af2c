/*
 * One loop, entered once or many times: an engine without on-stack replacement runs a single call in whatever code it
 * started in. SIZE: million iterations in all. `--calls C`: spread over C calls; the checksum does not depend on C.
 */
#include "harness.h"

static uint32_t table[1024];

__attribute__((noinline)) static uint64_t loop(uint64_t state, long iterations) {
  uint64_t x = state;
  for (long k = 0; k < iterations; k++) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    x += table[x & 1023];
  }
  return x;
}

static uint64_t kernel(long size) {
  long calls = bench_option("--calls", 1), left = size * 1000000;
  uint64_t x = 88172645463325252u;
  for (uint32_t k = 0; k < 1024; k++) table[k] = k * 2654435761u;
  for (long k = calls; k > 0; k--) {
    x = loop(x, left / k);
    left -= left / k;
  }
  return x;
}

int main(int argc, char **argv) { return bench_main(argc, argv, 100, kernel); }
