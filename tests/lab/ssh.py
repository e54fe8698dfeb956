"""An operator with OpenSSH's own client, coming in through the hotspot (or, for comparison, over the LAN)."""
import os
import pty
import re
import select
import subprocess
import time


class SshError(Exception):
    """ssh or the far end did not do as expected; the text holds what was seen."""


def options(key=None, known_hosts="/dev/null"):
    opts = ["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={known_hosts}", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=20",
            "-o", "ServerAliveInterval=15"]
    if key:
        opts += ["-i", str(key), "-o", "IdentitiesOnly=yes", "-o", "PreferredAuthentications=publickey"]
    return opts


def command(port, user, *words, key=None, extra=(), host="127.0.0.1"):
    """The argument list of one ssh call. `user` may be `alice:core-switch`."""
    return ["ssh", *options(key), *extra, "-p", str(port), "-l", user, host, *words]


def run(port, user, *words, key=None, timeout=60, **kw):
    return subprocess.run(command(port, user, *words, key=key, **kw), capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout)


class Terminal:
    """A person at a terminal: types, and waits for text. Use as a context manager."""

    def __init__(self, argv):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm", LC_ALL="C.UTF-8")
            os.execvp(argv[0], argv)

    def read(self, wait=0.2):
        """Whatever arrived within `wait` seconds; False at the end of the session."""
        if not select.select([self.fd], [], [], wait)[0]:
            return b""
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.seen += data
        return data or False

    def expect(self, pattern, timeout=30):
        """Waits for a match in what has not been consumed yet; consumes through it and returns it."""
        rx, deadline = re.compile(pattern.encode() if isinstance(pattern, str) else pattern), time.monotonic() + timeout
        while True:
            hit = rx.search(self.seen)
            if hit:
                self.seen = self.seen[hit.end():]
                return hit
            if self.read() is False:
                raise SshError(f"the session ended before {pattern!r}: {self.seen[-2000:].decode(errors='replace')!r}")
            if time.monotonic() > deadline:
                raise SshError(f"no {pattern!r} in {timeout} s: {self.seen[-2000:].decode(errors='replace')!r}")

    def type(self, text):
        os.write(self.fd, text.encode())

    def ended(self, timeout=20):
        """True when the client went away by itself in time."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self.read() is False:
                return True
        return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.kill(self.pid, 9)
        except ProcessLookupError:
            pass
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def console(port, user, key=None, extra=()):
    """An ssh session on a console with a terminal, as a person has it."""
    return Terminal(["ssh", "-tt", *options(key), *extra, "-p", str(port), "-l", user, "127.0.0.1"])
