"""The control socket and oobctl: the real oobd, the real client, real ptys, and callers who mean no good."""
import json
import os
import pty
import select
import shutil
import signal
import socket
import struct
import subprocess
import termios
import time

import pytest
from board import HEAD, TARGET, wait_for
from ssh_kit import HASH, Device


def with_console(device):
    return HEAD + f'[console.core-switch]\nserial = {{ port = "{device.path}" }}\n'


@pytest.fixture
def board(make_board):
    return make_board(HEAD).start()


@pytest.fixture
def device():
    device = Device(lambda data: b"<" + data + b">")
    yield device
    device.close()


@pytest.fixture
def console(make_board, device):
    board = make_board(with_console(device)).start()
    wait_for("the console is open", lambda: board.json("console", "list")["consoles"]["core-switch"]["phase"] == "open")
    return board


class Terminal:
    """oobctl on a pty, as a person has it."""

    def __init__(self, board, *arguments):
        self.master, slave = pty.openpty()
        self.before = termios.tcgetattr(slave)
        self.process = subprocess.Popen([TARGET / "oobctl", "--socket", board.socket, *arguments],
                                        stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        self.slave, self.seen = slave, b""

    def type(self, keys):
        os.write(self.master, keys)

    def sees(self, text, timeout=45):
        deadline = time.monotonic() + timeout
        while text not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self.master], [], [], left)[0], f"{text!r} is not in {self.seen!r}"
            self.seen += os.read(self.master, 4096)
        self.seen = self.seen.split(text, 1)[1]

    def ends(self):
        code = self.process.wait(10)
        modes = termios.tcgetattr(self.slave)
        assert modes == self.before, "the terminal is not as it was"
        os.close(self.master)
        os.close(self.slave)
        return code


def test_exit_codes(board, tmp_path):
    assert board.ctl("status").returncode == 0
    for arguments, code in [(["frob"], 2), (["uplink", "up"], 2), (["event", "list", "--since", "1w"], 2),
                            (["uplink", "up", "nowhere"], 1), (["console", "attach", "nowhere"], 1), (["--help"], 0)]:
        done = board.ctl(*arguments, check=False)
        assert done.returncode == code, (arguments, done)
        assert bool(done.stdout) == (code == 0) and bool(done.stderr) == (code != 0)
    board.socket = tmp_path / "nobody.sock"
    done = board.ctl("status", check=False)
    assert done.returncode == 3 and "does not run here" in done.stderr


def test_what_is_printed(board):
    text = board.ctl("status").stdout
    assert text.startswith("rack7  OOB off") and "\x1b" not in text
    state = board.json("status")
    assert state["device"] == "rack7" and state["ready"] and "control" in state["doors"]
    assert board.ctl("uplink", "list").stderr == "no uplinks\n"
    assert "complete -F" in board.ctl("completion", "bash").stdout


def test_what_went_wrong_is_told_for_a_person(board):
    for words, code, said in (
            (["user", "add", "bob"], 1, ["`role` is missing", "could never sign in"]),
            (["certificate", "install", "/nowhere.pem"], 1, ["oobctl: there is no file /nowhere.pem"]),
            (["uplink", "scan", "x"], 1, ["oobctl: there is no uplink x; `uplink list` shows them"]),
            (["console", "show", "x"], 1, ["oobctl: there is no console x; `console list` shows them"]),
            (["pdu", "read", "x\n\033[2J"], 1, ["oobctl: there is no pdu x", "\\u{1b}[2J"])):
        done = board.ctl(*words, check=False)
        lines = done.stderr.rstrip("\n").split("\n")
        assert (done.returncode, len(lines)) == (code, len(said)), done
        assert all(part in line for part, line in zip(said, lines)), lines
        assert all(line.startswith("  ") for line in lines[1:]), lines


def test_a_note_is_on_flash_when_its_number_is_printed(board):
    number = int(board.ctl("event", "note", "before", "the", "fall").stdout)
    board.process.send_signal(signal.SIGKILL)
    board.process.wait()
    board.start()
    event, = board.json("event", "list", "--after", str(number - 1), "-n", "1", "--source", "supervisor",
                        "--severity", "info")["events"][:1]
    notes = [e for e in board.events() if "NoteWritten" in e["kind"]]
    assert [(e["seq"], e["kind"]["NoteWritten"]["text"]) for e in notes] == [(number, "before the fall")]
    assert event["text"]


