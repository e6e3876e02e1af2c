/*
 * Calls by pointer: callbacks KIND ROUNDS [NEXT...]. `sort` sorts with a comparison that lies at one address in all programs
 * made of this file, with DESCENDING or without, and then execs NEXT, in which libc meets the other comparison at that address.
 * `wild` sorts with what lies at that address, whether or not there is anything.
 * `call` and `jump` call, and jump to, functions by pointers that change, and NULL in the end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((section(".compare"), noinline)) static int compare(const void *a, const void *b) {
  int x = *(const int *)a, y = *(const int *)b;
#ifdef DESCENDING
  int swapped = x;
  x = y;
  y = swapped;
#endif
  return (x > y) - (x < y);
}

typedef int comparison(const void *, const void *);
static void sort(int rounds, comparison *compare) {
  int numbers[64];
  unsigned state = 1;
  for (int k = 0; k < rounds; k++) {
    for (int n = 0; n < 64; n++) numbers[n] = (state = state * 1103515245u + 12345u) >> 16 & 1023;
    qsort(numbers, 64, sizeof(int), compare);
  }
  for (int n = 0; n < 64; n++) printf("%d ", numbers[n]);
  printf("\n");
  fflush(stdout);
}

typedef unsigned function(unsigned);
static unsigned twice(unsigned n) { return n * 2; }
static unsigned next(unsigned n) { return n + 1; }
static unsigned square(unsigned n) { return n * n; }
static function *volatile functions[] = {twice, next, square, next};

__attribute__((noinline)) static unsigned call(function *f, unsigned n) { return f(n) ^ 1; }
__attribute__((noinline)) static unsigned jump(function *f, unsigned n) { return f(n); }

int main(int argc, char **argv) {
  int rounds = atoi(argv[2]);
  if (strcmp(argv[1], "sort") == 0) {
    sort(rounds, compare);
    if (argc > 3) execv(argv[3], argv + 3);
    return 0;
  }
  if (strcmp(argv[1], "wild") == 0) sort(rounds, (comparison *)0x600000);
  unsigned (*volatile by)(function *, unsigned) = strcmp(argv[1], "call") == 0 ? call : jump;
  unsigned n = 1;
  /* One after the other, then each for long. */
  for (int k = 0; k < rounds; k++) n = by(functions[k & 3], n);
  for (int k = 0; k < rounds; k++) n = by(functions[k * 4 / rounds], n);
  printf("%u\n", n);
  fflush(stdout);
  by(NULL, n);
  return 1;
}
