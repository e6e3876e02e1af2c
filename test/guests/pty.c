// Pseudoterminals: prints what the two sides see, with and without a session.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
static void r(const char *w, long v) {
  if (v < 0) printf("%s: %s\n", w, strerrorname_np(errno));
  else printf("%s: %ld\n", w, v);
  fflush(stdout);
}
static void show(const char *w, int fd) {
  char b[70000];
  int n = read(fd, b, sizeof b);
  printf("%s: ", w);
  if (n < 0) {
    printf("%s\n", strerrorname_np(errno));
    return;
  }
  printf("%d ", n);
  for (int i = 0; i < n && i < 100; i++) {
    unsigned char c = b[i];
    if (c < 32 || c > 126) printf("\\%o", c);
    else putchar(c);
  }
  printf("\n");
  fflush(stdout);
}
static void pl(const char *w, int fd) {
  struct pollfd p = {fd, POLLIN | POLLOUT | POLLPRI, 0};
  poll(&p, 1, 0);
  printf("%s: poll %x\n", w, p.revents);
  fflush(stdout);
}
static volatile int got[65];
static void h(int s) { got[s]++; }
static void W(int fd, const char *s) {
  int n = write(fd, s, strlen(s));
  if (n != (int)strlen(s)) r("write", n);
  // The line discipline works in the background: on a busy host it takes its time.
  usleep(40000);
}
int main() {
  setbuf(stdout, 0);
  int m = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
  r("ptmx", m >= 0 ? 0 : -1);
  struct stat st;
  fstat(m, &st);
  printf("ptmx rdev %x:%x mode %o\n", major(st.st_rdev), minor(st.st_rdev), st.st_mode);
  unsigned n;
  r("TIOCGPTN", ioctl(m, TIOCGPTN, &n));
  char name[64];
  sprintf(name, "/dev/pts/%u", n);
  r("open locked", open(name, O_RDWR | O_NOCTTY));
  int l;
  r("GPTLCK", ioctl(m, TIOCGPTLCK, &l));
  printf("lock %d\n", l);
  pl("m before", m);
  show("read m", m);
  r("grantpt", grantpt(m));
  r("unlockpt", unlockpt(m));
  printf("ptsname %d\n", strcmp(ptsname(m), name));
  int s = open(name, O_RDWR | O_NOCTTY);
  r("slave", s >= 0 ? 0 : -1);
  fstat(s, &st);
  printf("slave major %u minor ok %d own %d\n", major(st.st_rdev), minor(st.st_rdev) == n,
         st.st_uid == getuid());
  struct statfs sf;
  r("statfs", statfs("/dev/pts", &sf));
  printf("type %lx\n", (long)sf.f_type);
  printf("ttyname %s isatty %d\n", ttyname(s) ? strcmp(ttyname(s), name) ? "other" : "same" : "null",
         isatty(s));
  printf("isatty m %d\n", isatty(m));
  struct termios t;
  tcgetattr(s, &t);
  printf("%x %x %x %x |", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag);
  for (int i = 0; i < 17; i++) printf(" %d", t.c_cc[i]);
  printf(" %d %d\n", cfgetospeed(&t), cfgetispeed(&t));
  struct winsize w;
  r("winsz", ioctl(s, TIOCGWINSZ, &w));
  printf("%d %d\n", w.ws_row, w.ws_col);
  fcntl(s, F_SETFL, O_NONBLOCK | O_RDWR);
  pl("m", m);
  pl("s", s);
  W(m, "hello\n");
  pl("s", s);
  show("echo", m);
  show("line", s);
  W(s, "out\tx\n");
  show("opost", m);
  W(m, "ab\177c\025new\027er\r");
  show("echo", m);
  show("line", s);
  W(m, "\004");
  show("eof", s);
  show("m", m);
  W(m, "part\004");
  show("part", s);
  show("m", m);
  W(m, "x\026\003y\n");
  show("lit", s);
  show("m", m);
  int q;
  W(m, "one\ntwo\n");
  ioctl(s, FIONREAD, &q);
  printf("FIONREAD s %d\n", q);
  ioctl(m, FIONREAD, &q);
  printf("m %d\n", q);
  show("l1", s);
  show("l2", s);
  show("m", m);
  r("oq", ioctl(s, TIOCOUTQ, &q));
  printf("%d\n", q);
  r("TIOCGPGRP s", ioctl(s, TIOCGPGRP, &q));
  r("TIOCGPGRP m", ioctl(m, TIOCGPGRP, &q));
  printf("%d\n", q);
  r("TIOCGSID s", ioctl(s, TIOCGSID, &q));
  r("TIOCGSID m", ioctl(m, TIOCGSID, &q));
  // raw
  tcgetattr(s, &t);
  struct termios old = t;
  cfmakeraw(&t);
  r("raw", tcsetattr(s, TCSANOW, &t));
  W(m, "\003\rx");
  show("raw", s);
  W(s, "a\nb");
  show("rawout", m);
  tcgetattr(m, &t);
  printf("m lflag %x\n", t.c_lflag);
  tcsetattr(s, TCSANOW, &old);
  // packet mode
  int on = 1;
  r("pkt", ioctl(m, TIOCPKT, &on));
  W(s, "data");
  show("pkt data", m);
  W(m, "\023");
  pl("m stop", m);
  show("pkt stop", m);
  pl("s stopped", s);
  r("wr stopped", write(s, "x", 1));
  W(m, "\021");
  show("pkt start", m);
  t = old;
  t.c_iflag &= ~IXON;
  tcsetattr(s, TCSANOW, &t);
  show("pkt nostop", m);
  tcsetattr(s, TCSANOW, &old);
  show("pkt dostop", m);
  tcflush(s, TCIFLUSH);
  show("flush", m);
  tcflush(s, TCOFLUSH);
  show("flusho", m);
  show("none", m);
  on = 0;
  ioctl(m, TIOCPKT, &on);
  r("tcflow off", tcflow(s, TCOOFF));
  r("w", write(s, "q", 1));
  r("on", tcflow(s, TCOON));
  r("ioff", tcflow(s, TCIOFF));
  show("xoff", m);
  r("ion", tcflow(s, TCION));
  show("xon", m);
  // fill
  {
    char buf[4096];
    memset(buf, 'z', sizeof buf);
    long tot = 0;
    int k;
    struct pollfd more = {s, POLLOUT, 0};
    // Linux moves what was written on in the background, which makes room once more.
    do
      while ((k = write(s, buf, sizeof buf)) > 0) tot += k;
    while (poll(&more, 1, 20) > 0);
    printf("fill %s big %d\n", strerrorname_np(errno), tot > 4096);
    pl("full s", s);
    char rb[100000];
    while (read(m, rb, sizeof rb) > 0);
    pl("drained s", s);
  }
  // child with session
  signal(SIGCHLD, SIG_DFL);
  int pfd[2];
  pipe(pfd);
  pid_t c = fork();
  if (c == 0) {
    fcntl(s, F_SETFL, O_RDWR);
    close(m);
    for (int i = 1; i < 32; i++)
      if (i != SIGKILL && i != SIGSTOP && i != SIGCHLD && i != SIGSEGV) {
        struct sigaction sa = {0};
        sa.sa_handler = h;
        sigaction(i, &sa, 0);
      }
    r("c TIOCSCTTY no leader", ioctl(s, TIOCSCTTY, 0));
    r("c setsid", setsid() == getpid());
    r("c /dev/tty", open("/dev/tty", O_RDWR));
    r("c SCTTY", ioctl(s, TIOCSCTTY, 0));
    r("c SCTTY again", ioctl(s, TIOCSCTTY, 0));
    int tty = open("/dev/tty", O_RDWR);
    r("c tty", tty >= 0 ? 0 : -1);
    fstat(tty, &st);
    printf("c tty rdev %d:%d\n", major(st.st_rdev), minor(st.st_rdev));
    printf("c ttyname(tty) %s\n", ttyname(tty));
    char cb[100];
    printf("ctermid %s\n", ctermid(cb));
    printf("c pgrp ok %d sid ok %d\n", tcgetpgrp(s) == getpid(), tcgetsid(s) == getpid());
    write(pfd[1], "1", 1);
    while (!got[SIGINT]) pause();
    printf("c got INT\n");
    write(pfd[1], "2", 1);
    while (!got[SIGWINCH]) pause();
    ioctl(tty, TIOCGWINSZ, &w);
    printf("c WINCH %d %d\n", w.ws_row, w.ws_col);
    // background child
    pid_t g = fork();
    if (!g) {
      setpgid(0, 0);
      for (int i = 1; i < 32; i++) signal(i, SIG_DFL);
      char x[3];
      int k = read(s, x, 3);
      printf("bg read %d\n", k);
      _exit(3);
    }
    int stt;
    setpgid(g, g);
    r("wait stop", waitpid(g, &stt, WUNTRACED) == g);
    printf("stopped %d sig %d\n", WIFSTOPPED(stt), WSTOPSIG(stt));
    r("tcsetpgrp", tcsetpgrp(s, g));
    printf("fg %d\n", tcgetpgrp(s) == g);
    kill(g, SIGCONT);
    write(pfd[1], "3", 1);
    r("wait exit", waitpid(g, &stt, 0) == g);
    printf("exit %d\n", WEXITSTATUS(stt));
    signal(SIGTTOU, SIG_IGN);
    r("back", tcsetpgrp(s, getpid()));
    // tostop
    write(pfd[1], "4", 1);
    while (!got[SIGHUP]) pause();
    printf("c HUP %d CONT %d\n", got[SIGHUP], got[SIGCONT]);
    char x[10];
    r("read hung", read(s, x, 10));
    r("write hung", write(s, "x", 1));
    r("ioctl hung", ioctl(s, TIOCGWINSZ, &w));
    r("tcsetpgrp hung", tcsetpgrp(s, getpid()));
    pl("hung", s);
    r("/dev/tty hung", open("/dev/tty", O_RDWR));
    r("tty old", read(tty, x, 1));
    _exit(5);
  }
  close(s);
  char x[2];
  read(pfd[0], x, 1);
  fcntl(m, F_SETFL, O_RDWR);
  W(m, "\003");
  read(pfd[0], x, 1);
  show("^C echo", m);
  w.ws_row = 33;
  w.ws_col = 99;
  int resized = ioctl(m, TIOCSWINSZ, &w);
  read(pfd[0], x, 1);
  r("SWINSZ", resized);
  W(m, "hi\n");
  read(pfd[0], x, 1);
  show("echo hi", m);
  r("gpgrp m", ioctl(m, TIOCGPGRP, &q));
  printf("is child %d\n", q == c);
  close(m);
  int stt;
  waitpid(c, &stt, 0);
  printf("child %x\n", stt);
  r("gone", open(name, O_RDWR | O_NOCTTY));
  // slave close -> EIO
  m = posix_openpt(O_RDWR | O_NOCTTY);
  grantpt(m);
  unlockpt(m);
  s = ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY);
  r("peer", s >= 0 ? 0 : -1);
  char lk[100], p2[40];
  sprintf(p2, "/proc/self/fd/%d", s);
  int k = readlink(p2, lk, 99);
  lk[k > 0 ? k : 0] = 0;
  printf("peer is pts %d\n", !strncmp(lk, "/dev/pts/", 9));
  W(s, "bye");
  close(s);
  pl("closed", m);
  show("rest", m);
  show("eio", m);
  s = open(ptsname(m), O_RDWR | O_NOCTTY);
  pl("reopened", m);
  fcntl(m, F_SETFL, O_RDWR | O_NONBLOCK);
  show("again", m);
  // leader exit
  c = fork();
  if (!c) {
    setsid();
    int z = open(ptsname(m), O_RDWR);
    printf("auto ctty %d\n", tcgetsid(z) == getpid());
    pid_t g = fork();
    if (!g) {
      setpgid(0, 0);
      struct sigaction sa = {0};
      sa.sa_handler = h;
      sigaction(SIGHUP, &sa, 0);
      signal(SIGTTOU, SIG_IGN);
      tcsetpgrp(z, getpid());
      write(pfd[1], "5", 1);
      while (!got[SIGHUP]) pause();
      printf("gc HUP, tty %s\n", open("/dev/tty", O_RDWR) < 0 ? strerrorname_np(errno) : "open");
      write(pfd[1], "6", 1);
      _exit(0);
    }
    read(pfd[0], x, 1);
    _exit(0);
  }
  waitpid(c, &stt, 0);
  read(pfd[0], x, 1);
  printf("done %c\n", x[0]);
  r("TIOCGPTN on slave", ioctl(s, TIOCGPTN, &n));
  r("TIOCPKT slave", ioctl(s, TIOCPKT, &on));
  r("excl", ioctl(s, TIOCEXCL, 0));
  r("sig", ioctl(m, TIOCSIG, (void *)100));
  return 0;
}
