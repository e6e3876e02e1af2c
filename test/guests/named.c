// Functions that a profile should show by name: one recursive, one with a loop, called by way of another.
#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline)) long recursive(long n) { return n < 2 ? n : recursive(n - 1) + recursive(n - 2); }
__attribute__((noinline)) double looping(int n) {
  double s = 0;
  for (int k = 1; k < n; k++) s += 1.0 / k;
  return s;
}
__attribute__((noinline)) double outer(int n) { return looping(n) + 1; }

int main(int argc, char **argv) {
  int size = argc > 1 ? atoi(argv[1]) : 1;
  printf("%ld\n", recursive(20 + size));
  for (int k = 0; k < size; k++) printf("%.6f\n", outer(2000000));
  return 0;
}
