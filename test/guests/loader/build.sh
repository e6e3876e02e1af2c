#!/bin/sh
# Rebuilds the prebuilt guests of this folder (x86-64 Linux, gcc and binutils).
set -e
cd "$(dirname "$0")"
common="-O1 -nostdlib -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables -Wl,--build-id=none -s"
gcc $common -static -no-pie tiny.c -o tiny-static
gcc $common -static-pie -fPIE tiny.c -o tiny-static-pie
# Dynamic in form only: it needs no library, and its interpreter is whatever stands at that path.
gcc $common -pie -fPIE -Wl,--dynamic-linker=/lib/ld-tiny.so tiny.c -o tiny-dynamic
