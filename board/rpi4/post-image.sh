#!/bin/bash
# Raspberry Pi 4, 400 and CM4: the Pi's firmware starts U-Boot from the boot partition. Takes the firmware (pifw/,
# Buildroot's rpi-firmware/) and u-boot.bin from BINARIES_DIR.
set -euo pipefail
here=$(dirname "$0")
rm -rf "$1/bootfiles"; mkdir -p "$1/bootfiles"
pifw=$1/pifw; [ -d "$pifw" ] || pifw=$1/rpi-firmware
cp "$pifw"/{start4.elf,fixup4.dat,start4cd.elf,fixup4cd.dat} "$1/u-boot.bin" "$here/config.txt" "$1/bootfiles/"
# The firmware reads the memory size and the board's own values into this one and hands it to U-Boot.
dtb=$1/dtb/broadcom; [ -d "$dtb" ] || dtb=$1/broadcom
cp "$dtb"/bcm2711-rpi-{4-b,400,cm4-io}.dtb "$1/bootfiles/"
BOARD_DIR=$here exec "$here/../common/post-image.sh" "$1"
