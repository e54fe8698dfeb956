"""Where plain doors are open: on the LAN and on the board, never on an uplink, whatever it accepts."""
import re

import pytest
from board import Board
from links import wait_for
from plain_kit import ALICE, Device

CONFIG = """schema = 1
[device]
name = "rack7"
[lan]
interface = "eth0"
address = "192.168.50.2/24"
[oob]
mode = "trigger"
[uplink.hotspot]
wifi = {{ interface = "wlan0", passphrase = "correct horse" }}
accept = ["ssh", "https"]
[console.core]
serial = {{ port = "{port}" }}
telnet = 2001
raw = {{ port = 4001, allow = ["0.0.0.0/0", "::/0"] }}
rfc2217 = {{ port = 5001, allow = ["0.0.0.0/0", "::/0"] }}
"""
DOORS = (2001, 4001, 5001)


@pytest.fixture
def daemon(world):
    device = Device()
    board = Board(world.folder / "board", CONFIG.format(port=device.path) + ALICE, netns=world.board.name).start()
    wait_for("the doors", lambda: len([name for name in board.json("status")["doors"] if "." in name]) == 3)
    wait_for("the LAN address", lambda: "192.168.50.2" in world.board("ip addr show dev eth0"))
    yield world, board
    board.stop(9)
    device.close()


def reaches(space, address, port):
    return space.ok(f"/usr/bin/python3 -c \"import socket; socket.create_connection(('{address}', {port}), 1)\"")


def dropped(world):
    chain = world.board("nft list chain inet oobd input")
    return int(re.findall(r"counter packets (\d+) bytes \d+ drop", chain)[-1])


def test_open_to_the_lan_shut_to_the_hotspot(daemon):
    world, _ = daemon
    for port in DOORS:
        assert reaches(world.lan, "192.168.50.2", port), port
        assert reaches(world.board, "127.0.0.1", port), port
    # The phone reaches wlan0 by its link-local address, before any lease.
    wait_for("a link-local address", lambda: "fe80::ff:fe00:2/64" in world.board("ip -6 addr show dev wlan0 -tentative"))
    ours = "fe80::ff:fe00:2%ap0"
    for port in DOORS:
        before = dropped(world)
        assert not reaches(world.phone, ours, port), port
        assert dropped(world) > before, f"{port} was not dropped by the firewall"
    # The same way let SSH's packets in, so it is the door that is shut and not the way.
    before = dropped(world)
    reaches(world.phone, ours, 22)
    assert dropped(world) == before
