"""The product's card alone in QEMU: no lab parts in it, a root shell on a second serial port by a kernel argument in extra.env."""
import os
import re
import shlex
import socket
import subprocess
import time

from qemu import LabError, Machine, run

END = "~end~"


class Board(Machine):
    """QEMU virt. `card_mib`: how large the card is; the image is smaller and grows into it. `devices`: more arguments for QEMU."""

    def __init__(self, work, image=None, card_mib=2048, devices=(), extra_args=""):
        super().__init__(work, image, extra_args=extra_args)
        self.card_mib, self.devices, self.shell_sock, self.line = card_mib, list(devices), self.work / "shell.sock", None

    def args(self):
        return f"systemd.debug_shell=ttyAMA1 systemd.show_status=yes cryptomgr.notests {self.extra_args}".strip()

    def prepare(self):
        self.copy_card(self.image.card)
        (self.work / "extra.env").write_text(f"extraargs={self.args()}\n")
        self.write_fat("oobd-boot", self.work / "extra.env", "extra.env")

    def copy_card(self, image):
        subprocess.run(["cp", "--sparse=always", image, self.card], check=True)
        os.truncate(self.card, self.card_mib << 20)

    def qemu(self):
        q = ["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a72", "-accel", "tcg,thread=multi", "-smp", self.smp, "-m", self.memory,
             "-nodefaults", "-display", "none", "-no-reboot", "-bios", self.image.uboot,
             "-serial", "stdio", "-serial", f"unix:{self.shell_sock},server=on,wait=off",
             "-object", "rng-random,filename=/dev/urandom,id=rng", "-device", "virtio-rng-pci,rng=rng",
             "-drive", f"if=none,id=card,format=raw,file={self.card}", "-device", "virtio-blk-pci,drive=card",
             "-netdev", "user,id=lan,restrict=on", "-device", "virtio-net-pci,netdev=lan,romfile="]
        return [str(a) for a in q + self.devices]

    def start(self):
        self.shell_sock.unlink(missing_ok=True)
        self.line = None
        super().start()

    def overwrite(self, part, data, at=0):
        """Bytes of a partition, behind the back of everybody; only while the machine is off."""
        with open(self.card, "r+b") as f:
            f.seek(self.image.offset[part] + at)
            f.write(data)

    def sh(self, command, timeout=60):
        """What a command prints in the guest's root shell. Raises when it fails."""
        code, text = self.try_sh(command, timeout)
        if code:
            raise LabError(f"{command}: exit {code}: {text}")
        return text

    def try_sh(self, command, timeout=60):
        deadline = time.monotonic() + timeout
        if self.line is None:
            self._open_shell(deadline)
        self.line.sendall(f"{{ {command}\n}} 2>&1; echo {END[:2]}''{END[2:]} $?\n".encode())
        text = self._read_until(rf"{END} (\d+)\r?\n", deadline, command)
        out, code = re.match(rf"(.*){END} (\d+)", text, re.S).groups()
        return int(code), out.replace("\r", "").strip()

    def _open_shell(self, deadline):
        while not self.shell_sock.exists() and self.alive() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.line = socket.socket(socket.AF_UNIX)
        self.line.connect(str(self.shell_sock))
        while True:  # the shell starts early in the boot; until then nobody answers
            self.line.sendall(b"stty -echo -onlcr; exec env PS1= PS2= PAGER= SYSTEMD_COLORS=0 SYSTEMD_URLIFY=0 COLUMNS=200 sh\n")
            try:
                self.line.sendall(b"echo he''re\n")
                self._read_until(r"here\r?\n", min(deadline, time.monotonic() + 3), "the root shell")
                break
            except LabError:
                if time.monotonic() > deadline:
                    raise
        self.line.sendall(f"echo {END[:2]}''{END[2:]} 0\n".encode())
        self._read_until(rf"{END} 0\r?\n", deadline, "the root shell")

    def _read_until(self, pattern, deadline, what):
        got = ""
        while not re.search(pattern, got):
            if not self.alive():
                raise LabError(f"QEMU ended while waiting for {what}; see {self.serial_log}")
            if time.monotonic() > deadline:
                raise LabError(f"no answer to {shlex.quote(what)}; got {got[-300:]!r}; see {self.serial_log}")
            self.line.settimeout(0.5)
            try:
                data = self.line.recv(65536)
            except TimeoutError:
                continue
            got += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", data.decode(errors="replace"))
        return got

    def until(self, command, want, timeout=60):
        """Runs a command again and again until what it prints matches."""
        deadline = time.monotonic() + timeout
        while not re.search(want, text := self.try_sh(command, timeout)[1]):
            if time.monotonic() > deadline:
                raise LabError(f"{command}: still {text!r}, waited {timeout} s for {want!r}")
            time.sleep(0.5)
        return text

    def wait_end(self, timeout):
        """Until the guest resets or switches itself off, which ends QEMU."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired as e:
            raise LabError(f"the guest still runs after {timeout} s; see {self.serial_log}") from e

    def wait_running(self, timeout=420):
        """Every unit of the boot has started; a failed one is named."""
        state = self.try_sh("systemctl is-system-running --wait", timeout)[1]
        if state != "running":
            raise LabError(f"the system is {state}: {self.sh('systemctl --failed --no-legend')}")


def read_fat(card, offset, name):
    """A file of a FAT partition, from outside."""
    return run("mtype", "-i", f"{card}@@{offset}", f"::{name}")
