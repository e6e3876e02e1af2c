// Runs x87 and SSE instructions on the processor with random operands and writes what they did. See record-x87.ts.
//   record-x87 x87|functions|sse CASES SEED > file
//   record-x87 names: the SSE instructions, in the order of their numbers
// Records are fixed-size, little-endian, packed: struct x87_case and struct sse_case below.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

static u64 state;
static u64 next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state * 0x2545f4914f6cdd1dull;
}
static u32 below(u32 n) { return (u32)((next() >> 32) % n); }

// Significands: random, few bits set, long runs, ends of the formats.
static u64 bits64(void) {
  u64 m = next();
  switch (below(8)) {
    case 0: return 0;
    case 1: return 1ull << below(64);
    case 2: return (1ull << below(64)) | (1ull << below(64)) | (below(2) ? 1 : 0);
    case 3: return ~0ull << below(64);
    case 4: return ~0ull >> below(64);
    case 5: return m & ~0ull << (8 + below(50));
    default: return m;
  }
}

struct f80 {
  u64 m;
  u16 se;
} __attribute__((packed));

static struct f80 real80(void) {
  struct f80 r;
  u16 sign = below(2) << 15;
  r.m = bits64() | 1ull << 63;
  switch (below(24)) {
    case 0: r.m = 0; r.se = sign; break;
    case 1: r.m = 1ull << 63; r.se = 0x3fff | sign; break;
    case 2: r.m = bits64() >> below(64) >> 1; r.se = sign; break;              // denormal
    case 3: r.se = sign; break;                                               // pseudo-denormal
    case 4: r.m = 1ull << 63; r.se = 0x7fff | sign; break;                    // infinity
    case 5: r.m |= 1ull << 62; r.se = 0x7fff | sign; break;                   // quiet NaN
    case 6: r.m = (r.m & ~(1ull << 62)) | 1 | 1ull << 63; r.se = 0x7fff | sign; break; // signalling NaN
    case 7: if (below(3)) goto normal; r.m &= ~(1ull << 63); r.se = (1 + below(0x7fff)) | sign; break; // unsupported
    case 8: r.se = (0x7ffe - below(3)) | sign; break;
    case 9: r.se = (1 + below(66)) | sign; break;
    case 10: r.se = below(0x7fff) | sign; if (!(r.se & 0x7fff)) r.se++; break;
    case 11: r.se = (0x3fff + 14 + below(52)) | sign; break;                  // about the ends of the integers
    case 12: r.se = (0x3fff - 1022 - 60 + below(64)) | sign; break;           // about the end of double
    case 13: r.se = (0x3fff - 126 - 30 + below(34)) | sign; break;
    case 14: r.se = (0x3fff + 1021 + below(4)) | sign; break;
    case 15: r.se = (0x3fff + 125 + below(4)) | sign; break;
    case 16: r.se = (0x3fff - 70 + below(140)) | sign; break;
    case 17: { // small integer or a half of one
      u64 n = below(100) + 1; int e = 63; while (!(n >> 63)) { n <<= 1; e--; }
      r.m = n; r.se = (0x3fff + e - below(2)) | sign; break;
    }
    default: normal: r.se = (0x3fff - 6 + below(12)) | sign;
  }
  return r;
}
static u32 real32(void) {
  u32 sign = below(2) << 31, f = bits64() >> 41;
  switch (below(14)) {
    case 0: return sign;
    case 1: return sign | (f >> below(23)); // denormal
    case 2: return sign | 0x7f800000;
    case 3: return sign | 0x7fc00000 | f;
    case 4: return sign | 0x7f800000 | (f & 0x3fffff) | 1;
    case 5: return sign | (0xfe - below(3)) << 23 | f;
    case 6: return sign | (1 + below(26)) << 23 | f;
    case 7: return sign | below(255) << 23 | f;
    case 8: return sign | (127 + 29 + below(36)) << 23 | f;
    case 9: return sign | 0x3f800000;
    default: return sign | (127 - 6 + below(32)) << 23 | f;
  }
}
static u64 real64(void) {
  u64 sign = (u64)below(2) << 63, f = bits64() >> 12;
  switch (below(16)) {
    case 0: return sign;
    case 1: return sign | (f >> below(52));
    case 2: return sign | 0x7ffull << 52;
    case 3: return sign | 0xfffull << 51 | f;
    case 4: return sign | 0x7ffull << 52 | (f & 0x7ffffffffffffull) | 1;
    case 5: return sign | (u64)(0x7fe - below(3)) << 52 | f;
    case 6: return sign | (u64)(1 + below(55)) << 52 | f;
    case 7: return sign | (u64)below(2047) << 52 | f;
    case 8: return sign | (u64)(1023 + 29 + below(36)) << 52 | f;
    case 9: return sign | (u64)(1023 - 152 + below(30)) << 52 | f; // about the end of single
    case 10: return sign | (u64)(1023 + 125 + below(4)) << 52 | f;
    case 11: return sign | 0x3ffull << 52;
    default: return sign | (u64)(1023 - 6 + below(40)) << 52 | f;
  }
}

