/*
 * What every kernel shares: arguments, repetition, timing, the checksum.
 *
 *   PROGRAM [SIZE] [--repeat R] [--OPTION N]...
 *
 * stdout: one checksum, which depends on SIZE alone; repetitions that disagree about it end the program with status 3.
 * stderr, with --repeat: a line "repetition K NANOSECONDS" for each, by CLOCK_MONOTONIC. They are printed at the end, so
 * that nothing but the kernel runs between two of them.
 */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_REPETITIONS 10000

static int bench_argc;
static char **bench_argv;

/* Value of `--name N` on the command line. */
static inline long bench_option(const char *name, long otherwise) {
  for (int k = 1; k + 1 < bench_argc; k++)
    if (strcmp(bench_argv[k], name) == 0) return atol(bench_argv[k + 1]);
  return otherwise;
}

static inline int64_t bench_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* xorshift64*: deterministic data that no compiler can foresee. */
static inline uint64_t bench_random(uint64_t *state) {
  uint64_t x = *state;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  *state = x;
  return x * UINT64_C(2685821657736338717);
}

/* FNV-1a over 8-byte words. */
static inline uint64_t bench_mix(uint64_t hash, uint64_t value) {
  return (hash ^ value) * UINT64_C(0x100000001b3);
}

static inline uint64_t bench_double(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static inline int bench_main(int argc, char **argv, long size, uint64_t (*kernel)(long size)) {
  static int64_t times[MAX_REPETITIONS];
  /* Opaque to the compiler, which would move a pure kernel out of the loop, and away from the clock. */
  uint64_t (*volatile opaque)(long) = kernel;
  uint64_t checksum = 0;
  bench_argc = argc;
  bench_argv = argv;
  if (argc > 1 && argv[1][0] != '-') size = atol(argv[1]);
  long repetitions = bench_option("--repeat", 0);
  long rounds = repetitions < 1 ? 1 : repetitions > MAX_REPETITIONS ? MAX_REPETITIONS : repetitions;
  int64_t start = bench_now();
  for (long k = 0; k < rounds; k++) {
    uint64_t sum = opaque(size);
    int64_t now = bench_now();
    times[k] = now - start;
    start = now;
    if (k > 0 && sum != checksum) {
      fprintf(stderr, "repetition %ld gives %016llx, the first gave %016llx\n", k, (unsigned long long)sum,
              (unsigned long long)checksum);
      return 3;
    }
    checksum = sum;
  }
  printf("%016llx\n", (unsigned long long)checksum);
  if (repetitions > 0)
    for (long k = 0; k < rounds; k++) fprintf(stderr, "repetition %ld %lld\n", k, (long long)times[k]);
  return 0;
}
#endif
