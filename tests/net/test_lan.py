"""The LAN: DHCP from a real dnsmasq, a fixed address, what goes into which table."""

from links import wait_for


def test_lease_gives_address_routes_and_name_servers(world):
    world.lan_server("--dhcp-range=192.168.50.100,192.168.50.120,255.255.255.0,1h",
                     "--dhcp-option=3,192.168.50.10", "--dhcp-option=6,192.168.50.10")
    peer = world.start(address="dhcp")
    lease = peer.event("LeaseAcquired", interface="eth0")
    assert lease["address"].startswith("192.168.50.1") and lease["gateway"] == "192.168.50.10"
    address = lease["address"].split("/")[0]
    def table(name):
        return world.board(f"ip -4 route show table {name} || true")

    # The lease is told first, then its routes are laid.
    wait_for("the LAN's route", lambda: f"192.168.50.0/24 dev eth0 proto 79 scope link src {address}" in table("main"))
    wait_for("the default route", lambda: "default via 192.168.50.10 dev eth0" in table("50"))
    assert "default" not in table("main")
    assert world.board("ping -c1 -W1 192.168.50.10")
    wait_for("the name server", lambda: "nameserver 192.168.50.10" in (world.folder / "resolv.conf").read_text())
    wait_for("the link's fact", lambda: peer.link("eth0")["gateways"] and peer.link("eth0")["dns"])
    link = peer.link("eth0")
    assert link["role"] == "lan" and link["carrier"] and link["addresses"][0] == lease["address"]
    assert link["gateways"] == ["192.168.50.10"] and link["dns"] == ["192.168.50.10"]
    peer.quit()


def test_fixed_address(world):
    peer = world.start(gateway="192.168.50.10", dns="192.168.50.10")
    wait_for("the address", lambda: "192.168.50.2/24" in world.board("ip -4 addr show dev eth0"))
    wait_for("the default route", lambda: "default via 192.168.50.10" in world.board("ip -4 route show table 50"))
    assert "default" not in world.board("ip -4 route show table main")
    wait_for("the LAN answers", lambda: world.lan.ok("ping -c1 -W1 192.168.50.2"))
    wait_for("the name server", lambda: "nameserver 192.168.50.10" in (world.folder / "resolv.conf").read_text())
    peer.quit()


def test_pulled_out_and_plugged_into_another_network(world):
    first = world.lan_server("--dhcp-range=192.168.50.100,192.168.50.120,255.255.255.0,1h", "--dhcp-option=3,192.168.50.10")
    peer = world.start(address="dhcp")
    peer.event("LeaseAcquired", interface="eth0")
    before = peer.last()
    world.lan("ip link set lan0 down")
    peer.event("LeaseLost", interface="eth0", after=before)
    wait_for("no address", lambda: "192.168.50" not in world.board("ip -4 addr show dev eth0; ip route show table all"))
    wait_for("no name server", lambda: "nameserver" not in (world.folder / "resolv.conf").read_text())
    first.stop()
    world.lan("ip addr flush dev lan0; ip addr add 10.7.0.1/16 dev lan0; ip link set lan0 up")
    world.lan_server("--dhcp-range=10.7.3.1,10.7.3.9,255.255.0.0,1h", "--dhcp-option=6,10.7.0.1")
    assert peer.event("LeaseAcquired", interface="eth0", after=before)["address"].endswith("/16")
    wait_for("the address", lambda: "10.7.3." in world.board("ip -4 addr show dev eth0"))
    # Written right after the address.
    wait_for("the name server", lambda: "nameserver 10.7.0.1" in (world.folder / "resolv.conf").read_text())


def test_hosts_behind_the_lans_router_reach_the_board(world):
    """Strict reverse path filtering must find the way back in the LAN's own table."""
    world.lan("ip addr add 10.66.0.1/32 dev lo; ip -6 addr add fd66::1/128 dev lo nodad; sysctl -qw net.ipv4.ip_forward=1")
    world.start(gateway="192.168.50.10")
    wait_for("an answer", lambda: world.lan.ok("ping -c1 -W1 -I 10.66.0.1 192.168.50.2"))
    assert world.board.ok("ping -c1 -W1 10.66.0.1")
    assert not world.board.ok("ping -c1 -W1 -m 256 10.66.0.1"), "what is meant for the uplink does not leave by the LAN"


def test_a_fixed_ipv6_address(world):
    world.start(address="fd50::2/64", gateway="fd50::10")
    wait_for("the LAN answers", lambda: world.lan.ok("ping -6 -c1 -W1 fd50::2"))
    wait_for("a default route", lambda: "via fd50::10 dev eth0" in world.board("ip -6 route show table 50"))
    assert "default" not in world.board("ip -6 route show table main")
