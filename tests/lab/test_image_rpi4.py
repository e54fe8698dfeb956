"""The flashable image of a Raspberry Pi 4 in QEMU's raspi4b. Not run by it, so not tested here: the Pi's own firmware, config.txt, Wi-Fi."""
import pytest
from board import read_fat
from raspi import Pi


@pytest.fixture(scope="module")
def pi(tmp_path_factory):
    p = Pi(tmp_path_factory.mktemp("pi"))
    p.prepare()
    yield p
    p.kill()


def test_rpi4_boot_partition_is_complete(pi):
    config = read_fat(pi.card, pi.image.offset["oobd-boot"], "config.txt").decode()
    named = [line.split("=")[1] for line in config.splitlines() if line.startswith("kernel=")]
    for name in named + ["start4.elf", "fixup4.dat", "bcm2711-rpi-4-b.dtb", "boot.scr", "oobd.toml"]:
        assert read_fat(pi.card, pi.image.offset["oobd-boot"], name), name


def test_rpi4_boots_to_oobd_ready(pi):
    pi.start()
    pi.wait_serial("RPI 4 Model B", 120)
    pi.wait_serial(r"(Welcome to|Starting).*", 300)
    pi.wait_serial(r"Started .*oobd\.service", 600)
