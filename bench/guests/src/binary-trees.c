/* malloc, free and pointer chasing: many short-lived trees beside a long-lived one. SIZE: depth of the largest. */
#include "harness.h"

struct node {
  struct node *left, *right;
};

static struct node *grow(int depth) {
  struct node *n = malloc(sizeof *n);
  if (n == NULL) abort();
  n->left = depth > 0 ? grow(depth - 1) : NULL;
  n->right = depth > 0 ? grow(depth - 1) : NULL;
  return n;
}

static long count(const struct node *n) { return 1 + (n->left ? count(n->left) + count(n->right) : 0); }

static void fell(struct node *n) {
  if (n->left) {
    fell(n->left);
    fell(n->right);
  }
  free(n);
}

static uint64_t kernel(long size) {
  int deepest = (int)size;
  uint64_t hash = 0;
  struct node *lasting = grow(deepest);
  for (int depth = 4; depth <= deepest; depth += 4) {
    long trees = 1L << (deepest - depth + 4), nodes = 0;
    for (long k = 0; k < trees; k++) {
      struct node *t = grow(depth);
      nodes += count(t);
      fell(t);
    }
    hash = bench_mix(hash, (uint64_t)nodes);
  }
  hash = bench_mix(hash, (uint64_t)count(lasting));
  fell(lasting);
  return hash;
}

int main(int argc, char **argv) { return bench_main(argc, argv, 16, kernel); }
