#!/bin/sh
# Makes the folder of Debian arm64 programs that `npm run conformance:packages` compares: downloads the packages and what they
# depend on with apt, and unpacks them. The host's own package database is neither read nor changed. Needs a Debian host with
# apt and dpkg-deb.
#   conformance/packages/make-root.sh FOLDER [PACKAGE...]
set -eu
root=${1:?"usage: $0 FOLDER [PACKAGE...]"}
shift
[ $# -gt 0 ] || set -- busybox-static coreutils dash bash grep sed gawk bc dc gzip xz-utils bzip2 sqlite3 python3 perl lua5.4 \
  openssl tar findutils diffutils rsync file
state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT
mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
: >"$state/status"
apt() {
  apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o APT::Sandbox::User=root \
    -o Dir::State="$state" -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache" "$@"
}
apt update
apt --no-install-recommends --download-only -y install "$@"
# Merged /usr, as on an installed system.
for name in bin sbin lib; do
  mkdir -p "$root/usr/$name"
  [ -e "$root/$name" ] || ln -s "usr/$name" "$root/$name"
done
mkdir -p "$root/lib64" "$root/usr/lib/x86_64-linux-gnu" "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/work" "$root/etc"
for package in "$state"/cache/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar -x -C "$root" --keep-directory-symlink --no-same-owner
done
ln -sf dash "$root/usr/bin/sh"
[ -e "$root/usr/bin/awk" ] || ln -s gawk "$root/usr/bin/awk"
[ -e "$root/usr/bin/lua" ] || ln -s lua5.4 "$root/usr/bin/lua"
printf 'root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
