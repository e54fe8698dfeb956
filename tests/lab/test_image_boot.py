"""The product's card in QEMU virt, as it ships: what runs, what listens, what is writable, and what happens when a slot is broken."""
import re

import pytest
from board import Board, read_fat

# Of the kernel's 4000 modules, those that a board in a rack cannot do without.
NEEDED = """cfg80211 mac80211 brcmfmac rfkill ccm cmac gcm ctr nf_tables nft_ct nft_fib_inet nft_fib_ipv4 nft_fib_ipv6 nft_reject_inet nft_limit tun
wireguard ftdi_sio cp210x ch341 pl2303 cdc_acm cdc_ether cdc_ncm ax88179_178a r8152 smsc95xx lan78xx vfat ext4 bcm2835_wdt""".split()
OF_THE_LAB = ["mac80211_hwsim", "veth"]
SYS_ADMIN, SYS_MODULE, SYS_PTRACE, SYS_RAWIO = 21, 16, 19, 17


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    b = Board(tmp_path_factory.mktemp("board"),
              devices=["-device", "qemu-xhci", "-chardev", "null,id=n", "-device", "usb-serial,chardev=n,always-plugged=on", "-device", "i6300esb"])
    b.prepare()
    b.start()
    b.wait_running()
    yield b
    b.kill()


def test_log_of_the_boot_is_clean(board):
    assert board.sh("systemctl --failed --no-legend") == ""
    assert board.sh("journalctl -b -p err -o cat -q") == ""
    lines = board.sh("journalctl -b -p warning -q").splitlines()
    assert [line for line in lines if " kernel: " not in line] == []


def test_oobd_alone_listens(board):
    sockets = board.sh("ss -H -lntup").splitlines()
    assert [s for s in sockets if '(("oobd",' not in s] == []
    assert any(re.search(r"tcp +LISTEN .*:22 ", s) for s in sockets), sockets


def test_nobody_else_configures_links_or_signs_people_in(board):
    running = board.sh("systemctl list-units -t service --state=running --no-legend --plain").splitlines()
    assert sorted(line.split()[0] for line in running) == sorted(
        ["oobd.service", "debug-shell.service", "systemd-journald.service", "systemd-udevd.service", "systemd-timesyncd.service"])
    for program in ["sshd", "NetworkManager", "dbus-daemon", "avahi-daemon", "systemd-networkd", "systemd-resolved", "agetty"]:
        assert board.sh(f"find /usr -xdev -name {program} -type f") == ""
    assert board.sh("cut -d: -f2 /etc/shadow | grep -v '^[!*]' || true") == ""


def test_writable_is_what_must_be(board):
    for path in ["/", "/etc", "/usr", "/boot/firmware"]:
        assert board.try_sh(f"touch {path}/.probe")[0] != 0, path
    for path in ["/data", "/tmp", "/var", "/run"]:
        board.sh(f"touch {path}/.probe && rm {path}/.probe")
    assert board.sh("findmnt -n -o FSTYPE /") == "squashfs"
    assert board.sh("findmnt -n -o FSTYPE /var") == "tmpfs"
    assert board.sh("readlink /etc/resolv.conf") == "../run/oobd/resolv.conf"


def test_data_grew_over_the_card(board):
    mib = int(board.sh("df -m --output=size /data | tail -n 1"))
    assert mib > 1300, "the image brings 64 MiB, the card here has 2048"
    assert board.sh("cat /sys/class/block/vda/vda7/partition") == "7"


def test_oobd_is_confined(board):
    pid = board.sh("systemctl show -P MainPID oobd.service")
    status = dict(line.split(":", 1) for line in board.sh(f"cat /proc/{pid}/status").splitlines())
    bounding = int(status["CapBnd"], 16)
    assert [c for c in (SYS_ADMIN, SYS_MODULE, SYS_PTRACE, SYS_RAWIO) if bounding >> c & 1] == []
    assert (status["NoNewPrivs"].strip(), status["Seccomp"].strip()) == ("1", "2")
    assert board.try_sh(f"nsenter -t {pid} -m touch /var/.probe")[0] != 0
    board.sh(f"nsenter -t {pid} -m sh -c 'touch /data/oobd/.probe && rm /data/oobd/.probe'")


