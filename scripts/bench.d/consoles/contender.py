"""The servers that are compared: each runs on a farm of lines of its own and says how to reach console `i` by which door."""
import os
import signal
import subprocess
import time
from pathlib import Path

from .farm import Farm
from .ssh import Ssh
from .telnet import Rfc2217, Telnet
from .websocket import WebSocket
from .wire import Conserver as ConserverClient
from .wire import Raw

HERE = Path(__file__).resolve().parent


def version(package):
    """Debian's version without epoch and revision."""
    got = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
    if got.returncode:
        raise SystemExit(f"{package} is not installed; scripts/setup does that")
    return got.stdout.split("-")[0].split(":")[-1]


def listening():
    """The TCP ports of this namespace that somebody listens on, without connecting: that would open a line."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A":
                found.add(int(words[1].rsplit(":", 1)[1], 16))
    return found


class Contender:
    """A running server. `doors` are the names that `open` knows; `label` says what it is to a reader."""

    doors = ("raw",)
    # Every contender has ports of its own, so that all can run side by side.
    base = 0

    def __init__(self, folder, lines, **options):
        self.folder = Path(folder) / type(self).__name__.lower()
        self.folder.mkdir()
        self.lines, self.process, self.clients = lines, None, []
        self.farm = Farm(lines, self.folder)
        try:
            self.start(**options)
        except BaseException:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def spawn(self, *argv, **options):
        log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        start_new_session=True, **options)
        log.close()

    def until(self, what, holds, timeout=30):
        end = time.monotonic() + timeout
        while not holds():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self.label}: {what} not within {timeout} s\n{(self.folder / 'log').read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)

    @property
    def used(self):
        """The label and how it is used here."""
        return f"{self.label}, raw"

    @property
    def pid(self):
        return self.process.pid

    def open(self, line, door=None):
        """A session that is there; it is closed with the server at the latest."""
        client = self.connect(line, door or self.doors[0])
        self.clients.append(client)
        return client

    def close_all(self):
        while self.clients:
            self.clients.pop().close()

    def stop(self):
        try:
            self.close_all()
        finally:
            self.kill()
            self.farm.close()

    def kill(self):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


class Relay(Contender):
    """The floor: relay.c, the least that a bridge between a line and TCP can do."""

    label, base = "C relay", 21000

    def start(self, base=base):
        self.base = base
        program = self.folder / "relay"
        subprocess.run(["cc", "-O2", "-o", program, HERE / "relay.c"], check=True)
        self.spawn(program, self.base, *self.farm.paths)
        self.until("listening", lambda: listening() >= {self.base + i for i in range(self.lines)})

    def connect(self, line, _door):
        return Raw(self.base + line)


class Sshd(Contender):
    """OpenSSH's server that runs socat on one line: what there is to be had by ssh without a console server."""

    doors, base = ("ssh",), 25000

    @property
    def label(self):
        return f"OpenSSH {version('openssh-server')} with socat"

    @property
    def used(self):
        return self.label

    def start(self):
        Path("/run/sshd").mkdir(exist_ok=True)
        for name in ("host", "key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name], check=True)
        (self.folder / "sshd_config").write_text(
            f"Port {self.base}\nListenAddress 127.0.0.1\nHostKey {self.folder}/host\nAuthorizedKeysFile {self.folder}/key.pub\nStrictModes no\n"
            f"UsePAM no\nPermitRootLogin yes\nPidFile none\nForceCommand socat - {self.farm.paths[0]},rawer\n")
        self.spawn("/usr/sbin/sshd", "-D", "-f", self.folder / "sshd_config")
        self.until("listening", lambda: self.base in listening())

    def connect(self, _line, _door):
        return Ssh(self.base, self.folder, "root", lambda: True)


class Websockify(Contender):
    """websockify with TLS before a relay: what people put before a line to reach it from a browser."""

    doors, base = ("websocket",), 26000

    @property
    def label(self):
        return f"websockify {version('websockify')} before a C relay"

    @property
    def used(self):
        return self.label

    def start(self):
        self.farm.close()
        self.relay = Relay(self.folder, 1, base=self.base + 1)
        self.farm = self.relay.farm
        pem = self.folder / "pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=bench",
                        "-keyout", pem, "-out", self.folder / "cert"], check=True, capture_output=True)
        with pem.open("a") as file:
            file.write((self.folder / "cert").read_text())
        self.spawn("websockify", "--ssl-only", f"--cert={pem}", f"127.0.0.1:{self.base}", f"127.0.0.1:{self.base + 1}")
        self.until("listening", lambda: self.base in listening())

    def connect(self, _line, _door):
        return WebSocket(self.base, tls=True, path="/", protocol="binary")

    def kill(self):
        super().kill()
        self.relay.kill()


class Ser2net(Contender):
    """ser2net, told not to wait for more characters (its default costs 3 ms), and to take 16 sessions a line."""

    doors, base = ("raw", "telnet", "rfc2217"), 22000
    ACCEPTERS = {"raw": "tcp", "telnet": "telnet,tcp", "rfc2217": "telnet(rfc2217),tcp"}
    CLIENTS = {"raw": Raw, "telnet": Telnet, "rfc2217": Rfc2217}

    @property
    def label(self):
        return f"ser2net {version('ser2net')}"

    def start(self, door=None):
        """One door for all lines; without `door` line 0 has the first, line 1 the next …"""
        self.kinds = [door or self.doors[i % len(self.doors)] for i in range(self.lines)]
        text = "%YAML 1.1\n---\n"
        for i, (path, kind) in enumerate(zip(self.farm.paths, self.kinds)):
            text += (f"connection: &con{i}\n  accepter: {self.ACCEPTERS[kind]},127.0.0.1,{self.base + i}\n"
                     f"  connector: serialdev,{path},115200n81,local\n"
                     f"  options:\n    max-connections: 16\n    chardelay: false\n")
        config = self.folder / "ser2net.yaml"
        config.write_text(text)
        self.spawn("/usr/sbin/ser2net", "-n", "-u", "-c", config)
        self.until("listening", lambda: listening() >= {self.base + i for i in range(self.lines)})

    def connect(self, line, door):
        assert self.kinds[line] == door, f"line {line} has {self.kinds[line]}"
        return self.CLIENTS[door](self.base + line)


class Conserver(Contender):
    """conserver with a log file per console, reached by its own protocol."""

    base, doors = 23000, ("conserver",)

    @property
    def label(self):
        return f"conserver {version('conserver-server')}"

    @property
    def used(self):
        return f"{self.label} with log"

    def start(self):
        text = (f"config * {{ sslrequired no; primaryport {self.base}; secondaryport {self.base + 1}; }}\n"
                "default * { master localhost; rw *; baud 115200; parity none; options !ixon,!ixoff,!crtscts; }\n"
                "access * { trusted 127.0.0.1; trusted localhost; allowed 127.0.0.1; admin *; }\n")
        for i, path in enumerate(self.farm.paths):
            text += f"console c{i} {{ type device; device {path}; logfile {self.folder}/c{i}.log; }}\n"
        config, users = self.folder / "conserver.cf", self.folder / "passwd"
        config.write_text(text)
        users.write_text("*any*:\n")
        self.spawn("/usr/sbin/conserver", "-C", config, "-P", users, "-M", "127.0.0.1", "-p", self.base, "-b", self.base + 1)
        self.until("listening", lambda: self.base in listening())
        self.until("logging", lambda: all((self.folder / f"c{i}.log").exists() for i in range(self.lines)))

    def connect(self, line, _door):
        return ConserverClient(self.base, console=f"c{line}")
