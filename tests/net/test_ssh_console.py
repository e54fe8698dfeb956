"""Consoles, the chooser and commands over SSH, with OpenSSH's own client against the real oobd."""
import json
import os
import signal
import threading
import time

import pexpect
import pytest
from board import wait_for
from ssh_kit import Device, House, Operator, run

ALL_BYTES = bytes(range(256))


@pytest.fixture
def house(tmp_path, make_board):
    houses = []

    def make(*names, users=None, **devices):
        named = {name: Device() for name in names} | {name.replace("_", "-"): device for name, device in devices.items()}
        houses.append(House(tmp_path, make_board, devices=named, users=users))
        return houses[-1].start()

    yield make
    for one in houses:
        one.close()


def test_a_person_types_leaves_and_comes_back(house):
    one = house(core_switch=Device(lambda data: data.upper()), edge=Device())
    for user in ("alice:core-switch", "alice+core-switch"):
        person = one.operator.terminal(user)
        person.expect("core-switch: you type")
        person.send("show version\r")
        person.expect("SHOW VERSION")
        # OpenSSH takes the first ~ after a newline for itself.
        person.send("~~.")
        person.expect("left core-switch")
        person.expect(pexpect.EOF)
        person.close()
        assert person.exitstatus == 0
        wait_for("the session's end", lambda: one.count("SessionOpened") == one.count("SessionClosed"))


def test_help_and_unknown_letters(house):
    one = house("sw")
    person = one.operator.terminal("alice", options=["-e", "none"])
    person.expect("sw: you type")
    person.send("~?")
    for word in ("~\\.", "~b", "~w", "~~"):
        person.expect(word)
    person.send("\r~x\r")
    wait_for("both bytes at the device", lambda: b"\r~x\r" in one.devices["sw"].got)
    person.send("~~\r")
    wait_for("one tilde at the device", lambda: bytes(one.devices["sw"].got).endswith(b"~\r"))
    person.send("~.")
    person.expect(pexpect.EOF)


def test_the_chooser_by_number_name_and_prefix_on_a_phone(house):
    one = house("core-router", "core-switch", "edge")
    one.devices["edge"].say(b"edge login: ")
    wait_for("the last line in the state", lambda: "edge login:" in one.board.json("status")["consoles"]["edge"]["last_line"])
    person = one.operator.terminal("alice", columns=40)
    for typed, answer in [("core", "Which one: core-router, core-switch"), ("9", "no number 9"), ("x", "No console is called"), ("", "1 core-router")]:
        person.expect("q quits: ")
        person.send(typed + "\r")
        person.expect(answer)
    person.expect("q quits: ")
    screen = person.before
    assert "edge login:" in screen
    for typed, name in [("2", "core-switch"), ("edge", "edge"), ("core-r", "core-router")]:
        person.send(typed + "\r")
        person.expect(f"{name}: you type")
        person.send("\r~~.")
        person.expect("q quits: ")
    assert all(len(line) <= 40 for line in screen.splitlines()), screen
    person.send("q\r")
    person.expect(pexpect.EOF)
    person.close()
    assert person.exitstatus == 0


def test_one_console_needs_no_chooser(house):
    one = house("sw", "hidden", users=lambda operator: {
        "alice": f'role = "operator"\nkeys = ["{operator.public}"]\nconsoles = ["s*"]'})
    person = one.operator.terminal("alice")
    person.expect("sw: you type")
    person.close()
    # Even who asks for the chooser needs no list of one.
    person = one.operator.terminal("alice:serial")
    person.expect("sw: you")
    assert "hidden" not in person.before
    person.close()
    # One text, whether there is none or it is not for her.
    for name in ("hidden", "nowhere"):
        done = one.operator.ssh(f"alice:{name}", "-T")
        assert (done.returncode, done.stderr) == (4, f"there is no console {name}; ssh alice:serial lists yours\n".encode()), done


def test_two_people_one_keyboard(house):
    one = house("sw")
    first = one.operator.terminal("alice:sw")
    first.expect("you type")
    second = one.operator.terminal("alice:sw")
    second.expect("somebody else types, you watch")
    first.send("from the first\r")
    first.expect("from the first")
    second.expect("from the first")
    second.send("lost\r")
    second.send("~~w")
    first.expect("alice")
    second.send("from the second\r")
    first.expect("from the second")
    assert b"lost" not in one.devices["sw"].got
    for person in (first, second):
        person.close()


def test_a_readonly_user_only_watches(house):
    one = house("sw", users=lambda operator: {"eve": f'role = "readonly"\nkeys = ["{operator.public}"]'})
    person = one.operator.terminal("eve:sw")
    person.expect("sw: you watch")
    one.devices["sw"].say(b"hello eve\r\n")
    person.expect("hello eve")
    person.send("reboot\r")
    person.expect("your role only watches")
    person.send("\r~~w~~b")
    person.send("\rreboot\r")
    one.devices["sw"].say(b"still here\r\n")
    person.expect("still here")
    assert not one.devices["sw"].got
    person.close()
    done = one.operator.ssh("eve:sw", "-T", stdin=b"reboot\r")
    assert (done.returncode, done.stderr) == (4, b"sw: your role only watches; nothing was sent\n"), done
    assert not one.devices["sw"].got


