"""What the SSH tests need: a namespace with a LAN behind the board, devices on ptys, OpenSSH with its keys."""
import itertools
import json
import os
import pty
import select
import subprocess
import threading
import tty

import pytest
from board import wait_for

PORT = 2222
PASSWORD = "rescue me now"
# argon2id of it, with the parameters that oobd makes itself.
HASH = "$argon2id$v=19$m=19456,t=2,p=1$F4LuoWf9cQ7hVDuT7fZvuQ$ir5E8YbRaBm9e4Z7WSzKIPsRNIvoSY8uvShzZHg+2h0"
_number = itertools.count()


def run(*argv, **options):
    return subprocess.run([str(word) for word in argv], check=True, capture_output=True, **options)


class Device:
    """A device on a serial line: a pty whose far end answers. `answer` gets what was typed and returns what to say."""

    def __init__(self, answer=lambda data: data):
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.path = os.ttyname(self.slave)
        self.answer, self.got, self.reading = answer, bytearray(), threading.Event()
        self.reading.set()
        self.ended = os.pipe()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            self.reading.wait()
            # A read that hangs would keep the pty open after close().
            ready, _, _ = select.select([self.master, self.ended[0]], [], [])
            if self.ended[0] in ready:
                return
            try:
                data = os.read(self.master, 4096)
            except OSError:
                return
            self.got += data
            said = self.answer(data)
            if said:
                self.say(said)

    def say(self, data):
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self.master, view):]
            except OSError:
                return

    def close(self):
        """Unplugs it. Safe to call twice."""
        if self.master is None:
            return
        os.write(self.ended[1], b"x")
        self.reading.set()
        self.thread.join(5)
        for fd in (self.slave, self.master, *self.ended):
            os.close(fd)
        self.master = None


class Lan:
    """Two namespaces: the board's, with `eth0` 10.77.0.5/24, and a LAN host 10.77.0.9 behind it (and an address off the LAN)."""

    def __init__(self):
        number = next(_number)
        self.board, self.host = (f"sshd-{os.getpid()}-{number}{kind}" for kind in "bh")

    def __enter__(self):
        for name in (self.board, self.host):
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "link", "add", "eth0", "netns", self.board, "type", "veth", "peer", "name", "lan0", "netns", self.host)
        for name, link in ((self.board, "eth0"), (self.host, "lan0")):
            run("ip", "netns", "exec", name, "sysctl", "-qw", f"net.ipv6.conf.{link}.accept_dad=0")
            run("ip", "-n", name, "link", "set", link, "up")
        run("ip", "-n", self.host, "addr", "add", "10.77.0.9/24", "dev", "lan0")
        run("ip", "-n", self.host, "addr", "add", "fd77::9/64", "dev", "lan0", "nodad")
        run("ip", "-n", self.host, "addr", "add", "203.0.113.9/32", "dev", "lan0")
        return self

    def __exit__(self, *_):
        for name in (self.board, self.host):
            subprocess.run(["ip", "netns", "del", name], check=False)


