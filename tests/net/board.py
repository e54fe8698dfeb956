"""One oobd in a network namespace of its own, and what tests ask of it. Traffic never leaves the namespaces made here."""
import ctypes
import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
# A board that nobody reaches but its own machine: the LAN is not plugged in, there is no hotspot.
HEAD = """schema = 1
[device]
name = "rack7"
[lan]
interface = "eth9"
[oob]
mode = "off"
[ssh]
port = 2222
"""


def wait_for(what, check, timeout=60.0):
    """Polls a level until it holds; returns what `check` returned. The message says what was waited for. What is not in the
    state at all, for its owner has only begun, does not hold yet."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            value = check()
        except (KeyError, IndexError) as missing:
            value = None
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout} s: {what}; missing: {missing!r}") from missing
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what}; last seen: {value!r}")
        time.sleep(0.05)


def in_namespace(path, work):
    """Runs `work` in a thread that sits in that network namespace, and returns what it returned; sockets made there stay there."""
    result = []

    def run():
        try:
            with open(path) as space:
                # os.setns came with Python 3.12
                assert LIBC.setns(space.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            result.append((work(), None))
        except BaseException as error:  # noqa: BLE001 - raised again below
            result.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    value, error = result[0]
    if error:
        raise error
    return value


class Board:
    """oobd in a namespace (a private one unless `netns` names one), with its own config, state and run folders."""

    def __init__(self, work, config, netns=None, watchdog=None):
        self.work, self.netns = Path(work), netns
        for name in ("state", "run", "boot"):
            (self.work / name).mkdir(parents=True, exist_ok=True)
        self.config = self.work / "boot" / "oobd.toml"
        self.config.write_text(config)
        self.log = self.work / "oobd.log"
        self.socket = self.work / "run" / "control.sock"
        self.watchdog, self.process, self.notify = watchdog, None, None

    def start(self, ready=True, timeout=20):
        """Starts oobd; with `ready` waits until it has told systemd so."""
        path = str(self.work / "notify.sock")
        Path(path).unlink(missing_ok=True)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(path)
        self.notify.settimeout(0.05)
        env = dict(os.environ, NOTIFY_SOCKET=path, OOBD_LOG=os.environ.get("OOBD_LOG", "info"))
        env.pop("JOURNAL_STREAM", None)
        if self.watchdog:
            env["WATCHDOG_USEC"] = str(int(self.watchdog * 1_000_000))
        self.process = subprocess.Popen(
            self.enter() + [TARGET / "oobd", "--config", self.config, "--state", self.work / "state", "--run", self.work / "run"],
            env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log.open("ab"))
        if ready:
            wait_for("READY=1", lambda: "READY=1" in self.notified(), timeout)
        return self

    def enter(self):
        """What starts a program in its namespace."""
        return ["ip", "netns", "exec", self.netns] if self.netns else ["unshare", "-n"]

    def notified(self):
        """What systemd would have been told since the last call."""
        said = []
        while True:
            try:
                said += self.notify.recv(4096).decode().split("\n")
            except (socket.timeout, BlockingIOError):
                return said

    def reload(self, config=None):
        if config is not None:
            self.config.write_text(config)
        self.process.send_signal(signal.SIGHUP)

    def stop(self, number=signal.SIGTERM, timeout=8):
        """Ends it and returns how long that took, in seconds."""
        if self.process is None or self.process.poll() is not None:
            return 0.0
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(timeout)
        self.notify.close()
        return time.monotonic() - began

    def ctl(self, *arguments, check=True, **options):
        """Runs oobctl over the control socket and returns the finished process."""
        done = subprocess.run([TARGET / "oobctl", "--socket", self.socket, *arguments], capture_output=True, text=True,
                              timeout=options.pop("timeout", 30), stdin=options.pop("stdin", subprocess.DEVNULL), **options)
        assert not check or done.returncode == 0, f"oobctl {arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def json(self, *arguments):
        return json.loads(self.ctl(*arguments, "--json").stdout)

    def events(self):
        """All journaled events, oldest first."""
        answer = self.json("event", "list", "--after", "0")
        return answer["events"] if isinstance(answer, dict) else answer

    def kinds(self):
        """The kinds of all events, oldest first; a kind without fields is its name."""
        return [next(iter(e["kind"])) if isinstance(e["kind"], dict) else e["kind"] for e in self.events()]

    def in_ns(self, *argv, **options):
        """A command in the namespace the board runs in."""
        return subprocess.run(["nsenter", "-t", str(self.process.pid), "-n", *map(str, argv)], capture_output=True, text=True,
                              timeout=options.pop("timeout", 30), **options)

    def text(self):
        return self.log.read_text(errors="replace")
