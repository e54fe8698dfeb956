"""Machines through sushy-tools' emulator: power that takes its time, boot, an image of this board, another certificate."""
import contextlib
import signal

import pytest
from board import in_namespace
from machine_kit import FAST, House
from redfish_bmc import Bmc
from redfish_kit import emulator, peers

FIRST = "10000000-0000-0000-0000-000000000001"
PORT = 8443


def redfish(password="calvin"):
    url = f"https://127.0.0.1:{PORT}"
    return f'redfish = {{ url = "{url}", username = "root", password = "{password}", system = "{FIRST}" }}\n'


class Controller:
    """The emulator in the board's namespace; each start has a certificate of its own."""

    def __init__(self, house):
        self.house, self.starts, self.stack = house, 0, None

    def start(self):
        self.starts += 1
        self.stack = contextlib.ExitStack()
        folder = self.house.work / f"emulator{self.starts}"
        inside = f"/run/netns/{self.house.lan.board}"
        in_namespace(inside, lambda: self.stack.enter_context(emulator(folder, PORT)))

    def close(self):
        if self.stack:
            self.stack.close()
            self.stack = None


@pytest.fixture
def house(tmp_path, make_board):
    peers()
    house = House(tmp_path, make_board)
    house.controller = Controller(house)
    house.closing.append(house.controller)
    yield house
    house.close()


def slow(text):
    """The emulator's machines take up to 11 s to change."""
    return text.replace('confirm = "8s"', 'confirm = "40s"')


def test_power_boot_and_an_image_of_this_board(house):
    house.controller.start()
    board = house.start(f"[machine.db1]\n{redfish()}{slow(FAST)}")
    house.phase("up")
    machine = house.machine()
    assert machine["state"] == "Off" and {"On", "ForceOff", "PowerCycle"} <= set(machine["verbs"])
    assert house.told("Pinned")[0]["what"] == f"tls 127.0.0.1:{PORT}"
    assert "db1: on confirmed after" in house.power("on")
    assert house.machine()["state"] == "On"
    board.ctl("machine", "boot", "db1", "cd", "--always")
    assert board.json("machine", "boot", "db1")["boot"] == {"target": "cd", "once": False}
    images = board.work / "state" / "images"
    images.mkdir(exist_ok=True)
    (images / "rescue.iso").write_bytes(bytes(range(256)) * 4096)
    board.ctl("machine", "media", "db1", "insert", "rescue.iso", timeout=60)
    media = {medium["slot"]: medium["image"] for medium in board.json("machine", "media", "db1")["media"]}
    assert media["Cd"] == "rescue.iso", "not the address that the controller fetches it from"
    board.ctl("machine", "media", "db1", "eject", timeout=60)
    media = {medium["slot"]: medium["image"] for medium in board.json("machine", "media", "db1")["media"]}
    assert not media["Cd"]
    for bad in ("../oobd.toml", ".hidden", "missing.iso"):
        assert board.ctl("machine", "media", "db1", "insert", bad, check=False).returncode == 1, bad
    assert "db1: off confirmed after" in house.power("off")


def test_another_certificate_is_refused_until_it_is_trusted(house):
    house.controller.start()
    board = house.start(f"[machine.db1]\n{redfish()}{slow(FAST)}")
    house.phase("up")
    house.controller.close()
    house.phase("silent")
    house.controller.start()
    house.phase("refused", timeout=120)
    assert len(house.told("PinMismatch")) == 1
    said = house.power("on", code=1)
    assert "another TLS key" in said
    board.ctl("machine", "trust", "db1")
    house.phase("up")
    assert len(house.told("Pinned")) == 2


def test_a_wrong_password_is_asked_once(house):
    house.controller.start()
    house.start(f"[machine.db1]\n{redfish('guess')}{slow(FAST)}")
    house.phase("refused")
    assert "does not take the password" in house.machine()["why"]
    house.power("on", code=1)
    log = (house.work / "emulator1" / "log").read_text()
    assert log.count(" 401 ") == 1


@pytest.fixture
def silent_on_resets(tmp_path, make_board):
    """A board and a controller that says nothing of the resets it takes, and refuses those that take one step."""
    house = House(tmp_path, make_board)
    bmc = in_namespace(f"/run/netns/{house.lan.board}",
                       lambda: Bmc(power="On", advertised=[], implemented=["On", "ForceOff"]).__enter__())
    yield house, bmc
    house.close()
    bmc.__exit__()


def here(bmc):
    return f'[machine.db1]\nredfish = {{ url = "{bmc.url}", username = "root", password = "calvin" }}\n{slow(FAST)}'


def test_a_cycle_of_two_steps_survives_a_kill_between_them(silent_on_resets):
    house, bmc = silent_on_resets
    board = house.start(here(bmc))
    house.phase("up")
    board.ctl("machine", "power", "db1", "cycle", "--yes", "--no-wait")
    house.until("darkness", lambda: bmc.resets == ["ForceOff"])
    board.stop(signal.SIGKILL)
    assert bmc.power == "Off"
    board.start()
    house.until("on again", lambda: bmc.power == "On", 90)

    def over():
        action = house.machine().get("action")
        return action and action["outcome"] != "running" and action

    action = house.until("the end of it", over, 90)
    assert (action["verb"], action["outcome"]) == ("PowerCycle", "unconfirmed")
    assert "restarted in the middle" in action["why"]
    assert bmc.resets == ["ForceOff", "On"]


def test_a_reset_becomes_off_and_on_where_nothing_else_is_taken(silent_on_resets):
    house, bmc = silent_on_resets
    house.start(here(bmc))
    house.phase("up")
    said = house.power("reset")
    assert "db1: reset confirmed after" in said and "PowerCycle is not supported" in said
    assert bmc.resets == ["ForceOff", "On"]