static u8 *code;
struct fx {
  u16 fcw, fsw; u8 ftw, r0; u16 fop; u64 fip, fdp; u32 mxcsr, mask;
  struct { u64 m; u16 se; u16 pad[3]; } st[8];
  u64 xmm[16][2];
  u8 rest[96];
} __attribute__((packed, aligned(16)));
static struct fx before, after;
static u8 memory[16] __attribute__((aligned(16)));
static u64 rflags;

// fxrstor64 [rdi]; push flags; popfq; the instruction, on [rsi]; pushfq; pop [rcx]; fxsave64 [rdx]; fninit; ret
static void emit(const u8 *insn, int n, u64 flags) {
  u8 *p = code;
  const u8 head[] = {0x48, 0x0f, 0xae, 0x0f};
  memcpy(p, head, 4); p += 4;
  *p++ = 0x68; *(u32 *)p = (u32)flags; p += 4; // push imm32
  *p++ = 0x9d;                                 // popfq
  memcpy(p, insn, n); p += n;
  *p++ = 0x9c;                                 // pushfq
  *p++ = 0x8f; *p++ = 0x01;                    // pop [rcx]
  const u8 tail[] = {0x48, 0x0f, 0xae, 0x02, 0xdb, 0xe3, 0xc3}; // fxsave64 [rdx]; fninit; ret
  memcpy(p, tail, sizeof tail);
}
static sigjmp_buf escape;
static u32 trapped_mxcsr;
static void on_fpe(int s, siginfo_t *i, void *u) {
  (void)s; (void)i;
  trapped_mxcsr = ((ucontext_t *)u)->uc_mcontext.fpregs->mxcsr;
  siglongjmp(escape, 1);
}
static int run(void) {
  if (sigsetjmp(escape, 1)) return 1;
  ((void (*)(void *, void *, void *, void *))code)(&before, memory, &after, &rflags);
  return 0;
}

struct x87_case {
  u8 op, modrm;      // low three bits of the opcode, ModRM
  u16 fcw;
  u8 top, ftw;       // TOP in bits 0 to 2, C0 to C3 in bits 4 to 7
  u16 flags;         // rflags before
  struct f80 st0, sti;
  u8 mem[10];
  u16 fsw_out;
  u8 ftw_out, flags_out; // CF PF ZF ...
  struct f80 r0, ri, rm; // physical registers that were ST(0), ST(i), ST(7)
  u8 mem_out[10];
} __attribute__((packed));

static const u16 control[] = {0x000, 0x400, 0x800, 0xc00};

