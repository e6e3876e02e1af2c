// inotify: prints the events that each change of a file makes. Works in the folder given.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
static int fd;
static const struct {
  unsigned v;
  const char *n;
} N[] = {{1, "ACCESS"},           {2, "MODIFY"},          {4, "ATTRIB"},          {8, "CLOSE_WRITE"},
         {0x10, "CLOSE_NOWRITE"}, {0x20, "OPEN"},         {0x40, "MOVED_FROM"},   {0x80, "MOVED_TO"},
         {0x100, "CREATE"},       {0x200, "DELETE"},      {0x400, "DELETE_SELF"}, {0x800, "MOVE_SELF"},
         {0x2000, "UNMOUNT"},     {0x4000, "Q_OVERFLOW"}, {0x8000, "IGNORED"},    {0x40000000, "ISDIR"}};
static void drain(const char *what) {
  char b[65536] __attribute__((aligned(8)));
  printf("%s:", what);
  struct pollfd p = {fd, POLLIN, 0};
  while (poll(&p, 1, 0) > 0) {
    int n = read(fd, b, sizeof b);
    unsigned c0 = 0;
    for (char *q = b; q < b + n;) {
      struct inotify_event *e = (void *)q;
      printf(" [%d", e->wd);
      for (unsigned i = 0; i < sizeof N / sizeof *N; i++)
        if (e->mask & N[i].v) printf(" %s", N[i].n);
      if (e->cookie) {
        if (!c0) c0 = e->cookie;
        printf(" c%u", e->cookie - c0);
      }
      if (e->len) printf(" '%s'/%u", e->name[0] == '#' ? "#" : e->name, e->len);
      printf("]");
      q += sizeof *e + e->len;
    }
  }
  printf("\n");
  fflush(stdout);
}
static void st(const char *w, long r) {
  if (r < 0) printf("%s -> %s\n", w, strerrorname_np(errno));
  else printf("%s -> ok\n", w);
  fflush(stdout);
}
static void touch(const char *p, const char *t) {
  int f = open(p, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (t) write(f, t, strlen(t));
  close(f);
}
int main(int c, char **v) {
  if (c > 1 && chdir(v[1])) {
    perror("chdir");
    return 1;
  }
  mkdir("d", 0755);
  mkdir("d/sub", 0755);
  touch("d/old", "x");
  fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  printf("wd %d\n", inotify_add_watch(fd, "d", IN_ALL_EVENTS));
  printf("wd %d\n", inotify_add_watch(fd, "d/old", IN_ALL_EVENTS));
  printf("wd %d\n", inotify_add_watch(fd, "d/sub", IN_ALL_EVENTS));
  drain("none");
  touch("d/new", "hello");
  drain("create");
  {
    int f = open("d/old", O_RDWR);
    char b[10];
    read(f, b, 1);
    read(f, b, 1);
    write(f, "abc", 3);
    write(f, "abc", 3);
    pread(f, b, 2, 0);
    ftruncate(f, 1);
    fchmod(f, 0600);
    close(f);
  }
  drain("rw");
  truncate("d/old", 0);
  drain("truncate");
  chmod("d/old", 0644);
  drain("chmod");
  chown("d/old", -1, -1);
  drain("chown -1");
  {
    struct timespec ts[2] = {{1, 0}, {UTIME_OMIT, UTIME_OMIT}};
    ts[1].tv_nsec = UTIME_OMIT;
    utimensat(AT_FDCWD, "d/old", ts, 0);
    drain("utime a");
    ts[0].tv_nsec = UTIME_OMIT;
    ts[1].tv_nsec = 5;
    ts[1].tv_sec = 3;
    utimensat(AT_FDCWD, "d/old", ts, 0);
    drain("utime m");
    utimensat(AT_FDCWD, "d/old", 0, 0);
    drain("utime now");
  }
  link("d/old", "d/hard");
  drain("link");
  symlink("old", "d/sym");
  drain("symlink");
  rename("d/new", "d/new2");
  drain("rename in dir");
  rename("d/old", "d/sub/old");
  drain("rename across");
  rename("d/sub/old", "old");
  drain("rename out");
  rename("old", "d/old");
  drain("rename back");
  unlink("d/hard");
  drain("unlink hard");
  rename("d/new2", "d/old");
  drain("rename over watched");
  inotify_add_watch(fd, "d/old", IN_ALL_EVENTS);
  drain("rewatch");
  {
    int f = open("d/old", O_RDONLY);
    unlink("d/old");
    drain("unlink open");
    close(f);
    drain("close");
  }
  mkdir("d/m", 0755);
  drain("mkdir");
  rmdir("d/m");
  drain("rmdir");
  rmdir("d/sub");
  drain("rmdir watched");
  mkfifo("d/fifo", 0644);
  drain("mkfifo");
  {
    int f = open("d", O_RDONLY | O_DIRECTORY);
    char b[4096];
    extern long syscall(long, ...);
    syscall(217, f, b, sizeof b);
    drain("readdir");
    close(f);
    drain("closedir");
  }
  {
    int f = open("d", O_TMPFILE | O_RDWR, 0600);
    drain("tmpfile");
    if (f >= 0) {
      char p[40];
      sprintf(p, "/proc/self/fd/%d", f);
      linkat(AT_FDCWD, p, AT_FDCWD, "d/tmpf", AT_SYMLINK_FOLLOW);
      drain("linkat");
      close(f);
      drain("close tmp");
    }
  }
  {
    int f = open("d/x", O_PATH);
    f = open("d/fa", O_RDWR | O_CREAT, 0644);
    drain("creat");
    posix_fallocate(f, 0, 100);
    drain("fallocate");
    lseek(f, 0, 0);
    char b[200];
    struct {
      void *p;
      size_t n;
    } iv = {b, 50};
    extern long syscall(long, ...);
    syscall(19, f, &iv, 1);
    drain("readv");
    fsetxattr(f, "user.x", "1", 1, 0);
    drain("setxattr");
    fremovexattr(f, "user.x");
    drain("removexattr");
    int g = open("d/fb", O_RDWR | O_CREAT, 0644);
    drain("creat2");
    loff_t z = 0;
    lseek(f, 0, 0);
    syscall(326, f, 0, g, 0, 10, 0);
    drain("copy_file_range");
    lseek(f, 0, 0);
    syscall(40, g, f, 0, 10);
    drain("sendfile");
    int h = dup(g);
    close(g);
    drain("dup close");
    close(h);
    drain("last close");
    close(f);
    drain("close f");
  }
  {
    int f = open("d/tr", O_RDWR | O_CREAT, 0644);
    write(f, "x", 1);
    close(f);
    drain("tr");
    f = open("d/tr", O_RDWR | O_TRUNC);
    drain("O_TRUNC");
    close(f);
    f = open("d/tr", O_RDONLY);
    drain("ro");
    close(f);
    drain("ro close");
    f = open("d/tr", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    drain("wtrunc");
    close(f);
    drain("c");
  }
  st("rm_watch 1", inotify_rm_watch(fd, 1));
  drain("rm");
  st("rm_watch 1", inotify_rm_watch(fd, 1));
  st("rm_watch bad fd", inotify_rm_watch(0, 1));
  st("add mask 0", inotify_add_watch(fd, "d", 0));
  st("add none", inotify_add_watch(fd, "nope", IN_CREATE));
  st("add onlydir", inotify_add_watch(fd, "d/fa", IN_CREATE | IN_ONLYDIR));
  st("mask both", inotify_add_watch(fd, "d", IN_CREATE | IN_MASK_ADD | IN_MASK_CREATE));
  printf("wd %d\n", inotify_add_watch(fd, "d", IN_CREATE));
  st("mask create", inotify_add_watch(fd, "d", IN_DELETE | IN_MASK_CREATE));
  touch("d/q", 0);
  drain("only create");
  printf("wd %d\n", inotify_add_watch(fd, "d", IN_DELETE | IN_MASK_ADD));
  unlink("d/q");
  drain("mask add");
  printf("wd %d\n", inotify_add_watch(fd, "d", IN_CREATE | IN_ONESHOT));
  touch("d/q", 0);
  touch("d/q2", 0);
  drain("oneshot");
  printf("wd %d\n", inotify_add_watch(fd, "d", IN_ALL_EVENTS | IN_EXCL_UNLINK));
  {
    int f = open("d/q", O_RDWR);
    drain("o");
    unlink("d/q");
    drain("u");
    write(f, "x", 1);
    close(f);
    drain("excl");
  }
  st("init flags", inotify_init1(1));
  {
    int nq;
    touch("d/averylongname123456", 0);
    ioctl(fd, FIONREAD, &nq);
    printf("FIONREAD %d\n", nq);
    char b[20];
    st("small read", read(fd, b, 20));
    drain("d");
  }
  printf("read empty: ");
  {
    char b[100];
    st("r", read(fd, b, 100));
  }
  st("write", write(fd, "x", 1));
  printf("wd %d\n", inotify_add_watch(fd, "d", IN_MODIFY));
  {
    int f = open("d/of", O_RDWR | O_CREAT, 0644);
    int g = open("d/og", O_RDWR | O_CREAT, 0644);
    for (int i = 0; i < 20000; i++) {
      write(f, "x", 1);
      write(g, "x", 1);
    }
    int n = 0, last = 0;
    unsigned lm = 0;
    char b[65536];
    int r;
    while ((r = read(fd, b, sizeof b)) > 0)
      for (char *q = b; q < b + r;) {
        struct inotify_event *e = (void *)q;
        n++;
        last = e->wd;
        lm = e->mask;
        q += sizeof *e + e->len;
      }
    printf("overflow: %d last %d %x\n", n, last, lm);
  }
  int i;
  for (i = 0; i < 200; i++)
    if (inotify_init() < 0) {
      printf("instances limited %s\n", strerrorname_np(errno));
      break;
    }
  return 0;
}
