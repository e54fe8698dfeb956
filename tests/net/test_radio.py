"""What the radio of an uplink hears and how its signal was, over HTTPS and in oobctl, with the rights of who asks."""
import tempfile
from pathlib import Path

import pytest
from api_kit import Door
from board import Board, wait_for
from power_kit import House
from radio_kit import HOME, OnAir, Radio
from ssh_kit import HASH

USERS = "".join(f'[user.{name}]\nrole = "{role}"\npassword = "{HASH}"\n' for name, role in (("alice", "operator"), ("eve", "readonly")))


class Place(OnAir, House):
    def __init__(self, work):
        super().__init__(work, lambda config, **options: Board(work / "board", config, **options), users=USERS)
        self.radio = Radio(self.lan.board, self.lan.host, work, HOME)
        self.start("")
        self.up_within(90)


@pytest.fixture
def place(binaries):
    # The path of a socket has 108 bytes, and those of a worker's folder leave too few.
    with tempfile.TemporaryDirectory(prefix="radio-") as work:
        place = Place(Path(work))
        yield place
        place.close()


def test_networks_and_history(place):
    board = place.board
    heard = board.json("uplink", "networks", "hotspot")["networks"]
    assert [(one["ssid"], one["known"], one["joined"]) for one in heard[:2]] == [("remote.it", True, True), ("remote.it", True, False)]
    assert "no passphrase" in heard[1]["fault"] and heard[0]["security"] == "WPA2"
    # The others by their signal.
    assert [one["signal_dbm"] for one in heard[2:]] == [-60, -77, -83]
    before = len(place.radio.scans)
    text = board.ctl("uplink", "networks", "hotspot", "--scan", timeout=60).stdout
    assert "Rack row guest" in text and "(hidden)" in text and "refused" in text
    # All channels, which the search for twins would not ask for.
    assert any("freq" not in scan for scan in place.radio.scans[before:])
    past = board.json("uplink", "history", "hotspot")
    assert [(one["name"], one["unit"]) for one in past["series"]] == [("signal", "dBm"), ("received", "B"), ("sent", "B")]
    wait_for("counted bytes", lambda: min(one["total"] or 0 for one in board.json("uplink", "history", "hotspot")["series"][1:]) > 0, 90)

    door = Door(place, host="10.77.0.5", space=f"/run/netns/{place.lan.host}")
    alice, eve = door.sign_in("alice"), door.sign_in("eve")
    scan, look = ({"ListNetworks": {"uplink": "hotspot", "scan": wanted}} for wanted in (True, False))
    assert door.ask("POST", "/api/command", scan, token=eve).status == 403
    assert door.ask("POST", "/api/command", look, token=eve).json()["reply"]["Networks"]
    assert door.ask("POST", "/api/command", scan, token=alice).json()["reply"]["Networks"][0]["joined"]
    assert door.ask("POST", "/api/command", {"ReadUplinkHistory": {"uplink": "none"}}, token=eve).status == 404
    # A look is no event; a scan by hand is one, with who asked.
    told = [event["kind"]["CommandGiven"] for event in board.events() if "CommandGiven" in event["kind"]]
    assert [one["command"] for one in told if "uplink hotspot" in one["command"]] == ["scan all channels with uplink hotspot"] * 2


def test_a_radio_that_is_gone_is_said_to_be(place):
    place.radio.close()
    wait_for("its loss", lambda: place.board.json("status")["uplinks"]["hotspot"]["phase"] == "absent", 90)
    done = place.board.ctl("uplink", "networks", "hotspot", check=False)
    assert done.returncode == 1 and "wpa_supplicant is not there" in done.stderr, done
