#!/bin/bash
# QEMU virt: U-Boot is the machine's own firmware (-bios u-boot.bin), the boot partition carries nothing for it.
set -euo pipefail
here=$(dirname "$0")
rm -rf "$1/bootfiles"; mkdir -p "$1/bootfiles"
BOARD_DIR=$here exec "$here/../common/post-image.sh" "$1"
