/*
 * Loops of one block each that go round N times, for consecutive N: where a time slice of some number of blocks is over,
 * one of them is being left for the first time.
 */
#include <stdio.h>

#define LOOP(n) \
  do { \
    unsigned rounds = 0; \
    __asm__ volatile("1: add $1, %0\n cmp %1, %0\n jb 1b" : "+r"(rounds) : "i"(n) : "cc"); \
    if (rounds != (n)) printf("%d rounds instead of %d\n", rounds, (n)); \
  } while (0)
#define TEN(n) \
  LOOP(n); LOOP((n) + 1); LOOP((n) + 2); LOOP((n) + 3); LOOP((n) + 4); \
  LOOP((n) + 5); LOOP((n) + 6); LOOP((n) + 7); LOOP((n) + 8); LOOP((n) + 9)

int main(void) {
  TEN(180); TEN(190); TEN(200); TEN(210);
  TEN(199980); TEN(199990); TEN(200000); TEN(200010);
  puts("done");
  return 0;
}