static void x87(long cases, int functions) {
  static const u8 fn[] = {0xf0, 0xf1, 0xf2, 0xf3, 0xf9, 0xfb, 0xfe, 0xff};
  // Those of one operand, the more interesting ones more often.
  static const u8 single[] = {0xe0, 0xe1, 0xe4, 0xe5, 0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee, 0xf6, 0xf7, 0xf4, 0xf4, 0xf5, 0xf5, 0xf5, 0xf8, 0xf8, 0xf8,
    0xfa, 0xfa, 0xfa, 0xfc, 0xfc, 0xfd, 0xfd, 0xfd};
  for (long k = 0; k < cases;) {
    struct x87_case c;
    memset(&c, 0, sizeof c);
    c.op = below(8);
    c.modrm = next() >> 40;
    if (functions) c.op = 1, c.modrm = fn[below(8)];
    else if (below(4) == 0) c.op = 1, c.modrm = single[below(sizeof single)];
    int r = (c.modrm >> 3) & 7, mem = c.modrm < 0xc0;
    if (mem) {
      static const u8 valid[8] = {0xff, 0x0d, 0xff, 0xaf, 0xff, 0x0f, 0xff, 0xff};
      if (!((valid[c.op] >> r) & 1)) continue;
      c.modrm = (r << 3) | 6; // [rsi]
    } else {
      switch (c.op) {
        case 1:
          if (r == 2 ? c.modrm != 0xd0 : r == 3) continue;
          if (r == 4 && c.modrm != 0xe0 && c.modrm != 0xe1 && c.modrm != 0xe4 && c.modrm != 0xe5) continue;
          if (c.modrm == 0xef) continue;
          if (!functions && memchr(fn, c.modrm, sizeof fn)) continue;
          break;
        case 2: if (r >= 4 && c.modrm != 0xe9) continue; break;
        case 3: if (r == 4 || r == 7) continue; break;
        case 5: if (r >= 6) continue; break;
        case 6: if (r == 3 && c.modrm != 0xd9) continue; break;
        case 7: if (r == 4 ? c.modrm != 0xe0 : r == 7) continue; break;
      }
    }
    int i = mem ? 1 : c.modrm & 7;
    if (c.op == 1 && c.modrm >= 0xd0) i = 1;
    if (c.modrm == 0xd9 || c.modrm == 0xe9) if (c.op == 6 || c.op == 2) i = 1;
    c.fcw = 0x7f | control[below(4)] | (below(3) ? 0x300 : below(4) << 8);
    if (below(4) == 0) c.fcw = (c.fcw & ~0x3f) | below(64);
    int top = below(8);
    u32 codes = below(3) ? 0 : below(16);
    c.top = top | codes << 4;
    // Mostly ST(0) and ST(i) in use and room for a push.
    c.ftw = 0;
    for (int n = 0; n < 8; n++) {
      int full = n == 0 || n == i ? below(40) != 0 : n == 7 ? below(40) == 0 : below(2);
      c.ftw |= full << ((top + n) & 7);
    }
    c.flags = 0x202 | (next() & 0x8d5);
    c.st0 = real80();
    c.sti = i == 0 ? c.st0 : real80();
    if (functions) {
      // Within the ranges of the instructions, mostly.
      if (below(4)) {
        c.st0.m |= 1ull << 63;
        c.st0.se = (c.st0.se & 0x8000) | (c.modrm == 0xf0 ? 0x3ffe - below(below(8) ? 12 : 80) : c.modrm >= 0xfb || c.modrm == 0xf2 ? 0x3fff - 20 + below(below(2) ? 30 : 90) : 0x3fff - 20 + below(40));
        if (c.modrm == 0xf1) c.st0.se &= 0x7fff;
        if (c.modrm == 0xf9) { c.st0.se = (c.st0.se & 0x8000) | (0x3ffd - below(60)); if ((c.st0.se & 0x7fff) == 0x3ffd) c.st0.m = 1ull << 63 | (c.st0.m & 0x0fffffffffffffffull); }
      }
      if (c.modrm == 0xf0 && (c.st0.se & 0x7fff) > 0x3fff && (c.st0.se & 0x7fff) != 0x7fff) continue; // undefined
      if (c.modrm == 0xf9 && (c.st0.se & 0x7fff) >= 0x3ffe && (c.st0.se & 0x7fff) != 0x7fff) continue;
      c.sti = i == 0 ? c.st0 : c.sti;
    }
    u64 w;
    struct f80 x = real80();
    memcpy(c.mem, &x, 10);
    if (mem) {
      if (c.op == 0 || (c.op == 1)) { u32 f = real32(); memcpy(c.mem, &f, 4); }
      else if (c.op == 4 || (c.op == 5)) { w = real64(); memcpy(c.mem, &w, 8); }
      else if (c.op == 7 && r == 4) { for (int n = 0; n < 9; n++) c.mem[n] = below(10) << 4 | below(10); c.mem[9] = below(2) << 7; }
      else if (c.op != 3 || r != 5) { w = bits64(); memcpy(c.mem, &w, 8); }
    }
    memset(&before, 0, sizeof before);
    before.fcw = c.fcw;
    before.fsw = top << 11 | (codes & 7) << 8 | (codes & 8) << 11;
    before.ftw = c.ftw;
    before.mxcsr = 0x1f80;
    for (int n = 0; n < 8; n++) {
      before.st[n].m = 0xc000000000000000ull;
      before.st[n].se = 0x3fff + n;
    }
    before.st[i].m = c.sti.m, before.st[i].se = c.sti.se;
    before.st[0].m = c.st0.m, before.st[0].se = c.st0.se;
    memcpy(memory, c.mem, 10);
    u8 insn[2] = {0xd8 | c.op, c.modrm};
    emit(insn, 2, c.flags);
    if (run()) { fprintf(stderr, "%02x %02x raised a signal\n", insn[0], insn[1]); exit(1); }
    c.fsw_out = after.fsw;
    c.ftw_out = after.ftw;
    c.flags_out = (rflags & 0xd5) | (rflags >> 11 & 1) << 1;
    int now = (after.fsw >> 11) & 7;
    int at[3] = {top, (top + i) & 7, (top + 7) & 7};
    struct f80 *to[3] = {&c.r0, &c.ri, &c.rm};
    for (int n = 0; n < 3; n++) {
      to[n]->m = after.st[(at[n] - now) & 7].m;
      to[n]->se = after.st[(at[n] - now) & 7].se;
    }
    memcpy(c.mem_out, memory, 10);
    fwrite(&c, sizeof c, 1, stdout);
    k++;
  }
}

