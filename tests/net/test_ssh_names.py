"""Which console a person gets, by what they type: labels, numbers, habits of other console servers, a port of its own."""
import json
import subprocess

import pytest
from board import Board, wait_for
from ssh_kit import Device, House, house  # noqa: F401

LANDING = 3001


@pytest.mark.parametrize("user,words", [
    ("alice:edge", []), ("alice+edge", []), ("alice:port02", []), ("alice:2", []), ("alice:EDGE", []), ("alice:ed", []),
    ("alice", ["edge"]), ("alice", ["port02"]), ("alice", ["console", "attach", "ed"]), ("alice", ["pmshell", "-l", "edge"]),
    ("alice", ["pmshell", "-l", "/dev/port02"]), ("alice", ["oobctl console attach 2"])])
def test_every_name_of_a_console_leads_to_it(names_house, user, words):
    """A script: what it sends arrives at this console and comes back from it."""
    done = names_house.operator.ssh(user, *words, *([] if words else ["-T"]), stdin=b"hello")
    assert (done.returncode, done.stdout) == (0, b"<hello>"), done


@pytest.fixture(scope="module")
def names_house(tmp_path_factory):
    work = tmp_path_factory.mktemp("names")
    # `ed` is clear only because `edgy-router` is not for her.
    one = House(work, lambda text, **options: Board(work, text, **options), devices={
        "core": Device(), "edge": Device(lambda data: b"<" + data + b">"), "edgy-router": Device()}, users=lambda operator: {
            "alice": f'role = "administrator"\nkeys = ["{operator.public}"]\nconsoles = ["core", "edge"]'})
    yield one.start()
    one.close()


def test_what_is_no_name_is_said_without_telling_what_there_is(house):
    one = house("core-router", "core-switch", "hidden", users=lambda operator: {
        "alice": f'role = "operator"\nkeys = ["{operator.public}"]\nconsoles = ["core-*"]'})
    for name, why in [("core", "which one: core-router, core-switch?"), ("hidden", "there is no console hidden; ssh alice:serial lists yours"),
                      ("hid", "there is no console hid; ssh alice:serial lists yours"), ("3", "there is no console 3; ssh alice:serial lists yours"),
                      ("port09", "there is no console port09; ssh alice:serial lists yours")]:
        done = one.operator.ssh(f"alice:{name}", "-T")
        assert (done.returncode, done.stderr.decode()) == (4, why + "\n"), done
    done = one.operator.ssh("alice", "console", "list")
    assert b"core-switch" in done.stdout and b"hidden" not in done.stdout
    for words in (["console", "users", "hidden"], ["console", "kick", "hidden", "--all"], ["console", "kick", "3", "--all"]):
        done = one.operator.ssh("alice", *words)
        assert done.returncode == 1 and b"there is no console" in done.stderr, done
    # Somebody else works on it: no event of that is hers.
    one.board.ctl("console", "attach", "hidden")
    one.board.ctl("console", "kick", "hidden", "--all")
    one.seen("SessionClosed", "hidden")
    assert b"hidden" not in one.operator.ssh("alice", "event", "list", "-n", "500", "--json").stdout


def test_a_port_of_its_own_lands_on_its_console(house):
    one = house("core", "edge", keys={"edge": [f"ssh_port = {LANDING}"]})

    def through(user, text):
        argv = one.operator.argv(user, "-T")
        argv[argv.index("-p") + 1] = str(LANDING)
        return subprocess.run(argv, input=text, capture_output=True, timeout=30)

    done = through("alice", b"through the port")
    assert (done.returncode, done.stdout) == (0, b"through the port"), done
    assert bytes(one.devices["edge"].got) == b"through the port"
    # Whoever names another one gets that one.
    assert through("alice:core", b"named").stdout == b"named"
    assert bytes(one.devices["core"].got) == b"named"
    assert through("mallory", b"").returncode == 255


def test_a_port_that_is_taken_keeps_nobody_out(house):
    one = house("core", keys={"core": [f"ssh_port = {LANDING}"]})
    assert one.operator.ssh("alice:core", "-T", stdin=b"x").stdout == b"x"
    # Somebody else holds the next port that is asked for.
    taken = subprocess.Popen(["ip", "netns", "exec", one.lan.board, "socat", "-u", "TCP6-LISTEN:3002,fork", "OPEN:/dev/null"])
    wait_for("the other listener", lambda: ":3002" in one.board.in_ns("ss", "-Hltn").stdout)
    one.board.reload(one.config().replace(str(LANDING), "3002"))
    wait_for("the complaint", lambda: "ssh_port: cannot listen" in one.board.text())
    assert one.operator.ssh("alice:core", "-T", stdin=b"y").stdout == b"y"
    taken.kill()
    taken.wait()
    wait_for("the port after all", lambda: one.board.text().count("ssh to one console is open") == 2)


