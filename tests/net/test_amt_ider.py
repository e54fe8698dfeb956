"""Drives of the board for a machine with AMT: whole media read back and written by a host that looks at every byte, lost and busy sessions."""
import hashlib
import os
import types

import pytest
from api_kit import Door
from board import wait_for
from redirection_kit import Rack as AmtRack
from ssh_kit import HASH

PROTECTED, RANGE, NO_MEDIUM, NO_COMMAND, CHANGED = [7, 39, 0], [5, 33, 0], [2, 58, 0], [5, 32, 0], [6, 40, 0]


class Rack(AmtRack):
    def begin(self, keys="tls = false", more="", **device):
        """The machine, the board, and an odd ISO and a floppy in the board's folder of images."""
        self.device(**device)
        self.up(keys=keys, consoles="", more=more)
        self.images = self.board.work / "state" / "images"
        self.images.mkdir(exist_ok=True)
        # The last block is not whole: the rest of it reads as zeros.
        self.iso = os.urandom(6 * 1024 * 1024 + 3 * 2048 + 512)
        self.floppy = os.urandom(1_474_560)
        (self.images / "rescue.iso").write_bytes(self.iso)
        (self.images / "floppy.img").write_bytes(self.floppy)
        return self

    def ider(self, *words, check=True):
        return self.board.ctl("amt", "ider", *words, check=check, timeout=60)

    def refused(self, *words):
        done = self.ider(*words, check=False)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def status(self):
        return self.board.json("amt", "ider", "status", "db1")["ider"].get("db1")

    def ask(self, order, timeout=120):
        """Has the host do it; what came of it."""
        before = len(self.amt.seen(order=order))
        self.amt.tell(f"IDER {order}")
        wait_for(f"an answer to {order}", lambda: len(self.amt.seen(order=order)) > before, timeout)
        return self.amt.seen(order=order)[-1]

    def until(self, phase, timeout=120):
        wait_for(f"the drives are {phase}", lambda: self.status()["phase"] == phase, timeout)
        return self.status()

    def sessions(self, how):
        return len(self.amt.seen(service="IDER", session=how))

    def told(self, kind):
        return [event["kind"][kind] for event in self.board.events() if kind in event["kind"]]

    def reads(self, order="all cd", content=None):
        """The whole medium, as the host reads it, is what is in the file."""
        content = self.iso if content is None else content
        block = 512 if "floppy" in order else 2048
        content += bytes(-len(content) % block)
        answer = self.ask(order)
        assert (answer.get("bytes"), answer.get("md5")) == (len(content), hashlib.md5(content).hexdigest()), answer


@pytest.fixture
def rack(spaces, tmp_path, make_board):
    rack = Rack(spaces, tmp_path, make_board)
    yield rack
    rack.close()