struct sse_case {
  u8 op;             // index into the list of instructions
  u8 imm;
  u16 mxcsr;
  u64 a[2], b[2];    // XMM0 and XMM1, or general register in b for conversions from integers
  u16 mxcsr_out;
  u8 trapped, flags_out;
  u64 out[2];        // XMM0, or RAX
} __attribute__((packed));

// Operand kinds: s single, d double, i integers of 32 bits, q of 64.
static const struct { const char *name; u8 bytes[6]; char kind; u8 size; u8 imm; } sse[] = {
#define ARITH(name, op) {name "ps", {0x0f, op, 0xc1}, 's', 3, 0}, {name "pd", {0x66, 0x0f, op, 0xc1}, 'd', 4, 0}, \
  {name "ss", {0xf3, 0x0f, op, 0xc1}, 's', 4, 0}, {name "sd", {0xf2, 0x0f, op, 0xc1}, 'd', 4, 0}
  ARITH("add", 0x58), ARITH("mul", 0x59), ARITH("sub", 0x5c), ARITH("min", 0x5d), ARITH("div", 0x5e), ARITH("max", 0x5f), ARITH("sqrt", 0x51),
  {"cmpps", {0x0f, 0xc2, 0xc1}, 's', 3, 8}, {"cmppd", {0x66, 0x0f, 0xc2, 0xc1}, 'd', 4, 8}, {"cmpss", {0xf3, 0x0f, 0xc2, 0xc1}, 's', 4, 8}, {"cmpsd", {0xf2, 0x0f, 0xc2, 0xc1}, 'd', 4, 8},
  {"ucomiss", {0x0f, 0x2e, 0xc1}, 's', 3, 0}, {"ucomisd", {0x66, 0x0f, 0x2e, 0xc1}, 'd', 4, 0}, {"comiss", {0x0f, 0x2f, 0xc1}, 's', 3, 0}, {"comisd", {0x66, 0x0f, 0x2f, 0xc1}, 'd', 4, 0},
  {"cvtsd2ss", {0xf2, 0x0f, 0x5a, 0xc1}, 'd', 4, 0}, {"cvtss2sd", {0xf3, 0x0f, 0x5a, 0xc1}, 's', 4, 0}, {"cvtpd2ps", {0x66, 0x0f, 0x5a, 0xc1}, 'd', 4, 0}, {"cvtps2pd", {0x0f, 0x5a, 0xc1}, 's', 3, 0},
  {"cvtdq2ps", {0x0f, 0x5b, 0xc1}, 'i', 3, 0}, {"cvtdq2pd", {0xf3, 0x0f, 0xe6, 0xc1}, 'i', 4, 0},
  {"cvttps2dq", {0xf3, 0x0f, 0x5b, 0xc1}, 's', 4, 0}, {"cvtps2dq", {0x66, 0x0f, 0x5b, 0xc1}, 's', 4, 0}, {"cvttpd2dq", {0x66, 0x0f, 0xe6, 0xc1}, 'd', 4, 0}, {"cvtpd2dq", {0xf2, 0x0f, 0xe6, 0xc1}, 'd', 4, 0},
  {"roundps", {0x66, 0x0f, 0x3a, 0x08, 0xc1}, 's', 5, 16}, {"roundpd", {0x66, 0x0f, 0x3a, 0x09, 0xc1}, 'd', 5, 16}, {"roundss", {0x66, 0x0f, 0x3a, 0x0a, 0xc1}, 's', 5, 16}, {"roundsd", {0x66, 0x0f, 0x3a, 0x0b, 0xc1}, 'd', 5, 16},
  {"addsubps", {0xf2, 0x0f, 0xd0, 0xc1}, 's', 4, 0}, {"addsubpd", {0x66, 0x0f, 0xd0, 0xc1}, 'd', 4, 0},
  // From and to general registers: RAX.
  {"cvtsi2ss", {0xf3, 0x0f, 0x2a, 0xc0}, 'q', 4, 0}, {"cvtsi2sd", {0xf2, 0x0f, 0x2a, 0xc0}, 'q', 4, 0}, {"cvtsi2ss64", {0xf3, 0x48, 0x0f, 0x2a, 0xc0}, 'q', 5, 0}, {"cvtsi2sd64", {0xf2, 0x48, 0x0f, 0x2a, 0xc0}, 'q', 5, 0},
  {"cvttss2si", {0xf3, 0x0f, 0x2c, 0xc1}, 's', 4, 0}, {"cvtss2si", {0xf3, 0x0f, 0x2d, 0xc1}, 's', 4, 0}, {"cvttsd2si", {0xf2, 0x0f, 0x2c, 0xc1}, 'd', 4, 0}, {"cvtsd2si", {0xf2, 0x0f, 0x2d, 0xc1}, 'd', 4, 0},
  {"cvttss2si64", {0xf3, 0x48, 0x0f, 0x2c, 0xc1}, 's', 5, 0}, {"cvtss2si64", {0xf3, 0x48, 0x0f, 0x2d, 0xc1}, 's', 5, 0}, {"cvttsd2si64", {0xf2, 0x48, 0x0f, 0x2c, 0xc1}, 'd', 5, 0}, {"cvtsd2si64", {0xf2, 0x48, 0x0f, 0x2d, 0xc1}, 'd', 5, 0},
  // Not in the helpers as such: made of the above by the rows.
  {"haddps", {0xf2, 0x0f, 0x7c, 0xc1}, 's', 4, 0}, {"haddpd", {0x66, 0x0f, 0x7c, 0xc1}, 'd', 4, 0}, {"hsubps", {0xf2, 0x0f, 0x7d, 0xc1}, 's', 4, 0}, {"hsubpd", {0x66, 0x0f, 0x7d, 0xc1}, 'd', 4, 0},
};
#define SSE_COUNT (sizeof sse / sizeof *sse)

