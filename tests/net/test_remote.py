"""oobctl on another computer: every noun over HTTPS says what it says over the socket; a board is known by its fingerprint."""
import json
import os
import signal
import subprocess

import pexpect
import pytest
from api_kit import users
from board import TARGET, wait_for
from ssh_kit import PASSWORD, Device, House

PEOPLE = {"alice": "administrator", "eve": 'role = "readonly"\nconsoles = ["none*"]'}
SWITCH = """#!/bin/sh
file=%s/outlet-$2
[ "$1" = status ] && { cat $file 2> /dev/null || echo on; exit 0; }
echo $1 > $file
"""


class Laptop:
    """oobctl as somebody beside the board has it: a home of its own, no control socket."""

    def __init__(self, one, home, host="localhost"):
        self.one, self.home, self.host = one, home, host
        home.mkdir(exist_ok=True)
        self.env = {"PATH": os.environ["PATH"], "HOME": str(home), "USER": "alice", "TERM": "dumb"}

    def argv(self, *words):
        return ["nsenter", "-t", str(self.one.board.process.pid), "-n", str(TARGET / "oobctl"), "--host", self.host, *map(str, words)]

    def run(self, *words, password=PASSWORD, stdin="", **options):
        env = {**self.env, **({"OOBD_PASSWORD": password} if password else {})}
        return subprocess.run(self.argv(*words), env=env, input=stdin, capture_output=True, text=True, timeout=90, **options)

    def ctl(self, *words, **options):
        done = self.run("--fingerprint", self.one.shown, *words, **options)
        assert done.returncode == 0, (words, done)
        return done.stdout

    def start(self, *words):
        return subprocess.Popen(self.argv("--fingerprint", self.one.shown, *words), env={**self.env, "OOBD_PASSWORD": PASSWORD},
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def terminal(self, *words, password=None):
        argv = self.argv(*words)
        env = {**self.env, **({"OOBD_PASSWORD": password} if password else {})}
        return pexpect.spawn(argv[0], argv[1:], timeout=60, env=env, encoding="latin-1")

    @property
    def known(self):
        folder = self.home / ".config/oobd/known-boards"
        return {path.name: path.read_text().strip() for path in folder.iterdir()} if folder.exists() else {}


@pytest.fixture
def house(tmp_path, make_board):
    one = House(tmp_path, make_board, users=users(**PEOPLE), devices={"sw": Device(lambda data: b"<" + data + b">")})
    program = tmp_path / "switch"
    program.write_text(SWITCH % tmp_path)
    program.chmod(0o755)
    text = one.board.config.read_text()
    one.board.config.write_text(text + f'[pdu.odd.script]\nprogram = "{program}"\noutlets = ["a", "b"]\n')
    one.start()
    wait_for("the console is open", lambda: one.board.json("status")["consoles"]["sw"]["phase"] == "open")
    wait_for("the outlets are read", lambda: all(o["state"] == "On" for o in one.board.json("status")["pdus"]["odd"]["outlets"]) and one.board.json("status")["pdus"]["odd"]["outlets"])
    one.shown = one.board.json("status")["doors"]["https"]["fingerprint"]
    yield one
    one.close()


@pytest.fixture
def laptop(house, tmp_path):
    return Laptop(house, tmp_path / "home")


def test_every_noun_says_what_it_says_on_the_board(house, laptop):
    for words in (["uplink", "list"], ["console", "list"], ["console", "users"], ["console", "show", "sw"], ["console", "ports"], ["outlet", "list"],
                  ["pdu", "list"], ["ups", "list"], ["machine", "list"], ["config", "check"]):
        for form in ([], ["--json"]):
            def same(words=words, form=form):
                return laptop.ctl(*words, *form) == house.board.ctl(*words, *form).stdout
            # A time that somebody is idle for, a read between the two: the next look agrees.
            wait_for(f"the same of {words} {form}", same)
    assert json.loads(laptop.ctl("status", "--json"))["device"] == "rack7"
    assert "rack7" in laptop.ctl("status")
    after = str(house.board.events()[-1]["seq"] - 5)
    seq = int(laptop.ctl("event", "note", "from the laptop"))
    events = json.loads(laptop.ctl("event", "list", "--after", after, "--json"))["events"]
    assert any(event["seq"] == seq for event in events)
    note = house.seen("NoteWritten", "from the laptop")
    assert "alice (https 127.0.0.1:" in json.dumps(note)
    # One question, one answer, whatever lies between.
    switched = json.loads(laptop.ctl("outlet", "off", "odd/a", "--yes", "--json"))
    assert "confirmed" in json.dumps(switched)
    assert house.board.json("status")["pdus"]["odd"]["outlets"][0]["state"] == "Off"
    bundle = laptop.home / "bundle.tar.gz"
    laptop.ctl("support-bundle", "-o", bundle)
    assert "oobd-rack7/state.json" in subprocess.run(["tar", "tzf", bundle], capture_output=True, text=True, check=True).stdout
    # A file of the laptop is checked by the board's eyes.
    bad = laptop.home / "bad.toml"
    bad.write_text("schema = 1\n[lan]\nadress = 'dhcp'\n")
    done = laptop.run("--fingerprint", house.shown, "config", "check", bad)
    assert done.returncode == 1 and "did you mean `address`?" in done.stdout


def test_streams_go_on_and_consoles_are_joined(house, laptop):
    follow = laptop.start("event", "follow", "--jsonl")
    wait_for("it listens", lambda: house.count("SignInAccepted"))
    watch = laptop.start("status", "--watch", "--jsonl")
    assert json.loads(watch.stdout.readline())["device"] == "rack7"

    def heard():
        laptop.ctl("event", "note", "ping")
        return b"ping" in follow.stdout.readline()
    wait_for("an event comes", heard)

    person = laptop.terminal("--fingerprint", house.shown, "console", "attach", "sw", password=PASSWORD)
    person.expect_exact("console sw: you type; ~. leaves")
    person.send("show version\r")
    person.expect_exact("<show version\r>")
    [session] = house.board.json("console", "list")["consoles"]["sw"]["sessions"]
    assert session["user"] == "alice" and session["from"].startswith("https 127.0.0.1:") and session["writer"]
    second = laptop.terminal("--fingerprint", house.shown, "console", "attach", "sw", "--history", "10000", password=PASSWORD)
    second.expect_exact("you watch: somebody else types")
    second.send("\r~w")
    wait_for("the keyboard changed hands", lambda: [s["writer"] for s in house.board.json("console", "list")["consoles"]["sw"]["sessions"]] == [False, True])
    person.send("\r~.")
    person.expect(pexpect.EOF)
    # Signals are heard, and the session goes with the process.
    second.kill(signal.SIGTERM)
    second.expect(pexpect.EOF)
    wait_for("nobody is on it", lambda: house.board.json("console", "list")["consoles"]["sw"]["sessions"] == [])
    scripted = subprocess.run(laptop.argv("--fingerprint", house.shown, "console", "attach", "sw"), env={**laptop.env, "OOBD_PASSWORD": PASSWORD},
                              input=b"show clock\r", capture_output=True, timeout=60)
    assert scripted.returncode == 0 and scripted.stdout.endswith(b"<show clock\r>"), scripted
    wait_for("it is on record", lambda: "show clock" in laptop.ctl("console", "log", "sw"))

    # Rights that are taken away end what goes on, and so does the end of the board.
    house.board.reload(house.board.config.read_text().replace('role = "administrator"', 'role = "operator"'))
    assert watch.wait(60) == 4
    follow.wait(60)


def test_a_board_is_known_by_its_fingerprint(house, laptop):
    before = house.count("SignInAccepted")
    unknown = laptop.run("status")
    assert unknown.returncode == 4 and house.shown in unknown.stderr and not laptop.known
    other = "SHA256:" + ":".join(["AB"] * 32)
    wrong = laptop.run("--fingerprint", other, "status")
    assert wrong.returncode == 4 and house.shown in wrong.stderr and other in wrong.stderr
    assert laptop.run("--fingerprint", "AB:CD", "status").returncode == 2
    assert house.count("SignInAccepted") == before, "nothing was said to it"

    person = laptop.terminal("status")
    person.expect_exact(house.shown)
    person.expect_exact("Is it the same? [y/N]")
    person.sendline("n")
    person.expect(pexpect.EOF)
    assert not laptop.known
    person = laptop.terminal("--user", "alice", "status")
    person.expect_exact("[y/N]")
    person.sendline("y")
    person.expect_exact("Password of alice on localhost:443: ")
    person.sendline(PASSWORD)
    person.expect_exact("rack7")
    person.expect(pexpect.EOF)
    assert PASSWORD not in person.before
    assert laptop.known == {"localhost%3a443": house.shown}
    # From now on nobody is asked.
    assert laptop.run("status").returncode == 0
    # Another certificate: the password stays here.
    (laptop.home / ".config/oobd/known-boards/localhost%3a443").write_text(other + "\n")
    before = house.count("SignInAccepted")
    changed = laptop.run("status")
    assert changed.returncode == 4 and "another certificate" in changed.stderr
    assert house.count("SignInAccepted") == before


def test_exit_statuses(house, laptop, tmp_path):
    pinned = ["--fingerprint", house.shown]
    refused = laptop.run(*pinned, "status", password="nonsense")
    assert refused.returncode == 4 and "wrong user name or password" in refused.stderr
    assert laptop.run(*pinned, "event", "note", "x", "--host", "eve@localhost").returncode == 4
    assert laptop.run(*pinned, "console", "show", "sw", "--host", "eve@localhost").returncode == 1
    assert laptop.run(*pinned, "status", "--host", "localhost:444").returncode == 3
    assert laptop.run(*pinned, "status", "--host", "http://localhost").returncode == 2
    assert laptop.run(*pinned, "status", "--host", "alice:secret@localhost").returncode == 2
    assert laptop.run(*pinned, "status", password=None).returncode == 2
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    assert laptop.run(*pinned, "--password-file", file, "status", password=None).returncode == 0
    assert laptop.run(*pinned, "--socket", house.board.socket, "status").returncode == 2
