/* Calls and returns: the naive Fibonacci recursion. SIZE: n. */
#include "harness.h"

static long fib(long n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

static uint64_t kernel(long size) { return (uint64_t)fib(size); }

int main(int argc, char **argv) { return bench_main(argc, argv, 40, kernel); }
