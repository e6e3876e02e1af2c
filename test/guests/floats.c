// Arithmetic on NaNs, infinities, zeros and ordinary numbers, in loops that are hot: prints a hash of the bits.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef double v2 __attribute__((vector_size(16)));
typedef float v4 __attribute__((vector_size(16)));

static uint64_t hash = 14695981039346656037u;
static void mix(const void *p, size_t n) {
  const unsigned char *b = p;
  while (n--) hash = (hash ^ *b++) * 1099511628211u;
}
static uint64_t state = 88172645463325252u;
static uint64_t next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  return state ^= state << 17;
}
static double number(void) {
  static const uint64_t special[] = {
      0, 1ull << 63, 0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000, 0xfff8000000000123,
      0x7ff0000000000456, 0xfff4000000000789, 0x3ff0000000000000, 1, 0x7fefffffffffffff, 0x800fffffffffffff};
  uint64_t r = next();
  uint64_t bits = r % 3 ? special[r / 3 % 12] : next();
  double d;
  memcpy(&d, &bits, 8);
  return d;
}
static float single(void) {
  static const uint32_t special[] = {0, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00123, 0x7f800456, 0xffa00789, 0x3f800000, 1};
  uint64_t r = next();
  uint32_t bits = r % 3 ? special[r / 3 % 10] : (uint32_t)next();
  float f;
  memcpy(&f, &bits, 4);
  return f;
}

#define EACH(type, gen, compare)                                                          \
  static __attribute__((noinline)) void each_##type(type *v, long n) {                    \
    for (long k = 0; k + 1 < n; k++) {                                                    \
      type a = v[k], b = v[k + 1];                                                        \
      type r[6] = {a + b, a - b, a * b, a / b, b - a, b / a};                             \
      mix(r, sizeof r);                                                                   \
      int c = (a < b) | (a <= b) << 1 | (a == b) << 2 | (a != b) << 3 | (a > b) << 4 | (a >= b) << 5 | \
              __builtin_isunordered(a, b) << 6 | __builtin_islessgreater(a, b) << 7;      \
      mix(&c, sizeof c);                                                                  \
      if (a < b) mix("l", 1);                                                             \
      else if (a == b) mix("e", 1);                                                       \
      else if (!(a > b)) mix("u", 1);                                                     \
    }                                                                                     \
  }
EACH(double, number, 0)
EACH(float, single, 0)

static __attribute__((noinline)) void vectors(double *d, float *f, long n) {
  for (long k = 0; k + 8 <= n; k += 2) {
    v2 a, b;
    v4 x, y;
    memcpy(&a, d + k, 16);
    memcpy(&b, d + k + 2, 16);
    memcpy(&x, f + k, 16);
    memcpy(&y, f + k + 4, 16);
    v2 r[] = {a + b, a - b, a * b, a / b};
    v4 s[] = {x + y, x - y, x * y, x / y};
    mix(r, sizeof r);
    mix(s, sizeof s);
  }
}
static __attribute__((noinline)) void conversions(double *d, float *f, long n) {
  for (long k = 0; k < n; k++) {
    float narrow = (float)d[k];
    double wide = f[k];
    double root = __builtin_sqrt(d[k]);
    float root32 = __builtin_sqrtf(f[k]);
    int32_t i = fabs(d[k]) < 2e9 ? (int32_t)d[k] : 0;
    int64_t l = fabs(d[k]) < 9e18 ? (int64_t)d[k] : 0;
    mix(&narrow, 4);
    mix(&wide, 8);
    mix(&root, 8);
    mix(&root32, 4);
    mix(&i, 4);
    mix(&l, 8);
  }
}

int main(void) {
  static double d[2048];
  static float f[2048];
  for (int round = 0; round < 8; round++) {
    for (int k = 0; k < 2048; k++) {
      d[k] = number();
      f[k] = single();
    }
    each_double(d, 2048);
    each_float(f, 2048);
    vectors(d, f, 2048);
    conversions(d, f, 2048);
    printf("%016llx\n", (unsigned long long)hash);
  }
  return 0;
}
