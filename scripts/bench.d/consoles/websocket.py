"""A WebSocket client (RFC 6455): binary frames out, binary and text frames in."""
import base64
import os
import struct

from .wire import Closed, Raw


class WebSocket(Raw):
    """`headers` are sent with the upgrade; text frames (notices) are kept apart from the stream in `texts`."""

    def greet(self, path="/", headers=(), protocol=None):
        key = base64.b64encode(os.urandom(16)).decode()
        host = "{}:{}".format(*self.socket.getpeername()[:2])
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
        if protocol:
            lines.append(f"Sec-WebSocket-Protocol: {protocol}")
        lines += [f"{name}: {value}" for name, value in headers]
        self.socket.sendall("\r\n".join(lines + ["", ""]).encode())
        head = b""
        while b"\r\n\r\n" not in head:
            piece = self.socket.recv(4096)
            if not piece:
                raise Closed(f"no upgrade: {head!r}")
            head += piece
        head, rest = head.split(b"\r\n\r\n", 1)
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise Closed(f"no upgrade: {head.splitlines()[0]!r} {rest[:200]!r}")
        self.buffer, self.texts, self.owed = bytearray(rest), [], b""

    def wire(self, data, code=2):
        # A mask of zeros is legal and keeps the bench cheap.
        count = len(data)
        if count < 126:
            head = struct.pack("!BB", 0x80 | code, 0x80 | count)
        elif count < 65536:
            head = struct.pack("!BBH", 0x80 | code, 0x80 | 126, count)
        else:
            head = struct.pack("!BBQ", 0x80 | code, 0x80 | 127, count)
        return head + b"\0\0\0\0" + data

    def recv(self):
        data = self.read()
        if data is None:
            return None
        self.buffer += data
        out = []
        while (frame := self.frame()) is not None:
            code, body = frame
            if code in (0, 2):
                out.append(body)
            elif code == 1:
                self.texts.append(body)
            elif code == 8:
                return b"".join(out) or None
            elif code == 9:
                self.send(self.wire(body, 10))
        return b"".join(out)

    def frame(self):
        """The next whole frame, taken out of the buffer."""
        have = len(self.buffer)
        if have < 2:
            return None
        code, count, at = self.buffer[0] & 15, self.buffer[1] & 127, 2
        if count == 126:
            if have < 4:
                return None
            count, at = struct.unpack_from("!H", self.buffer, 2)[0], 4
        elif count == 127:
            if have < 10:
                return None
            count, at = struct.unpack_from("!Q", self.buffer, 2)[0], 10
        if have < at + count:
            return None
        body = bytes(self.buffer[at:at + count])
        del self.buffer[:at + count]
        return code, body
