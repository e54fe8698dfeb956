#!/bin/bash
# Makes the card image of a board from BINARIES_DIR, whatever base filled it. Called by board/<board>/post-image.sh as
# `post-image.sh BINARIES_DIR` with BOARD_DIR set; RELEASE=1 builds without the door for test arguments.
# BINARIES_DIR holds: Image.gz, initrd (absent when the kernel needs none), dtb/ (as U-Boot's fdtfile names them),
# rootfs.squashfs and bootfiles/ (what the boot partition of this board carries besides ours).
set -euo pipefail
cd "$1"
COMMON=$(readlink -f "$(dirname "$0")"); BOARD_DIR=$(readlink -f "${BOARD_DIR:?}")
. "$COMMON/budget.env"
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1794700800}

within() { # within NAME BYTES LIMIT_MIB
  [ "$2" -le $(($3 * 1048576)) ] || { echo "size budget exceeded: $1 has $(($2 / 1048576)) MiB of $3 MiB (board/common/budget.env)" >&2; exit 1; }
}

rm -rf parts genimage.tmp sdcard.img; mkdir -p parts/bootpart parts/slotpart
cp -rL bootfiles/. parts/bootpart/
cp "$COMMON/oobd.toml" parts/bootpart/
cp "$COMMON/boot.cmd" boot.cmd
[ -z "${RELEASE:-}" ] || sed -i '/^# begin tests/,/^# end tests/d' boot.cmd
mkimage -q -A arm64 -T script -C none -n oobd -d boot.cmd parts/bootpart/boot.scr > /dev/null

cp Image.gz parts/slotpart/
[ ! -e initrd ] || cp initrd parts/slotpart/
if [ -d dtb ]; then cp -rL dtb parts/slotpart/
elif [ -d broadcom ]; then mkdir parts/slotpart/dtb; cp -rL broadcom parts/slotpart/dtb/; fi # as Buildroot leaves them
printf 'cmdline=%s\n' "$(grep -v '^#' "$BOARD_DIR/cmdline.txt" | xargs)" > parts/slotpart/cmdline.env

# Before anything is made of it: what does not fit says so here.
within "slot" "$(du -sb parts/slotpart | cut -f1)" "$SLOT_MIB"
within "root" "$(stat -c %s rootfs.squashfs)" "$ROOT_MIB"
find parts -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
genimage --config "$COMMON/genimage.cfg" --inputpath . --outputpath . --tmppath genimage.tmp --rootpath parts > genimage.log 2>&1 ||
  { tail -n 20 genimage.log >&2; exit 1; }
rm -rf genimage.tmp
