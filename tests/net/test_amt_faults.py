"""What a device with AMT may not send on its line and on its screen ends that session only, and it comes back."""
import types

import pytest
from api_kit import Door
from board import wait_for
from redirection_kit import Rack
from rfb_kit import Viewer
from ssh_kit import HASH
from test_amt_kvm import gradient

SCREEN = {
    "a-rectangle-beyond-the-screen": "00000001" "00000000ffffffff" "00000000",
    "a-stream-of-4-GiB": "00000001" "0000000000400040" "00000010" "ffffffff",
    "a-clipboard-of-4-GiB": "03000000ffffffff",
    "an-unknown-encoding": "00000001" "0000000000400040" "7fffffff",
    "an-unknown-kind": "99",
    "a-mode-of-4-gigapixels": "00000001" "00000000ffffffff" "ffffff21",
}


@pytest.fixture
def rack(spaces, tmp_path, make_board):
    rack = Rack(spaces, tmp_path, make_board)
    yield rack
    rack.close()


def begun(rack, service, count):
    wait_for(f"session {count} of {service}", lambda: len(rack.amt.seen(service=service, session="begun")) >= count, 120)


def test_a_line_that_says_what_it_may_not_is_opened_again(rack):
    device = rack.device()
    rack.up()
    rack.opened()
    session = rack.attach("db1")
    wait_for("the session", lambda: rack.console("db1")["sessions"], 60)
    # A kind of message that nobody knows.
    device.tell("SOL raw ff00000000000000")
    session.sees(b"port gone", 60)
    session.sees(b"port back", 120)
    begun(rack, "SOL", 2)
    session.type(b"still there")
    session.sees(b"still there", 60)


@pytest.mark.parametrize("raw", SCREEN)
def test_a_screen_that_says_what_it_may_not_is_opened_again(rack, raw):
    device = rack.device(size=[320, 200])
    rack.up(consoles="", more=f'[user.alice]\nrole = "administrator"\npassword = "{HASH}"\n')
    door = Door(types.SimpleNamespace(board=rack.board))
    viewer = Viewer(door, "db1", token=door.sign_in())
    viewer.until(lambda: viewer.pixel(300, 150) == gradient((320, 200), 300, 150))
    device.tell(f"KVMR raw {SCREEN[raw]}")
    begun(rack, "KVMR", 2)
    # Who looks keeps the picture and gets the next one.
    device.tell("KVMR colour 63488")
    viewer.until(lambda: viewer.pixel(5, 5) == (255, 0, 0))
    assert viewer.size == (320, 200)
    assert rack.board.ctl("status", check=False).returncode == 0
