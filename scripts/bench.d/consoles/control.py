"""oobd's own control socket as a door: what `oobctl console attach` speaks on the board (frames of src/control/wire.rs)."""
import socket
import struct

from .wire import Closed, Raw

ATTACH, INPUT = 4, 5
ATTACHED, OUTPUT = 6, 7
BYTES, GAP, NOTICE, ENDED = 0, 1, 2, 3


def number(value):
    """A postcard varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(0x80 | value & 0x7F)
        value >>= 7
    return bytes(out + bytes([value]))


def parse(data, at):
    """The varint at `at`, and where the next thing begins."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


class Control(Raw):
    def __init__(self, path, console, timeout=20):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        name = console.encode()
        self.socket.sendall(self.frame(bytes([ATTACH]) + number(len(name)) + name + b"\x01" + number(0)))
        self.buffer, self.gaps = b"", 0
        while (body := self.next()) is None:
            self.buffer += self.socket.recv(65536)
        if body[0] != ATTACHED:
            raise Closed(f"not attached: {body!r}")
        self.socket.setblocking(False)

    def frame(self, body):
        return struct.pack("<I", len(body)) + body

    def wire(self, data):
        return self.frame(bytes([INPUT, BYTES]) + number(len(data)) + data)

    def next(self):
        """The next whole frame's body."""
        if len(self.buffer) < 4:
            return None
        count = struct.unpack_from("<I", self.buffer)[0]
        if len(self.buffer) < 4 + count:
            return None
        body, self.buffer = self.buffer[4:4 + count], self.buffer[4 + count:]
        return body

    def recv(self):
        data = self.read()
        if data is None:
            return None
        self.buffer += data
        out = []
        while (body := self.next()) is not None:
            if body[0] != OUTPUT:
                raise Closed(f"unexpected {body[:40]!r}")
            if body[1] == BYTES:
                out.append(body[parse(body, 2)[1]:])
            elif body[1] == GAP:
                self.gaps += parse(body, 2)[0]
            elif body[1] == ENDED:
                return b"".join(out) or None
        return b"".join(out)
