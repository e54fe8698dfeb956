"""The board is no gateway: the matrix of flows, IPv4 and IPv6, also with forwarding forced on. And the proof that the
matrix finds leaks where there are some."""
import pytest

import matrix
from links import wait_for, wire

FORCE = "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.forwarding=1"


@pytest.fixture
def joined(world):
    """A sealed board without its guard, on the hotspot."""
    world.hotspot()
    world.lan_server("--enable-ra", "--dhcp-range=fd50::,ra-only,64", "--ra-param=lan0,10,0")
    world.start(guard=False)
    four, six = world.join()
    wait_for("an IPv6 address on the LAN", lambda: "fd50::ff:fe00:1/64" in world.board("ip -6 addr show dev eth0 -tentative"))
    matrix.serve(world.board, 22, 8443)
    return world, four, six


def test_nothing_passes(joined):
    assert matrix.run(*joined) == ([], [])


def test_nothing_passes_with_forwarding_forced_on(joined):
    world = joined[0]
    world.board(FORCE)
    assert matrix.run(*joined) == ([], [])
    assert world.board("cat /proc/sys/net/ipv4/ip_forward").strip() == "1", "it was on all the time"


def test_nothing_passes_by_rules_of_routing_alone(joined):
    """The firewall is gone (the guard would load it again): what is left must still not forward."""
    world = joined[0]
    world.board("nft flush ruleset")
    leaks, _ = matrix.run(*joined)
    # Answers to the outside are the firewall's business; what passes through the board is routing's, too.
    through = [leak for leak in leaks if "LAN host to the" in leak or "to a LAN host" in leak]
    assert through == [], leaks


def test_the_matrix_finds_the_leaks_of_a_naive_setup(world):
    """Kernel defaults, default route in main, forwarding on: what DHCP clients and Docker leave behind."""
    board = world.board
    board("sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv4.ip_forward=1; ip link set eth0 up; ip link set wlan0 up")
    board("ip addr add 192.168.50.2/24 dev eth0; ip -6 addr add fd50::2/64 dev eth0 nodad")
    board("ip addr add 172.20.10.12/28 dev wlan0; ip -6 addr add fd00:20:10::c/64 dev wlan0 nodad")
    board("ip route add default via 172.20.10.1; ip -6 route add default via fd00:20:10::1")
    world.net("ip route add 192.168.50.0/24 via 203.0.113.1")
    world.phone("ip route add 192.168.50.0/24 via 172.20.10.12")
    matrix.serve(board, 22, 8443)
    wait_for("the cable", lambda: board("ping -c1 -W1 172.20.10.1"))
    leaks, _ = matrix.run(world, "172.20.10.12", "fd00:20:10::c", lan6="fd50::2")
    for family in ("v4", "v6"):
        for what in ("LAN host to our uplink address", "phone to a LAN host", "phone pings us",
                     "board, unmarked, to the internet", "phone to our LAN address"):
            assert f"{what}, {family}" in leaks
    assert "LAN host to the phone, v4" in leaks


def test_large_answers_leave_by_an_uplink_with_a_smaller_path(joined):
    """The phone's way out takes 1300 bytes: its ICMP errors must reach us and be heeded."""
    world, four, six = joined
    world.phone("ip link set up0 mtu 1300")
    for address in (four, six):
        assert world.net.ok(f"{matrix.KIT} get {address} 22 300000", timeout=30), address


def test_two_uplinks_do_not_mix(spaces, tmp_path, world):
    """A mark belongs to its own uplink: marked for the second, nothing leaves by the first."""
    world.hotspot()
    world.start(guard=False, uplinks=["wlan0", "wlan1"])
    world.join()
    board = world.board
    assert board.ok("ping -c1 -W1 -m 256 203.0.113.9")
    assert not board.ok("ping -c1 -W1 -m 512 203.0.113.9")
    assert not board.ok("ping -c1 -W1 -m 512 -I wlan0 203.0.113.9")


def test_an_interface_of_no_role_is_shut(joined):
    """A second socket, a phone's cable: neither LAN nor uplink, so nothing comes in and nothing goes out."""
    world = joined[0]
    wire(world.board, "usb0", world.net, "cable")
    world.board("ip link set usb0 up; ip addr add 10.5.0.1/24 dev usb0")
    world.net("ip link set cable up; ip addr add 10.5.0.2/24 dev cable")
    assert not world.net.ok(f"{matrix.KIT} get 10.5.0.1 22")
    assert not world.net.ok("ping -c1 -W1 10.5.0.1")
    assert not world.board.ok("ping -c1 -W1 10.5.0.2")
    world.board("nft insert rule inet oobd input iifname usb0 accept; nft insert rule inet oobd output oifname usb0 accept")
    assert world.net.ok(f"{matrix.KIT} get 10.5.0.1 22"), "the firewall was what shut it"
