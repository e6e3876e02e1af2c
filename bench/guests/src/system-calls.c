/* The price of entering the kernel. SIZE: calls. --kind 0: getppid, 1: clock_gettime, 2: read a byte of /dev/zero, 3: write one to /dev/null. */
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "harness.h"

static uint64_t kernel(long size) {
  uint64_t done = 0;
  struct timespec t;
  char byte = 0;
  int fd = -1;
  switch (bench_option("--kind", 0)) {
    case 0:
      for (long k = 0; k < size; k++) done += syscall(SYS_getppid) >= 0;
      break;
    case 1:
      for (long k = 0; k < size; k++) done += clock_gettime(CLOCK_MONOTONIC, &t) == 0;
      break;
    case 2:
      fd = open("/dev/zero", O_RDONLY);
      for (long k = 0; k < size; k++) done += read(fd, &byte, 1) == 1;
      break;
    case 3:
      fd = open("/dev/null", O_WRONLY);
      for (long k = 0; k < size; k++) done += write(fd, &byte, 1) == 1;
      break;
  }
  if (fd >= 0) close(fd);
  return done;
}

int main(int argc, char **argv) { return bench_main(argc, argv, 200000, kernel); }
