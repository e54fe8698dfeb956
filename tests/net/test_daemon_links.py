"""Links and guard as the whole program runs them: oobd itself between a LAN and a hotspot that is not on."""
import signal

import pytest

from board import Board
from links import wait_for

CONFIG = """schema = 1
[device]
name = "rack7"
[lan]
interface = "eth0"
address = "dhcp"
[oob]
mode = "trigger"
[uplink.hotspot]
wifi = { interface = "wlan0", passphrase = "correct horse" }
[user.alice]
role = "administrator"
keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGdWcRh2CK5/8WdrQIpYV1s4MQ6bXMbhgL7yGhUOyRkI alice"]
"""


@pytest.fixture
def daemon(world):
    world.lan_server("--dhcp-range=192.168.50.100,192.168.50.120,255.255.255.0,1h", "--dhcp-option=3,192.168.50.10",
                     "--dhcp-option=6,192.168.50.10")
    board = Board(world.folder / "board", CONFIG, netns=world.board.name).start()
    yield world, board
    board.stop(9)


def lan(board):
    return board.json("status")["links"].get("eth0", {}).get("addresses", [])


def doors(world):
    return world.board("nft list chain inet oobd input | grep -o 'tcp dport .* ct' | sed 's/tcp dport //; s/ ct//'").strip()


def test_the_lan_is_leased_and_shown(daemon):
    world, board = daemon
    address = wait_for("a LAN address", lambda: lan(board))[0]
    assert address.startswith("192.168.50.1") and address.endswith("/24")
    assert "LeaseAcquired" in board.kinds() and "LinkUp" in board.kinds()
    wait_for("the name server", lambda: "nameserver 192.168.50.10" in (world.folder / "board" / "run" / "resolv.conf").read_text())
    guard = wait_for("the first check", lambda: board.json("status")["guard"]["sealed"] is not None and
                     board.json("status")["guard"])
    assert guard["sealed"] is True and guard["open"] == [] and guard["breaches"] == 0
    assert world.lan.ok(f"/usr/bin/python3 -c \"import socket; socket.create_connection(('{address[:-3]}', 22), 3)\"")


def test_forwarding_switched_on_is_journaled_as_critical_and_undone(daemon):
    world, board = daemon
    wait_for("the first check", lambda: board.json("status")["guard"]["sealed"])
    world.board("sysctl -qw net.ipv4.ip_forward=1")
    found = wait_for("the event", lambda: [e for e in board.events() if "GuardBreached" in e["kind"]])
    assert found[0]["severity"] == "critical" and found[0]["kind"]["GuardBreached"]["undone"] is True
    assert world.board("cat /proc/sys/net/ipv4/ip_forward").strip() == "0"
    wait_for("all clear", lambda: "GuardRestored" in board.kinds())


def test_killed_and_started_again(daemon):
    world, board = daemon
    wait_for("a LAN address", lambda: lan(board))
    rules = world.board("ip rule; ip -6 rule")
    board.stop(signal.SIGKILL)
    assert "policy drop" in world.board("nft list chain inet oobd forward"), "closed while nobody runs"
    assert world.board("ip rule; ip -6 rule") == rules
    board.start()
    wait_for("a LAN address", lambda: lan(board))
    assert world.board("ip rule; ip -6 rule") == rules, "nothing twice"
    assert "GuardBreached" not in board.kinds(), "starting is no breach"


def test_a_reload_moves_lan_address_and_door(daemon):
    world, board = daemon
    wait_for("a LAN address", lambda: lan(board))
    board.reload(CONFIG.replace('address = "dhcp"', 'address = "192.168.50.7/24"') + "[ssh]\nport = 2022\n")
    wait_for("the new address", lambda: lan(board) == ["192.168.50.7/24"])

    wait_for("the new door", lambda: doors(world) == "{ 443, 2022 }")
    wait_for("LAN", lambda: world.lan.ok("ping -c1 -W1 192.168.50.7"))
    assert "GuardBreached" not in board.kinds(), "a reload is no breach"


def test_an_uplink_taken_out_of_the_configuration_is_shut(daemon):
    """It may still be on the hotspot at that moment, and its table still full."""
    world, board = daemon
    wait_for("the first check", lambda: board.json("status")["guard"]["sealed"])
    space = world.board
    space("ip addr add 172.20.10.12/28 dev wlan0; ip route add default via 172.20.10.1 dev wlan0 onlink table 100", check=False)
    board.reload(CONFIG.replace('interface = "wlan0"', 'interface = "wlan7"'))
    wait_for("the firewall without it", lambda: "wlan0" not in space("nft list table inet oobd"))
    space("ip addr replace 172.20.10.12/28 dev wlan0; ip link set wlan0 up")
    assert not world.phone.ok("/usr/bin/python3 -c \"import socket; socket.create_connection(('172.20.10.12', 22), 2)\"")
    wait_for("its table is empty", lambda: not space("ip route show table 100 2>/dev/null", check=False).strip())
    assert "wlan0" not in space("ip rule; ip -6 rule")
    assert "GuardBreached" not in board.kinds(), "tidying up is no breach"