@pytest.mark.parametrize("words, device, order", [
    ([], {}, "all cd"),
    (["--start", "graceful"], {"ider_buffers": [2048, 512]}, "all cd 7 dma"),
    (["--start", "reboot"], {"split": 1, "ider_buffers": [8192, 4096]}, "all cd 600"),
])
def test_a_whole_disc_is_read_back(rack, words, device, order):
    rack.begin(**device)
    assert rack.ider("status").stderr == "nothing is inserted\n"
    rack.ider("insert", "db1", "--cd", "rescue.iso", *words)
    assert rack.amt.seen(start=words[1] if words else "now")
    rack.reads(order)
    blocks = -(-len(rack.iso) // 2048)
    wait_for("the numbers", lambda: rack.status()["cd"]["read"] == blocks * 2048, 60)
    status = rack.status()
    assert (status["phase"], status["floppy"]) == ("open", None)
    assert status["cd"] == {"file": "rescue.iso", "bytes": len(rack.iso), "writable": False, "out": False,
                            "read": blocks * 2048, "written": 0, "last_block": blocks - 1}
    # The other drive is there, and empty.
    assert rack.ask("packet floppy 00")["sense"] == NO_MEDIUM
    rack.ider("eject", "db1")
    assert rack.amt.seen(closed=True)
    wait_for("the end message", lambda: rack.sessions("ended") == 1, 60)
    assert rack.status() is None
    opened, closed = rack.told("IderOpened"), rack.told("IderClosed")
    assert [(one["machine"], one["cd"], one["floppy"]) for one in opened] == [("db1", "rescue.iso", None)]
    assert [(one["read"], one["written"]) for one in closed] == [(blocks * 2048, 0)]
    assert "no drive of this board" in rack.refused("eject", "db1")


def test_a_floppy_is_written_to_and_the_file_has_it(rack):
    rack.begin(ider_buffers=[8192, 1536])
    rack.ider("insert", "db1", "--cd", "rescue.iso", "--floppy", "floppy.img", "--writable")
    rack.reads("all floppy", rack.floppy)
    assert rack.ask("write floppy 2877 3 a5") == {"service": "IDER", "order": "write floppy 2877 3 a5", "good": True}
    assert rack.ask("write floppy 10 100 11")["good"]
    assert rack.ask("write floppy 2878 3 77")["sense"] == RANGE
    assert rack.ask("write cd 0 1 77")["sense"] == NO_COMMAND
    wanted = bytearray(rack.floppy)
    wanted[2877 * 512:] = b"\xa5" * (3 * 512)
    wanted[10 * 512:110 * 512] = b"\x11" * (100 * 512)
    # It is in the file before the host hears that it is done.
    assert (rack.images / "floppy.img").read_bytes() == wanted
    assert (rack.images / "rescue.iso").read_bytes() == rack.iso
    rack.reads("all floppy 31", bytes(wanted))
    wait_for("the numbers", lambda: rack.status()["floppy"]["written"] == 103 * 512, 60)
    rack.ider("eject", "db1")
    assert [one["written"] for one in rack.told("IderClosed")] == [103 * 512]


def test_what_a_host_may_not_do_is_told_with_its_reason(rack):
    rack.begin()
    rack.ider("insert", "db1", "--cd", "rescue.iso", "--floppy", "floppy.img")
    assert rack.ask("packet cd 00")["sense"] == CHANGED
    assert rack.ask("packet cd 00")["good"]
    assert rack.ask("packet cd 0300000012")["hex"][:6] == "700000"
    assert rack.ask("write floppy 0 1 77")["sense"] == PROTECTED
    assert (rack.images / "floppy.img").read_bytes() == rack.floppy
    assert rack.ask("packet floppy 1a003f0004")["hex"][4:6] == "80"
    blocks = -(-len(rack.iso) // 2048)
    for packet in (f"2800{blocks:08x}000001", f"2800{blocks - 1:08x}000002", "2800ffffffff00ffff", "a800fffffffffffffff0"):
        assert rack.ask(f"packet cd {packet}")["sense"] == RANGE, packet
    assert rack.ask("packet cd 2500")["hex"] == f"{blocks - 1:08x}00000800"
    assert rack.ask("packet cd a3")["sense"] == NO_COMMAND
    assert rack.ask("packet cd 4601")["good"], "no room for an answer"
    assert rack.ask("packet cd 430200000000000014")["hex"].startswith("00120101001401000000020000")
    assert rack.ask("packet cd 4a01000010000000080000")["hex"] == "0006041002020000"
    assert rack.ask("ping")["pong"]
    # A reset in the middle of a long read: what was on its way ends, and the next command is served.
    assert rack.ask("reset cd 0 3000")["reset"]
    rack.reads("all cd 100")
    # The tray is locked, then it opens.
    assert rack.ask("packet cd 1e00000001")["good"] and rack.ask("packet cd 1b00000002")["sense"] == [5, 0x53, 2]
    assert rack.ask("packet cd 1e00000000")["good"] and rack.ask("packet cd 1b00000002")["good"]
    assert rack.ask("packet cd 00")["sense"] == NO_MEDIUM
    wait_for("it is out", lambda: rack.status()["cd"]["out"], 60)
    assert "EJECTED" in rack.ider("status").stdout


def test_a_session_that_is_cut_in_the_middle_comes_back(rack):
    rack.begin(hold_ms=12_000)
    rack.ider("insert", "db1", "--cd", "rescue.iso", "--start", "reboot")
    rack.reads("all cd 64")
    rack.amt.tell("IDER all cd 1")
    wait_for("it reads", lambda: (rack.status()["cd"]["last_block"] or 0) > 0, 60)
    rack.amt.tell("cut IDER")
    wait_for("the loss is told", lambda: rack.told("IderLost"), 60)
    wait_for("the device holds it still", lambda: rack.amt.seen(service="IDER", refused=2), 60)
    wait_for("the second session", lambda: rack.sessions("begun") == 2 and rack.status()["phase"] == "open", 150)
    # The machine runs from it: it gets the drives back at once.
    wait_for("the drives", lambda: rack.amt.has("start") == ["reboot", "now"], 60)
    rack.reads("all cd 64")
    assert len(rack.told("IderOpened")) == 2 and len(rack.told("IderLost")) == 1
    # Ejected while it is away.
    rack.amt.tell("cut IDER")
    rack.until("lost", 60)
    rack.ider("eject", "db1")
    assert rack.status() is None


def test_a_device_that_falls_silent_is_noticed(rack):
    rack.begin(hold_ms=12_000)
    rack.ider("insert", "db1", "--cd", "rescue.iso")
    rack.amt.tell("IDER mute")
    lost = wait_for("the loss is told", lambda: rack.told("IderLost"), 240)
    assert "silent" in lost[0]["reason"]
    wait_for("its end", lambda: rack.amt.seen(mute="over", end=True), 60)
    wait_for("the device holds it still", lambda: rack.amt.seen(service="IDER", refused=2), 60)
    wait_for("the second session", lambda: rack.sessions("begun") == 2, 150)


def test_an_insertion_that_fails_says_why_and_leaves_nothing(rack):
    rack.begin(more=f'[user.eve]\nrole = "readonly"\npassword = "{HASH}"\n[user.bob]\nrole = "operator"\nmachines = []\npassword = "{HASH}"\n')
    for words, why in (
        (["--cd", "missing.iso"], "missing.iso: No such file"),
        (["--cd", "../oobd.toml"], "no name of a file in"),
        (["--cd", ".hidden"], "no name of a file in"),
        (["--cd", "rescue.iso", "--floppy", "rescue.iso", "--writable"], "in use already"),
    ):
        assert why in rack.refused("insert", "db1", *words), words
    (rack.images / "odd.img").write_bytes(b"x" * 700)
    assert "no multiple of 512" in rack.refused("insert", "db1", "--floppy", "odd.img")
    assert not rack.amt.seen(service="IDER"), "nothing was asked of the machine"
    rack.amt.tell("hold IDER")
    assert "IDE redirection is in use by another session" in rack.refused("insert", "db1", "--cd", "rescue.iso")
    assert rack.status() is None
    rack.amt.tell("release IDER")
    rack.board.ctl("amt", "features", "db1", "ider=off", "--yes")
    assert "IDE redirection is not offered, or switched off" in rack.refused("insert", "db1", "--cd", "rescue.iso")
    rack.board.ctl("amt", "features", "db1", "ider=on", "--yes")
    door = Door(types.SimpleNamespace(board=rack.board))
    insert = {"InsertIder": {"machine": "db1", "cd": "rescue.iso", "floppy": None, "writable": False, "start": "now"}}
    assert door.ask("POST", "/api/command", insert, token=door.sign_in("eve")).status == 403
    bob = door.sign_in("bob")
    assert "there is no machine db1" in door.ask("POST", "/api/command", insert, token=bob).error
    rack.ider("insert", "db1", "--cd", "rescue.iso")
    assert "rescue.iso of" in rack.refused("insert", "db1", "--floppy", "floppy.img")
    rack.reads()
    assert door.ask("GET", "/api/state", token=bob).json()["ider"] == {}
    # The end of the board ends the session, too.
    rack.board.stop()
    wait_for("the end message", lambda: rack.sessions("ended") == 1, 60)
    assert rack.amt.seen(closed=True)


@pytest.mark.parametrize("device, why", [
    ({"mode": "ccm"}, "needs the consent of the user at the machine"),
    ({"ider_takes": 0}, "does not take the drives (answer 0)"),
    ({"ider_buffers": [9000, 512]}, "buffers of 9000 and 512 bytes"),
])
def test_a_machine_that_will_not_says_so(rack, device, why):
    rack.begin(**device)
    assert why in rack.refused("insert", "db1", "--cd", "rescue.iso")
    assert rack.status() is None


def test_over_tls(rack):
    rack.begin(keys="tls = true", tls=True, redirection_tls=True)
    rack.ider("insert", "db1", "--cd", "rescue.iso")
    rack.reads("all cd 64")
    rack.ider("eject", "db1")
    wait_for("the end message", lambda: rack.sessions("ended") == 1, 60)
