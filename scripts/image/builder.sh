#!/bin/bash
# Builder tree: Debian trixie amd64 with the arm64 cross compiler, Rust for both, and the image tools, so that an image
# does not depend on what the host has. usage: builder.sh  (prints its folder in the cache)
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# Rust comes from backports; without `:any` the pin would cover amd64 only and apt would refuse the pair of libstd.
PIN='Package: rustc:any cargo:any libstd-rust-dev:any /^libstd-rust-[0-9.]+$/:any
Pin: release n=trixie-backports
Pin-Priority: 900
'
INCLUDE=ca-certificates,cargo,rustc,libstd-rust-dev,libstd-rust-dev:arm64,gcc,libc6-dev,gcc-aarch64-linux-gnu,libc6-dev:arm64,libssl-dev:arm64,lld,pkg-config
INCLUDE+=,genimage,mtools,dosfstools,e2fsprogs,squashfs-tools,fdisk,device-tree-compiler,u-boot-tools,zstd,xz-utils,cpio,kmod,systemd

build() {
  find_mirrors
  printf '%s' "$PIN" > "$OOBD_CACHE/.builder.pin"
  # One tree for amd64 hosts; debootstrapping on another architecture would need another tool chain.
  mmdebstrap --quiet --mode=root --variant=apt --architectures=amd64,arm64 "${APT_OPTIONS[@]}" \
    --setup-hook='mkdir -p "$1"/etc/apt/preferences.d; cp "$OOBD_CACHE/.builder.pin" "$1"/etc/apt/preferences.d/rust' \
    --include="$INCLUDE" trixie "$1/tree" - < <(debian_sources)
  mkdir -p "$1/tree/dev" "$1/tree/proc"
}
[ "$(uname -m)" = x86_64 ] || die "images are built on amd64 machines"
cached builder "$(key "$0" "$(debian_key)")" build
