#!/bin/sh
# Runs a command of an AArch64 root as it would run on an AArch64 machine: chroot, with the kernel starting qemu-aarch64 for every
# program (binfmt_misc). To be run in user, mount and pid namespaces of its own (unshare), so that it needs no privilege and
# leaves nothing behind. Needs Linux 6.7 for binfmt_misc in a user namespace.
#   in-namespace.sh ROOT WORK COMMAND...     WORK becomes /work
set -eu
root=$1 work=$2
shift 2
misc=/proc/sys/fs/binfmt_misc
mount -t binfmt_misc none $misc
magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
echo ":aarch64:M::$magic:$mask:$(command -v qemu-aarch64):PF" >$misc/register
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
mount --bind "$work" "$root/work"
# What qemu itself is linked with.
for folder in lib64 usr/lib/x86_64-linux-gnu; do
  [ ! -d "/$folder" ] || mount --bind "/$folder" "$root/$folder"
done
exec chroot "$root" "$@"
