/* A first program: arguments, formatted output, the heap, sorting, long double, the exit status. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static int finished;
static void at_exit(void) { printf("at exit: %d\n", finished); }

int main(int argc, char **argv) {
  atexit(at_exit);
  printf("Hello from C, %d argument(s)", argc - 1);
  for (int k = 1; k < argc; k++) printf(" [%s]", argv[k]);
  putchar('\n');

  enum { N = 1000 };
  double *v = malloc(N * sizeof *v);
  unsigned seed = 1;
  for (int k = 0; k < N; k++) {
    seed = seed * 1103515245u + 12345u;
    v[k] = (seed >> 8) / 1000.0;
  }
  qsort(v, N, sizeof *v, compare);
  printf("%.3f %.17g %e %a\n", v[0], v[N / 2], v[N - 1], v[N / 3]);
  free(v);

  long double third = 1.0L / 3;
  printf("%.20Lf %Lg %La\n", third, third * 1e4000L, third);
  volatile double two = 2;
  printf("%.15f %.15f %.15f\n", sqrt(two), floor(-two / 3), fmod(7.5, two));

  char text[64];
  snprintf(text, sizeof text, "%5d|%-8s|%08x|%+.2f", 42, "left", 0xbeefu, -1.005);
  puts(text);
  printf("%ld %lu %s\n", strtol("-0x7f", 0, 16), (unsigned long)strlen(text), strrchr(text, '|'));
  errno = 0;
  FILE *f = fopen("/no/such/file", "r");
  printf("%p %s\n", (void *)f, strerror(errno));
  fprintf(stderr, "a line on stderr\n");
  finished = 1;
  return 3;
}
