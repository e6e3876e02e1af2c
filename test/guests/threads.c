// Threads as pthreads makes them. `threads NAME` runs one check and prints what it found.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(x) do { int r_ = (x); if (r_) { printf("%s: %s\n", #x, strerror(r_)); exit(1); } } while (0)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static long counter;
static sem_t sem;

static void *add(void *n) {
  for (long i = 0; i < (long)n; i++) {
    pthread_mutex_lock(&lock);
    counter++;
    pthread_mutex_unlock(&lock);
    if (i % 64 == 0) sched_yield();
  }
  return (void *)(counter > 0);
}
static void mutex(void) {
  pthread_t t[8];
  for (int i = 0; i < 8; i++) CHECK(pthread_create(&t[i], 0, add, (void *)2000));
  long sum = 0;
  for (int i = 0; i < 8; i++) {
    void *r;
    CHECK(pthread_join(t[i], &r));
    sum += (long)r;
  }
  printf("counter %ld, results %ld\n", counter, sum);
}

static int queue[16], head, tail, done;
static pthread_cond_t room = PTHREAD_COND_INITIALIZER;
static void *consume(void *arg) {
  long sum = 0;
  for (;;) {
    pthread_mutex_lock(&lock);
    while (head == tail && !done) pthread_cond_wait(&cond, &lock);
    if (head == tail) break;
    sum += queue[head++ % 16];
    pthread_cond_signal(&room);
    pthread_mutex_unlock(&lock);
  }
  pthread_mutex_unlock(&lock);
  return (void *)sum;
}
static void condvar(void) {
  pthread_t t[4];
  for (int i = 0; i < 4; i++) CHECK(pthread_create(&t[i], 0, consume, 0));
  for (int i = 1; i <= 3000; i++) {
    pthread_mutex_lock(&lock);
    while (tail - head == 16) pthread_cond_wait(&room, &lock);
    queue[tail++ % 16] = i;
    pthread_cond_signal(&cond);
    pthread_mutex_unlock(&lock);
  }
  pthread_mutex_lock(&lock);
  done = 1;
  pthread_cond_broadcast(&cond);
  pthread_mutex_unlock(&lock);
  long sum = 0;
  for (int i = 0; i < 4; i++) {
    void *r;
    CHECK(pthread_join(t[i], &r));
    sum += (long)r;
  }
  printf("sum %ld\n", sum);
}

static pthread_barrier_t bar;
static atomic_int serial, order;
static void *meet(void *arg) {
  for (int round = 0; round < 50; round++) {
    if (pthread_barrier_wait(&bar) == PTHREAD_BARRIER_SERIAL_THREAD) serial++;
    if (atomic_fetch_add(&order, 1) / 6 != round) printf("a thread is ahead\n");
  }
  return 0;
}
static void barrier(void) {
  pthread_t t[6];
  pthread_barrier_init(&bar, 0, 6);
  for (int i = 0; i < 6; i++) CHECK(pthread_create(&t[i], 0, meet, 0));
  for (int i = 0; i < 6; i++) CHECK(pthread_join(t[i], 0));
  printf("serial %d\n", serial);
}

static __thread int mine = 7;
static pthread_key_t key;
static atomic_int destroyed;
static void destroy(void *p) { destroyed += (int)(long)p; }
static void *own(void *n) {
  mine += (int)(long)n;
  pthread_setspecific(key, n);
  for (int i = 0; i < 10; i++) sched_yield();
  return (void *)(long)(mine + (errno = 0));
}
static void tls(void) {
  pthread_t t[20];
  pthread_key_create(&key, destroy);
  for (long i = 0; i < 20; i++) CHECK(pthread_create(&t[i], 0, own, (void *)(i + 1)));
  for (int i = 0; i < 20; i++) {
    void *r;
    CHECK(pthread_join(t[i], &r));
    if ((long)r != 8 + i) printf("thread %d: %ld\n", i, (long)r);
  }
  printf("mine %d, destroyed %d\n", mine, destroyed);
}

