"""The LAN has the very subnet that the hotspot has: the mark, not the address, says which one is meant."""
from concurrent.futures import ThreadPoolExecutor

import pytest

import matrix
from links import wait_for


@pytest.fixture
def twins(world):
    """A LAN host and the phone share 172.20.10.1; each greets with its own name. The board has .3 on the LAN."""
    world.lan("ip addr flush dev lan0 scope global; ip addr add 172.20.10.1/28 dev lan0")
    world.hotspot("--dhcp-range=172.20.10.8,172.20.10.14,255.255.255.240,1h")
    world.start(address="172.20.10.3/28")
    four, six = world.join()
    for space, name in ((world.lan, "lan"), (world.phone, "phone")):
        process = space.start("/usr/bin/python3", "-c", GREET, name, stdout=-1)
        assert process.stdout.readline() == b"serving\n"
    return world, four


GREET = """
import socket, sys
server = socket.create_server(("", 7))
print("serving", flush=True)
while True:
    connection, _ = server.accept()
    connection.sendall(sys.argv[1].encode())
    connection.close()
"""
ASK = """
import socket, sys
s = socket.socket()
s.settimeout(2)
if int(sys.argv[2]): s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, int(sys.argv[2]))
s.connect((sys.argv[1], 7))
print(s.recv(16).decode())
"""


def who_answers(world, mark):
    return world.board(f"/usr/bin/python3 -c '{ASK}' 172.20.10.1 {mark}", check=False).strip().splitlines()[-1:]


def test_marked_goes_to_the_phone_and_unmarked_to_the_lan(twins):
    world, _ = twins
    for _ in range(3):
        assert who_answers(world, 0x100) == ["phone"]
        assert who_answers(world, 0) == ["lan"]


def test_both_sides_reach_our_door_at_once(twins):
    world, four = twins
    matrix.serve(world.board, 22)
    with ThreadPoolExecutor(2) as pool:
        ok = list(pool.map(lambda pair: pair[0].ok(f"{matrix.KIT} get {pair[1]} 22 200000"),
                           [(world.phone, four), (world.lan, "172.20.10.3")] * 3))
    assert all(ok), ok
    assert world.net.ok(f"{matrix.KIT} get {four} 22"), "and from behind the phone"
    assert not world.lan.ok(f"{matrix.KIT} get {four} 22"), "the LAN does not reach the uplink's address"


def test_the_lan_stays_when_the_hotspot_goes(twins):
    world, _ = twins
    world.peer.ask("unaddress wlan0")
    wait_for("marked fails", lambda: who_answers(world, 0x100) not in (["phone"], ["lan"]))
    assert who_answers(world, 0) == ["lan"]


def test_a_hotspot_that_gives_us_our_own_lan_address(world):
    """One address on two links can be told apart by nobody: refused, and said why."""
    world.lan("ip addr flush dev lan0 scope global; ip addr add 172.20.10.1/28 dev lan0")
    phone = world.hotspot("--dhcp-range=172.20.10.3,172.20.10.3,255.255.255.240,1h")
    peer = world.start(address="172.20.10.3/28")
    peer.ask("address wlan0")
    lost = peer.event("LeaseLost", interface="wlan0", timeout=25)
    assert "172.20.10.3" in lost["reason"]
    assert "DHCPDECLINE(ap0) 172.20.10.3" in phone.text()
    assert "172.20.10.3" not in world.board("ip -4 addr show dev wlan0")
    assert world.lan.ok("ping -c1 -W1 172.20.10.3"), "the LAN stays reachable"
