/* Threads that contend, wait with time limits, die holding locks, and are cancelled. Prints the same as natively. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER, robust, inherit, checked;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_spinlock_t spin;
static sem_t sem;
static long counter, piCounter, rwCounter, spinCounter, leaders, cleaned, keyed;
static pthread_key_t key;

static struct timespec in(int clock, long ms) {
  struct timespec t;
  clock_gettime(clock, &t);
  t.tv_nsec += ms * 1000000;
  t.tv_sec += t.tv_nsec / 1000000000;
  t.tv_nsec %= 1000000000;
  return t;
}
static const char *name(int e) { return e ? strerrorname_np(e) : "0"; }

static void *work(void *arg) {
  for (int i = 0; i < 500; i++) {
    pthread_mutex_lock(&plain);
    counter++;
    pthread_mutex_unlock(&plain);
    pthread_mutex_lock(&inherit);
    piCounter++;
    pthread_mutex_unlock(&inherit);
    if (i % 8 == 0) {
      pthread_rwlock_wrlock(&rw);
      rwCounter++;
      pthread_rwlock_unlock(&rw);
    } else {
      pthread_rwlock_rdlock(&rw);
      pthread_rwlock_unlock(&rw);
    }
    pthread_spin_lock(&spin);
    spinCounter++;
    pthread_spin_unlock(&spin);
    if (i % 100 == 0 && pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) __sync_fetch_and_add(&leaders, 1);
  }
  pthread_setspecific(key, arg);
  return arg;
}
static void *dies(void *m) {
  pthread_mutex_lock(m);
  return NULL;
}
static void cleanup(void *p) { __sync_fetch_and_add((long *)p, 1); }
static void keyDone(void *p) { __sync_fetch_and_add(&keyed, (long)p); }
static void *sleeps(void *how) {
  pthread_cleanup_push(cleanup, &cleaned);
  switch ((long)how) {
    case 0: pause(); break;
    case 1: sem_wait(&sem); break;
    case 2: { char c; int p[2]; if (pipe(p) == 0) (void)!read(p[0], &c, 1); break; }
    case 3: {
      pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
      pthread_cond_t c = PTHREAD_COND_INITIALIZER;
      pthread_mutex_lock(&m);
      for (;;) pthread_cond_wait(&c, &m);
    }
    case 4: pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL); for (volatile int i = 0;; i++);
    case 5: for (;;) pthread_testcancel();
    case 6: sleep(1000); break;
  }
  pthread_cleanup_pop(0);
  return NULL;
}
static int ready;
static void *waits(void *unused) {
  pthread_mutex_lock(&inherit);
  ready++;
  pthread_cond_broadcast(&cond);
  while (ready >= 0) pthread_cond_wait(&cond, &inherit);
  piCounter++;
  pthread_mutex_unlock(&inherit);
  return unused;
}

int main(void) {
  pthread_t t[50];
  pthread_mutexattr_t attr;
  pthread_mutexattr_init(&attr);
  pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&robust, &attr);
  pthread_mutexattr_init(&attr);
  pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
  pthread_mutex_init(&inherit, &attr);
  pthread_mutexattr_init(&attr);
  pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
  pthread_mutex_init(&checked, &attr);
  pthread_barrier_init(&barrier, NULL, 20);
  pthread_spin_init(&spin, 0);
  pthread_key_create(&key, keyDone);
  sem_init(&sem, 0, 0);

  for (long i = 0; i < 20; i++) pthread_create(&t[i], NULL, work, (void *)(i + 1));
  for (int i = 0; i < 20; i++) pthread_join(t[i], NULL);
  printf("%ld %ld %ld %ld %ld %ld\n", counter, piCounter, rwCounter, spinCounter, leaders, keyed);

  pthread_create(&t[0], NULL, dies, &robust);
  pthread_join(t[0], NULL);
  printf("robust %s", name(pthread_mutex_lock(&robust)));
  printf(" %s", name(pthread_mutex_consistent(&robust)));
  printf(" %s", name(pthread_mutex_unlock(&robust)));
  pthread_create(&t[0], NULL, dies, &robust);
  pthread_join(t[0], NULL);
  printf(" %s", name(pthread_mutex_lock(&robust)));
  pthread_mutex_unlock(&robust);
  printf(" %s\n", name(pthread_mutex_lock(&robust)));

  printf("checked %s", name(pthread_mutex_lock(&checked)));
  printf(" %s", name(pthread_mutex_lock(&checked)));
  printf(" %s", name(pthread_mutex_unlock(&checked)));
  printf(" %s\n", name(pthread_mutex_unlock(&checked)));
  pthread_mutex_lock(&inherit);
  printf("pi %s", name(pthread_mutex_trylock(&inherit)));
  printf(" %s\n", name(pthread_mutex_unlock(&inherit)));

  struct timespec at = in(CLOCK_REALTIME, 20);
  pthread_mutex_lock(&plain);
  printf("timed %s", name(pthread_cond_timedwait(&cond, &plain, &at)));
  at = in(CLOCK_MONOTONIC, 20);
  printf(" %s", name(pthread_cond_clockwait(&cond, &plain, CLOCK_MONOTONIC, &at)));
  pthread_mutex_unlock(&plain);
  at = in(CLOCK_REALTIME, 20);
  printf(" %s", sem_timedwait(&sem, &at) ? name(errno) : "0");
  pthread_create(&t[0], NULL, dies, &plain);
  pthread_join(t[0], NULL);
  at = in(CLOCK_REALTIME, 20);
  printf(" %s", name(pthread_mutex_timedlock(&plain, &at)));
  pthread_create(&t[0], NULL, sleeps, (void *)1);
  at = in(CLOCK_REALTIME, 20);
  printf(" %s\n", name(pthread_timedjoin_np(t[0], NULL, &at)));
  pthread_cancel(t[0]);
  pthread_join(t[0], NULL);

  pthread_mutex_lock(&inherit);
  for (int i = 0; i < 10; i++) pthread_create(&t[i], NULL, waits, NULL);
  while (ready < 10) pthread_cond_wait(&cond, &inherit);
  ready = -1;
  pthread_cond_broadcast(&cond);
  pthread_mutex_unlock(&inherit);
  for (int i = 0; i < 10; i++) pthread_join(t[i], NULL);
  printf("condition %ld\n", piCounter);

  long cancelled = 0;
  for (long i = 0; i < 49; i++) pthread_create(&t[i], NULL, sleeps, (void *)(i % 7));
  usleep(20000);
  for (int i = 0; i < 49; i++) pthread_cancel(t[i]);
  for (int i = 0; i < 49; i++) {
    void *r;
    pthread_join(t[i], &r);
    cancelled += r == PTHREAD_CANCELED;
  }
  printf("cancelled %ld, cleaned up %ld\n", cancelled, cleaned);
  return 0;
}
