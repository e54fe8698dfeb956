#!/bin/bash
# Raspberry Pi 4, 400 and CM4: the Pi's firmware starts U-Boot from the boot partition. Takes pifw/ (bootcode and start
# files) and u-boot.bin from BINARIES_DIR.
set -euo pipefail
here=$(dirname "$0")
rm -rf "$1/bootfiles"; mkdir -p "$1/bootfiles"
cp "$1"/pifw/{start4.elf,fixup4.dat,start4cd.elf,fixup4cd.dat} "$1/u-boot.bin" "$here/config.txt" "$1/bootfiles/"
# The firmware reads the memory size and the board's own values into this one and hands it to U-Boot.
cp "$1"/dtb/broadcom/bcm2711-rpi-{4-b,400,cm4-io}.dtb "$1/bootfiles/"
BOARD_DIR=$here exec "$here/../common/post-image.sh" "$1"