def test_a_script_gets_all_256_values_both_ways(house):
    one = house("sw")
    done = one.operator.ssh("alice:sw", "-T", stdin=ALL_BYTES * 64, options=["-e", "none"])
    assert done.returncode == 0 and done.stderr == b"", done.stderr
    assert bytes(one.devices["sw"].got) == ALL_BYTES * 64
    assert done.stdout == ALL_BYTES * 64


def test_a_script_is_told_when_somebody_else_types(house):
    one = house("sw")
    person = one.operator.terminal("alice:sw")
    person.expect("you type")
    done = one.operator.ssh("alice:sw", "-T", stdin=b"reboot\r")
    assert (done.returncode, done.stderr) == (4, b"sw: somebody else types here; nothing was sent\n"), done
    assert not one.devices["sw"].got
    watcher = one.operator.start("alice:sw", "-T")
    wait_for("the watching script", lambda: one.count("SessionOpened") == 3)
    one.devices["sw"].say(b"for all\r\n")
    assert watcher.stdout.readline() == b"for all\r\n"
    watcher.stdin.close()
    assert watcher.wait(20) == 0
    person.close()


def test_keys_are_changed_in_mid_session(house):
    """OpenSSH asks for new keys every 64 KiB; nothing is lost on the way."""
    one = house("sw")
    text = ALL_BYTES * 4096
    done = one.operator.ssh("alice:sw", "-T", stdin=text, options=["-e", "none", "-o", "RekeyLimit=64K"], timeout=90)
    assert bytes(one.devices["sw"].got) == text
    assert done.stdout == text, len(done.stdout)


def test_escapes_mean_nothing_to_a_script(house):
    one = house("sw")
    text = b"~.\n~?\n~b\n~w\n\x1d\x03\x04~."
    done = one.operator.ssh("alice:sw", "-T", stdin=text, options=["-e", "none"])
    assert done.stdout == text and bytes(one.devices["sw"].got) == text


def test_a_big_paste_arrives_whole_and_in_order(house):
    one = house("sw")
    paste = b"".join(b"interface eth%d\r~.\r" % n for n in range(12_000))
    person = one.operator.start("alice:sw", "-tt", options=["-e", "none"])
    person.stdin.write(paste)
    person.stdin.flush()
    wait_for("the whole paste at the device", lambda: len(one.devices["sw"].got) >= len(paste), 60)
    assert bytes(one.devices["sw"].got) == paste
    person.kill()
    person.wait()


def test_a_device_that_takes_nothing_cannot_hold_the_person(house):
    one = house("sw")
    one.devices["sw"].reading.clear()
    person = one.operator.terminal("alice:sw", options=["-e", "none"])
    person.expect("you type")
    for _ in range(40):
        person.send("x" * 900 + "\r")
    # Slowly enough to be typed by hand, after everything that hangs before it.
    time.sleep(0.3)
    person.send("\r")
    time.sleep(0.3)
    person.send("~.")
    person.expect("left sw")
    person.expect(pexpect.EOF)
    one.devices["sw"].reading.set()


def test_dead_clients_are_noticed_within_about_a_minute(house):
    """Two ways to die unseen, side by side for the clock's sake: the cable is pulled (no FIN, no reset: TCP's own
    questions find out), and a client is killed that had sent more than every queue holds to a line that takes nothing."""
    one = house("sw", "stuck")
    far = Operator(one.operator.work, one.lan.host, host="10.77.0.5")
    vanished = far.terminal("alice:sw")
    vanished.expect("you type")
    one.devices["stuck"].reading.clear()
    script = one.operator.start("alice:stuck", "-T", options=["-e", "none"])
    threading.Thread(target=_pour, args=(script, 8 << 20), daemon=True).start()
    one.seen("SessionOpened", "stuck")
    run("ip", "-n", one.lan.host, "link", "set", "lan0", "down")
    time.sleep(2)
    script.kill()
    script.wait()
    wait_for("both sessions' end", lambda: one.count("SessionClosed") == 2, 100)
    assert one.anonymous_kib() < 40_000
    vanished.close()
    one.devices["stuck"].reading.set()
    for console in ("sw", "stuck"):
        person = one.operator.terminal(f"alice:{console}")
        person.expect(f"{console}: you type")
        person.close()


def _pour(process, size):
    try:
        process.stdin.write(bytes(size))
        process.stdin.flush()
    except OSError:
        pass


def test_a_client_that_reads_nothing_harms_nobody(house):
    one = house("sw")
    lazy = one.operator.start("alice:sw", "-T")
    wait_for("the lazy session", lambda: one.count("SessionOpened") == 1)
    lazy.send_signal(signal.SIGSTOP)
    person = one.operator.terminal("alice:sw")
    person.expect("you watch")
    line = b"0123456789" * 100 + b"\r\n"
    for _ in range(6_000):
        one.devices["sw"].say(line)
    one.devices["sw"].say(b"the end is here\r\n")
    person.expect("the end is here", timeout=60)
    person.close()
    lazy.send_signal(signal.SIGCONT)
    lazy.kill()
    lazy.wait()
    assert one.anonymous_kib() < 40_000


