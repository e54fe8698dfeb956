"""The console of a machine with AMT, over SSH and oobctl: every byte both ways, breaks, somebody else's session, lost connections."""
import pytest
from board import wait_for
from console_kit import HOST
from redirection_kit import PASSWORD, Rack
from ssh_kit import Operator

EVERY = bytes(range(256))


@pytest.fixture
def rack(spaces, tmp_path, make_board):
    rack = Rack(spaces, tmp_path, make_board)
    yield rack
    rack.close()


def test_amtterm_types_at_our_device(rack):
    rack.space("ip link set eth0 up; ip addr add 10.79.0.5/24 dev eth0")
    device = rack.device(auth=[1, 4], password="simple")
    term = rack.amtterm()
    term.expect("run_sol|connection established|CONNECTED|serial-over-lan")
    wait_for("its sign-in", lambda: device.seen(sign_in=True, method=1), 60)
    device.tell("SOL say hello from the machine")
    term.expect("hello from the machine")
    term.send("typed there\r")
    term.expect("typed there")
    # A second one: each service has one session.
    second = rack.amtterm()
    second.expect("INIT -> ERROR")
    term.send("\x1d")
    wait_for("the end of the session", lambda: device.seen(service="SOL", session="ended"), 60)
    assert device.seen(service="SOL", refused=2)


def test_a_person_types_over_ssh_and_reads_what_the_machine_says(rack, tmp_path):
    device = rack.device()
    operator = Operator(tmp_path, rack.space.name)
    rack.up(more=f'[user.alice]\nrole = "administrator"\nkeys = ["{operator.public}"]\n')
    assert rack.opened()["port"] == "sol://db1"
    assert device.seen(sign_in=True) == [{"sign_in": True, "method": 4}]
    terminal = operator.terminal("alice:db1")
    terminal.expect("db1")
    device.tell("SOL say login:")
    terminal.expect("login:", timeout=60)
    terminal.send("root\r")
    terminal.expect("root", timeout=60)
    terminal.close()


@pytest.mark.parametrize("split", [None, 1])
def test_every_byte_passes_both_ways_however_the_network_cuts_it(rack, split):
    device = rack.device(oem=True, **({"split": split} if split else {}))
    rack.up()
    rack.opened()
    session = rack.attach("db1")
    wait_for("the session", lambda: rack.console("db1")["sessions"])
    device.tell("SOL every")
    device.tell("SOL say done.")
    assert EVERY in session.sees(b"done.", 60)
    # One that is at the start of a line and typed by hand would be an escape.
    typed = b"x" + EVERY * 8 + b"end."
    session.type(typed)
    assert typed in session.sees(b"end.", 60)


def test_a_break_reaches_the_machine_after_what_was_typed(rack):
    device = rack.device()
    rack.up()
    rack.opened()
    session = rack.attach("db1")
    session.type(b"before")
    session.sees(b"before", 60)
    session.escape("b")
    session.sees(b"[break]", 60)
    assert device.seen(service="SOL", **{"break": True})


def test_somebody_elses_session_is_waited_out(rack):
    device = rack.device()
    device.tell("hold SOL")
    rack.up()
    now = rack.phase("db1", "failed", "in use by another session", timeout=60)
    assert "db1: Serial over LAN is in use by another session" in now["why"]
    # Not at once and not as often as a port that is gone: 5, 10, 20 seconds.
    wait_for("the second try", lambda: len(device.seen(service="SOL", refused=2)) == 2, 60)
    device.tell("release SOL")
    rack.opened()


def test_a_broken_connection_comes_back_though_the_device_still_holds_it(rack):
    device = rack.device(hold_ms=20_000)
    rack.up()
    rack.opened()
    session = rack.attach("db1")
    session.type(b"one")
    session.sees(b"one", 60)
    device.tell("cut SOL")
    session.sees(b"port gone", 60)
    session.sees(b"port back", 150)
    assert device.seen(service="SOL", refused=2), "held by the one that broke"
    session.type(b"two")
    session.sees(b"two", 60)


def test_the_session_is_ended_with_the_board(rack):
    device = rack.device()
    rack.up()
    rack.opened()
    rack.board.stop()
    wait_for("the end message", lambda: device.seen(service="SOL", session="ended"), 60)


def test_over_tls_the_key_is_pinned_and_another_is_refused(rack):
    device = rack.device(redirection_tls=True, auth=[1])
    rack.up(keys="tls = true")
    rack.opened()
    # Readable, so over TLS only.
    assert device.seen(sign_in=True) == [{"sign_in": True, "method": 1}]
    pinned = [event["kind"]["Pinned"] for event in rack.board.events() if "Pinned" in event["kind"]]
    assert [one["what"] for one in pinned] == [f"tls {HOST}:16993"]
    device.close()
    rack.device(redirection_tls=True)
    now = rack.phase("db1", "failed", "another host key", timeout=90)
    assert pinned[0]["fingerprint"] in now["why"]


@pytest.mark.parametrize("device, why", [
    ({"auth": [1]}, "it takes no sign-in but the plain password"),
    ({"auth": [2, 3]}, "it offers no sign-in that is known here"),
    ({"password": PASSWORD + "x"}, "it does not take user admin with this password"),
])
def test_a_sign_in_that_cannot_be_is_told_and_not_repeated_at_once(rack, device, why):
    device = rack.device(**device)
    rack.up()
    rack.phase("db1", "failed", why, timeout=60)
    assert not device.seen(sign_in=True) and len(device.seen(sign_in=False)) <= 1
