"""The chooser on a real terminal: OpenSSH's client, a terminal emulator, the real oobd."""
import pytest
from board import wait_for
from screen_kit import Screen
from ssh_kit import Device, House, house  # noqa: F401

NAMES = ("core-router", "core-switch", "edge", "qfx5100")
UP, DOWN, PAGE_DOWN, END, ESCAPE = b"\x1b[A", b"\x1b[B", b"\x1b[6~", b"\x1b[F", b"\x1b"


def client(one, user="alice:serial", *words, **size):
    return Screen(one.operator.argv(user, *words, options=["-t"] if words else []), **size)


@pytest.mark.parametrize("columns,rows", [(80, 24), (40, 20), (200, 60)])
def test_the_list_and_the_way_to_a_console_and_back(house, columns, rows):
    one = house(*NAMES)
    one.devices["edge"].say(b"edge login: ")
    with client(one, columns=columns, rows=rows) as screen:
        screen.expect("Consoles of rack7").expect("qfx5100")
        assert screen.other
        assert ">" in screen.line("core-router") and ">" not in screen.line("edge"), screen.lines()
        screen.send(DOWN + DOWN).until("edge is meant", lambda: ">" in screen.line("edge")).expect("edge login:")
        screen.send("\r").expect("edge: you type")
        assert not screen.other
        screen.send("hello\r")
        wait_for("what was typed", lambda: b"hello\r" in one.devices["edge"].got)
        screen.send("~~.").expect("Consoles of rack7")
        assert screen.other
        screen.send("q")
        assert screen.ended() == 0
        assert not screen.other and screen.all.endswith(b"\x1b[?25h\x1b[?1049l"), bytes(screen.all[-60:])


def test_typing_filters_and_numbers_mean_numbers(house):
    one = house(*NAMES)
    with client(one, columns=40, rows=20) as screen:
        screen.expect("qfx5100").send("swi").gone("edge").expect("/swi").expect("1 of 4")
        screen.send("x").expect("fits none").send(ESCAPE).expect("edge")
        # q is a letter once a filter has begun.
        screen.send("/q").gone("edge").expect("qfx5100").send(ESCAPE).expect("core-router")
        screen.send("3\r").expect("edge: you type").send("\r~~.").expect("Consoles of rack7")
        screen.send("CORE-S\r").expect("core-switch: you type").send("\r~~.").expect("Consoles of rack7")
        screen.send(b"\x04")
        assert screen.ended() == 0


def test_who_comes_and_what_is_said_shows_by_itself(house):
    one = house(*NAMES)
    with client(one) as screen:
        screen.expect("qfx5100")
        person = one.operator.terminal("alice:edge")
        person.expect("edge: you type")
        screen.until("who types", lambda: "alice types" in screen.line("edge"))
        one.devices["edge"].say(b"\r\nRebooting \x1b[31mnow\x1b[0m")
        screen.until("the last line", lambda: "Rebooting now" in screen.line("edge"))
        person.close()
        screen.until("nobody there", lambda: "alice" not in screen.line("edge"))
        one.devices["edge"].close()
        screen.until("unplugged", lambda: "gone" in screen.line("edge"))


def test_a_terminal_that_changes_its_size(house):
    one = house(*NAMES)
    with client(one, columns=120, rows=30) as screen:
        screen.expect("LAST LINE").resize(40, 12).expect("q leaves").expect("qfx5100")
        assert not screen.shows("LAST LINE")
        screen.resize(120, 30).expect("LAST LINE").send("q")
        assert screen.ended() == 0


def test_a_board_that_stops_gives_the_terminal_back(house):
    one = house(*NAMES)
    with client(one) as screen:
        screen.expect("qfx5100")
        one.board.stop()
        screen.ended()
        assert not screen.other and b"\x1b[?25h" in screen.all, bytes(screen.all[-200:])


def test_a_dumb_terminal_gets_the_plain_list(house):
    one = house(*NAMES)
    with client(one, term="dumb") as screen:
        screen.expect("q quits:").send("port02\r").expect("core-switch: you type").send("\r~~.")
        screen.until("the list again", lambda: screen.all.count(b"q quits:") == 2).send("q\r")
        assert screen.ended() == 0
        assert b"\x1b[" not in screen.all, bytes(screen.all)
