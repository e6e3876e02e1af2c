/*
 * String functions of libc, short strings and long ones (built with -fno-builtin, so that each is a call). glibc picks its
 * variants by the processor: native code may use AVX where a guest CPU offers SSE. SIZE: rounds.
 */
#include "harness.h"

#define WORDS 512
#define LONG 65536

static char words[WORDS][64], text[LONG + 64], copy[LONG + 64];

static void fill(void) {
  uint64_t seed = 1;
  char *at = text;
  for (int k = 0; k < WORDS; k++) {
    int length = 1 + (int)(bench_random(&seed) % (k % 8 ? 12 : 60));
    for (int i = 0; i < length; i++) words[k][i] = (char)('a' + bench_random(&seed) % 20);
    words[k][length] = 0;
  }
  while (at < text + LONG - 64) {
    const char *word = words[bench_random(&seed) % (WORDS - 1)];
    size_t n = strlen(word);
    memcpy(at, word, n);
    at += n;
    *at++ = ' ';
  }
  *at = 0;
  strcpy(words[WORDS - 1], "xyzzy"); /* occurs in no text */
}

static uint64_t short_strings(uint64_t hash) {
  char buffer[256];
  for (int k = 0; k < WORDS; k++) {
    const char *a = words[k], *b = words[(k * 7 + 1) % WORDS];
    size_t n = strlen(a);
    hash = bench_mix(hash, n);
    hash += strcmp(a, b) > 0;
    hash += memcmp(a, b, n < 16 ? n : 16) > 0;
    const char *found = strchr(a, 'e');
    hash += found ? (uint64_t)(found - a) : 77;
    memcpy(buffer, a, n + 1);
    strcpy(buffer + n, b);
    hash += strlen(buffer);
    found = strstr(buffer, "ab");
    hash += found ? (uint64_t)(found - buffer) : 99;
    memmove(buffer + 1, buffer, n);
    hash += (unsigned char)buffer[n];
    memset(buffer, 'x', n);
    hash += strspn(buffer, "x") + strcspn(a, "q");
    found = strrchr(b, 'c');
    hash += found ? (uint64_t)(found - b) : 55;
    hash += strncmp(a, words[(k + 8) % WORDS], 4) == 0;
  }
  return hash;
}

static uint64_t long_strings(uint64_t hash) {
  size_t n = strlen(text);
  hash = bench_mix(hash, n);
  memcpy(copy, text, n + 1);
  hash += memcmp(copy, text, n) == 0;
  hash += strcmp(copy, text) == 0;
  memmove(copy + 3, copy, n - 3);
  hash += (unsigned char)copy[n - 1];
  memset(copy, 'y', n);
  const char *found = memchr(text, 'z', n);
  hash += found != NULL;
  hash += strchr(text, 'z') != NULL;
  found = strrchr(text, ' ');
  hash += (uint64_t)(found - text);
  hash += strstr(text, words[WORDS - 1]) != NULL;
  hash += strstr(text, "aaaaaaab") != NULL;
  return hash;
}

static uint64_t kernel(long size) {
  uint64_t hash = 0;
  fill();
  for (long k = 0; k < size; k++) {
    for (int r = 0; r < 4; r++) hash = short_strings(hash);
    hash = long_strings(hash);
  }
  return hash;
}

int main(int argc, char **argv) { return bench_main(argc, argv, 1200, kernel); }
