/* Epoll edges, messages with descriptors and credentials, options, timeouts, blocking transfers. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/sendfile.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>

#define R(x) \
  do { \
    errno = 0; \
    long r_ = (x); \
    printf("%d: %s = %ld %s\n", __LINE__, #x, r_, r_ < 0 && errno ? strerrorname_np(errno) : ""); \
    fflush(stdout); \
  } while (0)

static char buf[1 << 20];

static void connected(int type, int pair[2], int flags)
{
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t n = sizeof a;
  int l = socket(AF_INET, type, 0);
  bind(l, (void *)&a, n);
  listen(l, 5);
  getsockname(l, (void *)&a, &n);
  pair[0] = socket(AF_INET, type, 0);
  connect(pair[0], (void *)&a, n);
  pair[1] = accept(l, 0, 0);
  close(l);
  if (flags) {
    fcntl(pair[0], F_SETFL, flags);
    fcntl(pair[1], F_SETFL, flags);
  }
}

static long events(int ep)
{
  struct epoll_event e[4];
  int n = epoll_wait(ep, e, 4, 0);
  return n <= 0 ? n : (long)e[0].events | n << 20;
}
static void watch(int ep, int fd, unsigned what)
{
  struct epoll_event e = {.events = what, .data.fd = fd};
  R(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
}

static void edges(void)
{
  puts("== edges");
  int p[2], ep = epoll_create1(0);
  connected(SOCK_STREAM, p, O_NONBLOCK);
  watch(ep, p[1], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
  R(events(ep));
  R(events(ep));
  R(write(p[0], "a", 1));
  R(events(ep));
  R(events(ep));
  R(write(p[0], "b", 1));
  R(events(ep));
  R(events(ep));
  R(read(p[1], buf, 1));
  R(events(ep));
  R(read(p[1], buf, 10));
  R(events(ep));
  long total = 0, n;
  while ((n = write(p[1], buf, sizeof buf)) > 0) total += n;
  R(total > 100000);
  R(events(ep));
  long got = 0;
  R(read(p[0], buf, 1));
  R(events(ep));
  while (got < total - 1 && (n = read(p[0], buf, sizeof buf)) > 0) got += n;
  R(got == total - 1);
  R(events(ep));
  R(events(ep));
  R(shutdown(p[0], SHUT_WR));
  R(events(ep));
  R(events(ep));
  R(read(p[1], buf, 1));
  R(close(p[0]));
  R(events(ep));
  R(write(p[1], "x", 1));
  R(events(ep));
  R(write(p[1], "x", 1));
  R(events(ep));
  close(p[1]); R(events(ep));

  int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), c[3];
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t al = sizeof a;
  watch(ep, l, EPOLLIN | EPOLLET); R(events(ep));
  bind(l, (void *)&a, al);
  R(listen(l, 5));
  R(events(ep));
  getsockname(l, (void *)&a, &al);
  for (int i = 0; i < 3; i++) {
    c[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    R(connect(c[i], (void *)&a, al));
    R(events(ep));
  }
  R(accept(l, 0, 0) >= 0);
  R(events(ep));
  struct epoll_event e = {.events = EPOLLIN | EPOLLONESHOT, .data.fd = l};
  R(epoll_ctl(ep, EPOLL_CTL_MOD, l, &e));
  R(events(ep));
  R(events(ep));
  R(epoll_ctl(ep, EPOLL_CTL_MOD, l, &e));
  R(events(ep));
  close(l);
  int d = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  watch(ep, d, EPOLLIN | EPOLLOUT | EPOLLET);
  R(events(ep));
  R(events(ep));
  R(connect(d, (void *)&a, al));
  R(events(ep));
  R(events(ep));
  close(d); close(ep);

  ep = epoll_create1(0);
  for (int t = 0; t < 2; t++) {
    socketpair(AF_UNIX, t ? SOCK_DGRAM : SOCK_STREAM, 0, p);
    watch(ep, p[1], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET); R(events(ep));
    R(write(p[0], "a", 1));
    R(events(ep));
    R(write(p[0], "b", 1));
    R(events(ep));
    R(read(p[1], buf, 1));
    R(events(ep));
    R(shutdown(p[0], SHUT_WR));
    R(events(ep));
    R(close(p[0]));
    R(events(ep));
    R(events(ep));
    close(p[1]);
  }
  close(ep);
}

static long sendfds(int s, int *fds, int n, struct ucred *cred, const char *text)
{
  char control[2048];
  struct iovec v = {(void *)text, strlen(text)};
  struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *c = CMSG_FIRSTHDR(&m);
  size_t used = 0;
  if (n) {
    *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(4 * n), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(c), fds, 4 * n);
    used = CMSG_SPACE(4 * n);
    c = (void *)((char *)c + used);
  }
  if (cred) {
    *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(12), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_CREDENTIALS};
    memcpy(CMSG_DATA(c), cred, 12);
    used += CMSG_SPACE(12);
  }
  m.msg_controllen = used;
  return sendmsg(s, &m, 0);
}
static void receive(int s, size_t length, size_t room, int flags)
{
  char control[2048];
  struct sockaddr_storage name;
  struct iovec v[2] = {{buf, length / 2}, {buf + length / 2, length - length / 2}};
  struct msghdr m = {.msg_name = &name, .msg_namelen = sizeof name, .msg_iov = v, .msg_iovlen = 2, .msg_control = control, .msg_controllen = room};
  memset(buf, 0, length + 1);
  long r;
  R(r = recvmsg(s, &m, flags | MSG_DONTWAIT));
  if (r < 0) return;
  printf("  '%s' flags %x name %d control %d\n", buf, m.msg_flags, m.msg_namelen, (int)m.msg_controllen);
  for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
    printf("  level %d type %d length %d", c->cmsg_level, c->cmsg_type, (int)c->cmsg_len);
    int *d = (int *)CMSG_DATA(c);
    if (c->cmsg_type == SCM_RIGHTS)
      for (int i = 0; i < (c->cmsg_len - sizeof *c) / 4; i++) {
        struct stat st;
        printf(" fd:%o/%d", fstat(d[i], &st) ? -1 : st.st_mode & S_IFMT, fcntl(d[i], F_GETFD));
        close(d[i]);
      }
    else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS)
      for (int i = 0; i < (c->cmsg_len - sizeof *c) / 4; i++) printf(" %d", i ? d[i] : d[0] == getpid());
    puts("");
  }
}

static void messages(void)
{
  puts("== messages");
  int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
  for (int t = 0; t < 3; t++) {
    int p[2], pipes[2];
    printf("type %d\n", types[t]);
    socketpair(AF_UNIX, types[t], 0, p);
    pipe(pipes);
    int fds[] = {pipes[0], p[0], 0};
    R(write(p[0], "before", 6));
    R(sendfds(p[0], fds, 2, 0, "with"));
    R(write(p[0], "after", 5));
    receive(p[1], 100, 500, 0);
    receive(p[1], 100, 500, MSG_CMSG_CLOEXEC);
    receive(p[1], 100, 500, 0);
    R(sendfds(p[0], fds, 2, 0, "peeked"));
    receive(p[1], 3, 500, MSG_PEEK);
    receive(p[1], 3, 500, 0);
    receive(p[1], 100, 500, 0);
    R(sendfds(p[0], fds, 3, 0, "cut")); receive(p[1], 100, CMSG_LEN(4), 0);
    R(sendfds(p[0], fds, 3, 0, "none")); receive(p[1], 100, 0, 0); receive(p[1], 100, 500, 0);
    R(sendfds(p[0], fds, 3, 0, "read"));
    R(read(p[1], buf, 2));
    receive(p[1], 100, 500, 0);
    fds[1] = 99; R(sendfds(p[0], fds, 2, 0, "bad")); receive(p[1], 100, 500, 0);
    int on = 1;
    struct ucred me = {getpid(), getuid(), getgid()}, other = {1, 0, 0}, nobody = {999999, 0, 0};
    R(setsockopt(p[1], SOL_SOCKET, SO_PASSCRED, &on, 4));
    R(write(p[0], "plain", 5)); receive(p[1], 100, 500, 0);
    R(sendfds(p[0], 0, 0, &me, "me")); receive(p[1], 100, 500, 0);
    fds[1] = 0; R(sendfds(p[0], fds, 1, &me, "both")); receive(p[1], 100, 500, 0);
    R(sendfds(p[0], 0, 0, &nobody, "nobody")); receive(p[1], 100, 500, 0);
    R(write(p[0], "short", 5)); receive(p[1], 100, 20, 0);
    close(p[0]); close(p[1]); close(pipes[0]); close(pipes[1]);
  }
  int p[2]; socketpair(AF_UNIX, SOCK_DGRAM, 0, p);
  struct iovec v[3] = {{"ab", 2}, {"", 0}, {"cde", 3}};
  struct mmsghdr m[3] = {};
  for (int i = 0; i < 3; i++) m[i].msg_hdr = (struct msghdr){.msg_iov = v, .msg_iovlen = i + 1};
  R(sendmmsg(p[0], m, 3, 0));
  R(m[0].msg_len * 100 + m[1].msg_len * 10 + m[2].msg_len);
  struct iovec w = {buf, 100};
  struct mmsghdr g[5] = {};
  for (int i = 0; i < 5; i++) g[i].msg_hdr = (struct msghdr){.msg_iov = &w, .msg_iovlen = 1};
  struct timespec t = {1, 0};
  R(recvmmsg(p[1], g, 2, 0, &t));
  R(g[0].msg_len * 10 + g[1].msg_len);
  R(recvmmsg(p[1], g, 5, MSG_DONTWAIT, 0));
  R(g[0].msg_len);
  R(write(p[0], "q", 1));
  R(recvmmsg(p[1], g, 5, MSG_WAITFORONE, 0));
  R(recvmmsg(p[1], g, 5, MSG_DONTWAIT, 0));
  m[1].msg_hdr.msg_iovlen = 2000;
  R(sendmmsg(p[0], m, 3, 0));
  R(sendmmsg(p[0], m + 1, 1, 0));
  struct msghdr h = {.msg_iov = (void *)1, .msg_iovlen = 1};
  R(sendmsg(p[0], &h, 0));
  R(sendmsg(p[0], (void *)1, 0));
  R(recvmsg(p[1], (void *)1, 0));
  h = (struct msghdr){.msg_iov = v, .msg_iovlen = 1, .msg_name = buf, .msg_namelen = -1};
  R(sendmsg(p[0], &h, 0));
  close(p[0]); close(p[1]);
}

static void option(int fd, int level, int name, int value)
{
  int r = setsockopt(fd, level, name, &value, 4), e = errno, got = -7;
  socklen_t n = 4;
  int g = getsockopt(fd, level, name, &got, &n);
  printf("option %d/%d := %d: %s; %s %d\n", level, name, value, r ? strerrorname_np(e) : "ok", g ? strerrorname_np(errno) : "is", g ? 0 : got);
}
static void options(void)
{
  puts("== options");
  int kinds[][2] = {{AF_UNIX, SOCK_STREAM}, {AF_INET, SOCK_STREAM}, {AF_INET, SOCK_DGRAM}, {AF_INET6, SOCK_STREAM}, {AF_INET6, SOCK_DGRAM}};
  for (int k = 0; k < 5; k++) {
    int s = socket(kinds[k][0], kinds[k][1], 0);
    printf("domain %d type %d\n", kinds[k][0], kinds[k][1]);
    int names[] = {SO_REUSEADDR, SO_TYPE, SO_ERROR, SO_DONTROUTE, SO_BROADCAST, SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE, SO_OOBINLINE, SO_PRIORITY, SO_REUSEPORT, SO_PASSCRED, SO_RCVLOWAT, SO_SNDLOWAT, SO_TIMESTAMP, SO_ACCEPTCONN, SO_PROTOCOL, SO_DOMAIN, SO_ZEROCOPY * 0 + 46, 99};
    for (int i = 0; i < sizeof names / 4; i++) { option(s, SOL_SOCKET, names[i], 1); if (i > 4 && i < 7) { option(s, 1, names[i], 10000); } }
    int tcp[] = {TCP_NODELAY, TCP_MAXSEG, TCP_CORK, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_SYNCNT, TCP_LINGER2, TCP_DEFER_ACCEPT, TCP_QUICKACK, TCP_USER_TIMEOUT, TCP_FASTOPEN, TCP_NOTSENT_LOWAT, 98};
    for (int i = 0; i < sizeof tcp / 4; i++) { option(s, IPPROTO_TCP, tcp[i], 5); option(s, IPPROTO_TCP, tcp[i], 0); option(s, IPPROTO_TCP, tcp[i], 100000); option(s, IPPROTO_TCP, tcp[i], -1); }
    int ip[] = {IP_TOS, IP_TTL, IP_PKTINFO, IP_MTU_DISCOVER, IP_RECVERR, IP_RECVTTL, IP_FREEBIND, IP_MULTICAST_TTL, IP_MULTICAST_LOOP, IP_MULTICAST_ALL, IP_MTU, 60};
    for (int i = 0; i < sizeof ip / 4; i++) { option(s, IPPROTO_IP, ip[i], 3); option(s, IPPROTO_IP, ip[i], 300); option(s, IPPROTO_IP, ip[i], -1); }
    int v6[] = {IPV6_V6ONLY, IPV6_UNICAST_HOPS, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_LOOP, IPV6_RECVPKTINFO, IPV6_TCLASS, IPV6_MTU_DISCOVER, 99};
    for (int i = 0; i < sizeof v6 / 4; i++) { option(s, IPPROTO_IPV6, v6[i], 1); option(s, IPPROTO_IPV6, v6[i], 300); }
    struct timeval tv = {1, 500000}; socklen_t n = sizeof tv;
    R(setsockopt(s, 1, SO_RCVTIMEO, &tv, sizeof tv));
    memset(&tv, 0, sizeof tv);
    R(getsockopt(s, 1, SO_RCVTIMEO, &tv, &n));
    R(tv.tv_sec * 1000000 + tv.tv_usec);
    tv.tv_usec = 1000000;
    R(setsockopt(s, 1, SO_RCVTIMEO, &tv, sizeof tv));
    R(setsockopt(s, 1, SO_RCVTIMEO, &tv, 8));
    R(setsockopt(s, 1, SO_REUSEADDR, &tv, 3));
    R(setsockopt(s, 1, SO_REUSEADDR, (void *)1, 4));
    R(setsockopt(s, 1, SO_LINGER, &tv, 4));
    n = 2;
    R(getsockopt(s, 1, SO_TYPE, buf, &n));
    R(n);
    n = -1;
    R(getsockopt(s, 1, SO_TYPE, buf, &n));
    n = 100;
    R(getsockopt(s, 1, SO_LINGER, buf, &n));
    R(n);
    n = 100;
    R(getsockopt(s, 6, TCP_CONGESTION, buf, &n));
    R(setsockopt(s, 6, TCP_CONGESTION, "nosuch", 6));
    R(setsockopt(s, 6, TCP_CONGESTION, "reno", 4));
    n = 4;
    R(getsockopt(s, 1, SO_BINDTODEVICE, buf, &n));
    R(n);
    R(setsockopt(s, 1, SO_BINDTODEVICE, "nosuch0", 8));
    int z;
    R(ioctl(s, FIONREAD, &z));
    R(ioctl(s, TIOCOUTQ, &z));
    R(ioctl(s, TCGETS, buf));
    R(ioctl(s, FIONBIO, &(int){1}));
    R(fcntl(s, F_GETFL));
    R(lseek(s, 0, 0));
    R(pread(s, buf, 1, 0));
    R(ftruncate(s, 0));
    R(fsync(s));
    R(read(s, buf, 0));
    struct ifreq q = {"lo"};
    R(ioctl(s, SIOCGIFINDEX, &q));
    R(q.ifr_ifindex);
    R(ioctl(s, SIOCGIFADDR, &q));
    R(ioctl(s, SIOCGIFFLAGS, &q));
    R(q.ifr_flags);
    R(ioctl(s, SIOCGIFMTU, &q));
    R(q.ifr_mtu);
    strcpy(q.ifr_name, "nosuch");
    R(ioctl(s, SIOCGIFFLAGS, &q));
    R(ioctl(s, 0x89f7, &q));
    close(s);
  }
  int s = socket(AF_INET, SOCK_DGRAM, 0);
  struct ip_mreqn g = {.imr_multiaddr.s_addr = inet_addr("239.1.2.3"), .imr_address.s_addr = htonl(INADDR_LOOPBACK)};
  R(setsockopt(s, 0, IP_ADD_MEMBERSHIP, &g, sizeof g));
  R(setsockopt(s, 0, IP_ADD_MEMBERSHIP, &g, sizeof g));
  R(setsockopt(s, 0, IP_DROP_MEMBERSHIP, &g, sizeof g));
  R(setsockopt(s, 0, IP_DROP_MEMBERSHIP, &g, sizeof g));
  R(setsockopt(s, 0, IP_ADD_MEMBERSHIP, &g, 4));
  close(s);
}

static void alarmed(int s) { (void)s; }
static void waiting(void)
{
  puts("== waiting");
  int p[2], q[2];
  connected(SOCK_STREAM, p, 0);
  socketpair(AF_UNIX, SOCK_STREAM, 0, q);
  struct timeval tv = {0, 30000};
  int all[] = {p[0], q[0]};
  for (int i = 0; i < 2; i++) {
    R(setsockopt(all[i], 1, SO_RCVTIMEO, &tv, sizeof tv));
    R(setsockopt(all[i], 1, SO_SNDTIMEO, &tv, sizeof tv));
    R(recv(all[i], buf, 10, 0));
    R(recv(all[i], buf, 10, MSG_WAITALL));
    R(write(i ? q[1] : p[1], "abc", 3));
    R(recv(all[i], buf, 10, MSG_WAITALL));
    R(recv(all[i], buf, 10, MSG_DONTWAIT));
    R(write(i ? q[1] : p[1], "abcdef", 6));
    R(recv(all[i], buf, 2, MSG_WAITALL | MSG_PEEK));
    R(recv(all[i], buf, 6, MSG_WAITALL));
    long n;
    while ((n = write(all[i], buf, sizeof buf)) == sizeof buf);
    R(n > 0 ? 0 : n);
    R(write(all[i], buf, 1));
    struct sigaction sa = {.sa_handler = alarmed}; sigaction(SIGALRM, &sa, 0);
    struct itimerval it = {.it_value.tv_usec = 10000};
    setitimer(ITIMER_REAL, &it, 0);
    R(recv(all[i], buf, 1, 0));
    
    tv.tv_usec = 0;
    setsockopt(all[i], 1, SO_RCVTIMEO, &tv, sizeof tv);
    setitimer(ITIMER_REAL, &it, 0);
    R(recv(all[i], buf, 1, 0));
    tv.tv_usec = 30000;
    int low = 4;
    R(setsockopt(all[i], 1, SO_RCVLOWAT, &low, 4));
    R(write(i ? q[1] : p[1], "abc", 3));
    struct pollfd pf = {all[i], POLLIN};
    R(poll(&pf, 1, 0));
    R(recv(all[i], buf, 10, MSG_DONTWAIT));
  }
  int l = socket(AF_INET, SOCK_STREAM, 0);
  listen(l, 1);
  R(setsockopt(l, 1, SO_RCVTIMEO, &tv, sizeof tv));
  R(accept(l, 0, 0));
  int f = open("/proc/self/exe", O_RDONLY); off_t at = 100; connected(SOCK_STREAM, p, 0);
  R(sendfile(p[0], f, &at, 1000));
  R(at);
  R(read(p[1], buf, sizeof buf));
  R(sendfile(p[0], p[1], 0, 10));
  R(sendfile(f, f, 0, 10));
  int pi[2];
  pipe(pi);
  R(write(p[0], "spliced", 7));
  R(splice(p[1], 0, pi[1], 0, 100, 0));
  R(splice(pi[0], 0, p[1], 0, 4, 0));
  R(splice(pi[0], 0, p[1], 0, 100, 0));
  R(read(p[0], buf, 100));
  R(splice(p[1], 0, p[0], 0, 4, 0));
  fcntl(p[1], F_SETFL, O_NONBLOCK); R(splice(p[1], 0, pi[1], 0, 100, 0));
  struct iovec v[2] = {{"one", 3}, {"two", 3}};
  R(writev(p[0], v, 2));
  R(read(p[1], buf, 4));
  struct iovec w[2] = {{buf, 1}, {buf + 1, 50}};
  R(readv(p[1], w, 2));
  R(write(p[0], (void *)1, 5));
  R(send(p[0], "", 0, 0));
  R(recv(p[1], buf, 5, 0));
  R(bind(p[0], (void *)1, 16));
  R(getsockname(p[0], (void *)1, &(socklen_t){16}));
  R(getsockname(p[0], (void *)buf, (void *)1));
  R(getsockname(p[0], (void *)buf, &(socklen_t){-1}));
  R(accept(p[0], 0, 0));
  R(accept4(p[0], 0, 0, 77));
  R(connect(p[0], (void *)buf, -1));
}

int main(void)
{
  signal(SIGPIPE, SIG_IGN);
  edges();
  messages();
  options();
  waiting();
  return 0;
}
