"""Consoles over RFC 2217: real ser2net with COM-PORT and without, breaks, hosts that come and go and one that dies silently."""
import pytest
from board import wait_for
from console_kit import HOST, Rack


@pytest.fixture
def rack(spaces, tmp_path, make_board):
    rack = Rack(spaces, tmp_path, make_board)
    yield rack
    rack.close()


RFC2217 = f'network = {{ rfc2217 = "{HOST}:5001", line = "19200e72" }}'
EVERY = bytes(range(256))


def both_ways(rack, cable):
    session = rack.attach("core")
    cable.say(EVERY + b"done")
    assert EVERY in session.sees(b"done")
    session.type(EVERY + b"done")
    assert EVERY in cable.hears(b"done")
    return session


def test_ser2net_sets_the_line_and_every_byte_passes(rack):
    """On a pty ser2net never answers for DTR and RTS, which must hang nothing."""
    cable = rack.cable()
    server = rack.ser2net(("telnet(rfc2217),tcp,5001", f"serialdev,{cable.path},9600n81,local"))
    rack.start({"core": RFC2217})
    now = rack.phase("core", "open")
    assert now["port"] == f"rfc2217://{HOST}:5001"
    speed = rack.host(f"stty -F {cable.path} speed")
    assert speed.strip() == "19200", speed
    assert now["state"]["line"]["baud"] == 19200
    session = both_ways(rack, cable)
    session.escape("b")
    session.sees(b"sent a break of 300 ms")
    rack.host.stop(server)
    session.sees(b"port gone")
    rack.ser2net(("telnet(rfc2217),tcp,5001", f"serialdev,{cable.path},9600n81,local"))
    session.sees(b"port back")
    session.type(b"after\r")
    cable.hears(b"after\r")


def test_a_server_without_com_port_is_plain_telnet(rack):
    cable = rack.cable()
    rack.ser2net(("telnet,tcp,5001", f"serialdev,{cable.path},9600n81,local"))
    rack.start({"core": RFC2217})
    rack.phase("core", "open", "refuses RFC 2217")
    session = both_ways(rack, cable)
    session.escape("b")
    session.sees(b"sent a break")


def test_a_host_that_dies_without_a_word_is_noticed_and_comes_back(rack):
    cable = rack.cable()
    rack.ser2net(("telnet(rfc2217),tcp,5001", f"serialdev,{cable.path},9600n81,local", "max-connections: 3"),)
    rack.host.start("socat", "TCP-LISTEN:4001,reuseaddr,fork", "EXEC:cat")
    rack.listens(4001)
    rack.start({"core": RFC2217, "raw": f'network = {{ tcp = "{HOST}:4001" }}'})
    for name in ("core", "raw"):
        rack.phase(name, "open")
    session = rack.attach("core")
    rack.host("nft 'add table inet dead; add chain inet dead in { type filter hook input priority 0; policy drop; };"
              " add chain inet dead out { type filter hook output priority 0; policy drop; }'")
    for name in ("core", "raw"):
        rack.phase(name, "gone", timeout=75)
    session.sees(b"port gone")
    rack.host("nft delete table inet dead")
    session.sees(b"port back", 40)
    for name in ("core", "raw"):
        rack.phase(name, "open", timeout=40)
    wait_for("the session", lambda: rack.console("core")["sessions"])
