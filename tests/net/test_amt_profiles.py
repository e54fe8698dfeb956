"""Four generations of AMT firmware, each with what it has and refuses, and all that oobd does with it, over TLS with one pinned key."""
import os

import pytest
from board import wait_for
from redirection_kit import HOST, Rack
from rfb_kit import Viewer
from test_amt_kvm import start

FAST = 'poll = "5s"\nconfirm = "30s"\nshutdown = "30s"\n'
CONSOLE = '[console.db1]\nsol = { machine = "db1" }\n'
URL = "https://10.79.0.5/boot/rescue.efi"
# Version, TLS of its time, verbs that it has not, a start from a URL.
PROFILES = {
    "7": ("7.1.91", True, ("shutdown",), False),
    "11.8": ("11.8.92", True, (), False),
    "15": ("15.0.23", False, (), False),
    "16.1": ("16.1.30", False, (), True),
}


@pytest.fixture
def rack(spaces, tmp_path, make_board):
    rack = Rack(spaces, tmp_path, make_board)
    yield rack
    rack.close()


def power(rack, verb, code=0):
    done = rack.board.ctl("machine", "power", "db1", verb, "--yes", check=False, timeout=120)
    assert done.returncode == code, done
    return done.stdout + done.stderr


def machine(rack):
    return rack.board.json("status")["machines"].get("db1", {})


def refused(rack, *words):
    done = rack.board.ctl(*words, check=False, timeout=60)
    assert done.returncode == 1, done
    return done.stderr


def begin(rack, profile):
    _, legacy, _, _ = PROFILES[profile]
    device = rack.device(profile=profile, tls=True, redirection_tls=True)
    rack.up(keys="tls = true" + (", legacy_tls = true" if legacy else ""), consoles=FAST + CONSOLE)
    wait_for("the machine is read", lambda: machine(rack).get("phase") == "up", 90)
    return device


@pytest.mark.parametrize("profile", PROFILES)
def test_power_boot_and_words_of_each_generation(rack, profile):
    version, _, without, with_url = PROFILES[profile]
    device = begin(rack, profile)
    board = rack.board
    for verb, number in (("off", 8), ("on", 2), ("reset", 10), ("cycle", 5), ("shutdown", 12)):
        if verb in without:
            assert "unsupported (2066)" in power(rack, verb, 1)
            continue
        assert "confirmed" in power(rack, verb)
        assert device.has("power")[-1] == number
    power(rack, "on")
    for target, comes_from in (("bios", "BIOS setup"), ("pxe", "Force PXE Boot"), ("cd", "IDER 1")):
        board.ctl("machine", "boot", "db1", target, timeout=60)
        power(rack, "reset")
        assert device.has("starts_from")[-1] == comes_from
    if with_url:
        assert "One-Click Recovery is switched off" in refused(rack, "machine", "boot", "db1", "https", "--url", URL)
        board.ctl("amt", "features", "db1", "recovery=on", "--yes", timeout=60)
        assert "no URL that it could start from" in refused(rack, "machine", "boot", "db1", "https", "--url", "http://10.79.0.5/x")
        board.ctl("machine", "boot", "db1", "https", "--url", URL, timeout=60)
        assert board.json("machine", "boot", "db1")["boot"] == {"target": "https", "once": True}
        power(rack, "reset")
        assert device.has("starts_from")[-1] == URL
        power(rack, "reset")
        assert device.has("starts_from")[-1] == "itself"
    else:
        assert "cannot start from a URL" in refused(rack, "machine", "boot", "db1", "https", "--url", URL)
        assert "no One-Click Recovery" in refused(rack, "amt", "features", "db1", "recovery=on", "--yes")
    assert board.ctl("machine", "boot", "db1", "https", check=False).returncode == 2
    info = board.json("amt", "info", "db1")["info"]
    assert (info["version"], info["uuid"]) == (version, "4c4c4544-004b-4210-8033-b6c04f504633")
    assert [(port["mac"], port["address"]) for port in info["network"]] == [("a4:bb:6d:00:00:01", HOST)]
    assert len(info["memory"]) == 3 and info["processors"]
    assert board.json("machine", "log", "db1")["log"] and board.json("amt", "log", "db1")["log"]
    told = board.json("amt", "alarm", "db1", "add", "once", "--at", "2030-01-01T06:30:00Z")["alarms"]
    assert [alarm["name"] for alarm in told] == ["once"]
    features = board.json("amt", "features", "db1")["features"]
    assert (features["sol"], features["ider"], features["kvm"]) == (True, True, True)
    assert features["recovery"] == (True if with_url else None)


