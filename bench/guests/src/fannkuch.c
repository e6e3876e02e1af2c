/* Small arrays, unpredictable short loops: pancake flips over all permutations. SIZE: elements. */
#include "harness.h"

#define MAX 16

static uint64_t kernel(long size) {
  int n = size > MAX ? MAX : (int)size;
  int permutation[MAX], work[MAX], count[MAX];
  int most = 0, checksum = 0, r = n;
  long index = 0;
  for (int i = 0; i < n; i++) permutation[i] = i;
  for (;;) {
    for (; r != 1; r--) count[r - 1] = r;
    int flips = 0, first;
    for (int i = 0; i < n; i++) work[i] = permutation[i];
    while ((first = work[0]) != 0) {
      for (int low = 0, high = first; low < high; low++, high--) {
        int t = work[low];
        work[low] = work[high];
        work[high] = t;
      }
      flips++;
    }
    if (flips > most) most = flips;
    checksum += index & 1 ? -flips : flips;
    for (;; r++) {
      if (r == n) return bench_mix((uint64_t)most << 32, (uint64_t)(int64_t)checksum);
      int head = permutation[0];
      for (int i = 0; i < r; i++) permutation[i] = permutation[i + 1];
      permutation[r] = head;
      if (--count[r] > 0) break;
    }
    index++;
  }
}

int main(int argc, char **argv) { return bench_main(argc, argv, 10, kernel); }