static void sse_cases(long cases) {
  for (long k = 0; k < cases; k++) {
    struct sse_case c;
    memset(&c, 0, sizeof c);
    c.op = k % SSE_COUNT;
    char kind = sse[c.op].kind;
    c.imm = sse[c.op].imm ? below(sse[c.op].imm) : 0;
    c.mxcsr = 0x1f80 | below(4) << 13;
    if (below(4) == 0) c.mxcsr |= (below(2) << 15) | (below(2) << 6);
    if (below(5) == 0) c.mxcsr &= ~(below(64) << 7);
    if (below(8) == 0) c.mxcsr |= below(64);
    for (int n = 0; n < 2; n++) {
      c.a[n] = kind == 's' ? (u64)real32() << 32 | real32() : kind == 'd' ? real64() : bits64();
      c.b[n] = kind == 's' ? (u64)real32() << 32 | real32() : kind == 'd' ? real64() : bits64();
    }
    memset(&before, 0, sizeof before);
    before.fcw = 0x37f;
    before.mxcsr = c.mxcsr;
    memcpy(before.xmm[0], c.a, 16);
    memcpy(before.xmm[1], c.b, 16);
    int to = strstr(sse[c.op].name, "2si") != 0, flags = strstr(sse[c.op].name, "comis") != 0;
    u8 insn[48];
    int n = 0;
    // mov rax, [rsi] before, mov [rsi], rax after
    static const u8 mov_in[] = {0x48, 0x8b, 0x06}, mov_out[] = {0x48, 0x89, 0x06};
    memcpy(insn, mov_in, 3); n = 3;
    memcpy(insn + n, sse[c.op].bytes, sse[c.op].size); n += sse[c.op].size;
    if (sse[c.op].imm) insn[n++] = c.imm;
    memcpy(insn + n, mov_out, 3); n += 3;
    memcpy(memory, c.b, 8);
    emit(insn, n, 0x202);
    c.trapped = run();
    if (c.trapped) {
      c.mxcsr_out = trapped_mxcsr;
    } else {
      c.mxcsr_out = after.mxcsr;
      c.flags_out = (rflags & 0xd5) | (rflags >> 11 & 1) << 1;
      if (!flags) memcpy(c.out, after.xmm[0], 16);
      if (to) memcpy(c.out, memory, 8), c.out[1] = 0;
    }
    fwrite(&c, sizeof c, 1, stdout);
  }
}

int main(int argc, char **argv) {
  if (argc == 2 && !strcmp(argv[1], "names")) {
    for (unsigned k = 0; k < SSE_COUNT; k++) puts(sse[k].name);
    return 0;
  }
  if (argc != 4) return 2;
  state = strtoull(argv[3], 0, 0) * 0x9e3779b97f4a7c15ull + 1;
  for (int k = 0; k < 10; k++) next();
  code = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct sigaction sa = {.sa_sigaction = on_fpe, .sa_flags = SA_SIGINFO | SA_NODEFER};
  sigaction(SIGFPE, &sa, 0);
  if (!strcmp(argv[1], "sse")) sse_cases(atol(argv[2]));
  else x87(atol(argv[2]), !strcmp(argv[1], "functions"));
  return 0;
}
