/* Indirect calls with many targets: virtual methods over objects in random order. SIZE: passes over 4,096 objects. */
#include "harness.h"

struct Shape {
  uint64_t state = 0;
  virtual uint64_t step(uint64_t x) { return x + state; }
  virtual uint64_t weight() const { return 1; }
};
struct Adder : Shape {
  uint64_t step(uint64_t x) override { return state += x; }
};
struct Xorer : Shape {
  uint64_t step(uint64_t x) override { return state ^= x >> 3; }
  uint64_t weight() const override { return 2; }
};
struct Shifter : Shape {
  uint64_t step(uint64_t x) override { return state = state << 1 ^ x; }
  uint64_t weight() const override { return 3; }
};
struct Multiplier : Shape {
  uint64_t step(uint64_t x) override { return state = state * 6364136223846793005u + x; }
};
struct Counter : Shape {
  uint64_t step(uint64_t x) override { return x & 1 ? ++state : --state; }
  uint64_t weight() const override { return 5; }
};
struct Nested : Multiplier {
  uint64_t step(uint64_t x) override { return Multiplier::step(x) ^ weight(); }
  uint64_t weight() const override { return state & 7; }
};

constexpr int OBJECTS = 4096;
union Any {
  Adder adder;
  Xorer xorer;
  Shifter shifter;
  Multiplier multiplier;
  Counter counter;
  Nested nested;
  Any() {}
};

inline void *operator new(size_t, void *at) noexcept { return at; }

static Any objects[OBJECTS];
static Shape *shapes[OBJECTS];

static uint64_t kernel(long size) {
  uint64_t seed = 1, x = 1;
  for (int k = 0; k < OBJECTS; k++) {
    Any *at = &objects[k];
    switch (bench_random(&seed) % 6) {
      case 0: shapes[k] = new (at) Adder; break;
      case 1: shapes[k] = new (at) Xorer; break;
      case 2: shapes[k] = new (at) Shifter; break;
      case 3: shapes[k] = new (at) Multiplier; break;
      case 4: shapes[k] = new (at) Counter; break;
      default: shapes[k] = new (at) Nested; break;
    }
  }
  for (long pass = 0; pass < size; pass++)
    for (int k = 0; k < OBJECTS; k++) {
      Shape *s = shapes[k];
      x += s->step(x) * s->weight();
    }
  return x;
}

int main(int argc, char **argv) { return bench_main(argc, argv, 3000, kernel); }