def test_a_client_killed_in_mid_session_leaves_nothing_behind(house):
    one = house("sw")
    person = one.operator.start("alice:sw", "-T")
    wait_for("the session", lambda: one.count("SessionOpened") == 1)
    os.kill(person.pid, signal.SIGKILL)
    person.wait()
    one.seen("SessionClosed", "sw")
    again = one.operator.terminal("alice:sw")
    again.expect("you type")
    again.close()


def test_the_port_may_go_and_come_while_a_person_watches(house):
    one = house("sw")
    link = one.board.work / "port"
    link.symlink_to(one.devices["sw"].path)
    one.board.reload(one.config().replace(one.devices["sw"].path, str(link)))
    one.seen("ConsoleOpened", str(link))
    person = one.operator.terminal("alice:sw")
    person.expect("sw: you")
    link.unlink()
    one.devices["sw"].close()
    person.expect("\\[-- ")
    fresh = Device()
    one.devices["sw"] = fresh
    link.symlink_to(fresh.path)
    person.expect("\\[-- ", timeout=30)
    wait_for("the port's return", lambda: one.count("ConsoleOpened") >= 3, 30)
    fresh.say(b"I am back\r\n")
    person.expect("I am back")
    person.close()


def test_commands_run_with_the_rights_of_the_user(house):
    one = house("sw", "hidden", users=lambda operator: {
        "alice": f'role = "administrator"\nkeys = ["{operator.public}"]',
        "eve": f'role = "readonly"\nkeys = ["{operator.public}"]\nconsoles = ["sw"]'})
    state = json.loads(one.operator.ssh("alice", "status", "--json").stdout)
    assert set(state["consoles"]) == {"sw", "hidden"} and state["doors"]["ssh"]["fingerprint"].startswith("SHA256:")
    state = json.loads(one.operator.ssh("eve", "status", "--json").stdout)
    assert set(state["consoles"]) == {"sw"}
    done = one.operator.ssh("alice", "nonsense")
    assert done.returncode == 2 and b"Usage" in done.stderr, done
    assert one.operator.ssh("alice", "'unclosed").returncode == 2
    done = one.operator.ssh("eve", "console attach hidden", stdin=b"x")
    assert done.returncode == 4 and b"there is no console hidden" in done.stderr, done
    done = one.operator.ssh("alice", "console attach sw", stdin=b"through a command")
    assert (done.returncode, done.stdout) == (0, b"through a command"), done
    done = one.operator.ssh("alice", "event", "list")
    assert done.returncode == 0 and b"signed in" in done.stdout.lower(), done.stdout
    follow = one.operator.start("alice", "event", "follow", "--jsonl")
    wait_for("the follower's sign-in", lambda: one.count("SignInAccepted") >= 8)
    one.operator.ssh("alice", "console attach sw", stdin=b"x")
    assert follow.stdout.readline().startswith(b"{")
    follow.kill()
    follow.wait()
    done = one.operator.ssh("alice", "completion", "bash")
    assert done.returncode == 2 and b"for a shell" in done.stderr, done


def test_what_is_not_there_is_refused(house):
    one = house("sw")
    done = one.operator.ssh("alice", "-s", "sftp")
    assert done.returncode != 0 and b"subsystem request failed" in done.stderr, done
    done = one.operator.ssh("alice:sw", "-T", options=["-R", "9999:10.77.0.9:80", "-o", "ExitOnForwardFailure=yes"])
    assert done.returncode == 255 and b"remote port forwarding failed" in done.stderr, done
    done = one.operator.ssh("alice:sw", "-T", "-A", "-X", stdin=b"x")
    assert done.stdout == b"x"
    done = one.operator.ssh("alice", "-T", options=["-w", "0:0", "-o", "Tunnel=ethernet"], stdin=b"x")
    assert b"x" not in done.stderr[:1]
    assert "panicked" not in one.board.text()


def test_several_sessions_share_one_connection(house):
    one = house("sw", "edge")
    path = one.operator.work / "mux"
    master = one.operator.start("alice:sw", "-T", options=["-M", "-S", path])
    wait_for("the first session", lambda: one.count("SessionOpened") == 1)
    done = one.operator.ssh("alice:sw", "console", "attach", "edge", stdin=b"edge", options=["-S", path])
    assert done.stdout == b"edge", done
    assert one.count("SignInAccepted") == 1
    master.stdin.write(b"still here")
    master.stdin.close()
    assert master.wait(20) == 0 and master.stdout.read() == b"still here"


def test_the_board_stops_in_time_with_people_on_it(house):
    one = house("sw")
    people = [one.operator.terminal("alice:sw") for _ in range(5)]
    for person in people:
        person.expect("\\[-- sw: ")
    assert one.board.stop() < 5
    for person in people:
        person.expect(["the board stops", pexpect.EOF])
        person.close()
