/*
 * Threads and processes that hand over to each other. SIZE: how often. --kind 0: a byte through a pipe to another process and
 * one back, 1: a turn that two threads take in turns, under a mutex with a condition, 2: fork, exec of this program, wait,
 * 3: fork and wait. --pauses 1: with kinds 2 and 3, how many rounds took more than 50 ms, and the longest, go to stderr.
 */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#include "harness.h"

static int to_child[2], to_parent[2];

static uint64_t ping_pong(long size) {
  uint64_t done = 0;
  char byte = 0;
  if (pipe(to_child) || pipe(to_parent)) return 0;
  pid_t child = fork();
  if (child == 0) {
    close(to_child[1]);
    while (read(to_child[0], &byte, 1) == 1) {
      byte++;
      if (write(to_parent[1], &byte, 1) != 1) break;
    }
    _exit(0);
  }
  close(to_child[0]);
  for (long k = 0; k < size; k++) {
    char sent = (char)k;
    done += write(to_child[1], &sent, 1) == 1 && read(to_parent[0], &byte, 1) == 1 && byte == (char)(sent + 1);
  }
  close(to_child[1]);
  close(to_parent[0]);
  close(to_parent[1]);
  waitpid(child, NULL, 0);
  return done;
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long turn;

static void *take_turns(void *argument) {
  long *job = argument;
  for (long k = 0; k < job[1]; k++) {
    pthread_mutex_lock(&mutex);
    while ((turn & 1) != job[0]) pthread_cond_wait(&changed, &mutex);
    turn++;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&mutex);
  }
  return NULL;
}

static uint64_t hand_off(long size) {
  long even[2] = {0, size / 2}, odd[2] = {1, size / 2};
  pthread_t other;
  turn = 0;
  if (pthread_create(&other, NULL, take_turns, odd)) return 0;
  take_turns(even);
  pthread_join(other, NULL);
  return turn;
}

/* What counts as a pause. */
#define PAUSE_NS 50000000

static uint64_t processes(long size, int execs) {
  uint64_t done = 0;
  int64_t longest = 0, start = bench_now();
  long where = 0, slow = 0;
  for (long k = 0; k < size; k++) {
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
      if (execs) execl("/proc/self/exe", "tasks", "--end", (char *)NULL);
      _exit(execs ? 1 : 7);
    }
    done += waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7;
    int64_t now = bench_now();
    slow += now - start > PAUSE_NS;
    if (now - start > longest) {
      longest = now - start;
      where = k;
    }
    start = now;
  }
  if (bench_option("--pauses", 0)) 
    fprintf(stderr, "pauses %ld longest %lld us in round %ld\n", slow, (long long)(longest / 1000), where);
  return done;
}

static uint64_t kernel(long size) {
  switch (bench_option("--kind", 0)) {
    case 0: return ping_pong(size);
    case 1: return hand_off(size);
    case 2: return processes(size, 1);
    default: return processes(size, 0);
  }
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "--end") == 0) return 7;
  return bench_main(argc, argv, 1000, kernel);
}
