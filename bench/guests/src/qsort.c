/* Calls through a function pointer from libc into the program: qsort and bsearch with callbacks. SIZE: elements. */
#include "harness.h"

struct record {
  uint32_t key, value;
};

static int by_key(const void *a, const void *b) {
  uint32_t x = ((const struct record *)a)->key, y = ((const struct record *)b)->key;
  return x < y ? -1 : x > y;
}

static int by_value(const void *a, const void *b) {
  const struct record *x = a, *y = b;
  return x->value != y->value ? (x->value < y->value ? -1 : 1) : by_key(a, b);
}

static uint64_t kernel(long size) {
  struct record *records = malloc(size * sizeof *records);
  uint64_t seed = 1, hash = 0;
  for (long i = 0; i < size; i++) records[i] = (struct record){(uint32_t)(bench_random(&seed) >> 20), (uint32_t)(i * 7919 % 1009)};
  qsort(records, size, sizeof *records, by_key);
  for (long i = 0; i < size; i++) {
    struct record wanted = {(uint32_t)(bench_random(&seed) >> 20), 0};
    struct record *found = bsearch(i & 1 ? &wanted : &records[i], records, size, sizeof *records, by_key);
    hash = bench_mix(hash, found ? found->value : 0);
  }
  qsort(records, size, sizeof *records, by_value);
  for (long i = 0; i < size; i++) hash = bench_mix(hash, (uint64_t)records[i].key << 32 | records[i].value);
  free(records);
  return hash;
}

int main(int argc, char **argv) { return bench_main(argc, argv, 300000, kernel); }
