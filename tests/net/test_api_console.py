"""Consoles over WebSocket, with the websocket-client library against the real oobd."""
import random
import threading

import pytest
import websocket
from api_kit import Door, house, make_house  # noqa: F401
from board import wait_for
from ssh_kit import Device

EVERY = bytes(range(256))


def test_all_values_pass_both_ways(house):
    one, door = house(devices={"sw": Device(lambda data: b"")})
    token, device = door.sign_in(), one.devices["sw"]
    console = door.console("sw", "write=1&verbatim=1", token)
    assert console.hello["writer"] and console.hello["types"] and console.hello["offset"] == 0
    assert console.link.subprotocol == "oobd.console.v1"
    console.type(EVERY * 16)
    wait_for("all of it at the device", lambda: len(device.got) == 4096)
    assert device.got == EVERY * 16
    device.say(EVERY * 16)
    assert console.read(4096) == EVERY * 16
    assert console.offset == 4096
    # Who is on: as every door shows it.
    assert one.board.json("status")["consoles"]["sw"]["sessions"][0]["from"].startswith("https 127.0.0.1:")


def test_a_resumed_session_has_every_byte_once(house):
    """The connection is cut at random points while the device speaks; what all of it got together is the stream."""
    one, door = house(devices={"sw": Device(lambda data: b"")})
    token, device = door.sign_in(), one.devices["sw"]
    chance = random.Random(20)
    stream = b"".join(b"%06d:%s\n" % (line, chance.randbytes(chance.randrange(60))) for line in range(6000))
    speaking = threading.Thread(target=device.say, args=(stream,))
    console = door.console("sw", "verbatim=1", token)
    assert console.offset == 0
    speaking.start()
    got, cuts = bytearray(), 0
    while len(got) + len(console.data) < len(stream):
        wanted = len(console.data) + chance.randrange(1, 30_000)
        console.until(lambda: len(console.data) >= wanted or len(got) + len(console.data) >= len(stream))
        if chance.random() < 0.3 and len(got) + len(console.data) < len(stream):
            # Also in the middle of a frame: half of one is never counted.
            console.link.sock.recv(chance.randrange(1, 500))
        console.cut()
        cuts += 1
        got += console.data
        assert console.offset == len(got) and not console.gaps
        console = door.console("sw", f"verbatim=1&offset={console.offset}", token)
        assert console.hello["offset"] == len(got)
    got += console.data
    speaking.join(10)
    assert cuts > 5 and got == stream


def test_what_the_ring_no_longer_has_is_an_exact_gap(house):
    one, door = house(devices={"sw": Device(lambda data: b"")})
    token, device = door.sign_in(), one.devices["sw"]
    console = door.console("sw", "verbatim=1", token)
    device.say(b"first")
    console.read(5)
    console.cut()
    device.say(b"x" * 400_000 + b"end")
    wait_for("the stream", lambda: one.board.json("status")["consoles"]["sw"]["rx_bytes"] == 400_008)
    console = door.console("sw", "verbatim=1&offset=5", token)
    assert console.hello["offset"] == 5
    console.until(lambda: console.data.endswith(b"end"))
    assert console.gaps[0] + len(console.data) == 400_003 and len(console.gaps) == 1
    assert console.offset == 400_008
    # A stranger's offset, ahead of the stream, means now.
    assert door.console("sw", "offset=999999999", token).hello["offset"] == 400_008


def test_queries_taken_out_do_not_shift_the_offset(house):
    one, door = house(devices={"sw": Device(lambda data: b"")})
    token, device = door.sign_in(), one.devices["sw"]
    watcher = door.console("sw", "", token)
    device.say(b"a\x1b[6nb\x1b[cc")
    watcher.until(lambda: watcher.data.endswith(b"c"))
    assert watcher.data == b"abc" and watcher.offset == 10
    watcher.cut()
    device.say(b"d")
    assert door.console("sw", "offset=10", token).read(1) == b"d"


