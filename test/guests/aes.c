/* AES rounds now and then, for long enough that the runtime replaces its helpers meanwhile, which it does between other code. */
#include <arm_neon.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static __attribute__((noinline)) uint8x16_t rounds(uint8x16_t state, uint8x16_t key) {
  for (int k = 0; k < 8; k++) {
    state = vaesmcq_u8(vaeseq_u8(state, key));
    key = vaesimcq_u8(vaesdq_u8(key, state));
  }
  return veorq_u8(state, key);
}
static __attribute__((noinline)) uint32_t elsewhere(uint32_t x) {
  for (int k = 0; k < 50000; k++) x = x * 1664525 + (x >> 13 & k);
  return x;
}

int main(int argc, char **argv) {
  static const uint8_t start[17] = "sixteen bytes or";
  uint8x16_t state = vld1q_u8(start), key = vextq_u8(state, vdupq_n_u8(0x5a), 5);
  uint32_t x = 1;
  int parts = argc > 1 ? atoi(argv[1]) : 1000;
  for (int part = 0; part < parts; part++) {
    state = rounds(state, key);
    x = elsewhere(x);
  }
  uint64_t halves[2];
  vst1q_u8((uint8_t *)halves, state);
  printf("%016lx%016lx %u\n", halves[1], halves[0], x);
}
