"""Serial consoles of the real oobd: socat as the device, unplugged and plugged in again; kill -9; what it costs to wait."""
import os
import re
import select
import signal
import subprocess
import time

import pytest
from board import HEAD, TARGET, wait_for

CONFIG = HEAD + """[console.core]
serial = { port = "PORT", line = "115200n8" }
"""


class Cable:
    """A device behind socat: a pty under a stable name, its other end our pipe. Killing socat is pulling the plug."""

    def __init__(self, path):
        self.path, self.process = path, None
        self.plug()

    def plug(self):
        self.process = subprocess.Popen(["socat", f"PTY,link={self.path},rawer", "STDIO"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        wait_for("the pty has its name", lambda: os.path.islink(self.path))

    def unplug(self):
        self.process.kill()
        self.process.wait()
        if os.path.islink(self.path):
            os.unlink(self.path)

    def say(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def hears(self, data, timeout=45):
        got, deadline = b"", time.monotonic() + timeout
        while data not in got:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self.process.stdout], [], [], left)[0], f"{data!r} is not in {got!r}"
            got += os.read(self.process.stdout.fileno(), 4096)


class Session:
    """oobctl attached through pipes."""

    def __init__(self, board):
        command = [TARGET / "oobctl", "--socket", board.socket, "console", "attach", "core"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def sees(self, text, timeout=45):
        got, deadline = b"", time.monotonic() + timeout
        while text not in got:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self.process.stdout], [], [], left)[0], f"{text!r} is not in {got!r}"
            data = os.read(self.process.stdout.fileno(), 4096)
            assert data, f"ended before {text!r}: {got!r}"
            got += data

    def type(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()


@pytest.fixture
def cable(tmp_path):
    cable = Cable(str(tmp_path / "port"))
    yield cable
    cable.unplug()


@pytest.fixture
def board(make_board, cable):
    board = make_board(CONFIG.replace("PORT", cable.path)).start()
    phase(board, "open")
    return board


@pytest.fixture
def attach(board):
    made = []

    def make():
        made.append(Session(board))
        return made[-1]

    yield make
    for session in made:
        session.process.kill()
        session.process.wait()


def console(board):
    return board.json("console", "list")["consoles"]["core"]


def phase(board, wanted):
    wait_for(f"the console is {wanted}", lambda: console(board)["phase"] == wanted)


def transcript(board):
    folder = board.work / "state" / "consoles" / "core"
    return b"".join(path.read_bytes() for path in sorted(folder.glob("*.log")))


def cpu_seconds(board):
    fields = open(f"/proc/{board.process.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_port_under_a_stable_name_comes_back_to_the_same_session(board, cable, attach):
    session = attach()
    for plugging in range(3):
        cable.say(b"boot %d\r\n" % plugging)
        session.sees(b"boot %d" % plugging)
        session.type(b"show version\r")
        cable.hears(b"show version\r")
        cable.unplug()
        session.sees(b"port gone")
        phase(board, "gone")
        cable.plug()
        session.sees(b"port back")
    kinds = [next(iter(event["kind"])) for event in board.events() if "Console" in str(event["kind"])]
    assert kinds == ["ConsoleOpened"] + ["ConsoleLost", "ConsoleOpened"] * 3
    assert len(console(board)["sessions"]) == 1


def test_waiting_costs_nothing(board, cable):
    """tokio-serial's known fault is a loop that burns a core once the port is gone."""
    for state in ("open", "gone"):
        if state == "gone":
            cable.unplug()
        phase(board, state)
        before, began = cpu_seconds(board), time.monotonic()
        time.sleep(3)  # the measure is what happens while nothing does
        share = (cpu_seconds(board) - before) / (time.monotonic() - began)
        assert share < 0.05, f"{share:.0%} of a core with the port {state}"


def test_kill_9_loses_no_synced_byte_and_the_history_goes_on(board, cable, attach):
    lines = [b"line %06d of a busy switch\r\n" % number for number in range(6000)]
    text = b"".join(lines)
    cable.say(text[:100_000])
    wait_for("what came is in the file", lambda: transcript(board) == text[:100_000])
    cable.say(text[100_000:])
    wait_for("more came", lambda: len(transcript(board)) > 110_000)
    board.process.send_signal(signal.SIGKILL)
    board.process.wait()
    kept = transcript(board)
    assert text.startswith(kept) and len(kept) > 110_000

    board.start()
    phase(board, "open")
    session = attach()
    # The rest comes meanwhile, and a session begins with the newest; what came before the fall is in the history.
    session.sees(b" of a busy switch")
    last = kept[-200:].splitlines()[-2].decode()
    assert last in board.ctl("console", "log", "core", "--grep", last).stdout
    cable.say(b"\r\nafter the fall\r\n")
    session.sees(b"after the fall")
    wait_for("the file goes on", lambda: transcript(board).endswith(b"after the fall\r\n"))
    assert transcript(board).startswith(kept)
    folder = board.work / "state" / "consoles" / "core"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(re.fullmatch(r"\d{20}\.(log|idx)|lock", path.name) for path in folder.iterdir())


def test_a_stopped_client_slows_nobody_down(board, cable, attach):
    stalled, good = attach(), attach()
    wait_for("both are there", lambda: len(console(board)["sessions"]) == 2)
    stalled.process.send_signal(signal.SIGSTOP)
    for number in range(200):
        cable.say(b"x" * 5000 + b"\r\nend of %d\r\n" % number)
        good.sees(b"end of %d" % number)
    stalled.process.send_signal(signal.SIGCONT)
    stalled.sees(b"end of 199")
