/* Memory above 8 GiB, asked for as the run-time system of GHC does: what lies below is given back, and asked for again a step further on. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GIB (1ul << 30)
#define STEP (1ul << 20)
#define SIZE (8 * STEP)

static char *reserve(uintptr_t wanted) {
  for (int attempt = 0; attempt < 50; attempt++) {
    void *at = mmap((void *)(wanted + attempt * STEP), GIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) return NULL;
    if ((uintptr_t)at >= 8 * GIB) return (char *)(((uintptr_t)at + STEP - 1) & -STEP);
    munmap(at, GIB);
  }
  return NULL;
}

static sigjmp_buf back;
static void refused(int signo) { siglongjmp(back, signo); }
static int probe(volatile char *at, int writing) {
  int signo = sigsetjmp(back, 1);
  if (signo) return signo;
  if (writing) *at = 1;
  else (void)*at;
  return 0;
}

struct node {
  struct node *next;
  uint64_t value;
};
static uint64_t walk(struct node *nodes, int count) {
  for (int k = 0; k < count; k++) nodes[k] = (struct node){k ? &nodes[k - 1] : NULL, k * 2654435761ul};
  uint64_t sum = 0;
  for (int round = 0; round < 20; round++)
    for (struct node *n = &nodes[count - 1]; n; n = n->next) sum = sum * 31 + n->value;
  return sum;
}
static void *thread(void *heap) {
  for (int k = 0; k < 1000; k++) __atomic_fetch_add((int *)heap, 3, __ATOMIC_SEQ_CST);
  return heap;
}

static void calls(char *heap) {
  int ends[2];
  strcpy(heap, "/proc/self/exe");
  printf("open %d\n", open(heap, O_RDONLY) > 0);
  if (pipe((int *)(heap + 64))) return;
  memcpy(ends, heap + 64, sizeof ends);
  struct iovec *iov = (struct iovec *)(heap + 4096 - 24);
  iov[0] = (struct iovec){strcpy(heap + 8190, "across pages, "), 14};
  iov[1] = (struct iovec){strcpy(heap + 256, "and pieces"), 10};
  printf("writev %zd\n", writev(ends[1], iov, 2));
  printf("read %zd %.24s\n", read(ends[0], heap + 20000, 100), heap + 20000);
  struct timespec *t = (struct timespec *)(heap + 128);
  *t = (struct timespec){0, 1000};
  printf("nanosleep %d\n", nanosleep(t, t + 1));
  if (clock_gettime(CLOCK_REALTIME, t) == 0) printf("clock %d\n", t->tv_sec > 1000000000);
  struct stat *st = (struct stat *)(heap + 512);
  if (stat(strcpy(heap + 900, "/"), st) == 0) printf("stat %d\n", S_ISDIR(st->st_mode));
  printf("getcwd %d\n", getcwd(heap + 30000, 4096) == heap + 30000);
  if (socketpair(AF_UNIX, SOCK_DGRAM, 0, (int *)(heap + 64))) return;
  memcpy(ends, heap + 64, sizeof ends);
  struct msghdr *m = (struct msghdr *)(heap + 1200);
  *m = (struct msghdr){.msg_iov = iov, .msg_iovlen = 2};
  printf("sendmsg %zd", sendmsg(ends[0], m, 0));
  iov[0].iov_base = heap + 40000;
  printf(" recvmsg %zd %.14s\n", recvmsg(ends[1], m, 0), heap + 40000);
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IONBF, 0);
  if (argc > 2) return printf("run again with %s\n", argv[2]), 0;
  struct sigaction sa = {.sa_handler = refused};
  if (argc > 1) sigaction(SIGSEGV, &sa, NULL);

  char *space = reserve(0x4200000000ul);
  printf("reserved %d\n", space != NULL);
  if (!space) return 1;
  if (argc > 1) printf("reserved only: %d\n", probe(space, 0));
  char *heap = mmap(space, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  printf("committed %d\n", heap == space);
  printf("list %lx\n", walk((struct node *)heap, 100000));
  memset(heap + STEP, 7, STEP);
  memcpy(heap + 2 * STEP + 3, heap + STEP + 1, STEP);
  memmove(heap + 2 * STEP + 5, heap + 2 * STEP + 3, STEP);
  printf("copied %d %d\n", heap[3 * STEP], memcmp(heap + STEP, heap + 2 * STEP + 5, 1000));
#ifdef __x86_64__
  char *from = heap + STEP, *to = heap + 4 * STEP;
  size_t count = STEP;
  __asm__ volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
  printf("string instruction %d %d\n", from == heap + 2 * STEP, heap[5 * STEP - 1]);
#endif
  volatile long double *ld = (long double *)(heap + STEP);
  ld[0] = 2.5L;
  ld[1] = ld[0] * ld[0];
  printf("long double %.3Lf\n", ld[1]);
  calls(heap);

  *(int *)heap = 0;
  pthread_t threads[3];
  for (int k = 0; k < 3; k++) pthread_create(&threads[k], NULL, thread, heap);
  void *result;
  for (int k = 0; k < 3; k++) pthread_join(threads[k], &result);
  printf("threads %d %d\n", *(int *)heap, result == heap);
  if (fork() == 0) {
    *(int *)heap += 1;
    printf("child %d\n", *(int *)heap);
    _exit(0);
  }
  wait(NULL);
  printf("parent %d\n", *(int *)heap);

  char *moved = mremap(heap + 6 * STEP, STEP, 3 * STEP, MREMAP_MAYMOVE);
  moved[3 * STEP - 1] = 1;
  printf("moved above %d\n", (uintptr_t)moved >= 8 * GIB);
  heap[2 * STEP] = 9;
  if (madvise(heap + 2 * STEP, STEP, MADV_DONTNEED) == 0) printf("discarded %d\n", heap[2 * STEP]);
  unsigned char in[2];
  printf("mincore %d\n", mincore(heap, 8192, in));
  if (argc > 1) {
    printf("protected %d", mprotect(heap, 4096, PROT_READ));
    printf(" read %d write %d\n", probe(heap, 0), probe(heap, 1));
    printf("below it %d\n", probe((char *)(3 * GIB), 0));
  }
  char **again = (char **)(heap + STEP);
  again[0] = argv[0];
  again[1] = strcpy(heap + STEP + 100, "x");
  again[2] = strcpy(heap + STEP + 110, "arguments from there");
  again[3] = NULL;
  printf("unmapped %d\n", munmap(heap + 3 * STEP, STEP));
  execv(strcpy(heap + STEP + 200, argv[0]), again);
  return 1;
}
