"""The menu inside a session: every key does what `~?` says, over any split of the network, with other keys, never in a paste."""
import time

import pexpect
from board import TARGET, wait_for
from screen_kit import Screen
from ssh_kit import Device, House, house  # noqa: F401


def slowly(person, keys):
    """One key per packet."""
    for key in keys:
        time.sleep(0.1)
        person.send(key)


def test_every_key_says_or_does_something(house):
    one = house("core", "edge")
    person = one.operator.terminal("alice:core", options=["-e", "none"])
    person.expect("~\\. leave, ~\\? help")
    one.devices["core"].say(b"the story so \x1b[cfar\r\n")
    person.expect("far")
    slowly(person, "~h")
    person.expect("bytes once more")
    # A terminal query is not asked again.
    person.expect("the story so far")
    person.expect("that was the history")
    slowly(person, "~u")
    person.expect("alice \\(you\\) from ssh 127.0.0.1:[0-9]+ types, idle for")
    slowly(person, "~l")
    person.expect("console log core --since 2h")
    slowly(person, "~p")
    person.expect("no outlet is bound to core")
    slowly(person, "~?")
    for word in ("~\\.", "~b", "~h", "~l", "~p", "~u", "~w", "~m"):
        person.expect(word)
    slowly(person, "~m")
    person.expect("q quits:")
    person.send("edge\r")
    person.expect("edge: you type")
    slowly(person, "~.")
    person.expect("q quits:")
    person.send("q\r")
    person.expect(pexpect.EOF)
    assert not one.devices["core"].got


def test_m_leads_to_the_screen_and_back(house):
    one = house("core", "edge")
    with Screen(one.operator.argv("alice:core")) as screen:
        screen.expect("core: you type").send("~~m").expect("Consoles of rack7")
        screen.send("2\r").expect("edge: you type").send("~~.").expect("Consoles of rack7").send("q")
        assert screen.ended() == 0


def test_a_pasted_menu_key_is_text(house):
    one = house("core")
    person = one.operator.terminal("alice:core", options=["-e", "none"])
    person.expect("you type")
    paste = "description uplink to core\r~m\r~u\r~.\r"
    person.send(paste)
    wait_for("the whole paste", lambda: one.devices["core"].got == paste.encode())


def test_keys_of_a_console_and_of_a_user(house):
    one = house("core", "edge", keys={"core": ['escape = { key = "^A", users = "k" }']}, users=lambda operator: {
        "alice": f'role = "administrator"\nkeys = ["{operator.public}"]',
        "carol": f'role = "administrator"\nkeys = ["{operator.public}"]\nescape = {{ profile = "ctrl-e-c" }}'})
    alice = one.operator.terminal("alice:core", options=["-e", "none"])
    alice.expect("\\^A\\. leave, \\^A\\? help --")
    slowly(alice, "\x01k")
    alice.expect("alice \\(you\\)")
    # `~` is a letter here.
    slowly(alice, "\r~.\r")
    wait_for("the tilde at the device", lambda: b"~." in one.devices["core"].got)
    slowly(alice, "\x01.")
    alice.expect("left core")
    carol = one.operator.terminal("carol:core", options=["-e", "none"])
    carol.expect("\\^Ec\\. leave")
    slowly(carol, "ls\x05cw")
    carol.expect("carol \\(you\\)")
    slowly(carol, "\x05cf")
    carol.expect("you have the keyboard")
    slowly(carol, "\x05c.")
    carol.expect("left core")
    assert b"\x05" not in one.devices["core"].got


def test_a_grant_to_read_lets_watch(house):
    one = house("core", "edge", users=lambda operator: {
        "alice": f'role = "operator"\nkeys = ["{operator.public}"]\nconsoles = ["core", "edge:read"]'})
    person = one.operator.terminal("alice:edge")
    person.expect("edge: you watch")
    one.devices["edge"].say(b"hello\r\n")
    person.expect("hello")
    person.send("reboot\r")
    person.expect("only watch")
    slowly(person, "~~u")
    person.expect("watches, idle for")
    assert not one.devices["edge"].got
    person.close()
    done = one.operator.ssh("alice:core", "-T", stdin=b"x")
    assert done.stdout == b"x", done
    done = one.operator.ssh("alice:edge", "-T", stdin=b"x")
    assert done.returncode == 4 and not one.devices["edge"].got, done


def test_the_same_menu_on_the_board_itself(house):
    one = house("core")
    person = pexpect.spawn(str(TARGET / "oobctl"), ["--socket", str(one.board.socket), "console", "attach", "core"],
                           timeout=30, encoding="latin-1")
    person.expect("you type; ~\\. leaves")
    one.devices["core"].say(b"once upon a time\r\n")
    person.expect("once upon a time")
    slowly(person, "~h")
    person.expect("once more")
    person.expect("once upon a time")
    slowly(person, "~u")
    person.expect("root@console \\(you\\)")
    slowly(person, "~p")
    person.expect("no outlet is bound to core")
    slowly(person, "~.")
    person.expect("left console core")
    person.expect(pexpect.EOF)