def test_events_filter_follow_and_survive_a_closed_pipe(board):
    for number in range(30):
        board.ctl("event", "note", f"note {number}")
    newest = board.json("event", "list", "-n", "3")["events"]
    assert [e["kind"]["NoteWritten"]["text"] for e in newest] == ["note 27", "note 28", "note 29"]
    assert newest[0]["text"].endswith("notes: note 27")
    assert board.json("event", "list", "--severity", "critical")["events"] == []
    lines = board.ctl("event", "list", "--since", "1h", "--jsonl").stdout.splitlines()
    assert len(lines) >= 32 and all(json.loads(line)["seq"] for line in lines)
    oobctl = f"{TARGET}/oobctl --socket {board.socket}"
    piped = subprocess.run(["bash", "-c", f"{oobctl} event list -n 1000 | head -1 >/dev/null; echo ${{PIPESTATUS[0]}}"],
                           capture_output=True, text=True, timeout=30)
    assert piped.stdout == "0\n" and piped.stderr == ""

    follow = subprocess.Popen([TARGET / "oobctl", "--socket", board.socket, "event", "follow", "--jsonl", "-n", "1"],
                              stdout=subprocess.PIPE, text=True)
    assert json.loads(follow.stdout.readline())["kind"]["NoteWritten"]["text"] == "note 29"
    board.ctl("event", "note", "live")
    assert json.loads(follow.stdout.readline())["kind"]["NoteWritten"]["text"] == "live"
    follow.kill()
    follow.wait()


def test_slow_and_dead_clients_hurt_nobody(board):
    """Followers that never read, among many notes: others go on, and the follower gets every one when it wakes."""
    oobctl = [TARGET / "oobctl", "--socket", board.socket]
    slow = [subprocess.Popen(oobctl + ["event", "follow", "--jsonl", "-n", "1"], stdout=subprocess.PIPE, text=True)
            for _ in range(3)]
    for follower in slow:
        follower.stdout.readline()
        follower.send_signal(signal.SIGSTOP)
    text = "x" * 900
    first = int(board.ctl("event", "note", text).stdout)
    for _ in range(5):
        # Eight at a time, so that the test is short though each waits for the flash.
        writers = [subprocess.Popen(["bash", "-c", f"for i in $(seq 40); do {oobctl[0]} --socket {board.socket} event note {text}; done"],
                                    stdout=subprocess.DEVNULL) for _ in range(8)]
        assert all(writer.wait(120) == 0 for writer in writers)
    last = int(board.ctl("event", "note", "the last").stdout)
    assert last - first == 1601
    slow[0].kill()
    slow[1].send_signal(signal.SIGCONT)
    seen = [json.loads(slow[1].stdout.readline())["seq"] for _ in range(last - first + 1)]
    assert seen == list(range(first, last + 1)), "nothing twice, nothing missing"
    for follower in slow:
        follower.kill()
        follower.wait()


def test_nonsense_on_the_socket(board):
    frames = [b"", b"\0", b"\xff" * 64, struct.pack("<I", 0), struct.pack("<I", 1 << 30) + b"x", struct.pack("<I", 5) + b"\xff\xff\xff\xff\xff",
              struct.pack("<I", 100) + b"half"]
    for frame in frames:
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(board.socket))
            caller.sendall(frame)
            caller.shutdown(socket.SHUT_WR)
            caller.settimeout(5)
            assert caller.recv(100) == b"", frame
    callers = []
    for _ in range(80):
        caller = socket.socket(socket.AF_UNIX)
        caller.connect(str(board.socket))
        callers.append(caller)
    full = wait_for("the door is full", lambda: (lambda done: done.returncode == 3 and done)(board.ctl("status", check=False)))
    assert "closed the connection" in full.stderr or "went away" in full.stderr
    for caller in callers:
        caller.close()
    wait_for("the door is open again", lambda: board.ctl("status", check=False).returncode == 0)


