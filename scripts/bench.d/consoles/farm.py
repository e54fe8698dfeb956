"""Serial lines made of ptys: the servers under test open one end, the bench keeps the other and is the device behind it.

A pty is no UART: it has no speed, loses nothing and stops whoever writes too fast. What differs between servers shows all the same.
"""
import fcntl
import os
import pty
import termios
import tty

# Text lines; the count is prime, so that no buffer size divides the length.
TEXT = b"".join(b"%06d The quick brown fox jumps over the lazy dog 0123456789 console\r\n" % i for i in range(997))
# Every value, 0xFF and control bytes included; never ^E c, which conserver would obey.
BINARY = bytes((i * 7 + i // 256) % 256 for i in range(65536 - 256)).replace(b"\x05c", b"\x05d")


class Stream:
    """An endless stream of known content: what was sent, and whether what came is the same."""

    def __init__(self, unit):
        self.period = len(unit)
        self.memory = unit * (2 + (1 << 20) // len(unit))

    def take(self, offset, count):
        """`count` bytes of the stream from `offset` on; at most 1 MiB."""
        at = offset % self.period
        return self.memory[at:at + count]

    def same(self, offset, data):
        return self.take(offset, len(data)) == data


class Farm:
    """`count` lines; `paths` are what a server opens, `masters` our ends (never blocking)."""

    def __init__(self, count, folder):
        self.masters, self.slaves, self.paths = [], [], []
        for number in range(count):
            master, slave = pty.openpty()
            tty.setraw(slave)
            # Our hold on the slave keeps the line alive while a server has it closed.
            self.masters.append(master)
            self.slaves.append(slave)
            fcntl.fcntl(master, fcntl.F_SETFL, fcntl.fcntl(master, fcntl.F_GETFL) | os.O_NONBLOCK)
            path = os.path.join(folder, f"tty{number}")
            os.symlink(os.ttyname(slave), path)
            self.paths.append(path)

    def drain(self):
        """Throws away what a server wrote."""
        for master in self.masters:
            try:
                while os.read(master, 65536):
                    pass
            except BlockingIOError:
                pass
            termios.tcflush(master, termios.TCIFLUSH)

    def close(self):
        for fd in self.masters + self.slaves:
            os.close(fd)


def write(fd, data):
    """As much as the line takes now."""
    try:
        return os.write(fd, data)
    except BlockingIOError:
        return 0


def read(fd, count=65536):
    try:
        return os.read(fd, count)
    except BlockingIOError:
        return b""