def test_drivers_are_aboard_and_those_of_the_lab_are_not(board):
    def known(module):
        return board.try_sh(f"modprobe -n -q {module}")[0] == 0
    assert [m for m in NEEDED if not known(m)] == []
    assert [m for m in OF_THE_LAB if known(m)] == []


def test_usb_serial_port_has_lasting_names(board):
    board.until("ls /dev/serial/by-path/", r"pci-\S+-usb-0:1:1\.0-port0", 60)
    board.until("ls /dev/serial/by-id/", r"usb-QEMU_\S+-if00-port0", 60)
    assert "ID_MM_DEVICE_IGNORE=1" in board.sh("udevadm info /dev/ttyUSB0")


def test_watchdog_is_armed(board):
    assert board.until("cat /sys/class/watchdog/watchdog0/state", "^active$", 30) == "active"
    assert int(board.sh("cat /sys/class/watchdog/watchdog0/timeout")) <= 15


def test_first_boot_password_is_on_the_boot_partition_and_the_console(board):
    note = board.until("cat /boot/firmware/first-boot.txt", "Password: ", 60)
    password = re.search(r"Password: +(\S+)", note).group(1)
    board.wait_serial(rf"Password: +{password}", 60)
    assert board.try_sh("cat /boot/firmware/oobd-errors.txt")[0] != 0, "the default oobd.toml is good"
    board.until("findmnt -n -o OPTIONS /boot/firmware", "^ro,", 30)


def test_notes_that_are_gone_leave_the_boot_partition(board):
    board.sh("echo wrong > /run/oobd/boot/oobd-errors.txt")
    board.until("cat /boot/firmware/oobd-errors.txt", "^wrong$", 60)
    board.sh("rm /run/oobd/boot/oobd-errors.txt")
    board.until("ls /boot/firmware/oobd-errors.txt", "No such file", 60)
    board.until("findmnt -n -o OPTIONS /boot/firmware", "^ro,", 30)


def test_others_can_read_the_name_servers(board):
    board.until("stat -Lc %a /etc/resolv.conf", "^644$", 60)
    assert board.sh("stat -c %a /data/oobd") == "700"


def test_killed_oobd_comes_back(board):
    old = board.sh("systemctl show -P MainPID oobd.service")
    board.sh(f"kill -9 {old}")
    board.until("systemctl is-active oobd.service; systemctl show -P MainPID oobd.service", rf"^active\n(?!{old}$)(?!0$)\d+$", 90)


# From here on the machine restarts; the order counts.

def test_hopeless_start_reboots_and_keeps_the_machine_id(board):
    assert board.sh("fw_printenv -n BOOT_A_LEFT") == "3", "oobd was ready, so the slot has its tries back"
    machine_id = board.sh("cat /etc/machine-id")
    assert re.fullmatch("[0-9a-f]{32}", machine_id) and board.sh("fw_printenv -n MACHINE_ID") == machine_id
    board.sh("systemctl start --no-block emergency.target")
    board.wait_serial("this system cannot start, rebooting", 60)
    board.wait_end(120)
    board.start()
    board.wait_running()
    assert board.sh("cat /etc/machine-id") == machine_id


def test_crashed_init_reboots(board):
    board.sh("fw_setenv BOOT_A_LEFT 1")
    board.try_sh("sync")
    board.line.sendall(b"kill -SEGV 1\n")
    board.wait_end(120)


def test_broken_root_and_torn_state_lead_to_slot_b(board):
    board.overwrite("oobd-root-a", bytes(1 << 20))
    board.start()
    board.wait_serial("oobd: slot A, left A=0", 120)
    board.wait_serial("no system on .*rebooting", 180)
    board.wait_end(120)
    board.overwrite("oobd-state", bytes(0x4000))
    board.start()
    board.wait_serial("oobd: state copy 2 ", 120)
    board.wait_serial("oobd: slot B, left A=0 B=2", 120)
    board.wait_running()
    assert "rauc.slot=B" in board.sh("cat /proc/cmdline")
    assert board.sh("findmnt -n -o SOURCE /").startswith("/dev/vda6")
    assert board.sh("fw_printenv -n BOOT_B_LEFT") == "3"
    board.sh("sync")
    board.kill()
    assert b"Password" in read_fat(board.card, board.image.offset["oobd-boot"], "first-boot.txt")
