/* States, errors and readiness of AF_UNIX, TCP and UDP sockets, one call after another; both ends in one process. */
#define _GNU_SOURCE
#include <stdio.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
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

static int P(int fd) {
  struct pollfd p={fd,0xffff,0};
  poll(&p,1,0);
  return p.revents;
}
static struct sockaddr_in A4(int port) {
  struct sockaddr_in a={.sin_family=AF_INET,.sin_port=htons(port),.sin_addr.s_addr=htonl(INADDR_LOOPBACK)};
  return a;
}
static int err(int fd) {
  int v=-1;
  socklen_t l=4;
  getsockopt(fd,SOL_SOCKET,SO_ERROR,&v,&l);
  return v;
}
static int port(int fd) {
  struct sockaddr_in a;
  socklen_t l=sizeof a;
  getsockname(fd,(void*)&a,&l);
  return ntohs(a.sin_port);
}

static char buf[1 << 16];

int main() {
  signal(SIGPIPE,SIG_IGN);
  int sv[2];
  for(int t=0;t<3;t++) {
    int ty[]={SOCK_STREAM,SOCK_DGRAM,SOCK_SEQPACKET};
    printf("== unix type %d\n",ty[t]);
    R(socketpair(AF_UNIX,ty[t]|SOCK_NONBLOCK,0,sv));
    R(P(sv[0]));
    R(write(sv[0],"hello",5));
    R(write(sv[0],"world!",6));
    R(P(sv[1]));
    int n=-1;
    R(ioctl(sv[1],FIONREAD,&n));
    R(n);
    n=-1;
    R(ioctl(sv[0],TIOCOUTQ,&n)>=0);
    R(recv(sv[1],buf,3,MSG_PEEK));
    R(recv(sv[1],buf,3,MSG_PEEK|MSG_TRUNC));
    R(recv(sv[1],buf,8,0));
    R(recv(sv[1],buf,100,0));
    R(recv(sv[1],buf,100,0));
    R(sendto(sv[0],"x",1,0,(void*)"\1\0/nonexist",12));
    R(shutdown(sv[0],SHUT_WR));
    R(P(sv[0]));
    R(P(sv[1]));
    R(recv(sv[1],buf,100,0));
    R(send(sv[0],"x",1,0));
    R(send(sv[1],"abc",3,0));
    R(shutdown(sv[1],7));
    R(close(sv[0]));
    R(P(sv[1]));
    R(recv(sv[1],buf,100,0));
    R(recv(sv[1],buf,100,0));
    R(send(sv[1],"x",1,0));
    R(send(sv[1],"x",1,0));
    R(err(sv[1]));
    R(P(sv[1]));
    R(listen(sv[1],1));
    R(accept(sv[1],0,0));
    struct sockaddr_un u;
    socklen_t ul=sizeof u;
    R(getsockname(sv[1],(void*)&u,&ul));
    R(ul);
    ul=sizeof u;
    R(getpeername(sv[1],(void*)&u,&ul));
    R(ul);
    close(sv[1]);
    int s=socket(AF_UNIX,ty[t]|SOCK_NONBLOCK,0);
    R(P(s));
    R(recv(s,buf,1,0));
    R(send(s,"a",1,0));
    R(listen(s,1));
    R(accept(s,0,0));
    R(shutdown(s,2));
    R(P(s));
    close(s);
    s=socket(AF_UNIX,ty[t]|SOCK_NONBLOCK,0);
    struct sockaddr_un a={AF_UNIX,"test.sock"};
    unlink(a.sun_path);
    R(bind(s,(void*)&a,sizeof a));
    R(bind(s,(void*)&a,sizeof a));
    int c=socket(AF_UNIX,ty[t]|SOCK_NONBLOCK,0);
    R(bind(c,(void*)&a,sizeof a));
    R(connect(c,(void*)&a,sizeof a));
    R(listen(s,0));
    R(P(s));
    R(connect(c,(void*)&a,sizeof a));
    R(P(s));
    R(connect(c,(void*)&a,sizeof a));
    int c2=socket(AF_UNIX,ty[t]|SOCK_NONBLOCK,0);
    R(connect(c2,(void*)&a,sizeof a));
    int c3=socket(AF_UNIX,ty[t]|SOCK_NONBLOCK,0);
    R(connect(c3,(void*)&a,sizeof a));
    R(send(c,"one",3,0));
    ul=sizeof u;
    int b=accept(s,(void*)&u,&ul);
    R(b>=0);
    R(ul);
    R(recv(b>=0?b:s,buf,10,0));
    ul=sizeof u;
    R(getsockname(b,(void*)&u,&ul));
    R(ul);
    ul=sizeof u;
    R(getpeername(c,(void*)&u,&ul));
    R(ul);
    struct{int p,u,g;}cr;
    socklen_t cl=12;
    R(getsockopt(c,1,SO_PEERCRED,&cr,&cl));
    R(cr.p==getpid());
    R(cr.u);
    R(close(s));
    R(P(c2));
    R(recv(c2,buf,1,0));
    R(recv(c2,buf,1,0));
    R(send(c,"x",1,0));
    R(send(c2,"x",1,0));
    R(connect(c3,(void*)&a,sizeof a));
    unlink(a.sun_path);
    R(connect(c3,(void*)&a,sizeof a));
    close(b);
    close(c);
    close(c2);
    close(c3);
    /* wrong type, abstract */
    s=socket(AF_UNIX,ty[t],0);
    c=socket(AF_UNIX,ty[(t+1)%3],0);
    struct sockaddr_un ab={AF_UNIX,"\0abc"};
    R(bind(s,(void*)&ab,6));
    R(connect(c,(void*)&ab,6));
    R(connect(c,(void*)&ab,7));
    R(bind(c,(void*)&ab,6));
    R(bind(c,(void*)&ab,2));
    ul=sizeof u;
    R(getsockname(c,(void*)&u,&ul));
    R(ul);
    R(bind(c,(void*)&ab,1));
    R(connect(c,(void*)&ab,0));
    R(connect(c,(void*)&ab,200));
    R(connect(c,(void*)1,8));
    close(s);
    close(c);
  }
  puts("== tcp");
  struct sockaddr_in a=A4(0), x;
  socklen_t al=sizeof a;
  int l=socket(AF_INET,SOCK_STREAM|SOCK_NONBLOCK,0);
  R(P(l));
  R(accept(l,0,0));
  R(send(l,"x",1,0));
  R(recv(l,buf,1,0));
  R(getpeername(l,(void*)&x,&al));
  R(shutdown(l,2));
  R(P(l));
  close(l);
  l=socket(AF_INET,SOCK_STREAM|SOCK_NONBLOCK,0);
  R(bind(l,(void*)&a,sizeof a));
  R(bind(l,(void*)&a,sizeof a));
  a.sin_port=htons(port(l));
  int c=socket(AF_INET,SOCK_STREAM|SOCK_NONBLOCK,0);
  R(connect(c,(void*)&a,sizeof a));
  R(P(c));
  R(send(c,"x",1,0));
  R(connect(c,(void*)&a,sizeof a));
  R(err(c));
  R(P(c));
  R(recv(c,buf,1,0));
  R(listen(l,1));
  R(P(l));
  R(accept(l,0,0));
  R(connect(c,(void*)&a,sizeof a));
  R(P(c));
  R(getpeername(c,(void*)&x,&al));
  R(connect(c,(void*)&a,sizeof a));
  R(connect(c,(void*)&a,sizeof a));
  R(P(l));
  int d=socket(AF_INET,SOCK_STREAM,0);
  R(bind(d,(void*)&a,sizeof a));
  R(setsockopt(d,1,SO_REUSEADDR,(int[]){1},4));
  R(bind(d,(void*)&a,sizeof a));
  R(connect(d,(void*)&a,sizeof a));
  R(connect(d,(void*)&a,sizeof a));
  R(listen(d,1));
  int s=accept4(l,(void*)&x,&al,SOCK_NONBLOCK);
  R(s>=0);
  R(ntohs(x.sin_port)==port(c));
  R(fcntl(s,F_GETFL));
  R(recv(s,buf,1,0));
  R(send(c,"hello",5,0));
  R(P(s));
  R(recv(s,buf,10,MSG_PEEK));
  R(recv(s,buf,10,MSG_TRUNC));
  R(send(c,"hello",5,0));
  R(recv(s,0,0,0));
  al=sizeof x;
  R(recvfrom(s,buf,2,0,(void*)&x,&al));
  R(al);
  int n;
  R(ioctl(s,FIONREAD,&n));
  R(n);
  R(shutdown(c,SHUT_WR));
  R(P(c));
  R(P(s));
  R(send(c,"x",1,0));
  R(recv(s,buf,10,0));
  R(recv(s,buf,10,0));
  R(send(s,"bye",3,0));
  R(P(c));
  R(close(s));
  R(P(c));
  R(recv(c,buf,10,0));
  R(recv(c,buf,10,0));
  R(send(c,"x",1,0));
  R(err(c));
  R(getpeername(c,(void*)&x,&al));
  close(c);
  /* peer closes with unread data: RST */
  int s2=accept(l,0,0);
  R(send(d,"unread",6,0));
  R(close(s2));
  R(P(d));
  R(recv(d,buf,10,0));
  R(recv(d,buf,10,0));
  R(send(d,"x",1,0));
  R(P(d));
  close(d);
  /* write to closed */
  d=socket(AF_INET,SOCK_STREAM,0);
  R(connect(d,(void*)&a,sizeof a));
  s2=accept(l,0,0);
  R(send(s2,"data",4,0));
  R(close(s2));
  R(P(d));
  R(send(d,"x",1,0));
  R(P(d));
  R(recv(d,buf,2,0));
  R(recv(d,buf,10,0));
  R(recv(d,buf,10,0));
  R(send(d,"x",1,0));
  R(err(d));
  close(d);
  /* linger 0 */
  d=socket(AF_INET,SOCK_STREAM,0);
  R(connect(d,(void*)&a,sizeof a));
  s2=accept(l,0,0);
  struct linger lg={1,0};
  R(setsockopt(s2,1,SO_LINGER,&lg,8));
  R(close(s2));
  R(P(d));
  R(err(d));
  R(recv(d,buf,1,0));
  R(P(d));
  R(send(d,"a",1,0));
  R(connect(d,(void*)&a,sizeof a));
  close(d);
  /* shutdown RD */
  d=socket(AF_INET,SOCK_STREAM|SOCK_NONBLOCK,0);
  connect(d,(void*)&a,sizeof a);
  s2=accept(l,0,0);
  R(s2>=0);
  R(shutdown(d,SHUT_RD));
  R(P(d));
  R(recv(d,buf,1,0));
  R(send(s2,"q",1,0));
  R(recv(d,buf,1,0));
  R(P(s2));
  R(shutdown(d,SHUT_WR));
  R(P(d));
  R(P(s2));
  R(shutdown(s2,2));
  R(P(s2));
  R(P(d));
  R(shutdown(s2,2));
  close(d);
  close(s2);
  /* unspec disconnect */
  d=socket(AF_INET,SOCK_STREAM,0);
  R(connect(d,(void*)&a,sizeof a));
  x=a;
  x.sin_family=0;
  R(connect(d,(void*)&x,sizeof x));
  R(getpeername(d,(void*)&x,&al));
  R(P(d));
  R(connect(d,(void*)&a,sizeof a));
  R(close(d));
  s2=accept(l,0,0);
  R(s2>=0);
  R(recv(s2,buf,1,0));
  close(s2);
  s2=accept(l,0,0);
  R(s2>=0);
  R(recv(s2,buf,1,0));
  close(s2);
  R(accept(l,0,0));
  /* listener close resets */
  d=socket(AF_INET,SOCK_STREAM,0);
  R(connect(d,(void*)&a,sizeof a));
  R(close(l));
  R(P(d));
  R(recv(d,buf,1,0));
  R(recv(d,buf,1,0));
  close(d);
  /* errors in arguments */
  d=socket(AF_INET,SOCK_STREAM,0);
  R(connect(d,(void*)&a,8));
  struct sockaddr_in6 z={.sin6_family=AF_INET6};
  R(connect(d,(void*)&z,sizeof z));
  R(bind(d,(void*)&z,sizeof z));
  R(bind(d,(void*)&a,3));
  x=A4(0);
  x.sin_addr.s_addr=htonl(0x08080808);
  R(bind(d,(void*)&x,sizeof x));
  x.sin_family=0;
  R(bind(d,(void*)&x,sizeof x));
  x.sin_addr.s_addr=0;
  R(bind(d,(void*)&x,sizeof x));
  R(listen(d,5));
  R(listen(d,7));
  R(connect(d,(void*)&a,sizeof a));
  R(shutdown(d,SHUT_WR));
  R(P(d));
  R(shutdown(d,SHUT_RD));
  R(accept(d,0,0));
  R(P(d));
  R(send(d,"a",1,0));
  close(d);
  R(socket(AF_INET,SOCK_STREAM,IPPROTO_UDP));
  R(socket(AF_INET,SOCK_SEQPACKET,0));
  R(socket(AF_INET,77,0));
  R(socket(AF_INET,9,0));
  R(socket(99,1,0));
  R(socket(-1,1,0));
  R(socket(AF_UNIX,SOCK_STREAM,5));
  R(socket(AF_UNIX,4,0));
  R(socket(AF_INET,SOCK_STREAM|0x100,0));
  R(socketpair(AF_INET,SOCK_STREAM,0,sv));
  R(socketpair(AF_UNIX,SOCK_STREAM,0,(int*)1));
  R(socket(AF_INET,SOCK_STREAM,-1));
  R(socket(AF_INET,SOCK_STREAM,262)<0&&0);
  R(socket(AF_NETLINK,SOCK_STREAM,0));
  R(socket(AF_NETLINK,SOCK_RAW,40));
  R(send(0,"x",1,0));
  R(send(77,"x",1,0));
  R(listen(1,1));
  R(getsockopt(-1,1,1,0,0));
  puts("== udp");
  d=socket(AF_INET,SOCK_DGRAM|SOCK_NONBLOCK,0);
  int e=socket(AF_INET,SOCK_DGRAM|SOCK_NONBLOCK,0);
  R(P(d));
  R(recv(d,buf,1,0));
  R(send(d,"x",1,0));
  R(listen(d,1));
  R(accept(d,0,0));
  R(shutdown(d,2));
  R(P(d));
  close(d);
  d=socket(AF_INET,SOCK_DGRAM|SOCK_NONBLOCK,0);
  a=A4(0);
  R(bind(d,(void*)&a,sizeof a));
  a=A4(port(d));
  R(bind(e,(void*)&a,sizeof a));
  R(sendto(e,"abc",3,0,(void*)&a,sizeof a));
  R(P(d));
  R(ioctl(d,FIONREAD,&n));
  R(n);
  al=sizeof x;
  R(recvfrom(d,buf,2,0,(void*)&x,&al));
  R(al);
  R(ntohs(x.sin_port)==port(e));
  R(recv(d,buf,2,0));
  R(sendto(e,"abc",3,0,(void*)&a,sizeof a));
  R(recv(d,buf,2,MSG_TRUNC));
  R(sendto(e,"",0,0,(void*)&a,sizeof a));
  R(P(d));
  R(recv(d,buf,2,0));
  R(connect(e,(void*)&a,sizeof a));
  R(send(e,"one",3,0));
  R(close(d));
  R(send(e,"two",3,0));
  R(P(e));
  R(send(e,"x",1,0));
  R(send(e,"x",1,0));
  R(recv(e,buf,1,0));
  R(recv(e,buf,1,0));
  R(err(e));
  x=a;
  x.sin_family=0;
  R(connect(e,(void*)&x,sizeof x));
  R(send(e,"x",1,0));
  R(sendto(e,buf,65508,0,(void*)&a,sizeof a));
  R(sendto(e,buf,65507,0,(void*)&a,sizeof a));
  x=A4(0);
  R(sendto(e,buf,1,0,(void*)&x,sizeof x));
  x.sin_addr.s_addr=~0;
  x.sin_port=htons(9);
  R(sendto(e,buf,1,0,(void*)&x,sizeof x));
  R(connect(e,(void*)&x,sizeof x));
  R(sendto(e,buf,1,0,(void*)&x,7));
  R(sendto(e,buf,1,0,(void*)&z,sizeof z));
  R(send(e,"x",1,MSG_OOB));
  close(e);
  puts("== inet6");
  l=socket(AF_INET6,SOCK_STREAM,0);
  struct sockaddr_in6 y={.sin6_family=AF_INET6};
  R(bind(l,(void*)&y,sizeof y));
  R(listen(l,5));
  socklen_t yl=sizeof y;
  getsockname(l,(void*)&y,&yl);
  a=A4(ntohs(y.sin6_port));
  d=socket(AF_INET,SOCK_STREAM,0);
  R(bind(d,(void*)&a,sizeof a));
  R(connect(d,(void*)&a,sizeof a));
  s=accept(l,(void*)&z,&yl);
  char ip[60];
  puts(inet_ntop(AF_INET6,&z.sin6_addr,ip,60));
  R(getsockname(s,(void*)&z,&yl));
  puts(inet_ntop(AF_INET6,&z.sin6_addr,ip,60));
  R(getsockname(l,(void*)&z,&yl));
  puts(inet_ntop(AF_INET6,&z.sin6_addr,ip,60));
  close(d);
  close(s);
  d=socket(AF_INET6,SOCK_STREAM,0);
  inet_pton(AF_INET6,"::1",&y.sin6_addr);
  R(connect(d,(void*)&y,sizeof y));
  close(d);
  d=socket(AF_INET6,SOCK_STREAM,0);
  R(setsockopt(d,41,IPV6_V6ONLY,(int[]){1},4));
  inet_pton(AF_INET6,"::ffff:127.0.0.1",&y.sin6_addr);
  R(connect(d,(void*)&y,sizeof y));
  R(bind(d,(void*)&y,sizeof y));
  close(d);
  d=socket(AF_INET6,SOCK_STREAM,0);
  R(connect(d,(void*)&y,sizeof y));
  R(setsockopt(d,41,IPV6_V6ONLY,(int[]){1},4));
  close(d);
  return 0;
}