def test_writer_watcher_take_over_and_break(house):
    one, door = house(devices={"sw": Device()}, people={"alice": "administrator", "bob": "operator"})
    alice = door.console("sw", "write=1", door.sign_in("alice"))
    bob = door.console("sw", "write=1", door.sign_in("bob"))
    assert alice.hello["writer"] and not bob.hello["writer"] and bob.hello["types"]
    bob.say("take_writer")
    assert bob.saw("writer")["writer"] is True
    assert alice.saw("writer")["writer"] is False
    bob.type(b"hi\r")
    assert alice.read(3) == b"hi\r"
    bob.say("break", millis=300)
    one.seen("BreakSent", "bob")
    bob.say("reboot")
    assert "not understood" in bob.saw("error")["text"]
    one.board.ctl("console", "kick", "sw", "--user", "bob", check=False)


def test_rights_and_grants(house):
    devices = {"core-1": Device(), "edge": Device()}
    people = {"alice": "administrator", "eve": 'role = "readonly"\nconsoles = ["core-*"]', "bob": 'role = "operator"\nconsoles = ["core-*"]'}
    one, door = house(devices=devices, people=people)
    eve, bob = door.sign_in("eve"), door.sign_in("bob")
    for token in (eve, bob):
        for name in ("edge", "none"):
            with pytest.raises(websocket.WebSocketBadStatusException) as refused:
                door.console(name, "", token)
            assert refused.value.status_code == 404
        assert list(door.ask("GET", "/api/state", token=token).json()["consoles"]) == ["core-1"]
    console = door.console("core-1", "write=1", eve)
    assert not console.hello["types"] and not console.hello["writer"]
    console.type(b"x")
    assert "watch" in console.saw("notice")["text"]
    assert devices["core-1"].got == b""
    assert door.console("core-1", "write=1", bob).hello["writer"]
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        door.console("core-1", "", None)
    assert refused.value.status_code == 401
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        door.console("core-1", "write=perhaps", bob)
    assert refused.value.status_code == 400
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        door.console("core-1", "", bob, subprotocols=["oobd.console.v9"])
    assert refused.value.status_code == 400


def test_a_session_that_ends_takes_its_consoles_along(house):
    one, door = house(devices={"sw": Device()}, people={"alice": "administrator", "bob": "operator"})
    token = door.sign_in("bob")
    console = door.console("sw", "write=1", token)
    assert door.ask("DELETE", "/api/session", token=token).status == 200
    assert console.to_end()["reason"].startswith("signed out")
    console = door.console("sw", "", door.sign_in("bob"))
    one.users.pop("bob")
    one.board.reload(one.config())
    assert "changed or removed" in console.to_end()["reason"]


def test_origin_cookie_and_ticket(house):
    one, door = house(devices={"sw": Device()})
    token = door.sign_in()
    cookie = f"__Host-oobd={token}"
    assert door.console("sw", "", cookie=cookie, suppress_origin=False, origin="https://localhost").hello
    for options in ({"cookie": cookie, "suppress_origin": False, "origin": "https://evil.example"}, {"cookie": cookie},
                    {"header": [f"Authorization: Bearer {token}"], "suppress_origin": False, "origin": "https://evil.example"}):
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            door.console("sw", "", **options)
        assert refused.value.status_code == 403, options
    ticket = door.ask("POST", "/api/ticket", token=token).json()["ticket"]
    assert door.console("sw", f"ticket={ticket}").hello
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        door.console("sw", f"ticket={ticket}")
    assert refused.value.status_code == 401


def test_a_client_that_does_not_read_hurts_nobody(house):
    one, door = house(devices={"sw": Device(lambda data: b"")})
    token, device = door.sign_in(), one.devices["sw"]
    stalled = door.console("sw", "verbatim=1", token, room=4096)
    good = door.console("sw", "verbatim=1", token)
    line = bytes(range(256)) * 16
    before = one.anonymous_kib()
    speaking = threading.Thread(target=lambda: [device.say(line) for _ in range(1024)])
    speaking.start()
    while len(good.data) < 4 << 20:
        good.step()
    speaking.join(10)
    assert good.data == line * 1024 and not good.gaps
    assert one.anonymous_kib() - before < 2048
    # Once it reads again it gets what the ring has, and the exact size of what it missed.
    stalled.until(lambda: len(stalled.data) + sum(stalled.gaps) == 4 << 20)
    assert stalled.gaps and stalled.offset == 4 << 20
