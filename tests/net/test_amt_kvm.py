"""The screen of a machine with AMT through the board: pixels, viewers, who types, other modes, snapshots, idle and lost sessions."""
import struct
import types
import zlib

import pytest
from api_kit import Door
from board import wait_for
from redirection_kit import Rack
from rfb_kit import Viewer
from ssh_kit import HASH

# The square of the device is this colour for the keysym of `a` (0x61), as RGB565.
SQUARE = (5, 5)


def colour(value):
    """What RGB565 comes to in eight bits each."""
    red, green, blue = value >> 11, value >> 5 & 63, value & 31
    return (red * 255 + 15) // 31, (green * 255 + 31) // 63, (blue * 255 + 15) // 31


@pytest.fixture
def rack(spaces, tmp_path, make_board):
    rack = Rack(spaces, tmp_path, make_board)
    yield rack
    rack.close()


def start(rack, **device):
    """The machine, the board and its HTTPS door, signed in as alice."""
    device = rack.device(**device)
    users = "".join(f'[user.{name}]\nrole = "{role}"\npassword = "{HASH}"\n'
                    for name, role in (("alice", "administrator"), ("bob", "operator"), ("eve", "readonly")))
    rack.up(consoles="", more=users)
    door = Door(types.SimpleNamespace(board=rack.board))
    return device, door, door.sign_in()


