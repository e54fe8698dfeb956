"""One QEMU machine that runs a copy of the product image together with the lab disk.

The copy differs from the product in the FAT file systems alone: the lab's cpio appended to the slot's initrd, `extra.env` (kernel
arguments) and the lab's `oobd.toml`. Root file systems, kernel and everything else are the product's, byte for byte.
"""
import functools
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPO = HERE.parent.parent
CACHE = Path(os.environ.get("OOBD_CACHE") or Path.home() / ".cache/oobd")

# In dependency order; those the product has built in or already loaded are skipped in the guest.
MODULES = """crc32c_generic overlay squashfs veth dummy bridge mac80211_hwsim ccm gcm cmac nf_tables nf_conntrack nf_nat nft_ct nft_masq nft_chain_nat
nft_nat nft_reject_inet nft_fib_inet""".split()
RADIOS = 4


class LabError(Exception):
    """The machine cannot be prepared or does not behave; says what to look at."""


def run(*argv, **kw):
    done = subprocess.run([str(a) for a in argv], capture_output=True, **kw)
    if done.returncode:
        raise LabError(f"{' '.join(map(str, argv))}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


@functools.cache
def lab_disk():
    return Path(subprocess.run([HERE / "build-disk"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip())


class Image:
    """What scripts/build-image left in a folder."""

    def __init__(self, folder=None, card=None):
        self.folder = Path(folder or os.environ.get("OOBD_IMAGE_DIR") or REPO / "out/qemu")
        info = self.folder / "build.json"
        if not info.exists():
            raise LabError(f"{info} is missing; run scripts/build-image qemu first")
        self.info = json.loads(info.read_text())
        self.card, self.uboot = Path(card or self.folder / "sdcard.img"), self.folder / "u-boot.bin"
        parts = json.loads(run("sfdisk", "--json", self.card))["partitiontable"]["partitions"]
        self.offset = {p["name"]: p["start"] * 512 for p in parts if "name" in p}
        self.size = {p["name"]: p["size"] * 512 for p in parts if "name" in p}

    def extract(self, part, name, to):
        """A file of one of the FAT partitions of the product."""
        run("mcopy", "-n", "-o", "-i", f"{self.card}@@{self.offset[part]}", f"::{name}", to)
        return Path(to)


def modules_dir(image):
    """The complete module tree of the product's kernel (the image itself holds a selection)."""
    return Path(image.info["modules_dir"])


def module_name(file):
    return Path(file).name.split(".ko")[0].replace("-", "_")


def unpacked(path):
    tool = {".xz": "xz", ".zst": "zstd", ".gz": "gzip"}.get(path.suffix)
    return run(tool, "-dc", path) if tool else path.read_bytes()


def lab_cpio(image, out):
    """guest/ and the modules that the lab needs of exactly the product's kernel, as a cpio to append to the initrd."""
    tree = out.with_suffix(".tree")
    shutil.rmtree(tree, ignore_errors=True)
    lab = tree / "lab"
    shutil.copytree(HERE / "guest", lab, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    (lab / "init.lab").rename(tree / "init.lab")
    (tree / "init.lab").chmod(0o755)
    (lab / "modules").mkdir()
    mods, order = modules_dir(image), []
    needs = {}  # module name -> its file and those it needs, last first (modules.dep)
    for line in (mods / "modules.dep").read_text().splitlines():
        file, _, deps = line.partition(":")
        needs[module_name(file)] = [file] + deps.split()
    for m in MODULES:
        for file in reversed(needs.get(m, [])):
            if (name := module_name(file)) not in order:
                (lab / "modules" / f"{name}.ko").write_bytes(unpacked(mods / file))
                order.append(name)
    if "mac80211_hwsim" not in order:
        raise LabError(f"no mac80211_hwsim below {mods}")
    params = {"mac80211_hwsim": f" radios={RADIOS}", "dummy": " numdummies=0"}
    (lab / "modules/order").write_text("".join(n + params.get(n, "") + "\n" for n in order))
    names = run("find", ".", "-mindepth", "1", cwd=tree)
    cpio = run("cpio", "-o", "-H", "newc", "-R", "0:0", "--quiet", cwd=tree, input=names)
    out.write_bytes(run("zstd", "-q", "-3", "-c", input=cpio))
    shutil.rmtree(tree)
    return out


class Machine:
    """Owns the QEMU process and everything it needs in `work`; `ssh_port` and `https_port` on 127.0.0.1 lead through the hotspot to the board's
    doors."""

    def __init__(self, work, image=None, config="", extra_args="", ssh_port=None, memory=1024, direct=False, bare=False, log=None, smp=2):
        self.work, self.image = Path(work), image or Image()
        self.work.mkdir(parents=True, exist_ok=True)
        # bare: the board alone, without radios, LAN and switch; boots faster
        self.bare, extra_args = bare, extra_args + (" lab.bare" if bare else "")
        self.config, self.extra_args, self.direct, self.memory, self.smp = config, extra_args, direct, memory, smp
        self.ssh_port, self.https_port, self.ctl_port = ssh_port or free_port(), free_port(), free_port()
        self.card, self.serial_log = self.work / "card.img", Path(log or self.work / "serial.log")
        self.switch_sock, self.qmp_sock = self.work / "switch.sock", self.work / "qmp.sock"
        self.process, self.lines, self.started, self.tap = None, [], None, lambda t, line: None
        self.seen = threading.Condition()

    def args(self):
        args = "rdinit=/init.lab cryptomgr.notests systemd.journald.max_level_console=warning " + self.extra_args
        return args.strip()

    def prepare(self):
        """Copies the card and writes the lab's three files into the copy's FAT partitions."""
        subprocess.run(["cp", "--sparse=always", self.image.card, self.card], check=True)
        size = 1 << (self.card.stat().st_size - 1).bit_length()
        os.truncate(self.card, size)
        product = self.image.extract("oobd-slot-a", "initrd", self.work / "initrd.product").read_bytes()
        cpio = lab_cpio(self.image, self.work / "lab.cpio.zst").read_bytes()
        (self.work / "initrd").write_bytes(product + bytes(-len(product) % 4) + cpio)
        (self.work / "extra.env").write_text(f"extraargs={self.args()}\n")
        for part in ("oobd-slot-a", "oobd-slot-b"):
            self.write_fat(part, self.work / "initrd", "initrd")
        self.write_fat("oobd-boot", self.work / "extra.env", "extra.env")
        if self.direct:
            self.image.extract("oobd-slot-a", "Image.gz", self.work / "Image.gz")
            self.image.extract("oobd-slot-a", "cmdline.env", self.work / "cmdline.env")
        if self.config:
            self.write_config(self.config)

    def write_fat(self, part, src, name):
        run("mcopy", "-n", "-o", "-i", f"{self.card}@@{self.image.offset[part]}", src, f"::{name}")

    def write_config(self, text):
        (self.work / "oobd.toml").write_text(text)
        self.write_fat("oobd-boot", self.work / "oobd.toml", "oobd.toml")

    def qemu(self):
        # Without ACPI, which nobody here uses, the machine has the GPIO controller (PL061) that test_relays.py drives.
        q = ["qemu-system-aarch64", "-M", "virt,acpi=off", "-cpu", "cortex-a72", "-accel", "tcg,thread=multi", "-smp", self.smp, "-m", self.memory,
             "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio", "-qmp", f"unix:{self.qmp_sock},server=on,wait=off",
             "-object", "rng-random,filename=/dev/urandom,id=rng", "-device", "virtio-rng-pci,rng=rng",
             "-drive", f"if=none,id=card,format=raw,file={self.card}", "-device", "virtio-blk-pci,drive=card,bootindex=0,serial=oobd-card",
             "-drive", f"if=none,id=lab,format=raw,readonly=on,file={lab_disk()}", "-device", "virtio-blk-pci,drive=lab,serial=oobd-lab",
             # the board's eth0: a cable to the LAN's end below, or to nobody
             "-netdev", "user,id=lan0,restrict=on" if self.bare else "hubport,id=lan0,hubid=0", "-device", "virtio-net-pci,netdev=lan0,mac=52:54:00:0b:d0:01,romfile=",
             "-netdev", f"user,id=ctl,restrict=on,net=10.99.0.0/24,ipv6=off,hostfwd=tcp:127.0.0.1:{self.ctl_port}-10.99.0.15:7000",
             "-device", "virtio-net-pci,netdev=ctl,mac=52:54:00:0b:d0:04,romfile="]
        if not self.bare:
            q += [  # the LAN's end of the same cable, the operator's way to the phone, the switch's serial line
                "-netdev", "hubport,id=lan1,hubid=0", "-device", "virtio-net-pci,netdev=lan1,mac=52:54:00:0b:d0:02,romfile=",
                "-netdev", f"user,id=op,restrict=on,net=10.98.0.0/24,ipv6=off,hostfwd=tcp:127.0.0.1:{self.ssh_port}-10.98.0.15:22,"
                f"hostfwd=tcp:127.0.0.1:{self.https_port}-10.98.0.15:443",
                "-device", "virtio-net-pci,netdev=op,mac=52:54:00:0b:d0:03,romfile=",
                "-device", "qemu-xhci,id=xhci,addr=0x10", "-chardev", f"socket,id=switch,path={self.switch_sock},server=on,wait=off",
                "-device", "usb-serial,id=usbserial,bus=xhci.0,port=1,chardev=switch,always-plugged=on"]
        if self.direct:
            cmdline = re.sub(r"^cmdline=", "", (self.work / "cmdline.env").read_text().strip())
            q += ["-kernel", self.work / "Image.gz", "-initrd", self.work / "initrd",
                  "-append", f"root=PARTLABEL=oobd-root-a ro rauc.slot=A {cmdline} {self.args()}"]
        else:
            q += ["-bios", self.image.uboot]
        return [str(a) for a in q]

    def start(self):
        for s in (self.switch_sock, self.qmp_sock):
            s.unlink(missing_ok=True)
        self.lines = []
        err = open(self.work / "qemu.err", "wb")
        # Its own session: Ctrl-C in a terminal reaches the script, which then ends the machine in order.
        self.process = subprocess.Popen(self.qemu(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err, start_new_session=True)
        err.close()
        self.started = time.monotonic()
        threading.Thread(target=self._read_serial, args=(self.process,), daemon=True).start()

    def _read_serial(self, process):
        with open(self.serial_log, "ab") as log:
            for raw in process.stdout:
                t = time.monotonic() - self.started
                line = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]|\r|\x00", b"", raw).decode(errors="replace").rstrip()
                log.write(f"[{t:8.2f}] {line}\n".encode())
                log.flush()
                with self.seen:
                    self.lines.append((t, line))
                    self.seen.notify_all()
                self.tap(t, line)
        with self.seen:
            self.seen.notify_all()

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def wait_serial(self, pattern, timeout):
        """Seconds from power-on to the first serial line that matches."""
        rx, i, deadline = re.compile(pattern), 0, time.monotonic() + timeout
        with self.seen:
            while True:
                for t, line in self.lines[i:]:
                    if rx.search(line):
                        return t
                i = len(self.lines)
                if not self.alive():
                    raise LabError(f"QEMU ended ({self.process.returncode}) before {pattern!r}: {(self.work / 'qemu.err').read_text().strip()}; "
                                   f"see {self.serial_log}")
                if time.monotonic() > deadline:
                    raise LabError(f"no {pattern!r} on the serial console in {timeout} s; see {self.serial_log}")
                self.seen.wait(0.5)

    def kill(self):
        """Power cut: the process is gone at once, nothing is flushed."""
        if self.process:
            self.process.kill()
            self.process.wait()

    def qmp(self, command, **arguments):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(str(self.qmp_sock))
            f = s.makefile("rwb")
            f.readline()
            for c in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                f.write(json.dumps(c).encode() + b"\n")
                f.flush()
                while True:
                    msg = json.loads(f.readline())
                    if "return" in msg or "error" in msg:
                        break
            if "error" in msg:
                raise LabError(f"QMP {command}: {msg['error']['desc']}")
            return msg["return"]

    def unplug_serial(self):
        self.qmp("device_del", id="usbserial")

    def plug_serial(self):
        self.qmp("device_add", driver="usb-serial", id="usbserial", bus="xhci.0", port="1", chardev="switch", **{"always-plugged": True})
