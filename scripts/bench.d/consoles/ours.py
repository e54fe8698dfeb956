"""oobd as a contender: a release build with a config of its own; doors that this build does not know are left out."""
import base64
import json
import os
import shutil
import socket
import subprocess
import threading

from bench import REPO

from .contender import Contender
from .control import Control
from .ssh import Ssh
from .telnet import Rfc2217, Telnet
from .websocket import WebSocket
from .wire import Raw

SSH_PORT, HTTPS_PORT = 2222, 8443
PASSWORD = "rescue me now"
# argon2id of it, with the parameters that oobd makes itself.
HASH = "$argon2id$v=19$m=19456,t=2,p=1$F4LuoWf9cQ7hVDuT7fZvuQ$ir5E8YbRaBm9e4Z7WSzKIPsRNIvoSY8uvShzZHg+2h0"
# A section of its own for a door.
SECTIONS = {"websocket": f"[https]\nport = {HTTPS_PORT}\n"}
# What a console's section says for each door; `n` is the console's number.
PLAIN = {
    "raw": lambda n: f'raw = {{ port = {4000 + n}, allow = ["127.0.0.1"] }}\n',
    "telnet": lambda n: f"telnet = {2000 + n}\n",
    "rfc2217": lambda n: f'rfc2217 = {{ port = {5000 + n}, allow = ["127.0.0.1"] }}\n',
}


class Oobd(Contender):
    """Every console has every door, at 2000, 4000 and 5000 + number as the convention has it."""

    label = "oobd"
    doors = ("raw", "telnet", "rfc2217", "websocket", "ssh", "control")

    def start(self, binary, doors=()):
        self.binary, self.known = binary, doors
        for name in ("state", "run", "boot"):
            (self.folder / name).mkdir()
        self.key = self.folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", self.key], check=True)
        config = self.folder / "boot" / "oobd.toml"
        config.write_text(self.config())
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(str(self.folder / "notify"))
        notify.setblocking(False)
        said = []

        def ready():
            try:
                said.extend(notify.recv(4096).decode().split("\n"))
            except BlockingIOError:
                pass
            return "READY=1" in said

        env = dict(os.environ, NOTIFY_SOCKET=str(self.folder / "notify"), OOBD_LOG="warn")
        self.spawn(binary, "--config", config, "--state", self.folder / "state", "--run", self.folder / "run", env=env)
        self.until("READY=1", ready)
        # What it says later, the watchdog's beats, is nobody's business here.
        threading.Thread(target=self.listen, args=(notify,), daemon=True).start()
        self.until("consoles open", lambda: all(c["phase"] == "open" for c in self.consoles().values()))

    def listen(self, notify):
        notify.setblocking(True)
        while self.process.poll() is None:
            notify.recv(4096)

    def close_all(self):
        """Also waits until oobd knows: the next session is to be the writer."""
        super().close_all()
        if self.process and self.process.poll() is None:
            self.until("sessions gone", lambda: not any(console["sessions"] for console in self.consoles().values()))

    def config(self):
        public = (self.folder / "key.pub").read_text().strip()
        text = f'schema = 1\n[lan]\ninterface = "eth9"\n[oob]\nmode = "off"\n[ssh]\nport = {SSH_PORT}\n'
        text += f'[user.bench]\nrole = "administrator"\nkeys = ["{public}"]\npassword = "{HASH}"\n'
        text += "".join(SECTIONS[door] for door in self.known if door in SECTIONS)
        for i, path in enumerate(self.farm.paths):
            text += f'[console.c{i}]\nserial = {{ port = "{path}", line = "115200n8" }}\n'
            text += "".join(PLAIN[door](i + 1) for door in self.known if door in PLAIN)
        return text

    def oobctl(self, *words):
        command = [self.binary.with_name("oobctl"), "--socket", self.folder / "run" / "control.sock", *words]
        return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=30, check=True).stdout

    def consoles(self):
        return json.loads(self.oobctl("console", "list", "--json"))["consoles"]

    def transcript(self, line):
        """What flash holds of a console, oldest first."""
        folder = self.folder / "state" / "consoles" / f"c{line}"
        return b"".join(path.read_bytes() for path in sorted(folder.glob("*.log")))

    def connect(self, line, door):
        return getattr(self, door)(line)

    def raw(self, line):
        return Raw(4001 + line)

    def telnet(self, line):
        sign_in = [(b"login: ", b"bench"), (b"Password: ", PASSWORD.encode())]
        return Telnet(2001 + line, sign_in=sign_in, greeting=b"help --]")

    def websocket(self, line):
        secret = base64.b64encode(f"bench:{PASSWORD}".encode()).decode()
        return WebSocket(HTTPS_PORT, tls=True, path=f"/api/console/c{line}?write=1&history=0&verbatim=1",
                         headers=[("Authorization", f"Basic {secret}")])

    def rfc2217(self, line):
        return Rfc2217(5001 + line)

    def control(self, line):
        return Control(self.folder / "run" / "control.sock", f"c{line}")

    def ssh(self, line):
        before = self.sessions(line)
        return Ssh(SSH_PORT, self.folder, f"bench:c{line}", lambda: self.sessions(line) - before)

    def sessions(self, line):
        return {session["id"] for session in self.consoles()[f"c{line}"]["sessions"]}


def doors(binary, folder):
    """The doors that this oobd has, by what its configuration knows."""
    found = []
    for door in Oobd.doors:
        config = folder / f"{door}.toml"
        config.write_text('schema = 1\n[console.c]\nserial = { port = "/dev/ttyS0" }\n' + PLAIN.get(door, lambda _: "")(1) + SECTIONS.get(door, ""))
        if subprocess.run([binary, "check", config], capture_output=True).returncode == 0:
            found.append(door)
    return found


def build():
    """The release binaries of this tree."""
    target = os.environ.get("CARGO_TARGET_DIR", REPO / "target")
    subprocess.run(["cargo", "build", "--release", "--locked", "--bins", "--quiet"], cwd=REPO, check=True)
    return (REPO / target / "release" / "oobd").resolve()


def installed(oobd, folder):
    """oobd in `folder`, with its oobctl: as a linker leaves them they lie in the page cache in small pages and start a seventh slower than
    once they were copied or read from a disk, which is how the peers' programs came here."""
    for program in (oobd, oobd.with_name("oobctl")):
        shutil.copy(program, folder)
    return folder / oobd.name
