"""oobd as a contender: a release build with a config of its own; doors that this build does not know are left out."""
import json
import os
import socket
import subprocess
import threading

from bench import REPO

from .contender import Contender
from .control import Control
from .program import Program
from .telnet import Rfc2217, Telnet
from .wire import Raw

SSH_PORT = 2222
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

    def config(self):
        public = (self.folder / "key.pub").read_text().strip()
        text = f'schema = 1\n[lan]\ninterface = "eth9"\n[oob]\nmode = "off"\n[ssh]\nport = {SSH_PORT}\n'
        text += f'[user.bench]\nrole = "administrator"\nkeys = ["{public}"]\n'
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

    def rfc2217(self, line):
        return Rfc2217(5001 + line)

    def control(self, line):
        return Control(self.folder / "run" / "control.sock", f"c{line}")

    def ssh(self, line):
        argv = ["ssh", "-F", "none", "-T", "-p", SSH_PORT, "-i", self.key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
                "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={self.folder}/known_hosts", "-o", "LogLevel=ERROR",
                "-l", f"bench:c{line}", "127.0.0.1"]
        before = self.sessions(line)
        return Program(argv, lambda: self.sessions(line) - before)

    def sessions(self, line):
        return {session["id"] for session in self.consoles()[f"c{line}"]["sessions"]}


def doors(binary, folder):
    """The doors that this oobd has, by what its configuration knows."""
    found = []
    for door in Oobd.doors:
        config = folder / f"{door}.toml"
        config.write_text('schema = 1\n[console.c]\nserial = { port = "/dev/ttyS0" }\n' + PLAIN.get(door, lambda _: "")(1))
        if subprocess.run([binary, "check", config], capture_output=True).returncode == 0:
            found.append(door)
    return [door for door in found if hasattr(Oobd, door)]


def build():
    """The release binaries of this tree."""
    target = os.environ.get("CARGO_TARGET_DIR", REPO / "target")
    subprocess.run(["cargo", "build", "--release", "--locked", "--bins", "--quiet"], cwd=REPO, check=True)
    return (REPO / target / "release" / "oobd").resolve()
