#!/bin/sh
# Builds the benchmark's guest programs: static, -O2, stripped.
#   bench/build-guests.sh            x86-64, into bench/guests/
#   bench/build-guests.sh aarch64    AArch64 by the cross compiler, into bench/guests/aarch64/
# CC and CXX override the compilers. -ffp-contract=off: the same sums on every architecture.
set -eu
cd "$(dirname "$0")/guests"
case ${1:-x86_64} in
  x86_64) cc=${CC:-gcc} cxx=${CXX:-g++} out=. ;;
  aarch64) cc=${CC:-aarch64-linux-gnu-gcc} cxx=${CXX:-aarch64-linux-gnu-g++} out=aarch64 ;;
  *) echo "usage: $0 [x86_64|aarch64]" >&2; exit 2 ;;
esac
mkdir -p "$out"
flags="-O2 -static -s -Wall -Wextra -ffp-contract=off -ffunction-sections -fdata-sections -Wl,--gc-sections -Wl,--build-id=none"
for source in src/*.c src/*.cpp; do
  name=$(basename "${source%.*}")
  case $source in
    *.cpp) set -- "$cxx" -std=c++17 -fno-exceptions -fno-rtti ;;
    */strings.c) set -- "$cc" -std=gnu11 -fno-builtin ;;
    *) set -- "$cc" -std=gnu11 ;;
  esac
  # shellcheck disable=SC2086
  "$@" $flags -o "$out/$name" "$source" -lm
done
ls -l "$out"
