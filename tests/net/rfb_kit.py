"""A viewer of RFB 3.8 over the board's WebSocket, written from RFC 6143: it draws what it is sent, and checks nothing else."""
import struct
import time
import zlib

import websocket


class Viewer:
    """A viewer; its picture is a dict of rows of bytes, four per pixel: blue, green, red, nothing."""

    def __init__(self, door, machine, query="", token=None, encodings=(0, -223), header=None):
        header = [f"Authorization: Bearer {token}"] if token else [header] if header else []
        url = f"wss://localhost:{door.port}/api/screen/{machine}?{query}"
        self.link = websocket.create_connection(url, socket=door.tls(), header=header, suppress_origin=True, subprotocols=["binary"])
        self.link.settimeout(60)
        self.bytes, self.size, self.rows, self.updates = b"", None, {}, 0
        self.inflate, self.squeezed = zlib.decompressobj(), 0
        assert self.take(12) == b"RFB 003.008\n"
        self.send(b"RFB 003.008\n")
        assert self.take(2) == b"\x01\x01"
        self.send(b"\x01")
        assert self.take(4) == bytes(4)
        self.send(b"\x01")
        width, height = struct.unpack(">HH", self.take(4))
        self.take(16)
        self.name = self.take(struct.unpack(">I", self.take(4))[0]).decode()
        self.resize(width, height)
        self.send(struct.pack(">BBBBBBBBHHHBBB3x", 0, 0, 0, 0, 32, 24, 0, 1, 255, 255, 255, 16, 8, 0))
        self.send(struct.pack(f">BxH{len(encodings)}i", 2, len(encodings), *encodings))
        self.ask(False)

    def resize(self, width, height):
        self.size = (width, height)
        self.rows = {y: bytearray(width * 4) for y in range(height)}

    def send(self, data):
        self.link.send_binary(data)

    def take(self, count):
        deadline = time.monotonic() + 90
        while len(self.bytes) < count:
            # A ping is answered, and shown here: nothing but pings is nothing.
            code, data = self.link.recv_data(control_frame=True)
            if code == websocket.ABNF.OPCODE_PING:
                assert time.monotonic() < deadline, "nothing comes any more"
                continue
            assert code == websocket.ABNF.OPCODE_BINARY, f"the board closed it: {data!r}"
            self.bytes += data
        taken, self.bytes = self.bytes[:count], self.bytes[count:]
        return taken

    def ask(self, incremental=True):
        self.send(struct.pack(">BBHHHH", 3, incremental, 0, 0, *self.size))

    def update(self):
        """Takes one update in, and asks for the next; the rectangles' count."""
        kind, count = struct.unpack(">BxH", self.take(4))
        assert kind == 0
        whole = True
        for _ in range(count):
            x, y, width, height, encoding = struct.unpack(">HHHHi", self.take(12))
            if encoding == -223:
                self.resize(width, height)
                whole = False
                continue
            data = self.take(width * height * 4) if encoding == 0 else self.zrle(width, height, encoding)
            for row in range(height):
                self.rows[y + row][x * 4:(x + width) * 4] = data[row * width * 4:(row + 1) * width * 4]
        self.updates += 1
        self.ask(whole)
        return count

    def zrle(self, width, height, encoding):
        """RFC 6143 §7.7.6, as far as a tile of one colour, of a palette, or of pixels goes; at most one tile."""
        assert encoding == 16 and max(width, height) <= 64
        self.squeezed += 1
        plain = self.inflate.decompress(self.take(struct.unpack(">I", self.take(4))[0]))
        kind, plain = plain[0], plain[1:]
        if kind == 0:
            colours, numbers = [plain[at:at + 3] for at in range(0, len(plain), 3)], range(width * height)
        else:
            colours, rows = [plain[at:at + 3] for at in range(0, 3 * kind, 3)], plain[3 * kind:]
            bits = {1: 0, 2: 1, 3: 2, 4: 2}.get(kind, 4)
            wide = (width * bits + 7) // 8
            numbers = [rows[y * wide + x * bits // 8] >> (8 - bits - x * bits % 8) & (1 << bits) - 1 if bits else 0
                       for y in range(height) for x in range(width)]
            assert kind <= 16 and len(rows) == wide * height
        return b"".join(colours[number] + b"\0" for number in numbers)

    def pixel(self, x, y):
        """Red, green, blue."""
        blue, green, red, _ = self.rows[y][x * 4:x * 4 + 4]
        return red, green, blue

    def until(self, check, most=2000):
        """Takes updates in until that holds."""
        for _ in range(most):
            if check():
                return
            self.update()
        raise AssertionError("not within so many updates")

    def key(self, keysym, down=True):
        self.send(struct.pack(">BBxxI", 4, down, keysym))

    def point(self, x, y, buttons=0):
        self.send(struct.pack(">BBHH", 5, buttons, x, y))

    def close(self):
        self.link.close()