class Operator:
    """OpenSSH's client with a key of its own, in the board's namespace or another."""

    def __init__(self, work, netns, host="127.0.0.1"):
        self.work, self.netns, self.host = work, netns, host
        self.key = work / "id_ed25519"
        if not self.key.exists():
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "operator", "-f", self.key)

    @property
    def public(self):
        return (self.work / "id_ed25519.pub").read_text().strip()

    def argv(self, user, *words, key=True, options=(), host=None):
        sign_in = ["-i", self.key, "-o", "PreferredAuthentications=publickey"] if key else [
            "-o", "PreferredAuthentications=keyboard-interactive,password", "-o", "NumberOfPasswordPrompts=1"]
        return [str(word) for word in [
            "ip", "netns", "exec", self.netns, "ssh", "-F", "none", "-p", PORT, *options, *sign_in,
            "-o", "IdentitiesOnly=yes", "-o", f"UserKnownHostsFile={self.work / 'known_hosts'}",
            "-o", "StrictHostKeyChecking=accept-new", "-o", "ConnectTimeout=10", "-o", "LogLevel=ERROR",
            "-l", user, host or self.host, *words]]

    def ssh(self, user, *words, stdin=b"", timeout=30, **options):
        """Runs it to its end; output as bytes."""
        return subprocess.run(self.argv(user, *words, **options), input=stdin, capture_output=True, timeout=timeout)

    def password(self, user, password, *words, timeout=30, options=(), **rest):
        """Signs in by password through sshpass, which types it on a terminal of its own."""
        argv = self.argv(user, *words, key=False, options=options, **rest)
        at = argv.index("ssh")
        argv[at:at] = ["sshpass", "-p", password]
        return subprocess.run(argv, input=b"", capture_output=True, timeout=timeout)

    def tries(self, user, *passwords, method="password", timeout=60):
        """Types these passwords one after the other within one connection; all that the client showed."""
        import pexpect
        options = ["-o", "LogLevel=INFO", "-o", f"NumberOfPasswordPrompts={len(passwords)}", "-o", f"PreferredAuthentications={method}"]
        argv = self.argv(user, "true", key=False, options=options)
        child = pexpect.spawn(argv[0], argv[1:], timeout=timeout, encoding="utf-8")
        shown = ""
        for password in passwords:
            ended = child.expect(["assword:", pexpect.EOF])
            shown += child.before
            if ended:
                break
            child.sendline(password)
        else:
            child.expect(pexpect.EOF)
            shown += child.before
        child.close()
        return shown

    def start(self, user, *words, **options):
        return subprocess.Popen(self.argv(user, *words, **options), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def terminal(self, user, *words, columns=80, term="dumb", **options):
        """A person at a terminal, through pexpect; a dumb one unless said, for text is all that pexpect reads."""
        import pexpect
        argv = self.argv(user, *words, **options)
        return pexpect.spawn(argv[0], argv[1:], dimensions=(24, columns), timeout=60, encoding="latin-1", codec_errors="replace", env={**os.environ, "TERM": term})


def config(users, consoles=(), lan=True, keys=None):
    """An oobd.toml with these `[user.…]` sections and consoles (name → device path). `keys` are more lines of a console, by name."""
    text = f'schema = 1\n[device]\nname = "rack7"\n[ssh]\nport = {PORT}\n[oob]\nmode = "off"\n'
    if lan:
        text += '[lan]\ninterface = "eth0"\naddress = "10.77.0.5/24"\n'
    for name, path in dict(consoles).items():
        text += f'[console.{name}]\nserial = {{ port = "{path}", line = "115200n8" }}\n'
        text += "".join(f"{line}\n" for line in (keys or {}).get(name, ()))
    for name, body in users.items():
        text += f"[user.{name}]\n{body}\n"
    return text


class House:
    """A board on a LAN of its own, an operator in the board's namespace, devices on its consoles."""

    def __init__(self, work, make_board, users=None, devices=(), lan=None, password=False, keys=None):
        self.keys = keys
        self.lan = lan or Lan()
        self.lan.__enter__()
        self.devices = dict(devices)
        self.operator = Operator(work, self.lan.board)
        alice = f'role = "administrator"\nkeys = ["{self.operator.public}"]'
        if password:
            alice += f'\npassword = "{HASH}"'
        self.users = {"alice": alice} if users is None else users(self.operator)
        self.board = make_board(self.config(), netns=self.lan.board)

    def config(self):
        return config(self.users, {name: device.path for name, device in self.devices.items()}, keys=self.keys)

    def start(self):
        self.board.start()
        return self

    def close(self):
        self.board.stop(9)
        for device in self.devices.values():
            device.close()
        self.lan.__exit__()

    def happened(self, kind):
        """The fields of every journaled event of this kind, oldest first."""
        kinds = [event["kind"] for event in self.board.events()]
        return [found[kind] for found in kinds if isinstance(found, dict) and kind in found]

    def count(self, kind):
        return len(self.happened(kind))

    def seen(self, kind, *words):
        """Waits for an event of this kind that holds all these words, and returns its fields."""
        def event():
            return next((one for one in self.happened(kind) if all(word in json.dumps(one) for word in words)), None)
        return wait_for(f"an event {kind} with {words}", event)

    def anonymous_kib(self, peak=False):
        """Memory of oobd: what it holds now, or the most it ever held."""
        children = subprocess.run(["pgrep", "-P", str(self.board.process.pid), "-x", "oobd"], capture_output=True, text=True).stdout.split()
        with open(f"/proc/{(children or [self.board.process.pid])[0]}/status") as status:
            fields = dict(line.split(":", 1) for line in status)
        return int(fields["VmHWM" if peak else "RssAnon"].split()[0])


@pytest.fixture
def house(tmp_path, make_board):
    """Makes houses by the names of their devices, which echo, and closes them with the test."""
    houses = []

    def make(*names, **options):
        houses.append(House(tmp_path, make_board, devices={name: Device() for name in names}, **options))
        return houses[-1].start()

    yield make
    for one in houses:
        one.close()
