#!/bin/bash
# Base root file system: Debian trixie arm64 packages as they are, nothing of ours yet. Prints its folder in the cache;
# `tree` is the root, `dpkg.status` the list of what is in it. Package versions are those of the day it was made:
# `scripts/build-image --refresh` makes it anew.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

PACKAGES=(
  systemd systemd-sysv udev systemd-timesyncd kmod iproute2 netbase ca-certificates tzdata
  wpasupplicant iw wireless-regdb nftables
  e2fsprogs dosfstools fdisk busybox libubootenv-tool
  # boot files and Wi-Fi firmware of the Raspberry Pi
  raspi-firmware firmware-brcm80211
)

# arm64 maintainer scripts run under qemu-user; flag F keeps the interpreter open across the chroot.
binfmt() {
  local b=/proc/sys/fs/binfmt_misc
  mountpoint -q $b || mount -t binfmt_misc binfmt_misc $b || die "this kernel has no binfmt_misc, arm64 packages cannot be configured"
  [ -e $b/qemu-aarch64 ] || grep -v '^#' /usr/lib/binfmt.d/qemu-aarch64.conf > $b/register
  grep -q enabled $b/qemu-aarch64 || die "binfmt_misc entry qemu-aarch64 is disabled"
}
build() {
  binfmt; find_mirrors
  mmdebstrap --quiet --mode=root --variant=essential --architectures=arm64 --skip=check/qemu "${APT_OPTIONS[@]}" \
    --include="$(IFS=,; echo "${PACKAGES[*]}")" trixie "$1/tree" - < <(debian_sources)
  cp "$1/tree/var/lib/dpkg/status" "$1/dpkg.status"
}
cached rootfs "$(key "$0" "$(debian_key)")" build
