// POSIX message queues and signalfd: `mqueue queue|signalfd` prints what the calls answer.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static long r(const char *what, long v) {
  if (v < 0) printf("%s: %s\n", what, strerrorname_np(errno));
  else printf("%s: %ld\n", what, v);
  return v;
}
/** Only whether it failed, where the number itself may differ. */
static void ok(const char *what, long v) {
  if (v < 0) printf("%s: %s\n", what, strerrorname_np(errno));
  else printf("%s: ok\n", what);
}
static volatile int gs, gv;
static void si(int s, siginfo_t *i, void *u) {
  gs = i->si_code;
  gv = i->si_value.sival_int;
}
static void mq(void) {
  mq_unlink("/uktx-test-queue");
  struct mq_attr a = {0, 3, 16, 0}, g;
  ok("none", mq_open("/uktx-test-queue", O_RDWR));
  ok("name", mq_open("uktx-test-queue", O_RDWR));
  ok("slash", mq_open("/a/b", O_RDWR | O_CREAT, 0600, &a));
  ok("empty", mq_open("/", O_RDWR | O_CREAT, 0600, &a));
  mqd_t q = mq_open("/uktx-test-queue", O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0640, &a);
  ok("open", q);
  ok("excl", mq_open("/uktx-test-queue", O_RDWR | O_CREAT | O_EXCL, 0600, &a));
  struct mq_attr b = {0, 0, 16};
  ok("bad attr", mq_open("/tb", O_RDWR | O_CREAT, 0600, &b));
  mq_getattr(q, &g);
  printf("%ld %ld %ld %ld\n", g.mq_flags, g.mq_maxmsg, g.mq_msgsize, g.mq_curmsgs);
  struct stat st;
  fstat(q, &st);
  printf("%o %ld\n", st.st_mode, st.st_size);
  r("snd", mq_send(q, "lo", 2, 1));
  r("snd", mq_send(q, "hi", 2, 9));
  r("snd", mq_send(q, "lo2", 3, 1));
  r("full", mq_send(q, "x", 1, 0));
  r("msgsize", mq_send(q, "12345678901234567", 17, 0));
  r("prio", mq_send(q, "x", 1, 32768));
  struct pollfd p = {q, POLLIN | POLLOUT, 0};
  poll(&p, 1, 0);
  printf("poll %x\n", p.revents);
  char buf[100];
  int n = read(q, buf, 99);
  buf[n > 0 ? n : 0] = 0;
  printf("status %s", buf);
  unsigned pr;
  r("small", mq_receive(q, buf, 10, &pr));
  for (int i = 0; i < 4; i++) {
    n = mq_receive(q, buf, 100, &pr);
    if (n < 0) r("rcv", n);
    else printf("rcv %d %.*s prio %u\n", n, n, buf, pr);
  }
  struct sigaction sa = {0};
  sa.sa_sigaction = si;
  sa.sa_flags = SA_SIGINFO;
  sigaction(SIGUSR1, &sa, 0);
  struct sigevent ev = {0};
  ev.sigev_notify = SIGEV_SIGNAL;
  ev.sigev_signo = SIGUSR1;
  ev.sigev_value.sival_int = 77;
  r("notify", mq_notify(q, &ev));
  r("busy", mq_notify(q, &ev));
  mq_send(q, "n", 1, 0);
  printf("signal %d %d\n", gs, gv);
  r("again", mq_notify(q, &ev));
  gs = 0;
  mq_send(q, "n", 1, 0);
  printf("none %d\n", gs);
  r("unreg", mq_notify(q, 0));
  mq_receive(q, buf, 100, 0);
  mq_receive(q, buf, 100, 0);
  g.mq_flags = 0;
  r("setattr", mq_setattr(q, &g, &b));
  printf("was %ld\n", b.mq_flags);
  struct timespec ts;
  clock_gettime(CLOCK_REALTIME, &ts);
  ts.tv_nsec += 20000000;
  if (ts.tv_nsec >= 1000000000) {
    ts.tv_sec++;
    ts.tv_nsec -= 1000000000;
  }
  r("timed", mq_timedreceive(q, buf, 100, 0, &ts));
  ts.tv_nsec = -1;
  r("bad ts", mq_timedreceive(q, buf, 100, 0, &ts));
  pid_t c = fork();
  if (!c) {
    usleep(20000);
    mq_send(q, "from child", 10, 4);
    _exit(0);
  }
  n = mq_receive(q, buf, 100, &pr);
  printf("got %.*s %u\n", n, buf, pr);
  waitpid(c, 0, 0);
  mqd_t ro = mq_open("/uktx-test-queue", O_RDONLY);
  r("ro send", mq_send(ro, "x", 1, 0));
  mqd_t wo = mq_open("/uktx-test-queue", O_WRONLY);
  r("wo rcv", mq_receive(wo, buf, 100, 0));
  r("not mq", mq_send(1, "x", 1, 0));
  r("unlink", mq_unlink("/uktx-test-queue"));
  r("unlink", mq_unlink("/uktx-test-queue"));
  r("still", mq_send(q, "x", 1, 0));
  r("close", mq_close(q));
  r("getattr closed", mq_getattr(q, &g));
}
static void sfd(void) {
  sigset_t m;
  sigemptyset(&m);
  sigaddset(&m, SIGUSR1);
  sigaddset(&m, SIGRTMIN + 1);
  sigaddset(&m, SIGCHLD);
  sigaddset(&m, SIGKILL);
  sigprocmask(SIG_BLOCK, &m, 0);
  int f = signalfd(-1, &m, SFD_NONBLOCK);
  ok("sfd", f);
  struct signalfd_siginfo s[4];
  r("empty", read(f, s, sizeof s));
  r("small", read(f, s, 100));
  ok("flags", signalfd(-1, &m, 1));
  ok("bad fd", signalfd(99, &m, 0));
  ok("not sfd", signalfd(0, &m, 0));
  r("size", syscall(SYS_signalfd4, -1, &m, 4, 0));
  kill(getpid(), SIGUSR1);
  union sigval v;
  v.sival_int = -5;
  sigqueue(getpid(), SIGRTMIN + 1, v);
  v.sival_int = 6;
  sigqueue(getpid(), SIGRTMIN + 1, v);
  int ep = epoll_create1(0);
  struct epoll_event e = {EPOLLIN, {.u32 = 9}};
  epoll_ctl(ep, EPOLL_CTL_ADD, f, &e);
  struct epoll_event o;
  r("epoll", epoll_wait(ep, &o, 1, 0));
  struct pollfd p = {f, POLLIN | POLLOUT, 0};
  poll(&p, 1, 0);
  printf("poll %x\n", p.revents);
  r("read", read(f, s, sizeof s));
  for (int i = 0; i < 3; i++)
    printf("%d code %d pid %d int %d ptr %llx\n", s[i].ssi_signo, s[i].ssi_code, s[i].ssi_pid == getpid(),
           s[i].ssi_int, (unsigned long long)s[i].ssi_ptr);
  r("epoll", epoll_wait(ep, &o, 1, 0));
  pid_t c = fork();
  if (!c) _exit(9);
  r("epoll wait", epoll_wait(ep, &o, 1, 2000));
  read(f, s, sizeof s);
  printf("%d code %d status %d pid %d\n", s[0].ssi_signo, s[0].ssi_code, s[0].ssi_status, s[0].ssi_pid == c);
  waitpid(c, 0, 0);
  c = fork();
  if (!c) {
    usleep(20000);
    kill(getppid(), SIGUSR1);
    _exit(0);
  }
  signal(SIGCHLD, SIG_DFL);
  int fl = fcntl(f, F_GETFL);
  fcntl(f, F_SETFL, fl & ~O_NONBLOCK);
  sigemptyset(&m);
  sigaddset(&m, SIGUSR1);
  printf("same %d\n", signalfd(f, &m, 0) == f);
  r("blocking", read(f, s, sizeof s));
  printf("%d %d\n", s[0].ssi_signo, s[0].ssi_pid == c);
  waitpid(c, 0, 0);
}
int main(int c, char **v) {
  setvbuf(stdout, 0, _IONBF, 0);
  if (c > 1 && v[1][0] == 'q') mq();
  else sfd();
  return 0;
}
