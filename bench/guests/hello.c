// musl-gcc -O2 -static -s -o hello hello.c
#include <stdio.h>

int main(void) {
  puts("hello, world");
  return 0;
}
