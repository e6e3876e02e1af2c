// System V IPC: `sysv-ipc shm|sem|msg` prints what the calls answer.
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
union semun {
  int val;
  struct semid_ds *buf;
  unsigned short *array;
  struct seminfo *info;
};
static void nop(int s) {}
static void shm(void) {
  // What others on the machine have is not compared.
  struct shm_info before;
  shmctl(0, SHM_INFO, (void *)&before);
  ok("shmget 0", shmget(IPC_PRIVATE, 0, 0600));
  ok("shmget huge", shmget(IPC_PRIVATE, 1UL << 60, 0600));
  ok("nokey", shmget(0x4242, 100, 0600));
  int id = shmget(0x4242, 5000, IPC_CREAT | 0640);
  ok("create", id);
  ok("excl", shmget(0x4242, 5000, IPC_CREAT | IPC_EXCL | 0600));
  printf("same %d\n", shmget(0x4242, 0, 0) == id);
  ok("bigger", shmget(0x4242, 50000, 0600));
  struct shmid_ds d;
  r("stat", shmctl(id, IPC_STAT, &d));
  printf("%x %o %ld cpid %d lpid %d nattch %ld at %d dt %d ct %d\n", d.shm_perm.__key, d.shm_perm.mode,
         d.shm_segsz, d.shm_cpid == getpid(), d.shm_lpid, d.shm_nattch, d.shm_atime != 0, d.shm_dtime != 0,
         d.shm_ctime != 0);
  char *p = shmat(id, 0, 0);
  ok("at", (long)p == -1 ? -1 : 0);
  p[0] = 'a';
  p[8191] = 'z';
  ok("at misaligned", (long)shmat(id, (void *)0x10001, 0));
  ok("at over", (long)shmat(id, p, 0));
  ok("remap null", (long)shmat(id, 0, SHM_REMAP));
  pid_t c = fork();
  if (!c) {
    struct shmid_ds e;
    shmctl(id, IPC_STAT, &e);
    printf("child nattch %ld sees %c%c\n", e.shm_nattch, p[0], p[8191]);
    p[1] = 'b';
    ok("child dt", shmdt(p));
    shmctl(id, IPC_STAT, &e);
    printf("child nattch %ld\n", e.shm_nattch);
    char *q = shmat(id, 0, SHM_RDONLY);
    printf("reattached %c%c%c\n", q[0], q[1], q[8191]);
    _exit(0);
  }
  int st;
  waitpid(c, &st, 0);
  printf("child %x saw %c\n", st, p[1]);
  shmctl(id, IPC_STAT, &d);
  printf("nattch %ld lpid child %d\n", d.shm_nattch, d.shm_lpid == c);
  r("rmid", shmctl(id, IPC_RMID, 0));
  ok("key gone", shmget(0x4242, 1, 0));
  r("stat after", shmctl(id, IPC_STAT, &d));
  printf("%x %o\n", d.shm_perm.__key, d.shm_perm.mode);
  char m[200] = "";
  FILE *f = fopen("/proc/self/maps", "r");
  while (fgets(m, 200, f))
    if (strstr(m, "SYSV")) printf("maps %s", strstr(m, "/SYSV"));
  fclose(f);
  ok("dt bad", shmdt(p + 4096));
  r("dt", shmdt(p));
  ok("dt again", shmdt(p));
  ok("stat gone", shmctl(id, IPC_STAT, &d));
  ok("at gone", (long)shmat(id, 0, 0));
  struct shminfo in;
  ok("info", shmctl(0, IPC_INFO, (void *)&in));
  printf("%lx %lu %lu %lu %lx\n", in.shmmax, in.shmmin, in.shmmni, in.shmseg, in.shmall);
  struct shm_info si;
  ok("shm_info", shmctl(0, SHM_INFO, (void *)&si));
  printf("%d %ld\n", si.used_ids - before.used_ids, (long)(si.shm_tot - before.shm_tot));
  ok("bad cmd", shmctl(0, 77, 0));
  ok("neg", shmctl(-1, IPC_STAT, &d));
}
static void sem(void) {
  union semun u;
  ok("semget 0", semget(IPC_PRIVATE, 0, 0600));
  ok("big", semget(IPC_PRIVATE, 40000, 0600));
  int id = semget(0x77, 3, IPC_CREAT | 0600);
  ok("semget", id);
  unsigned short a[3] = {1, 2, 3};
  u.array = a;
  r("setall", semctl(id, 0, SETALL, u));
  memset(a, 0, 6);
  r("getall", semctl(id, 0, GETALL, u));
  printf("%d %d %d\n", a[0], a[1], a[2]);
  u.val = 40000;
  r("setval range", semctl(id, 0, SETVAL, u));
  u.val = -1;
  r("neg", semctl(id, 0, SETVAL, u));
  u.val = 5;
  r("setval", semctl(id, 1, SETVAL, u));
  r("getval", semctl(id, 1, GETVAL, u));
  r("bad num", semctl(id, 3, GETVAL, u));
  printf("pid %d\n", semctl(id, 1, GETPID) == getpid());
  struct sembuf s[3] = {{0, -1, 0}, {1, -5, IPC_NOWAIT}, {2, -4, IPC_NOWAIT}};
  r("atomic", semop(id, s, 3));
  r("v0", semctl(id, 0, GETVAL, u));
  r("ok", semop(id, s, 2));
  r("v0", semctl(id, 0, GETVAL, u));
  r("v1", semctl(id, 1, GETVAL, u));
  struct sembuf z = {0, 0, 0};
  r("zero", semop(id, &z, 1));
  struct sembuf b = {9, 1, 0};
  r("efbig", semop(id, &b, 1));
  r("e2big", semop(id, s, 501));
  r("0", semop(id, s, 0));
  struct sembuf rg = {0, 32767, 0};
  r("max", semop(id, &rg, 1));
  rg.sem_op = 1;
  r("erange", semop(id, &rg, 1));
  u.val = 0;
  semctl(id, 0, SETVAL, u);
  struct timespec ts = {0, 20000000};
  struct sembuf w = {0, -1, 0};
  r("timed", syscall(SYS_semtimedop, id, &w, 1, &ts));
  ts.tv_nsec = 2000000000;
  r("bad ts", syscall(SYS_semtimedop, id, &w, 1, &ts));
  pid_t c = fork();
  if (!c) {
    struct sembuf x = {0, -1, 0};
    long k = semop(id, &x, 1);
    printf("child woke %ld\n", k);
    x.sem_op = 2;
    x.sem_flg = SEM_UNDO;
    semop(id, &x, 1);
    printf("child val %d\n", semctl(id, 0, GETVAL, u));
    _exit(0);
  }
  while (semctl(id, 0, GETNCNT, u) == 0) usleep(1000);
  r("ncnt", semctl(id, 0, GETNCNT, u));
  w.sem_op = 1;
  semop(id, &w, 1);
  waitpid(c, 0, 0);
  r("after undo", semctl(id, 0, GETVAL, u));
  c = fork();
  if (!c) {
    struct sembuf x = {0, -1, 0};
    r("child rmid", semop(id, &x, 1));
    _exit(0);
  }
  while (semctl(id, 0, GETNCNT, u) == 0) usleep(1000);
  struct semid_ds d;
  u.buf = &d;
  r("stat", semctl(id, 0, IPC_STAT, u));
  printf("%x %o %lu otime %d\n", d.sem_perm.__key, d.sem_perm.mode, d.sem_nsems, d.sem_otime != 0);
  d.sem_perm.mode = 0666;
  r("set", semctl(id, 0, IPC_SET, u));
  semctl(id, 0, IPC_STAT, u);
  printf("%o\n", d.sem_perm.mode);
  long gone = semctl(id, 0, IPC_RMID);
  waitpid(c, 0, 0);
  r("rmid", gone);
  r("gone", semctl(id, 0, GETVAL, u));
  r("op gone", semop(id, &w, 1));
  struct seminfo si;
  u.info = &si;
  ok("info", semctl(0, 0, IPC_INFO, u));
  printf("%d %d %d %d %d %d %d %d %d %d\n", si.semmap, si.semmni, si.semmns, si.semmnu, si.semmsl, si.semopm,
         si.semume, si.semusz, si.semvmx, si.semaem);
  id = semget(IPC_PRIVATE, 1, 0600);
  signal(SIGALRM, nop);
  struct sigaction sa = {0};
  sa.sa_handler = nop;
  sa.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &sa, 0);
  ualarm(20000, 0);
  w.sem_op = -1;
  r("eintr", semop(id, &w, 1));
  semctl(id, 0, IPC_RMID);
}
static void msg(void) {
  int q = msgget(0x99, IPC_CREAT | 0600);
  ok("msgget", q);
  struct {
    long t;
    char d[100];
  } m = {1, "one"}, o;
  r("snd", msgsnd(q, &m, 4, 0));
  m.t = 3;
  strcpy(m.d, "three");
  msgsnd(q, &m, 6, 0);
  m.t = 2;
  strcpy(m.d, "two");
  msgsnd(q, &m, 4, 0);
  m.t = 0;
  r("type0", msgsnd(q, &m, 4, 0));
  m.t = 1;
  r("toobig", msgsnd(q, &m, 9000, 0));
  r("neg", msgsnd(q, &m, -1, 0));
  r("e2big", msgrcv(q, &o, 2, 0, 0));
  r("copy", msgrcv(q, &o, 100, 1, MSG_COPY | IPC_NOWAIT));
  printf("%ld %s\n", o.t, o.d);
  r("copy nowait", msgrcv(q, &o, 100, 1, MSG_COPY));
  r("copy none", msgrcv(q, &o, 100, 9, MSG_COPY | IPC_NOWAIT));
  r("-2", msgrcv(q, &o, 100, -2, 0));
  printf("%ld %s\n", o.t, o.d);
  r("except", msgrcv(q, &o, 100, 3, MSG_EXCEPT));
  printf("%ld %s\n", o.t, o.d);
  r("noerror", msgrcv(q, &o, 2, 3, MSG_NOERROR));
  printf("%ld %.2s\n", o.t, o.d);
  r("nomsg", msgrcv(q, &o, 100, 0, IPC_NOWAIT));
  struct msqid_ds d;
  r("stat", msgctl(q, IPC_STAT, &d));
  printf("%lu %lu %lu %d %d\n", d.msg_qnum, d.msg_qbytes, d.__msg_cbytes, d.msg_lspid == getpid(),
         d.msg_lrpid == getpid());
  d.msg_qbytes = 10;
  r("set", msgctl(q, IPC_SET, &d));
  m.t = 1;
  r("fits", msgsnd(q, &m, 10, IPC_NOWAIT));
  r("full", msgsnd(q, &m, 1, IPC_NOWAIT));
  r("empty full", msgsnd(q, &m, 0, IPC_NOWAIT));
  pid_t c = fork();
  if (!c) {
    m.t = 7;
    long sent = msgsnd(q, &m, 5, 0);
    long received = msgrcv(q, &o, 100, 99, 0);
    r("child rmid", received);
    r("child snd", sent);
    _exit(0);
  }
  usleep(30000);
  r("rcv", msgrcv(q, &o, 100, 1, 0));
  r("rcv0", msgrcv(q, &o, 100, 0, 0));
  r("rcv7", msgrcv(q, &o, 100, 7, 0));
  usleep(30000);
  long gone = msgctl(q, IPC_RMID, 0);
  waitpid(c, 0, 0);
  r("rmid", gone);
  r("gone", msgsnd(q, &m, 1, 0));
  struct msginfo mi;
  ok("info", msgctl(0, IPC_INFO, (void *)&mi));
  printf("%d %d %d %d %d %d %d %d\n", mi.msgpool, mi.msgmap, mi.msgmax, mi.msgmnb, mi.msgmni, mi.msgssz,
         mi.msgtql, mi.msgseg);
}
int main(int c, char **v) {
  setvbuf(stdout, 0, _IONBF, 0);
  switch (c > 1 ? v[1][1] : 0) {
  case 'h':
    shm();
    break;
  case 'e':
    sem();
    break;
  case 's':
    msg();
    break;
  }
  return 0;
}
