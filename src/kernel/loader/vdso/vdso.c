/*
 * The guest's vDSO: clocks without a system call (vdso(7); interfaces as in Linux's lib/vdso and arch/.../vdso).
 *
 * One source for all ISAs. `tools/build-vdso.ts` compiles it to src/kernel/loader/vdso-images.ts, which is what the loader
 * maps: the page `time_page` (struct time_page below, [vvar] in /proc/self/maps), then the image. The counter of the CPU
 * (TSC, CNTVCT_EL0) counts nanoseconds here; the time page says what the clocks showed when it was zero.
 */
typedef long s64;
typedef unsigned long u64;
typedef unsigned int u32;

struct timespec {
  s64 sec, nsec;
};
struct timeval {
  s64 sec, usec;
};
struct timezone {
  int minuteswest, dsttime;
};

/* Written by vdso.ts. */
struct time_page {
  /* What each clock showed at counter 0, by clock id: seconds, and in the low NSEC_BITS bits nanoseconds. */
  u64 base[16];
  /* Which of them are clocks that the counter tells (bit mask), with and without the coarse ones. */
  u32 counted, fine;
};
extern const volatile struct time_page time_page __attribute__((visibility("hidden")));

#define NSEC 1000000000UL
#define NSEC_BITS 30
/* What the coarse clocks resolve: TICK_NSEC in src/kernel/time/clocks.ts. */
#define TICK 4000000U

#define CLOCK_REALTIME 0

#if defined(__x86_64__)
#define NAME(name) __vdso_##name
#define ALIAS(name) extern __typeof__(__vdso_##name) name __attribute__((weak, alias("__vdso_" #name)));
#define NR_gettimeofday 96
#define NR_time 201
#define NR_clock_gettime 228
#define NR_clock_getres 229
#define NR_getrandom 318
static inline u64 counter(void) {
  u32 low, high;
  __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
  return (u64)high << 32 | low;
}
static inline s64 call3(s64 nr, s64 a, s64 b, s64 c) {
  s64 result;
  __asm__ volatile("syscall" : "=a"(result) : "0"(nr), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
#define NAME(name) __kernel_##name
#define ALIAS(name)
#define NR_gettimeofday 169
#define NR_clock_gettime 113
#define NR_clock_getres 114
#define NR_getrandom 278
static inline u64 counter(void) {
  u64 value;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(value));
  return value;
}
static inline s64 call3(s64 nr, s64 a, s64 b, s64 c) {
  register s64 x8 __asm__("x8") = nr, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
  return x0;
}
/* Where signal handlers without SA_RESTORER return to; unwinders know it by its two instructions and its frame type. */
__asm__(
  ".text\n.balign 16\n.globl __kernel_rt_sigreturn\n.type __kernel_rt_sigreturn, %function\n"
  ".cfi_startproc\n.cfi_signal_frame\n.cfi_def_cfa x29, 0\n.cfi_offset x29, 0\n.cfi_offset x30, 8\nnop\n"
  "__kernel_rt_sigreturn:\nmov x8, #139\nsvc #0\n.cfi_endproc\n"
  ".size __kernel_rt_sigreturn, .-__kernel_rt_sigreturn\n");
#endif

static inline int has(u32 mask, int id) { return (u32)id < 16 && (mask >> id & 1); }

/* What a clock shows now. */
static inline struct timespec show(int id) {
  u64 base = time_page.base[id], now = counter();
  /* 1e9 is 2^9 times an odd number: for 36 minutes the quotient is one of 32 bits, much cheaper where code is translated. */
  u64 sec = now >> 41 ? now / NSEC : (u32)(now >> 9) / (u32)(NSEC >> 9);
  u32 nsec = (u32)now - (u32)sec * (u32)NSEC + (u32)(base & ((1U << NSEC_BITS) - 1));
  u32 carry = nsec >= NSEC;
  return (struct timespec){(s64)(sec + (base >> NSEC_BITS) + carry), carry ? nsec - (u32)NSEC : nsec};
}

/* The coarse clocks; CPU-time clocks, and ids that do not exist, are the kernel's business. */
static __attribute__((noinline)) int uncommon(int id, struct timespec *ts) {
  if (!has(time_page.counted, id)) return call3(NR_clock_gettime, id, (s64)ts, 0);
  struct timespec now = show(id);
  ts->sec = now.sec;
  ts->nsec = (u32)now.nsec / TICK * TICK;
  return 0;
}

int NAME(clock_gettime)(int id, struct timespec *ts) {
  if (__builtin_expect(!has(time_page.fine, id), 0)) return uncommon(id, ts);
  *ts = show(id);
  return 0;
}
ALIAS(clock_gettime)

int NAME(gettimeofday)(struct timeval *tv, struct timezone *tz) {
  if (__builtin_expect(!time_page.fine, 0)) return call3(NR_gettimeofday, (s64)tv, (s64)tz, 0);
  if (tv) {
    struct timespec now = show(CLOCK_REALTIME);
    tv->sec = now.sec;
    tv->usec = (u32)now.nsec / 1000U;
  }
  /* The kernel's own time zone is always UTC. */
  if (tz) {
    tz->minuteswest = 0;
    tz->dsttime = 0;
  }
  return 0;
}
ALIAS(gettimeofday)

int NAME(clock_getres)(int id, struct timespec *res) {
  if (!has(time_page.counted, id)) return call3(NR_clock_getres, id, (s64)res, 0);
  if (res) {
    res->sec = 0;
    res->nsec = has(time_page.fine, id) ? 1 : TICK;
  }
  return 0;
}
ALIAS(clock_getres)

/*
 * vgetrandom of Linux 6.11. The state that callers keep for it stays unused: every call asks the kernel, as Linux's does
 * for a state of another size.
 */
struct getrandom_params {
  u32 size_of_opaque_state, mmap_prot, mmap_flags, reserved[13];
};
s64 NAME(getrandom)(void *buffer, u64 len, u32 flags, void *state, u64 state_len) {
  if (state_len == ~0UL && !buffer && !len && !flags) {
    volatile struct getrandom_params *p = state;
    p->size_of_opaque_state = 144;
    p->mmap_prot = 3;     /* PROT_READ | PROT_WRITE */
    p->mmap_flags = 0x22; /* MAP_PRIVATE | MAP_ANONYMOUS */
    for (int k = 0; k < 13; k++) p->reserved[k] = 0;
    return 0;
  }
  return call3(NR_getrandom, (s64)buffer, (s64)len, flags);
}
ALIAS(getrandom)

#if defined(__x86_64__)
s64 NAME(time)(s64 *t) {
  if (__builtin_expect(!time_page.fine, 0)) return call3(NR_time, (s64)t, 0, 0);
  s64 sec = show(CLOCK_REALTIME).sec;
  if (t) *t = sec;
  return sec;
}
ALIAS(time)

/* All threads of a guest run on one CPU. */
s64 NAME(getcpu)(u32 *cpu, u32 *node, void *unused) {
  (void)unused;
  if (cpu) *cpu = 0;
  if (node) *node = 0;
  return 0;
}
ALIAS(getcpu)
#endif