def gradient(device_size, x, y):
    width, height = device_size
    return colour((x * 31 // width) << 11 | (y * 63 // height) << 5)


@pytest.mark.parametrize("zrle, split, encodings", [(True, None, (0, -223)), (False, None, (16, 0, -223)), (True, 777, (0, 16, -223))])
def test_a_viewer_sees_the_pixels_of_the_machine_and_types(rack, zrle, split, encodings):
    device, door, token = start(rack, zrle=zrle, **({"split": split} if split else {}))
    viewer = Viewer(door, "db1", token=token, encodings=encodings)
    assert (viewer.name, viewer.size) == ("db1", (800, 600))
    places = [(799, 599), (400, 300), (63, 64), (64, 63), (0, 599), (799, 0)]
    viewer.until(lambda: all(viewer.pixel(*place) == gradient((800, 600), *place) for place in places))
    assert bool(viewer.squeezed) == (encodings[0] == 16)
    device.tell("KVMR colour 63488")
    viewer.until(lambda: viewer.pixel(*SQUARE) == (255, 0, 0))
    for keysym in (0xffe3, 0xffe9, 0xffff):  # Ctrl, Alt, Delete
        viewer.key(keysym)
    for keysym in (0xffff, 0xffe9, 0xffe3):
        viewer.key(keysym, False)
    viewer.point(258, 9, 4)
    wait_for("the pointer", lambda: device.seen(pointer=[258, 9], buttons=4), 60)
    keys = [(told["key"], told["down"]) for told in device.told if "key" in told]
    assert keys == [(0xffe3, True), (0xffe9, True), (0xffff, True), (0xffff, False), (0xffe9, False), (0xffe3, False)]
    viewer.key(0x61)
    viewer.until(lambda: viewer.pixel(*SQUARE) == colour(0x61))
    viewer.close()
    # Nobody looks any more, so the machine's one session is given back, with its end said.
    wait_for("the end of the session", lambda: device.seen(service="KVMR", session="ended"), 90)


def test_many_look_one_types_and_another_takes_over(rack):
    device, door, alice = start(rack)
    bob, eve = door.sign_in("bob"), door.sign_in("eve")
    first = Viewer(door, "db1", token=alice)
    first.until(lambda: first.pixel(400, 300) == gradient((800, 600), 400, 300))
    others = [Viewer(door, "db1", token=bob), Viewer(door, "db1", "view=1", token=alice), Viewer(door, "db1", token=eve)]
    # What they type goes nowhere, what the first types does. Each is let in before its key is heard: it has the picture.
    for number, other in enumerate(others):
        other.until(lambda other=other: other.pixel(400, 300) == gradient((800, 600), 400, 300))
        other.key(0x100 + number)
        other.until(lambda other=other: other.updates > 0)
    first.key(0x61)
    for viewer in [first, *others]:
        viewer.until(lambda viewer=viewer: viewer.pixel(*SQUARE) == colour(0x61))
    second = Viewer(door, "db1", "take=1", token=bob)
    second.key(0x62)
    first.until(lambda: first.pixel(*SQUARE) == colour(0x62))
    assert device.has("key") == [0x61, 0x62]
    assert len(device.seen(service="KVMR", session="begun")) == 1
    opened = [event["kind"]["ScreenOpened"] for event in rack.board.events() if "ScreenOpened" in event["kind"]]
    assert [(one["user"], one["control"]) for one in opened] == [
        ("alice", True), ("bob", False), ("alice", False), ("eve", False), ("bob", True)]
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13", "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    assert door.ask("GET", "/api/screen/db1?take=1", token=eve, **upgrade).status == 403


def test_another_mode_reaches_the_viewer_and_a_large_one_comes_in_eight_bits(rack):
    device, door, token = start(rack, size=[640, 480])
    viewer = Viewer(door, "db1", token=token)
    viewer.until(lambda: viewer.pixel(639, 479) == gradient((640, 480), 639, 479))
    device.tell("KVMR size 1024 768")
    viewer.until(lambda: viewer.size == (1024, 768) and viewer.pixel(1023, 767) == gradient((1024, 768), 1023, 767))
    device.tell("KVMR size 2560 2048")
    viewer.until(lambda: viewer.size == (2560, 2048))
    # RGB332 of red 30 of 31 and green 62 of 63.
    viewer.until(lambda: viewer.pixel(2559, 2047) == (255, 255, 0))


def test_a_snapshot_is_a_png_of_the_screen(rack):
    device, door, token = start(rack)
    answer = door.ask("GET", "/api/screen/db1/snapshot.png", token=token)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/png")
    assert answer.body[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(answer.body):
        length, kind = struct.unpack(">I4s", answer.body[at:at + 8])
        data, crc = answer.body[at + 8:at + 8 + length], struct.unpack(">I", answer.body[at + 8 + length:at + 12 + length])[0]
        assert zlib.crc32(kind + data) == crc
        chunks[kind] = data
        at += 12 + length
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    raw = zlib.decompress(chunks[b"IDAT"])
    assert (width, height, len(raw)) == (800, 600, 600 * (1 + 2400))
    above = bytes(2400)
    for row in range(600):
        line = raw[row * 2401:(row + 1) * 2401]
        assert line[0] == 2
        above = bytes((byte + old) & 255 for byte, old in zip(line[1:], above))
    assert tuple(above[799 * 3:800 * 3]) == gradient((800, 600), 799, 599)
    assert door.ask("GET", "/api/screen/db2/snapshot.png", token=token).status == 404
    assert door.ask("GET", "/api/screen/db1/snapshot.png").status == 401


def test_who_only_looks_keeps_the_session_awake_and_a_lost_one_comes_back(rack):
    device, door, token = start(rack, idle_ms=15_000)
    viewer = Viewer(door, "db1", token=token)
    viewer.until(lambda: viewer.pixel(400, 300) == gradient((800, 600), 400, 300))
    device.tell("KVMR cut")
    # The picture stays, and goes on once there is a session again.
    wait_for("a second session", lambda: len(device.seen(service="KVMR", session="begun")) == 2, 90)
    device.tell("KVMR move")
    before = viewer.updates
    viewer.until(lambda: viewer.updates > before + 50)
    assert not device.seen(idle=True)


def test_a_screen_in_use_by_somebody_else_is_told(rack):
    device, door, token = start(rack)
    device.tell("hold KVMR")
    answer = door.ask("GET", "/api/screen/db1/snapshot.png", token=token)
    assert (answer.status, answer.error) == (409, "db1: KVM is in use by another session")
