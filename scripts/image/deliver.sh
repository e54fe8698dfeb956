#!/bin/bash
# Puts the finished image where people look for it, checks the download size and writes build.json.
# usage: deliver.sh BOARD BINARIES_DIR OUT_DIR PROFILE ; needs BUILDER, ROOTFS, KERNEL.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
board=$1 bin=$2 out=$3 profile=$4
. "$REPO/board/common/budget.env"

if [ "$board" = qemu ]; then
  mv "$bin/sdcard.img" "$out/sdcard.img"; cp "$bin/u-boot.bin" "$out/"
  image=sdcard.img
  # Nobody downloads this one; the same measure keeps the budget honest on every build.
  say "image: measuring the download size"
  compressed=$(zstd -q -3 -T2 --long=30 -c "$out/$image" | wc -c)
else
  image=oobd-$board.img.xz
  say "image: xz"
  in_builder xz -c -T1 --lzma2=preset=0,dict=192MiB,mf=hc3,nice=273,depth=1 "$bin/sdcard.img" > "$out/$image.part"
  mv "$out/$image.part" "$out/$image"
  compressed=$(stat -c %s "$out/$image")
fi
[ "$compressed" -le $((IMAGE_MB * 1000000)) ] || die "size budget exceeded: the image has $((compressed / 1000000)) MB of $IMAGE_MB MB (board/common/budget.env)"

size() { stat -c %s "$1"; }
v=$(cat "$KERNEL/version")
cat > "$out/build.json.part" <<JSON
{
  "board": "$board",
  "version": "$("$REPO/scripts/image/version.sh")",
  "release": $([ -n "${RELEASE:-}" ] && echo true || echo false),
  "profile": "$profile",
  "image": "$out/$image",
  "image_bytes": $(size "$out/$image"),
  "image_compressed_bytes": $compressed,
  "root_bytes": $(size "$bin/rootfs.squashfs"),
  "kernel_bytes": $(size "$bin/Image.gz"),
  "initrd_bytes": $(size "$bin/initrd"),
  "oobd_bytes": $(size "$bin/oobd"),
  "oobctl_bytes": $(size "$bin/oobctl"),
  "kernel_version": "$v",
  "kernel": "$bin/Image.gz",
  "initrd": "$bin/initrd",
  "modules_dir": "$KERNEL/root/usr/lib/modules/$v",
  "builder_dir": "$BUILDER",
  "rootfs_dir": "$ROOTFS/tree",
  "debian_packages": $(grep -c '^Package:' "$ROOTFS/dpkg.status"),
  "build_s": $(($(date +%s) - OOBD_T0))
}
JSON
mv "$out/build.json.part" "$out/build.json"
say "image: $out/$image, $(($(size "$out/$image") / 1000000)) MB, compressed $((compressed / 1000000)) MB, root $(($(size "$bin/rootfs.squashfs") / 1048576)) MiB"
