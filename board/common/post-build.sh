#!/bin/bash
# Finishes a root file system, whatever base it came from: after this TARGET_DIR is what the image ships.
# Called by board/<board>/post-build.sh as `post-build.sh TARGET_DIR`, with rootfs-overlay/ and oobd already in place.
set -euo pipefail
T=$1
mkdir -p "$T/data" "$T/boot/firmware" "$T/var" "$T/tmp" "$T/home" "$T/srv"
# Written by oobd at run time; the root itself is read-only.
ln -sfn ../run/oobd/resolv.conf "$T/etc/resolv.conf"
# Empty, not "uninitialized": the latter would make every boot a first boot. The boot script hands over the kept id.
rm -f "$T/etc/machine-id"; : > "$T/etc/machine-id"
# Nobody signs in to Linux itself with a password.
sed -i 's#^root:[^:]*:#root:!*:#' "$T/etc/shadow"
# Starting point of the clock on a board without one.
touch "$T/usr/lib/clock-epoch"
# Debian leaves this choice to its alternatives system, which is not in the image. Without it the kernel stays in the world
# domain, whatever country is configured, and 5 GHz is passive only.
for f in "$T"/usr/lib/firmware/regulatory.db*-debian; do [ ! -e "$f" ] || ln -sfn "$(basename "$f")" "${f%-debian}"; done
# Interface names stay eth0 and wlan0 with any kernel command line.
for l in 73-usb-net-by-mac 99-default; do ln -sfn /dev/null "$T/etc/systemd/network/$l.link"; done
# A base brings units of its own; only these may run. Each line says why it does not.
mask() { for u; do ln -sfn /dev/null "$T/etc/systemd/system/$u"; done; }
mask systemd-logind.service systemd-user-sessions.service getty.target serial-getty@.service getty@.service autovt@.service # no sign-in on the consoles
mask console-getty.service container-getty@.service systemd-ask-password-console.path systemd-ask-password-wall.path
mask ldconfig.service systemd-hwdb-update.service systemd-journal-catalog-update.service systemd-update-done.service # nothing to update on a read-only root
mask systemd-sysusers.service systemd-firstboot.service systemd-machine-id-commit.service systemd-random-seed.service systemd-pstore.service
mask systemd-networkd.service systemd-networkd.socket systemd-networkd-wait-online.service systemd-network-generator.service # oobd alone configures links
mask wpa_supplicant.service wpa_supplicant@.service # ours is oobd-wpa@.service
mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer e2scrub_reap.service systemd-tmpfiles-clean.timer
mask systemd-journal-flush.service systemd-remount-fs.service # no journal on flash, root and /proc are right already
mask proc-sys-fs-binfmt_misc.automount systemd-binfmt.service dev-hugepages.mount dev-mqueue.mount sys-fs-fuse-connections.mount sys-kernel-tracing.mount
mask systemd-sysext.socket systemd-hostnamed.socket systemd-creds.socket systemd-initctl.socket systemd-udev-load-credentials.service
ln -sfn multi-user.target "$T/usr/lib/systemd/system/default.target"
mkdir -p "$T/etc/systemd/system-generators"
ln -sfn /dev/null "$T/etc/systemd/system-generators/systemd-getty-generator"