static pthread_mutex_t robust;
static void *die(void *arg) {
  pthread_mutex_lock(&robust);
  return 0;
}
static void *await_dead(void *arg) { return (void *)(long)pthread_mutex_lock(&robust); }
static void robust_mutex(void) {
  pthread_mutexattr_t a;
  pthread_mutexattr_init(&a);
  pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&robust, &a);
  pthread_t t;
  CHECK(pthread_create(&t, 0, die, 0));
  CHECK(pthread_join(t, 0));
  int r = pthread_mutex_lock(&robust);
  printf("owner died: %d\n", r == EOWNERDEAD);
  CHECK(pthread_mutex_consistent(&robust));
  pthread_t w;
  CHECK(pthread_create(&w, 0, await_dead, 0));
  usleep(1000);
  CHECK(pthread_mutex_unlock(&robust));
  void *got;
  CHECK(pthread_join(w, &got));
  printf("handed over: %ld\n", (long)got);
  printf("then: %d\n", pthread_mutex_lock(&robust) == EOWNERDEAD);
}

static void cleanup(void *p) { printf("cleanup %s\n", (char *)p); }
static void *cancelled(void *arg) {
  pthread_cleanup_push(cleanup, "sleeper");
  for (;;) sleep(1000);
  pthread_cleanup_pop(0);
  return 0;
}
static void *spinner(void *arg) {
  pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, 0);
  for (volatile long i = 0;; i++) ;
  return 0;
}
static void cancel(void) {
  pthread_t t;
  void *r;
  CHECK(pthread_create(&t, 0, cancelled, 0));
  usleep(2000);
  CHECK(pthread_cancel(t));
  CHECK(pthread_join(t, &r));
  printf("cancelled %d\n", r == PTHREAD_CANCELED);
  CHECK(pthread_create(&t, 0, spinner, 0));
  usleep(2000);
  CHECK(pthread_cancel(t));
  CHECK(pthread_join(t, &r));
  printf("cancelled %d\n", r == PTHREAD_CANCELED);
}

static void *detached(void *arg) {
  sem_post(&sem);
  return 0;
}
static void detach(void) {
  pthread_attr_t a;
  pthread_attr_init(&a);
  pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
  sem_init(&sem, 0, 0);
  pthread_t t;
  for (int i = 0; i < 100; i++) {
    CHECK(pthread_create(&t, &a, detached, 0));
    if (i % 7 == 0) sched_yield();
  }
  for (int i = 0; i < 100; i++) sem_wait(&sem);
  struct timespec ts;
  clock_gettime(CLOCK_REALTIME, &ts);
  ts.tv_nsec += 1000000;
  if (ts.tv_nsec >= 1000000000) ts.tv_sec++, ts.tv_nsec -= 1000000000;
  printf("timed out: %d\n", sem_timedwait(&sem, &ts) == -1 && errno == ETIMEDOUT);
}

static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static int shared[2];
static void *reader(void *arg) {
  for (int i = 0; i < 500; i++) {
    pthread_rwlock_rdlock(&rw);
    if (shared[0] != shared[1]) printf("torn\n");
    pthread_rwlock_unlock(&rw);
    if (i % 50 == 0) sched_yield();
  }
  return 0;
}
static void *writer(void *arg) {
  for (int i = 0; i < 200; i++) {
    pthread_rwlock_wrlock(&rw);
    shared[0]++;
    sched_yield();
    shared[1]++;
    pthread_rwlock_unlock(&rw);
  }
  return 0;
}
static void rwlock(void) {
  pthread_t t[6];
  for (int i = 0; i < 6; i++) CHECK(pthread_create(&t[i], 0, i < 2 ? writer : reader, 0));
  for (int i = 0; i < 6; i++) CHECK(pthread_join(t[i], 0));
  printf("shared %d %d\n", shared[0], shared[1]);
}

