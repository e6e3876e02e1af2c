/* Streaming double arithmetic over arrays: a matrix product, row by row. SIZE: rows. */
#include "harness.h"

static uint64_t kernel(long size) {
  long n = size;
  double *a = malloc(n * n * sizeof *a), *b = malloc(n * n * sizeof *b), *c = calloc(n * n, sizeof *c);
  uint64_t seed = 1, hash = 0;
  for (long i = 0; i < n * n; i++) {
    a[i] = (double)(bench_random(&seed) & 1023) / 64.0;
    b[i] = (double)(bench_random(&seed) & 1023) / 64.0;
  }
  for (long i = 0; i < n; i++)
    for (long k = 0; k < n; k++) {
      double x = a[i * n + k];
      for (long j = 0; j < n; j++) c[i * n + j] += x * b[k * n + j];
    }
  for (long i = 0; i < n * n; i++) hash = bench_mix(hash, bench_double(c[i]));
  free(a);
  free(b);
  free(c);
  return hash;
}

int main(int argc, char **argv) { return bench_main(argc, argv, 560, kernel); }
