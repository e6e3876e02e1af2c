#!/bin/sh
# A linker for rustc, which makes no static PIE for this target by itself: what it says of the kind of program is replaced.
for word in "$@"; do
  shift
  case $word in -static | -pie | -no-pie | -static-pie) ;; *) set -- "$@" "$word" ;; esac
done
exec aarch64-linux-gnu-gcc -static-pie "$@"