static pthread_mutex_t pi;
static void *pi_add(void *n) {
  for (int i = 0; i < 300; i++) {
    pthread_mutex_lock(&pi);
    counter++;
    if (i % 10 == 0) sched_yield();
    pthread_mutex_unlock(&pi);
  }
  return 0;
}
static void *pi_hold(void *arg) {
  pthread_mutex_lock(&pi);
  sem_post(&sem);
  usleep(20000);
  pthread_mutex_unlock(&pi);
  return 0;
}
static void pi_mutex(void) {
  pthread_mutexattr_t a;
  pthread_mutexattr_init(&a);
  CHECK(pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT));
  pthread_mutexattr_settype(&a, PTHREAD_MUTEX_ERRORCHECK);
  CHECK(pthread_mutex_init(&pi, &a));
  pthread_t t[4];
  for (int i = 0; i < 4; i++) CHECK(pthread_create(&t[i], 0, pi_add, 0));
  for (int i = 0; i < 4; i++) CHECK(pthread_join(t[i], 0));
  printf("counter %ld\n", counter);
  CHECK(pthread_mutex_lock(&pi));
  printf("again: %s\n", strerror(pthread_mutex_lock(&pi)));
  CHECK(pthread_mutex_unlock(&pi));
  sem_init(&sem, 0, 0);
  CHECK(pthread_create(&t[0], 0, pi_hold, 0));
  sem_wait(&sem);
  printf("busy: %s\n", strerror(pthread_mutex_trylock(&pi)));
  struct timespec ts;
  clock_gettime(CLOCK_REALTIME, &ts);
  printf("timed: %s\n", strerror(pthread_mutex_timedlock(&pi, &ts)));
  CHECK(pthread_mutex_lock(&pi));
  CHECK(pthread_mutex_unlock(&pi));
  CHECK(pthread_join(t[0], 0));
}

static atomic_int hits[3];
static pthread_t where;
static void on_signal(int n) {
  hits[n == SIGUSR1 ? 0 : n == SIGUSR2 ? 1 : 2]++;
  where = pthread_self();
}
static void *wait_signal(void *arg) {
  sigset_t s;
  sigemptyset(&s);
  sigaddset(&s, SIGUSR2);
  int n = 0;
  sigwait(&s, &n);
  return (void *)(long)n;
}
static void *busy(void *arg) {
  while (!hits[0]) ;
  return (void *)(long)pthread_equal(where, pthread_self());
}
static void *sleeper(void *arg) {
  struct timespec ts = {100, 0};
  int r = nanosleep(&ts, 0);
  return (void *)(long)(r == -1 && errno == EINTR);
}
static void signals(void) {
  struct sigaction sa = {.sa_handler = on_signal};
  sigaction(SIGUSR1, &sa, 0);
  sigaction(SIGUSR2, &sa, 0);
  sigset_t s;
  sigemptyset(&s);
  sigaddset(&s, SIGUSR2);
  pthread_sigmask(SIG_BLOCK, &s, 0);
  pthread_t t;
  void *r;
  CHECK(pthread_create(&t, 0, wait_signal, 0));
  usleep(1000);
  kill(getpid(), SIGUSR2);
  CHECK(pthread_join(t, &r));
  printf("sigwait %ld, handler %d\n", (long)r, hits[1]);
  CHECK(pthread_create(&t, 0, busy, 0));
  usleep(1000);
  CHECK(pthread_kill(t, SIGUSR1));
  CHECK(pthread_join(t, &r));
  printf("in the busy thread: %ld\n", (long)r);
  CHECK(pthread_create(&t, 0, sleeper, 0));
  usleep(50000);
  CHECK(pthread_kill(t, SIGUSR1));
  CHECK(pthread_join(t, &r));
  printf("interrupted: %ld\n", (long)r);
}

static void *idle(void *arg) {
  sem_post(&sem);
  pthread_mutex_lock(&lock);
  counter++;
  pthread_mutex_unlock(&lock);
  return 0;
}
static void thousand(void) {
  static pthread_t t[1000];
  pthread_attr_t a;
  pthread_attr_init(&a);
  pthread_attr_setstacksize(&a, 1 << 20);
  sem_init(&sem, 0, 0);
  pthread_mutex_lock(&lock);
  for (int i = 0; i < 1000; i++) CHECK(pthread_create(&t[i], &a, idle, 0));
  for (int i = 0; i < 1000; i++) sem_wait(&sem);
  pthread_mutex_unlock(&lock);
  for (int i = 0; i < 1000; i++) CHECK(pthread_join(t[i], 0));
  printf("counter %ld\n", counter);
}

static void *nothing(void *arg) { return arg; }
static void turn(int n) {
  long sum = 0;
  for (long i = 0; i < n; i++) {
    pthread_t t;
    void *r;
    CHECK(pthread_create(&t, 0, nothing, (void *)i));
    CHECK(pthread_join(t, &r));
    sum += (long)r;
  }
  printf("sum %ld\n", sum);
}

