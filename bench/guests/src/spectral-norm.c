/* Double division and conversion from integers: largest singular value of an infinite matrix. SIZE: rows. */
#include <math.h>
#include "harness.h"

static double element(int i, int j) { return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1); }

static void times_matrix(int n, const double *v, double *out) {
  for (int i = 0; i < n; i++) {
    double sum = 0;
    for (int j = 0; j < n; j++) sum += element(i, j) * v[j];
    out[i] = sum;
  }
}

static void times_transpose(int n, const double *v, double *out) {
  for (int i = 0; i < n; i++) {
    double sum = 0;
    for (int j = 0; j < n; j++) sum += element(j, i) * v[j];
    out[i] = sum;
  }
}

static uint64_t kernel(long size) {
  int n = (int)size;
  double *u = malloc(n * sizeof *u), *v = malloc(n * sizeof *v), *t = malloc(n * sizeof *t);
  double vbv = 0, vv = 0;
  for (int i = 0; i < n; i++) u[i] = 1;
  for (int k = 0; k < 10; k++) {
    times_matrix(n, u, t);
    times_transpose(n, t, v);
    times_matrix(n, v, t);
    times_transpose(n, t, u);
  }
  for (int i = 0; i < n; i++) {
    vbv += u[i] * v[i];
    vv += v[i] * v[i];
  }
  free(u);
  free(v);
  free(t);
  return bench_double(sqrt(vbv / vv));
}

int main(int argc, char **argv) { return bench_main(argc, argv, 1400, kernel); }
