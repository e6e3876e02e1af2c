/* 128-bit SIMD (SSE, Advanced SIMD) by GCC's vector extensions: a matrix product in tiles of 4 by 8 floats held in registers. SIZE: rows. */
#include "harness.h"

typedef float v4 __attribute__((vector_size(16)));

/* Rows i..i+3, columns j..j+7 of c = a * b; n is a multiple of 8. */
static void tile(long n, const float *a, const float *b, float *c) {
  v4 s[4][2] = {{{0}}};
  for (long k = 0; k < n; k++) {
    v4 b0 = *(const v4 *)(b + k * n), b1 = *(const v4 *)(b + k * n + 4);
    for (int r = 0; r < 4; r++) {
      float x = a[r * n + k];
      v4 xs = {x, x, x, x};
      s[r][0] += xs * b0;
      s[r][1] += xs * b1;
    }
  }
  for (int r = 0; r < 4; r++) {
    *(v4 *)(c + r * n) = s[r][0];
    *(v4 *)(c + r * n + 4) = s[r][1];
  }
}

static uint64_t kernel(long size) {
  long n = (size + 7) & ~7L;
  float *a = aligned_alloc(64, n * n * 4), *b = aligned_alloc(64, n * n * 4), *c = aligned_alloc(64, n * n * 4);
  uint64_t seed = 1, hash = 0;
  for (long i = 0; i < n * n; i++) {
    a[i] = (float)(bench_random(&seed) & 255) / 16.0f;
    b[i] = (float)(bench_random(&seed) & 255) / 16.0f;
  }
  for (long i = 0; i < n; i += 4)
    for (long j = 0; j < n; j += 8) tile(n, a + i * n, b + j, c + i * n + j);
  for (long i = 0; i < n * n; i++) hash = bench_mix(hash, bench_double((double)c[i]));
  free(a);
  free(b);
  free(c);
  return hash;
}

int main(int argc, char **argv) { return bench_main(argc, argv, 896, kernel); }
