// Reads through a pointer into the first page, in code that is hot by then.
#include <stdio.h>

static __attribute__((noinline)) int sum(volatile int *p, int n) {
  int s = 0;
  for (int i = 0; i < n; i++) s += p[i & 3];
  return s;
}

int main(void) {
  int values[4] = {1, 2, 3, 4}, s = 0;
  for (int i = 0; i < 20000; i++) s += sum(values, 50);
  printf("%d\n", s);
  fflush(stdout);
  return sum((int *)8, 5000);
}
