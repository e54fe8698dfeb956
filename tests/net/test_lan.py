"""The LAN: DHCP from a real dnsmasq, a fixed address, what goes into which table."""

from links import wait_for


def test_lease_gives_address_routes_and_name_servers(world):
    world.lan_server("--dhcp-range=192.168.50.100,192.168.50.120,255.255.255.0,1h",
                     "--dhcp-option=3,192.168.50.10", "--dhcp-option=6,192.168.50.10")
    peer = world.start(address="dhcp")
    lease = peer.event("LeaseAcquired", interface="eth0")
    assert lease["address"].startswith("192.168.50.1") and lease["gateway"] == "192.168.50.10"
    address = lease["address"].split("/")[0]
    main = world.board("ip -4 route show table main")
    assert f"192.168.50.0/24 dev eth0 proto 79 scope link src {address}" in main
    assert "default" not in main
    assert "default via 192.168.50.10 dev eth0" in world.board("ip -4 route show table 50")
    assert world.board("ping -c1 -W1 192.168.50.10")
    resolv = (world.folder / "resolv.conf").read_text()
    assert "nameserver 192.168.50.10" in resolv
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
    assert "nameserver 192.168.50.10" in (world.folder / "resolv.conf").read_text()
    peer.quit()