static void *block(void *arg) {
  pthread_mutex_lock(&lock);
  return 0;
}
static void *leave(void *arg) {
  usleep(1000);
  exit(42);
}
static void exit_group(void) {
  pthread_t t;
  pthread_mutex_lock(&lock);
  for (int i = 0; i < 5; i++) CHECK(pthread_create(&t, 0, block, 0));
  CHECK(pthread_create(&t, 0, sleeper, 0));
  CHECK(pthread_create(&t, 0, spinner, 0));
  CHECK(pthread_create(&t, 0, leave, 0));
  pause();
}
static void *last(void *arg) {
  usleep(2000);
  printf("last\n");
  return 0;
}
static void main_first(void) {
  pthread_t t;
  CHECK(pthread_create(&t, 0, last, 0));
  pthread_exit(0);
}
static void *exec_it(void *arg) {
  execl("/bin/sh", "sh", "-c", "test $$ = $1 && echo same pid; ls /proc/$$/task | wc -l", "sh", arg, (char *)0);
  return 0;
}
static void exec_in_thread(void) {
  pthread_t t;
  static char pid[16];
  sprintf(pid, "%d", getpid());
  CHECK(pthread_create(&t, 0, sleeper, 0));
  CHECK(pthread_create(&t, 0, spinner, 0));
  CHECK(pthread_create(&t, 0, exec_it, pid));
  pthread_join(t, 0);
}
static void *fork_it(void *arg) {
  int status;
  pid_t pid = fork();
  if (pid == 0) _exit(mine == 9 ? 5 : 6);
  waitpid(pid, &status, 0);
  return (void *)(long)WEXITSTATUS(status);
}
static void fork_in_thread(void) {
  pthread_t t;
  void *r;
  mine = 9;
  CHECK(pthread_create(&t, 0, fork_it, 0));
  CHECK(pthread_join(t, &r));
  printf("status %ld\n", (long)r);
}
static pthread_mutex_t second = PTHREAD_MUTEX_INITIALIZER;
static void *other_way(void *arg) {
  pthread_mutex_lock(&second);
  usleep(1000);
  pthread_mutex_lock(&lock);
  return 0;
}
static void deadlock(void) {
  pthread_t t;
  pthread_mutex_lock(&lock);
  CHECK(pthread_create(&t, 0, other_way, 0));
  usleep(1000);
  pthread_mutex_lock(&second);
}
static void handoff(int n) {
  // Ping-pong over one condition variable: prints nanoseconds for each way.
  struct timespec a, b;
  int turnOf = 0;
  clock_gettime(CLOCK_MONOTONIC, &a);
  extern void *pong(void *);
  pthread_t t;
  int args[2] = {0, n};
  CHECK(pthread_create(&t, 0, pong, args));
  for (int i = 0; i < n; i++) {
    pthread_mutex_lock(&lock);
    while (args[0] != 0) pthread_cond_wait(&cond, &lock);
    args[0] = 1;
    pthread_cond_signal(&cond);
    pthread_mutex_unlock(&lock);
  }
  CHECK(pthread_join(t, 0));
  clock_gettime(CLOCK_MONOTONIC, &b);
  fprintf(stderr, "%.0f ns each way\n", ((b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec)) / (2.0 * n));
  printf("done\n");
}
void *pong(void *p) {
  int *args = p;
  for (int i = 0; i < args[1]; i++) {
    pthread_mutex_lock(&lock);
    while (args[0] != 1) pthread_cond_wait(&cond, &lock);
    args[0] = 0;
    pthread_cond_signal(&cond);
    pthread_mutex_unlock(&lock);
  }
  return 0;
}

int main(int argc, char **argv) {
  const char *n = argc > 1 ? argv[1] : "";
  int count = argc > 2 ? atoi(argv[2]) : 2000;
  setvbuf(stdout, 0, _IOLBF, 0);
#define RUN(name, call) if (!strcmp(n, name)) { call; return 0; }
  RUN("mutex", mutex())
  RUN("condvar", condvar())
  RUN("barrier", barrier())
  RUN("tls", tls())
  RUN("robust", robust_mutex())
  RUN("cancel", cancel())
  RUN("detach", detach())
  RUN("rwlock", rwlock())
  RUN("pi", pi_mutex())
  RUN("signals", signals())
  RUN("thousand", thousand())
  RUN("turn", turn(count))
  RUN("exit-group", exit_group())
  RUN("main-first", main_first())
  RUN("exec", exec_in_thread())
  RUN("fork", fork_in_thread())
  RUN("deadlock", deadlock())
  RUN("handoff", handoff(count))
  return 2;
}
