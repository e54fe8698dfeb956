"""Line, screen and drives of a machine with AMT that says nothing any more: noticed within a limit, told, its end said, opened again."""
import os
import threading
import types

import pytest
import websocket
from api_kit import Door
from board import wait_for
from redirection_kit import Rack
from rfb_kit import Viewer
from ssh_kit import HASH

ALICE = f'[user.alice]\nrole = "administrator"\npassword = "{HASH}"\n'


@pytest.fixture
def rack(spaces, tmp_path, make_board):
    rack = Rack(spaces, tmp_path, make_board)
    yield rack
    rack.close()


def watch(viewer):
    """Takes what comes and answers pings, however long nothing else comes."""
    while True:
        try:
            viewer.update()
        except (websocket.WebSocketException, OSError):
            return
        except AssertionError as nothing:
            if "nothing comes" not in str(nothing):
                raise


def attached(rack):
    """Somebody on the line of the machine."""
    rack.up(more=ALICE)
    rack.opened()
    session = rack.attach("db1")
    wait_for("the session", lambda: rack.console("db1")["sessions"], 60)
    return session


def look(rack):
    """A viewer, once the machine has answered the question whether its unchanged screen is there."""
    door = Door(types.SimpleNamespace(board=rack.board))
    viewer = Viewer(door, "db1", token=door.sign_in())
    threading.Thread(target=watch, args=(viewer,), daemon=True).start()
    wait_for("the question", lambda: rack.amt.seen(service="KVMR", look=True), 90)
    return viewer


def begun(rack, service, count=2):
    wait_for(f"session {count} of {service}", lambda: len(rack.amt.seen(service=service, session="begun")) >= count, 240)


def shows(rack, viewer):
    """What is painted comes to who looked before."""
    rack.amt.tell("KVMR colour 63488")
    wait_for("what is painted", lambda: viewer.pixel(5, 5) == (255, 0, 0), 240)
    viewer.close()


def test_a_line_and_a_screen_that_say_nothing_hear_their_end_and_come_back(rack):
    # Its connections stand, and it holds its sessions for a while.
    device = rack.device(size=[320, 200], hold_ms=12_000)
    session = attached(rack)
    viewer = look(rack)
    device.tell("SOL mute")
    device.tell("KVMR mute")
    session.sees(b"port gone", 90)
    wait_for("both ends", lambda: len(device.seen(mute="over", end=True)) == 2, 180)
    for service in ("SOL", "KVMR"):
        wait_for(f"{service} is in use", lambda service=service: device.seen(service=service, refused=2), 90)
        begun(rack, service)
    session.sees(b"port back", 150)
    session.type(b"still there")
    session.sees(b"still there", 60)
    shows(rack, viewer)
    assert "it has been silent for half a minute" in rack.board.text()
    assert "its screen has been silent for 45 seconds" in rack.board.text()


def test_a_cable_that_is_pulled_ends_line_screen_and_drives_and_they_come_back(rack):
    # Firmware whose viewer is gone without a word ends the session after a while.
    device = rack.device(size=[320, 200], idle_ms=20_000)
    session = attached(rack)
    images = rack.board.work / "state" / "images"
    images.mkdir(exist_ok=True)
    (images / "rescue.iso").write_bytes(os.urandom(20 * 2048))
    rack.board.ctl("amt", "ider", "insert", "db1", "--cd", "rescue.iso", timeout=60)
    viewer = look(rack)
    rack.host("nft 'add table inet dead; add chain inet dead in { type filter hook input priority 0; policy drop; };"
              " add chain inet dead out { type filter hook output priority 0; policy drop; }'")
    session.sees(b"port gone", 150)
    wait_for("the drives are lost", lambda: "IderLost" in rack.board.kinds(), 150)
    wait_for("the screen is lost", lambda: "the screen is away" in rack.board.text(), 150)
    rack.host("nft delete table inet dead")
    for service in ("SOL", "IDER", "KVMR"):
        begun(rack, service)
    session.sees(b"port back", 150)
    session.type(b"still there")
    session.sees(b"still there", 60)
    shows(rack, viewer)
    wait_for("the drives", lambda: rack.board.json("status")["ider"]["db1"]["phase"] == "open", 150)
