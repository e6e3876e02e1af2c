/* A tight loop of double multiplications and additions with a compare. SIZE: pixels in each direction. */
#include "harness.h"

#define LIMIT 200

static uint64_t kernel(long size) {
  uint64_t hash = 0;
  for (long y = 0; y < size; y++) {
    double ci = 2.0 * (double)y / (double)size - 1.0;
    for (long x = 0; x < size; x++) {
      double cr = 2.0 * (double)x / (double)size - 1.5;
      double zr = 0, zi = 0, tr = 0, ti = 0;
      int k = 0;
      for (; k < LIMIT && tr + ti <= 4.0; k++) {
        zi = 2.0 * zr * zi + ci;
        zr = tr - ti + cr;
        tr = zr * zr;
        ti = zi * zi;
      }
      hash = bench_mix(hash, (uint64_t)k);
    }
  }
  return hash;
}

int main(int argc, char **argv) { return bench_main(argc, argv, 700, kernel); }
