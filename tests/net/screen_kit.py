"""A person at a terminal of their own size, as a terminal emulator nobody here wrote (pyte) shows it."""
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

import pyte

# To the alternate screen and back.
ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"


class Screen:
    """Runs a client on a pty and shows what it draws. `other` says whether the alternate screen is on."""

    def __init__(self, argv, columns=80, rows=24, term="xterm"):
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.all, self.other = bytearray(), False
        self.master, slave = pty.openpty()
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), env={**os.environ, "TERM": term})
        os.close(slave)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)

    def read(self, wait=0.05):
        """Takes what has come; False when the client has ended."""
        ready, _, _ = select.select([self.master], [], [], wait)
        if not ready:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.all += data
        self.stream.feed(data)
        other = self.all.rfind(ENTER) > self.all.rfind(LEAVE)
        if other != self.other:
            # pyte has no second screen: what follows the change begins on an empty one.
            self.other = other
            self.screen.reset()
            self.stream.feed(bytes(self.all[max(self.all.rfind(ENTER), self.all.rfind(LEAVE)):]))
        return bool(data)

    def lines(self):
        return [line.rstrip() for line in self.screen.display]

    def shows(self, text):
        return any(text in line for line in self.lines())

    def until(self, what, holds, limit=15):
        """Waits until the picture is so."""
        end = time.monotonic() + limit
        while not holds():
            alive = self.read()
            assert time.monotonic() < end and (alive or holds()), f"never {what}:\n" + "\n".join(self.lines())
        return self

    def expect(self, text, limit=15):
        return self.until(f"{text!r} on the screen", lambda: self.shows(text), limit)

    def gone(self, text, limit=15):
        return self.until(f"{text!r} off the screen", lambda: not self.shows(text), limit)

    def line(self, text):
        """The line that holds the text."""
        return next(line for line in self.lines() if text in line)

    def send(self, keys):
        os.write(self.master, keys if isinstance(keys, bytes) else keys.encode())
        return self

    def resize(self, columns, rows):
        self.screen.resize(rows, columns)
        self.screen.reset()
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.kill(self.process.pid, signal.SIGWINCH)
        return self

    def ended(self, limit=15):
        """Reads to the end; the exit status."""
        end = time.monotonic() + limit
        while self.read() and time.monotonic() < end:
            pass
        return self.process.wait(max(0.1, end - time.monotonic()))
