/* Hashing and scattered memory access: an open-addressing table that grows, with deletions. SIZE: keys. */
#include "harness.h"

struct entry {
  uint64_t key, value; /* key 0: free; DELETED: free for insertion, not for the end of a search */
};
#define DELETED UINT64_MAX

struct table {
  struct entry *entries;
  uint64_t mask, used, live;
};

static uint64_t hash_of(uint64_t key) {
  key ^= key >> 33;
  key *= UINT64_C(0xff51afd7ed558ccd);
  key ^= key >> 33;
  return key;
}

static struct entry *find(const struct table *t, uint64_t key) {
  for (uint64_t i = hash_of(key);; i++) {
    struct entry *e = &t->entries[i & t->mask];
    if (e->key == key) return e;
    if (e->key == 0) return NULL;
  }
}

static void insert(struct table *t, uint64_t key, uint64_t value);

static void grow(struct table *t) {
  struct table bigger = {NULL, t->live * 4 > t->mask ? t->mask * 2 + 1 : t->mask, 0, 0};
  bigger.entries = calloc(bigger.mask + 1, sizeof *bigger.entries);
  if (bigger.entries == NULL) abort();
  for (uint64_t i = 0; i <= t->mask; i++)
    if (t->entries[i].key != 0 && t->entries[i].key != DELETED) insert(&bigger, t->entries[i].key, t->entries[i].value);
  free(t->entries);
  *t = bigger;
}

static void insert(struct table *t, uint64_t key, uint64_t value) {
  if ((t->used + 1) * 4 > t->mask * 3) grow(t);
  uint64_t i = hash_of(key);
  while (t->entries[i & t->mask].key != 0) i++;
  t->entries[i & t->mask] = (struct entry){key, value};
  t->used++;
  t->live++;
}

static uint64_t kernel(long size) {
  struct table t = {calloc(16, sizeof(struct entry)), 15, 0, 0};
  uint64_t seed = 1, sum = 0;
  for (long k = 0; k < size * 4; k++) {
    uint64_t key = bench_random(&seed) % (uint64_t)(size * 2) + 1;
    struct entry *e = find(&t, key);
    if (e == NULL)
      insert(&t, key, (uint64_t)k);
    else if (k % 5 == 0) {
      sum += e->value;
      e->key = DELETED;
      t.live--;
    } else
      e->value += key;
  }
  for (uint64_t i = 0; i <= t.mask; i++)
    if (t.entries[i].key != 0 && t.entries[i].key != DELETED) sum = bench_mix(sum, t.entries[i].value);
  free(t.entries);
  return bench_mix(sum, t.live);
}

int main(int argc, char **argv) { return bench_main(argc, argv, 300000, kernel); }
