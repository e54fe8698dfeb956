"""What the tests of the plain doors need: a board in a namespace, devices on ptys, sockets inside that namespace."""
import random
import re
import select
import socket
import threading
import time

import pytest
from board import HEAD, in_namespace, wait_for
from ssh_kit import HASH, PASSWORD, Device  # noqa: F401

HERE = '["127.0.0.1", "::1"]'


def inside(board, work):
    """Runs `work` in the board's network namespace and returns what it returned. Sockets made there stay there."""
    return in_namespace(f"/proc/{board.process.pid}/ns/net", work)


def connect(board, port, host="127.0.0.1", **options):
    return inside(board, lambda: socket.create_connection((host, port), timeout=10, **options))


def config(doors, devices, users="", sections=""):
    """Consoles with their doors: name → lines of `[console.NAME]`, devices: name → pty."""
    text = HEAD
    for name, device in devices.items():
        text += f'[console.{name}]\nserial = {{ port = "{device.path}", line = "115200n8" }}\n{doors.get(name, "")}\n'
    return text + users + sections


ALICE = f'[user.alice]\nrole = "administrator"\npassword = "{HASH}"\n'


class House:
    """A board with its devices; `doors` are the lines of the console `core`."""

    def __init__(self, make_board, doors, devices=None, users=ALICE):
        self.devices = devices or {"core": Device(lambda data: b"")}
        doors = doors if isinstance(doors, dict) else {"core": doors}
        self.board = make_board(config(doors, self.devices, users))
        self.doors = doors

    @property
    def core(self):
        return self.devices["core"]

    def start(self):
        self.board.start()
        self.board.in_ns("ip", "link", "set", "lo", "up")
        for name in self.devices:
            wait_for(f"{name} is open", lambda: self.console(name)["phase"] == "open")
        doors = sum(len(re.findall("^(?:telnet|raw|rfc2217) =", text, re.M)) for text in self.doors.values())
        wait_for("the doors are open", lambda: len(self.plain()) == doors)
        return self

    def plain(self):
        return {name: door for name, door in self.board.json("status")["doors"].items() if "." in name}

    def console(self, name="core"):
        return self.board.json("console", "list")["consoles"][name]

    def sessions(self, count, name="core"):
        return wait_for(f"{count} sessions", lambda: (lambda now: now if len(now) == count else None)(self.console(name)["sessions"])
                        if count else not self.console(name)["sessions"])

    def happened(self, kind):
        return [event["kind"][kind] for event in self.board.events() if isinstance(event["kind"], dict) and kind in event["kind"]]

    def close(self):
        self.board.stop(9)
        for device in self.devices.values():
            device.close()


def read_until(sock, wanted, timeout=45):
    got, deadline = b"", time.monotonic() + timeout
    while wanted not in got:
        left = deadline - time.monotonic()
        assert left > 0 and select.select([sock], [], [], left)[0], f"{wanted!r} is not in {len(got)} bytes that end with {got[-80:]!r}"
        more = sock.recv(65536)
        assert more, f"ended before {wanted!r}: {got!r}"
        got += more
    return got


def ended(sock, timeout=45):
    """Everything until the peer ends the connection."""
    got, deadline = b"", time.monotonic() + timeout
    while True:
        left = deadline - time.monotonic()
        assert left > 0 and select.select([sock], [], [], left)[0], f"not ended: {got!r}"
        try:
            more = sock.recv(65536)
        except ConnectionResetError:
            return got
        if not more:
            return got
        got += more


def every_value(seed, length=64 * 1024):
    """All 256 values many times, in an order that holds every pair that protocols care for."""
    chance = random.Random(seed)
    special = b"\xff\xff\xff\x00\r\n\r\x00\r\r\n\xff\xf0\xff\xfa\x2c\xff\xf3\x03\x11\x13~.\r~.\n~b"
    data = bytearray(bytes(range(256)) + special)
    while len(data) < length:
        data += chance.choice([special, bytes(range(256)), chance.randbytes(200), b"\xff" * 9, b"\r\n" * 5])
    return bytes(data[:length])


def chunks(data, seed):
    chance, at = random.Random(seed), 0
    while at < len(data):
        size = chance.choice([1, 2, 3, 7, 64, 500, 1500, 4096])
        yield data[at:at + size]
        at += size


def both_ways(device, send, receive, seed=7, length=48 * 1024):
    """Sends every value in random chunks through the door and back; `send` and `receive` speak the door's protocol."""
    down, up = every_value(seed, length), every_value(seed + 1, length)
    del device.got[:]
    talker = threading.Thread(target=lambda: [device.say(chunk) for chunk in chunks(up, seed)])
    typist = threading.Thread(target=lambda: [send(chunk) for chunk in chunks(down, seed + 2)])
    talker.start(), typist.start()
    got = bytearray()
    deadline = time.monotonic() + 30
    while len(got) < len(up) and time.monotonic() < deadline:
        got += receive()
    talker.join(), typist.join()
    wait_for("the device got all", lambda: len(device.got) >= len(down))
    assert bytes(device.got) == down, where(bytes(device.got), down)
    assert bytes(got) == up, where(bytes(got), up)


def where(got, wanted):
    at = next((at for at, (a, b) in enumerate(zip(got, wanted)) if a != b), min(len(got), len(wanted)))
    return f"{len(got)} of {len(wanted)} bytes; differ at {at}: {got[at - 8:at + 8]!r} instead of {wanted[at - 8:at + 8]!r}"


@pytest.fixture
def house(request, make_board):
    """Makes houses and closes them with the test; unless told otherwise with the `DOOR` of the test's module."""
    made = []

    def make(doors=None, **options):
        made.append(House(make_board, doors or request.module.DOOR, **options))
        return made[-1].start()

    yield make
    for one in made:
        one.close()
