"""IPv6 routers: what they promise goes into the right table and nowhere else, and ends when it must."""
import subprocess
import textwrap

import pytest

from links import wait_for

RADVD = """
interface {interface} {{
  AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvDefaultLifetime {lifetime};
  prefix {prefix} {{ AdvOnLink on; AdvAutonomous on; AdvValidLifetime 3600; AdvPreferredLifetime 1800; }};
  RDNSS {dns} {{ AdvRDNSSLifetime 600; }};
}};
"""


def radvd(world, space, **more):
    conf = world.folder / f"radvd-{more['interface']}.conf"
    conf.write_text(RADVD.format(**{"lifetime": 600, **more}))
    conf.chmod(0o644)
    return space.start("radvd", "-n", "-C", conf, "-p", world.folder / f"radvd-{more['interface']}.pid", "-m", "stderr",
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def hotspot(world, **more):
    return radvd(world, world.phone, interface="ap0", prefix="fd00:20:10::/64", dns="fd00:20:10::1", **more)


def default(world, table):
    return world.board(f"ip -6 route show table {table} default", check=False)


def test_default_routes_of_both_sides_never_touch_main(world):
    """Watched from before the start, not only looked at in the end."""
    watch = world.folder / "routes"
    monitor = world.board.start("ip", "-6", "monitor", "route", stdout=watch.open("w"))
    world.lan("sysctl -qw net.ipv6.conf.all.forwarding=1")
    radvd(world, world.lan, interface="lan0", prefix="fd50::/64", dns="fd50::10")
    hotspot(world)
    peer = world.start()
    peer.ask("address wlan0")
    assert peer.event("RouterFound", interface="eth0")["prefixes"] == ["fd50::/64"]
    peer.event("RouterFound", interface="wlan0")
    wait_for("both default routes", lambda: "eth0" in default(world, 50) and "wlan0" in default(world, 100))
    assert "default" not in world.board("ip -6 route show table main")
    assert "fd00:20:10" not in world.board("ip -6 route show table main"), "nor its prefix"
    assert "fd50::/64 dev eth0" in world.board("ip -6 route show table main")
    wait_for("addresses", lambda: "fd50::ff:fe00:1/64" in world.board("ip -6 addr show dev eth0 -tentative"))
    resolv = (world.folder / "resolv.conf").read_text()
    assert "nameserver fd50::10" in resolv and "fd00:20:10" not in resolv
    world.board.stop(monitor)
    seen = [line for line in watch.read_text().splitlines() if "default" in line or "fd00:20:10::/64" in line]
    assert seen and all("table 50" in line or "table 100" in line for line in seen), seen
    assert peer.count("GuardBreached") == 0


def test_a_router_that_says_goodbye(world):
    """radvd stops with a last advertisement of lifetime 0."""
    server = hotspot(world)
    peer = world.start()
    peer.ask("address wlan0")
    found = peer.event("RouterFound", interface="wlan0")
    wait_for("the route", lambda: "via " + found["router"] in default(world, 100))
    world.phone.stop(server)
    lost = peer.event("RouterLost", interface="wlan0")
    assert lost["router"] == found["router"]
    wait_for("no route", lambda: not default(world, 100).strip())
    assert not world.board.ok("ping -6 -c1 -W1 -m 256 2001:db8:9::9")


def test_a_router_that_dies_is_lost_by_time(world):
    server = hotspot(world, lifetime=5)
    peer = world.start()
    peer.ask("address wlan0")
    peer.event("RouterFound", interface="wlan0")
    server.kill()
    world.phone("kill -9 $(cat %s)" % (world.folder / "radvd-ap0.pid"), check=False)
    peer.event("RouterLost", interface="wlan0", timeout=40)
    wait_for("no route", lambda: not default(world, 100).strip())


FORGED = textwrap.dedent("""
    import sys
    from scapy.all import (Ether, IPv6, ICMPv6ND_RA, ICMPv6NDOptPrefixInfo, ICMPv6NDOptMTU, ICMPv6NDOptRDNSS, Raw, sendp)
    ra = lambda **more: ICMPv6ND_RA(routerlifetime=1800, **more)
    prefix = lambda p, n, **more: ICMPv6NDOptPrefixInfo(prefix=p, prefixlen=n, L=1, A=1, validlifetime=600, preferredlifetime=600, **more)
    ether, near = Ether(dst='33:33:00:00:00:01'), dict(src='fe80::bad', dst='ff02::1', hlim=255)
    packets = {
        'far': IPv6(src='fe80::bad', dst='ff02::1', hlim=64) / ra() / prefix('fd66::', 64),
        'global': IPv6(src='fd00:20:10::1', dst='ff02::1', hlim=255) / ra() / prefix('fd66::', 64),
        'zero': IPv6(**near) / ra() / Raw(bytes([3, 0, 0, 0, 0, 0, 0, 0])),
        'cut': IPv6(**near) / ra() / Raw(bytes([3, 4, 64, 0xc0])),
        'wide': IPv6(**near) / ra() / prefix('::', 0) / prefix('8000::', 1) / prefix('ff00::', 8) / prefix('fe80::', 64),
    }
    sendp([ether / packets[name] for name in sys.argv[2:]], iface=sys.argv[1], verbose=False)
""")


def forge(world, name):
    """Sends it once we surely listen: one ICMPv6 (58 = 0x3A) raw socket per link."""
    wait_for("both listeners", lambda: world.board("cat /proc/net/raw6").count(":003A ") >= 2)
    world.phone(f"/usr/bin/python3 - ap0 {name} <<'EOF'\n{FORGED}\nEOF")


@pytest.mark.parametrize("name", ["far", "global", "zero", "cut"])
def test_what_no_neighbour_router_can_have_sent_is_ignored(world, name):
    peer = world.start()
    peer.ask("address wlan0")
    forge(world, name)
    hotspot(world)
    found = peer.event("RouterFound", interface="wlan0")
    assert found["router"] != "fe80::bad" and "fd66::/64" not in found["prefixes"]
    assert "bad" not in default(world, 100)


def test_prefixes_that_would_swallow_the_internet_are_ignored(world):
    peer = world.start()
    peer.ask("address wlan0")
    forge(world, "wide")
    assert peer.event("RouterFound", interface="wlan0")["prefixes"] == []
    routes = world.board("ip -6 route show table all")
    assert "8000::/1" not in routes and "::/1" not in routes
