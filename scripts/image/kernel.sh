#!/bin/bash
# Kernel, boot loaders and the static busybox of the initramfs, unpacked from Debian's arm64 packages without installing
# them (the kernel package would pull in an initramfs builder and boot hooks). Needs BUILDER. Prints its folder in the cache:
#   version            exact kernel version
#   root/usr/lib/modules/VERSION, root/boot/vmlinuz-VERSION, root/usr/lib/linux-image-VERSION (device trees)
#   root/usr/lib/u-boot, root/usr/bin/busybox
set -euo pipefail
. "$(dirname "$0")/lib.sh"

build() {
  cd "$1"; mkdir debs root
  # shellcheck disable=SC2016
  in_builder sh -euc '
    apt-get -qq update
    kernel=$(apt-cache depends linux-image-arm64:arm64 | sed -n "s/.*Depends: \(linux-image-6[^: ]*\).*/\1/p" | head -n 1)
    [ -n "$kernel" ] || { echo "no 6.x kernel behind linux-image-arm64" >&2; exit 1; }
    cd debs; apt-get -qq download "$kernel:arm64" busybox-static:arm64 u-boot-rpi:arm64 u-boot-qemu
    for d in *.deb; do dpkg -x "$d" ../root; done'
  ls debs > packages; rm -r debs
  ls root/usr/lib/modules > version 2>/dev/null || ls root/lib/modules > version
  [ "$(wc -l < version)" = 1 ] || die "expected one kernel, got: $(cat version)"
  [ -d root/usr/lib/modules ] || mv root/lib/modules root/usr/lib/
  depmod -b root/usr "$(cat version)" 2> /dev/null || depmod -b root "$(cat version)"
}
cached kernel "$(key "$0" "$(debian_key)")" build