def test_the_kernel_says_who_calls(make_board):
    board = make_board(HEAD)
    board.start()
    for folder in [board.socket.parent, board.work, *board.work.parents]:
        if "pytest" in str(folder):
            folder.chmod(0o755)
    assert board.socket.stat().st_mode & 0o777 == 0o660

    # The tree may lie where others cannot look.
    oobctl = shutil.copy(TARGET / "oobctl", board.work)
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", oobctl, "--socket", board.socket]

    def as_nobody(*arguments):
        return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=30)

    assert as_nobody("status").returncode == 3
    board.socket.chmod(0o666)
    refused = as_nobody("status")
    assert refused.returncode == 4 and "oobd.toml has no [user.nobody]" in refused.stderr
    told = [e["kind"]["SignInRefused"] for e in board.events() if "SignInRefused" in e["kind"]]
    assert (told[-1]["door"], told[-1]["user"]) == ("control", "nobody")

    board.reload(HEAD + f'[user.nobody]\nrole = "readonly"\npassword = "{HASH}"\nconsoles = ["core-*"]\n')
    wait_for("nobody may look", lambda: as_nobody("status").returncode == 0)
    for arguments in (["event", "note", "x"], ["config", "reload"], ["config", "check"]):
        refused = as_nobody(*arguments)
        assert refused.returncode == 4 and "role readonly" in refused.stderr, refused
    watch = subprocess.Popen([*command, "status", "--watch", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert json.loads(watch.stdout.readline())["device"] == "rack7"
    board.reload(HEAD)
    assert watch.wait(10) == 4, "rights that were taken away end what goes on"


def test_config_check_and_reload(board, tmp_path):
    assert board.ctl("config", "check").returncode == 0
    bad = tmp_path / "bad.toml"
    bad.write_text("schema = 1\n[lan]\nadress = 'dhcp'\n")
    done = board.ctl("config", "check", bad, check=False)
    assert done.returncode == 1 and "did you mean `address`?" in done.stdout and f"{bad}:3:1" in done.stdout
    done = board.ctl("config", "check", "-", "--json", check=False, stdin=bad.open())
    assert done.returncode == 1 and json.loads(done.stdout)["problems"][0]["path"] == "lan.adress"

    board.config.write_text(bad.read_text())
    done = board.ctl("config", "reload", check=False)
    state = board.json("status")
    assert state["device"] == "rack7" and "unknown key" in state["config_problems"][0], (done, state["config_problems"])
    assert "Problem   oobd.toml was not taken" in board.ctl("status").stdout
    assert "lan.adress: unknown key" in (board.config.parent / "oobd-errors.txt").read_text()
    assert board.ctl("config", "check", check=False).returncode == 1

    board.config.write_text(HEAD.replace("rack7", "rack8"))
    board.ctl("config", "reload")
    state = board.json("status")
    assert (state["device"], state["config_problems"]) == ("rack8", [])
    assert not (board.config.parent / "oobd-errors.txt").exists()
    given = [e["kind"]["CommandGiven"] for e in board.events() if "CommandGiven" in e["kind"]]
    assert given[-1]["command"] == "read oobd.toml again" and given[-1]["actor"].startswith("root@console (process ")


def test_a_person_on_a_console(console, device):
    person = Terminal(console, "console", "attach", "core-switch")
    person.sees(b"core-switch: you type; ~. leaves, ~? helps")
    person.type(b"show version\r")
    person.sees(b"<show version\r>")
    # Raw: what a terminal would keep for itself reaches the device.
    person.type(b"\x03\x1a\x11")
    wait_for("control characters arrive", lambda: b"\x03\x1a\x11" in device.got)
    person.type(b"\r~?")
    person.sees(b"leave the console")
    sessions = console.json("console", "list")["consoles"]["core-switch"]["sessions"]
    assert [(s["user"], s["writer"]) for s in sessions] == [("root@console", True)]

    watcher = Terminal(console, "console", "attach", "core-switch", "--history", "10000")
    watcher.sees(b"you watch: somebody else types")
    watcher.sees(b"<show version\r>")
    device.say(b"for both")
    person.sees(b"for both")
    watcher.sees(b"for both")

    person.type(b"\r~.")
    assert person.ends() == 0
    watcher.process.terminate()
    assert watcher.ends() == 0
    wait_for("nobody is on it", lambda: console.json("console", "list")["consoles"]["core-switch"]["sessions"] == [])
    assert b"~" not in device.got


def test_a_watcher_by_choice_types_nothing(console, device):
    watcher = Terminal(console, "console", "attach", "--watch", "core-switch")
    watcher.sees(b"you watch")
    watcher.type(b"reload\r")
    device.say(b"still here")
    watcher.sees(b"still here")
    watcher.type(b"\r~.")
    assert watcher.ends() == 0
    assert device.got == b""


def test_a_stuck_port_lets_its_person_go(console, device):
    device.reading.clear()
    person = Terminal(console, "console", "attach", "core-switch")
    person.sees(b"you type")
    os.set_blocking(person.master, False)
    sent, deadline = 0, time.monotonic() + 30
    while b"takes nothing more" not in person.seen:
        assert time.monotonic() < deadline, (sent, person.seen[-200:])
        try:
            sent += os.write(person.master, b"y" * 4000)
        except BlockingIOError:
            pass
        try:
            person.seen += os.read(person.master, 65536)
        except BlockingIOError:
            time.sleep(0.001)
    os.set_blocking(person.master, True)
    assert console.ctl("status").returncode == 0
    person.sees(b"what you typed is lost")
    for _ in range(100):
        # The rest of the paste first; then the keys come alone, as fingers bring them.
        time.sleep(0.2)
        person.type(b"\r")
        time.sleep(0.2)
        person.type(b"~.")
        if person.process.poll() is not None or select.select([person.master], [], [], 0.2)[0] and b"left console" in os.read(person.master, 65536):
            break
    assert person.ends() == 0
    device.reading.set()


def test_the_board_stops_under_a_person(console):
    person = Terminal(console, "console", "attach", "core-switch")
    person.sees(b"you type")
    assert console.stop() < 5
    assert person.ends() != 0


def test_a_script_on_a_console(console, device):
    done = subprocess.run([TARGET / "oobctl", "--socket", console.socket, "console", "attach", "core-switch"],
                          input=b"show clock\r", capture_output=True, timeout=30)
    assert done.returncode == 0
    assert done.stdout == b"<show clock\r>", "standard output is what the device said and nothing else"
    assert b"left console core-switch" in done.stderr


def test_passwords_are_hashed_for_the_file(board, tmp_path):
    done = board.ctl("password", stdin=open_text(tmp_path, "rescue me\n"))
    hash_ = done.stdout.strip()
    assert hash_.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    good = tmp_path / "good.toml"
    good.write_text(f'schema = 1\n[user.alice]\nrole = "administrator"\npassword = "{hash_}"\n')
    assert board.ctl("config", "check", good).returncode == 0

    person = Terminal(board, "password")
    person.sees(b"Password: ")
    person.type(b"rescue me\n")
    person.sees(b"Once more: ")
    person.type(b"rescue you\n")
    person.sees(b"do not match")
    assert b"rescue" not in person.seen
    assert person.ends() == 1

    for number in (signal.SIGINT, signal.SIGTERM):
        person = Terminal(board, "password")
        person.sees(b"Password: ")
        person.process.send_signal(number)
        assert person.ends() == 1, "and the terminal echoes again"


def open_text(folder, text):
    path = folder / "input"
    path.write_text(text)
    return path.open()


def test_status_on_a_small_terminal(board):
    person = Terminal(board, "status")
    person.sees(b"\x1b[1mrack7\x1b[0m")
    assert person.ends() == 0
    watch = Terminal(board, "status", "--watch")
    watch.sees(b"\x1b[H")
    watch.sees(b"rack7")
    board.reload(HEAD.replace("rack7", "rack8"))
    watch.sees(b"rack8")
    watch.process.terminate()
    watch.process.wait(10)
