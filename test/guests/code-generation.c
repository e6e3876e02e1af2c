/* Code made at run time: written through RWX pages, through mprotect, while it runs, and by another thread. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef int (*fn)(int);
/* mov eax, imm32; add eax, edi; ret */
static void emit(unsigned char *p, int value) {
  p[0] = 0xb8;
  memcpy(p + 1, &value, 4);
  memcpy(p + 5, "\x01\xf8\xc3", 3);
}
static volatile int stop;
static unsigned char *shared;
static void *patches(void *unused) {
  for (int i = 0; i < 200; i++) {
    *(volatile int *)(shared + 1) = i;
    usleep(100);
  }
  *(volatile int *)(shared + 1) = 1000;
  return unused;
}
int main(void) {
  unsigned char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  long sum = 0;
  for (int i = 0; i < 3000; i++) {
    emit(p + i % 7 * 64, i);
    sum += ((fn)(p + i % 7 * 64))(i % 5);
  }
  printf("rwx %ld\n", sum);
  sum = 0;
  emit(p, 0);
  for (int i = 0; i < 200000; i++) {
    if (i % 10000 == 0) *(int *)(p + 1) = i;
    sum += ((fn)p)(1);
  }
  printf("patched %ld\n", sum);
  unsigned char *q = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  sum = 0;
  for (int i = 0; i < 300; i++) {
    emit(q, i * 3);
    mprotect(q, 4096, PROT_READ | PROT_EXEC);
    for (int k = 0; k < 50; k++) sum += ((fn)q)(k);
    mprotect(q, 4096, PROT_READ | PROT_WRITE);
  }
  printf("mprotect %ld\n", sum);
  /* A loop that changes its own addend: mov ecx, edi; xor eax, eax; L: add eax, 1; inc dword [rip + addend]; dec ecx; jnz L; ret */
  static const unsigned char self[] = {0x89, 0xf9, 0x31, 0xc0, 0x05, 1, 0, 0, 0, 0xff, 0x05, 0xf6, 0xff, 0xff, 0xff, 0xff, 0xc9, 0x75, 0xf1, 0xc3};
  memcpy(p + 4096, self, sizeof self);
  printf("itself %d\n", ((fn)(p + 4096))(1000));
  /* A loop that calls a function in another page: mov ecx, edi; xor edi, edi; L: call f; dec ecx; jnz L; mov eax, edi; ret. Only f changes. */
  static const unsigned char caller[] = {0x89, 0xf9, 0x31, 0xff, 0xe8, 0xf7, 0x1f, 0, 0, 0xff, 0xc9, 0x75, 0xf7, 0x89, 0xf8, 0xc3};
  unsigned char *far = mmap(NULL, 12288, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(far, caller, sizeof caller);
  printf("callee");
  for (int i = 1; i < 9; i++) {
    const unsigned char callee[] = {0x83, 0xc7, i, 0xc3}; /* add edi, i; ret */
    if (i > 4) mprotect(far + 8192, 4096, PROT_READ | PROT_WRITE);
    memcpy(far + 8192, callee, sizeof callee);
    if (i >= 4) mprotect(far, 12288, PROT_READ | PROT_EXEC);
    sum = 0;
    for (int k = 0; k < 400; k++) sum += ((fn)far)(1000);
    printf(" %ld", sum);
  }
  printf("\n");
  /* The same pages through a second life. */
  munmap(q, 4096);
  q = mmap(q, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  emit(q, 7);
  printf("again %d", ((fn)q)(0));
  memmove(q + 2048, q, 8);
  emit(q, 8);
  printf(" %d %d\n", ((fn)q)(0), ((fn)(q + 2048))(0));
  /* Another thread patches what this one runs. */
  shared = p + 8192;
  emit(shared, 0);
  pthread_t t;
  pthread_create(&t, NULL, patches, NULL);
  while (((fn)shared)(0) != 1000);
  pthread_join(t, NULL);
  /* A big reservation of which little is used. */
  unsigned char *big = mmap(NULL, 1L << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  mprotect(big + (512 << 20), 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
  emit(big + (512 << 20), 11);
  printf("reserved %d, too big %d\n", ((fn)(big + (512 << 20)))(0), mmap(NULL, 1L << 47, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
  return 0;
}
