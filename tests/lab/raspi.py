"""A Raspberry Pi 4 in QEMU, from its flashable image. Only copies are edited: device tree of slot A, extra.env."""
import subprocess

from board import Board
from qemu import REPO, Image, LabError, run

DTB = "bcm2711-rpi-4-b.dtb"


def quiet(*argv):
    """A device-tree edit that may have nothing to edit."""
    return subprocess.run([str(a) for a in argv], capture_output=True, text=True).stdout.strip()


def qemu_dtb(dtb):
    """Takes out of a Pi 4's device tree what QEMU's raspi4b does not have, so that drivers do not touch it."""
    def off(node):
        quiet("fdtput", "-t", "s", dtb, node, "status", "disabled")

    def label(name):  # paths move between kernels, labels do not
        return run("fdtget", "-t", "s", dtb, "/__symbols__", name).decode().strip()

    display = ("interrupt-controller@7ef", "i2c@7ef", "hdmi@", "clock@7ef", "hvs@", "pixelvalve@", "vec@", "txp@", "v3d@", "gpu", "dsi@", "csi@", "codec")
    for node in run("fdtget", "-l", dtb, "/soc").decode().split():
        if node.startswith(display):
            off(f"/soc/{node}")
    # The PL011 becomes the console: QEMU's mini-UART storms with interrupts under Linux's driver.
    off("/soc/serial@7e201000/bluetooth")
    off("/soc/serial@7e215040")
    # No firmware GPIO expander: the card's regulators behind it would be waited for for ever.
    for supply in ("vqmmc-supply", "vmmc-supply"):
        quiet("fdtput", "-d", dtb, label("emmc2"), supply)
    for node in ["/leds", "/wifi-pwrseq", label("pcie0"), label("genet"), "/soc/rng@7e104000", label("avs_monitor")]:
        off(node)
    # QEMU puts the card where a real Pi has its Wi-Fi.
    for prop in ("mmc-pwrseq", "non-removable"):
        quiet("fdtput", "-d", dtb, "/soc/mmc@7e300000", prop)
    run("fdtput", "-t", "s", dtb, "/soc/mmc@7e300000", "status", "okay")


class PiImage(Image):
    def __init__(self, work):
        folder = REPO / "out/rpi4"
        packed = folder / "oobd-rpi4.img.xz"
        if not packed.exists():
            raise LabError(f"{packed} is missing; run scripts/build-image rpi4 first")
        card = work / "flashed.img"
        with open(card, "wb") as f:
            subprocess.run(["xz", "-dc", packed], stdout=f, check=True)
        super().__init__(folder, card=card)


class Pi(Board):
    """raspi4b: the U-Boot of the image's boot partition, then everything as on a card."""

    def __init__(self, work):
        # The watchdog of this machine resets at once when it is armed.
        super().__init__(work, PiImage(work), card_mib=1024, extra_args="systemd.watchdog_sec=0 console=ttyAMA0,115200")

    def args(self):
        return f"systemd.show_status=yes cryptomgr.notests {self.extra_args}"

    def prepare(self):
        super().prepare()
        dtb = self.image.extract("oobd-slot-a", f"dtb/broadcom/{DTB}", self.work / DTB)
        qemu_dtb(dtb)
        self.write_fat("oobd-slot-a", dtb, f"dtb/broadcom/{DTB}")
        self.image.extract("oobd-boot", "u-boot.bin", self.work / "u-boot.bin")

    def qemu(self):
        return [str(a) for a in [
            "qemu-system-aarch64", "-M", "raspi4b", "-smp", 4, "-m", "2G", "-display", "none", "-no-reboot", "-monitor", "none",
            "-serial", "stdio", "-serial", "null", "-kernel", self.work / "u-boot.bin", "-dtb", self.work / DTB,
            "-drive", f"if=sd,format=raw,file={self.card}"]]