@pytest.mark.parametrize("profile", PROFILES)
def test_line_screen_and_drives_of_each_generation_by_the_key_that_is_pinned(rack, profile, tmp_path):
    device = begin(rack, profile)
    board = rack.board
    rack.opened()
    session = rack.attach("db1")
    wait_for("the session", lambda: rack.console("db1")["sessions"], 60)
    session.type(b"typed")
    session.sees(b"typed", 60)
    picture = tmp_path / "db1.png"
    board.ctl("machine", "snapshot", "db1", "-o", picture, timeout=90)
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and picture.read_bytes()[16:24] == bytes((0, 0, 3, 32, 0, 0, 2, 88))
    images = board.work / "state" / "images"
    images.mkdir(exist_ok=True)
    (images / "rescue.iso").write_bytes(os.urandom(40 * 2048))
    board.ctl("amt", "ider", "insert", "db1", "--cd", "rescue.iso", timeout=60)
    device.tell("IDER all cd")
    read = wait_for("the disc is read", lambda: device.seen(order="all cd"), 120)[-1]
    assert read["bytes"] == 40 * 2048
    # One key of the device, seen first on one of its two ports, counts on both.
    pinned = [event["kind"]["Pinned"] for event in board.events() if "Pinned" in event["kind"]]
    assert {one["what"] for one in pinned} == {f"tls {HOST}:16993"}
    assert {one["method"] for one in device.told if "method" in one} == {4}, "the digest is taken wherever it is offered"


def test_an_off_that_firmware_swallows_while_its_screen_is_open_is_given_again(rack):
    device, door, token = start(rack, profile="11.8")
    viewer = Viewer(door, "db1", token=token)
    viewer.until(lambda: viewer.pixel(400, 300) != (0, 0, 0))
    wait_for("the machine is read", lambda: machine(rack).get("phase") == "up", 90)
    assert "confirmed" in power(rack, "off")
    assert device.has("swallowed") == [8] and device.has("power") == [8, 8]
    state = device.state()
    assert (state["power"], state["redirection"], state["kvm"]) == (8, 3, True)
    # Who watched sees on, by himself.
    wait_for("the second session", lambda: len(device.seen(service="KVMR", session="begun")) == 2, 120)
    before = viewer.updates
    device.tell("KVMR colour 63488")
    viewer.until(lambda: viewer.updates > before and viewer.pixel(5, 5) == (255, 0, 0))


@pytest.mark.parametrize("verb, number", [("reset", 10), ("cycle", 5)])
def test_a_restart_that_firmware_would_swallow_is_given_once_its_screen_is_closed(rack, verb, number):
    device, door, token = start(rack, profile="11.8")
    viewer = Viewer(door, "db1", token=token)
    viewer.until(lambda: viewer.pixel(400, 300) != (0, 0, 0))
    wait_for("the machine is read", lambda: machine(rack).get("phase") == "up", 90)
    # What the machine is after a restart it was before: nobody could tell that one was swallowed, nor give it twice.
    assert "confirmed" in power(rack, verb)
    assert device.has("power") == [number] and not device.has("swallowed")
    state = device.state()
    assert (state["power"], state["redirection"], state["kvm"]) == (2, 3, True)
    wait_for("the second session", lambda: len(device.seen(service="KVMR", session="begun")) == 2, 120)
    device.tell("KVMR colour 63488")
    viewer.until(lambda: viewer.pixel(5, 5) == (255, 0, 0))


def test_firmware_that_was_seen_to_swallow_is_remembered_whatever_its_version(rack):
    device, door, token = start(rack, profile="15", swallows=True)
    viewer = Viewer(door, "db1", token=token)
    viewer.until(lambda: viewer.pixel(400, 300) != (0, 0, 0))
    wait_for("the machine is read", lambda: machine(rack).get("phase") == "up", 90)
    assert "confirmed" in power(rack, "off")
    assert device.has("swallowed") == [8]
    assert "confirmed" in power(rack, "on")
    wait_for("the second session", lambda: len(device.seen(service="KVMR", session="begun")) == 2, 120)
    assert "confirmed" in power(rack, "reset")
    assert device.has("swallowed") == [8] and device.has("power")[-1] == 10
