/* Stream and file calls on a scratch folder (the first argument), with the errors they should give. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static void result(const char *what, long r) { printf("%s: %ld%s%s\n", what, r, r < 0 ? " " : "", r < 0 ? strerror(errno) : ""); }
static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

int main(int argc, char **argv) {
  if (argc < 2 || chdir(argv[1]) < 0) return 2;
  umask(022);
  int fd = open("a", O_RDWR | O_CREAT | O_EXCL, 0640);
  result("create", fd >= 0 ? 0 : -1);
  result("exclusive", open("a", O_RDWR | O_CREAT | O_EXCL, 0640));
  result("write", write(fd, "0123456789", 10));
  result("pwrite", pwrite(fd, "abc", 3, 20));
  result("seek end", lseek(fd, 0, SEEK_END));
  result("seek hole", lseek(fd, -1, SEEK_SET));
  struct stat st;
  result("fstat", fstat(fd, &st));
  printf("mode %o size %ld links %ld\n", st.st_mode, (long)st.st_size, (long)st.st_nlink);
  char buffer[64] = {0};
  struct iovec v[2] = {{buffer, 4}, {buffer + 8, 30}};
  result("preadv", preadv(fd, v, 2, 5));
  for (int k = 0; k < 40; k++) putchar(buffer[k] ? buffer[k] : '.');
  putchar('\n');
  result("truncate", ftruncate(fd, 5000));
  char *map = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  map[4999] = 'z';
  result("msync", msync(map, 8192, MS_SYNC));
  result("pread", pread(fd, buffer, 8, 4998));
  printf("%d %c\n", buffer[0], buffer[1]);
  result("munmap", munmap(map, 8192));
  result("link", link("a", "b"));
  result("symlink", symlink("b", "c"));
  result("rename", rename("a", "d"));
  result("mkdir", mkdir("dir", 0777));
  result("mkdir again", mkdir("dir", 0777));
  result("rmdir file", rmdir("b"));
  result("unlink dir", unlink("dir"));
  result("rename over dir", rename("b", "dir"));
  result("open through file", open("b/x", O_RDONLY));
  result("readlink", readlink("c", buffer, sizeof buffer));
  result("nofollow", open("c", O_RDONLY | O_NOFOLLOW));
  result("chmod", chmod("b", 0400));
  result("access", access("b", R_OK));
  result("bad fd", write(99, "x", 1));
  result("fault", write(fd, (void *)(uintptr_t)(argc * 4), 1));
  result("close", close(fd));
  result("close again", close(fd));
  DIR *d = opendir(".");
  char *names[16];
  int n = 0;
  for (struct dirent *e; (e = readdir(d)) && n < 16;) {
    names[n] = malloc(strlen(e->d_name) + 8);
    sprintf(names[n++], "%s %d", e->d_name, e->d_type);
  }
  closedir(d);
  qsort(names, n, sizeof *names, by_name);
  for (int k = 0; k < n; k++) puts(names[k]);
  result("unlink", unlink("b"));
  result("unlink", unlink("c"));
  result("unlink", unlink("d"));
  result("rmdir", rmdir("dir"));
  result("unlink none", unlink("d"));
  return 0;
}
