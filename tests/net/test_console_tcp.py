"""Consoles on raw TCP: ser2net and socat on a LAN host; never by another way than the LAN; hosts that come and go."""
import subprocess

import pytest
from board import wait_for
from console_kit import HOST, Rack
from links import wire


@pytest.fixture
def rack(spaces, tmp_path, make_board):
    rack = Rack(spaces, tmp_path, make_board)
    yield rack
    rack.close()


TCP = f'network = {{ tcp = "{HOST}:4001" }}'


def test_every_byte_passes_both_ways_through_ser2net(rack):
    cable = rack.cable()
    rack.ser2net(("tcp,4001", f"serialdev,{cable.path},9600n81,local"))
    rack.start({"core": TCP})
    now = rack.phase("core", "open")
    assert now["port"] == f"tcp://{HOST}:4001"
    session = rack.attach("core")
    wait_for("the session", lambda: rack.console("core")["sessions"])
    every = bytes(range(256))
    cable.say(every + b"done")
    assert every in session.sees(b"done")
    session.type(every + b"done")
    assert every in cable.hears(b"done")


def test_a_host_that_refuses_is_gone_with_the_reason_and_opened_when_it_serves(rack):
    rack.start({"core": TCP})
    rack.phase("core", "gone", f"{HOST}:4001: connection refused")
    session = rack.attach("core")
    for round in range(2):
        server = rack.host.start("socat", "TCP-LISTEN:4001,reuseaddr", "EXEC:cat")
        session.sees(b"port back")
        session.type(b"hello %d\r" % round)
        session.sees(b"hello %d\r" % round)
        rack.host.stop(server)
        session.sees(b"port gone")
        rack.phase("core", "gone")
    kinds = rack.kinds("ConsoleOpened", "ConsoleLost")
    assert kinds == ["ConsoleLost"] + ["ConsoleOpened", "ConsoleLost"] * 2


def test_a_break_is_refused_with_the_reason(rack):
    rack.host.start("socat", "TCP-LISTEN:4001,reuseaddr", "EXEC:cat")
    rack.start({"core": TCP})
    rack.phase("core", "open")
    session = rack.attach("core")
    session.type(b"x")
    session.sees(b"x")
    session.escape("b")
    session.sees(b"does not do breaks: raw TCP carries bytes only")


def test_the_same_address_by_another_way_is_never_used(rack):
    """The LAN is down, and something else answers to the host's address: the console stays gone."""
    other = rack.spaces("other")
    wire(rack.space, "wlan0", other, "ap0")
    other(f"ip link set ap0 up; ip addr add {HOST}/32 dev ap0; ip addr add 172.20.10.1/28 dev ap0; ip route add 10.79.0.0/24 dev ap0")
    rack.space("ip link set wlan0 up; ip addr add 172.20.10.2/28 dev wlan0")
    other.start("socat", "TCP-LISTEN:4001,reuseaddr,fork", "EXEC:cat")
    rack.start({"core": TCP})
    rack.phase("core", "gone", "connection refused")
    rack.host("ip link set lan0 down")
    rack.space(f"ip route replace {HOST}/32 dev wlan0 metric 1; nft delete table inet oobd; true")
    # The trap works: who does not keep to the LAN gets there.
    wait_for("the other host answers", lambda: rack.space.ok(f"echo x | socat -t1 - TCP:{HOST}:4001,connect-timeout=2"))
    rack.space(f"ip route replace {HOST}/32 dev wlan0 metric 1")
    # Tried anew meanwhile, and told that the host is out of reach.
    rack.phase("core", "gone", "no route to host", timeout=30)
    assert rack.kinds("ConsoleOpened") == []


def test_a_reload_moves_it_to_another_port(rack):
    rack.host.start("socat", "TCP-LISTEN:4001,reuseaddr,fork", "EXEC:cat")
    rack.host.start("socat", "TCP-LISTEN:4002,reuseaddr,fork", "EXEC:cat")
    rack.listens(4001), rack.listens(4002)
    rack.start({"core": TCP})
    rack.phase("core", "open")
    rack.board.reload(rack.board.config.read_text().replace("4001", "4002"))
    wait_for("the new port", lambda: (now := rack.console("core"))["port"].endswith(":4002") and now["phase"] == "open")
    left = subprocess.run(["ip", "netns", "exec", rack.host.name, "ss", "-Htn", "state", "established", "sport", "=", ":4001"],
                          capture_output=True, text=True).stdout
    assert left == ""
