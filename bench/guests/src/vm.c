/* One big switch in a loop: a register machine's bytecode interpreter running a sieve and Collatz sequences. SIZE: highest number. */
#include "harness.h"

enum op {
  HALT, LI, MOV, ADD, ADDI, SUB, MUL, DIVI, REMI, AND, ANDI, OR, XOR, SHL, SHR, NOT, NEG, LD, ST, JMP, JZ, JNZ, JLT, JGE, JEQ, JNE,
  CALL, RET, PUSH, POP, MIN, MAX, MIX, NOP
};

struct instruction {
  uint8_t op, a, b, c;
  int32_t imm;
};

static uint64_t run(const struct instruction *code, uint8_t *memory, uint64_t argument) {
  uint64_t r[16] = {0}, stack[64];
  const struct instruction *pc = code;
  int sp = 0;
  r[1] = argument;
  for (;;) {
    const struct instruction *i = pc++;
    switch ((enum op)i->op) {
      case HALT: return r[0];
      case LI: r[i->a] = (uint64_t)(int64_t)i->imm; break;
      case MOV: r[i->a] = r[i->b]; break;
      case ADD: r[i->a] = r[i->b] + r[i->c]; break;
      case ADDI: r[i->a] = r[i->b] + (uint64_t)(int64_t)i->imm; break;
      case SUB: r[i->a] = r[i->b] - r[i->c]; break;
      case MUL: r[i->a] = r[i->b] * r[i->c]; break;
      case DIVI: r[i->a] = r[i->b] / (uint32_t)i->imm; break;
      case REMI: r[i->a] = r[i->b] % (uint32_t)i->imm; break;
      case AND: r[i->a] = r[i->b] & r[i->c]; break;
      case ANDI: r[i->a] = r[i->b] & (uint64_t)(int64_t)i->imm; break;
      case OR: r[i->a] = r[i->b] | r[i->c]; break;
      case XOR: r[i->a] = r[i->b] ^ r[i->c]; break;
      case SHL: r[i->a] = r[i->b] << (i->imm & 63); break;
      case SHR: r[i->a] = r[i->b] >> (i->imm & 63); break;
      case NOT: r[i->a] = ~r[i->b]; break;
      case NEG: r[i->a] = -r[i->b]; break;
      case LD: r[i->a] = memory[r[i->b]]; break;
      case ST: memory[r[i->b]] = (uint8_t)r[i->a]; break;
      case JMP: pc = code + i->imm; break;
      case JZ: if (r[i->a] == 0) pc = code + i->imm; break;
      case JNZ: if (r[i->a] != 0) pc = code + i->imm; break;
      case JLT: if (r[i->a] < r[i->b]) pc = code + i->imm; break;
      case JGE: if (r[i->a] >= r[i->b]) pc = code + i->imm; break;
      case JEQ: if (r[i->a] == r[i->b]) pc = code + i->imm; break;
      case JNE: if (r[i->a] != r[i->b]) pc = code + i->imm; break;
      case CALL: stack[sp++ & 63] = (uint64_t)(pc - code); pc = code + i->imm; break;
      case RET: pc = code + stack[--sp & 63]; break;
      case PUSH: stack[sp++ & 63] = r[i->a]; break;
      case POP: r[i->a] = stack[--sp & 63]; break;
      case MIN: r[i->a] = r[i->b] < r[i->c] ? r[i->b] : r[i->c]; break;
      case MAX: r[i->a] = r[i->b] > r[i->c] ? r[i->b] : r[i->c]; break;
      case MIX: r[i->a] = bench_mix(r[i->b], r[i->c]); break;
      case NOP: break;
    }
  }
}

static const struct instruction program[] = {
    /* Sieve: memory[k] = 1 for composite k below r1; r0 mixes the primes. */
    [0] = {LI, 2, 0, 0, 2},       /* k = 2 */
    [1] = {LD, 3, 2, 0, 0},       /* next: */
    [2] = {JNZ, 3, 0, 0, 9},
    [3] = {MIX, 0, 0, 2, 0},
    [4] = {ADD, 4, 2, 2, 0},      /* m = 2 k */
    [5] = {LI, 5, 0, 0, 1},
    [6] = {JGE, 4, 1, 0, 9},      /* strike: */
    [7] = {ST, 5, 4, 0, 0},
    [8] = {JMP, 0, 0, 0, 30},
    [9] = {ADDI, 2, 2, 0, 1},     /* composite: */
    [10] = {JLT, 2, 1, 0, 1},
    /* Collatz: longest sequence of a number below r1. */
    [11] = {LI, 2, 0, 0, 1},
    [12] = {LI, 8, 0, 0, 0},
    [13] = {CALL, 0, 0, 0, 18},   /* number: */
    [14] = {MAX, 8, 8, 7, 0},
    [15] = {ADDI, 2, 2, 0, 1},
    [16] = {JLT, 2, 1, 0, 13},
    [17] = {JMP, 0, 0, 0, 34},
    [18] = {PUSH, 2, 0, 0, 0},    /* steps(r2) -> r7: */
    [19] = {LI, 7, 0, 0, 0},
    [20] = {LI, 6, 0, 0, 1},
    [21] = {JEQ, 2, 6, 0, 32},    /* step: */
    [22] = {ADDI, 7, 7, 0, 1},
    [23] = {ANDI, 3, 2, 0, 1},
    [24] = {JZ, 3, 0, 0, 28},
    [25] = {SHL, 3, 2, 0, 1},
    [26] = {ADD, 2, 2, 3, 0},
    [27] = {ADDI, 2, 2, 0, 1},    /* odd: 3 n + 1, which is even */
    [28] = {SHR, 2, 2, 0, 1},
    [29] = {JMP, 0, 0, 0, 21},
    [30] = {ADD, 4, 4, 2, 0},
    [31] = {JMP, 0, 0, 0, 6},
    [32] = {POP, 2, 0, 0, 0},
    [33] = {RET, 0, 0, 0, 0},
    [34] = {MIX, 0, 0, 8, 0},
    [35] = {HALT, 0, 0, 0, 0},
};

static uint64_t kernel(long size) {
  uint8_t *memory = calloc(size + 1, 1);
  uint64_t result = run(program, memory, (uint64_t)size);
  free(memory);
  return result;
}

int main(int argc, char **argv) { return bench_main(argc, argv, 90000, kernel); }