def test_who_is_there_and_how_they_are_sent_home(house):
    one = house("core", "edge", users=lambda operator: {
        "alice": f'role = "administrator"\nkeys = ["{operator.public}"]',
        "bob": f'role = "operator"\nkeys = ["{operator.public}"]',
        "eve": f'role = "readonly"\nkeys = ["{operator.public}"]'})
    people = {name: one.operator.terminal(f"{name}:core") for name in ("bob", "eve")}
    for person in people.values():
        person.expect("core: you")
    wait_for("two sessions", lambda: one.count("SessionOpened") == 2)
    rows = json.loads(one.operator.ssh("alice", "console", "users", "--json").stdout)["sessions"]
    assert sorted((row["console"], row["user"], row["writer"]) for row in rows) == [("core", "bob", True), ("core", "eve", False)]
    assert all(row["from"].startswith("ssh 127.0.0.1:") and row["typed_at"] for row in rows)
    ids = {row["user"]: str(row["id"]) for row in rows}
    table = one.operator.ssh("alice", "pmusers").stdout.decode()
    assert "bob" in table and "types" in table and "watches" in table
    # Others' sessions are an administrator's.
    done = one.operator.ssh("eve", "console", "kick", "core", ids["bob"])
    assert done.returncode == 4 and b"eve has the role readonly; this needs administrator" in done.stderr, done
    assert one.operator.ssh("eve", "console", "kick", "core", "99").returncode == 1
    # One's own are one's own.
    done = one.operator.ssh("eve", "console", "kick", "core", ids["eve"])
    assert (done.returncode, done.stdout) == (0, b"1 session ended\n"), done
    people["eve"].expect("disconnected by eve")
    done = one.operator.ssh("alice", "pmusers", "--disconnect", "-u", "bob", "--no-prompt")
    assert (done.returncode, done.stdout) == (0, b"1 session ended\n"), done
    people["bob"].expect("disconnected by alice")
    closed = wait_for("both ends", lambda: (found := one.happened("SessionClosed"))[1:] and found)
    assert {event["reason"].split(" (")[0] for event in closed} == {"disconnected by eve", "disconnected by alice"}
    given = [event["command"] for event in one.happened("CommandGiven")]
    assert any("end session" in command and "core" in command for command in given), given
    done = one.operator.ssh("alice", "console", "kick", "core", "--all")
    assert done.stdout == b"0 sessions ended\n", done


def test_the_keyboard_is_given_from_one_to_the_other(house):
    one = house("core", users=lambda operator: {
        "alice": f'role = "operator"\nkeys = ["{operator.public}"]', "bob": f'role = "operator"\nkeys = ["{operator.public}"]'})
    alice = one.operator.terminal("alice:core")
    alice.expect("you type")
    bob = one.operator.terminal("bob:core")
    bob.expect("you watch")
    rows = json.loads(one.operator.ssh("alice", "console", "users", "core", "--json").stdout)["sessions"]
    number = next(str(row["id"]) for row in rows if row["user"] == "bob")
    assert one.operator.ssh("alice", "console", "give", "core", number).returncode == 0
    bob.expect("gave you the keyboard")
    alice.expect("gave the keyboard to bob")
    bob.send("from bob\r")
    wait_for("what bob typed", lambda: b"from bob\r" in one.devices["core"].got)
    assert one.happened("WriterChanged")[-1]["user"] == "bob"


def test_a_shared_console_and_an_idle_one(house):
    one = house("core", "edge", keys={"core": ['sessions = "shared"'], "edge": ['idle_timeout = "10s"', 'on_last_detach = "exit\\r"']})
    idle = one.operator.terminal("alice:edge")
    idle.expect("edge: you type")
    idle.send("ls\r")
    first, second = one.operator.terminal("alice:core"), one.operator.terminal("alice:core")
    for person in (first, second):
        person.expect("core: you type")
    first.send("one\r")
    second.expect("one")
    second.send("two\r")
    first.expect("two")
    idle.expect("this session ends in 5 s", timeout=20)
    idle.expect("nothing was typed for too long", timeout=20)
    wait_for("the parting", lambda: bytes(one.devices["edge"].got) == b"ls\rexit\r")
