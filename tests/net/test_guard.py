"""The guard: what would make the board a gateway is found, told as critical, undone and checked again."""
import time

import pytest

from links import World, namespaces, wait_for

BREACHES = {
    "ip_forward": ("sysctl -qw net.ipv4.ip_forward=1", "forwarding", "cat /proc/sys/net/ipv4/ip_forward", "0"),
    "v6 forwarding": ("sysctl -qw net.ipv6.conf.all.forwarding=1", "forwarding",
                      "cat /proc/sys/net/ipv6/conf/all/forwarding", "0"),
    "forwarding of one link": ("sysctl -qw net.ipv4.conf.eth0.forwarding=1", "forwarding",
                               "cat /proc/sys/net/ipv4/conf/eth0/forwarding", "0"),
    "rp_filter": ("sysctl -qw net.ipv4.conf.wlan0.rp_filter=0", "setting",
                  "cat /proc/sys/net/ipv4/conf/wlan0/rp_filter", "1"),
    "accept_ra": ("sysctl -qw net.ipv6.conf.wlan0.accept_ra=2", "setting",
                  "cat /proc/sys/net/ipv6/conf/wlan0/accept_ra", "0"),
    "default route in main": ("ip route add default via 192.168.50.10 dev eth0", "default_route",
                              "ip route show table main default", ""),
    "v6 default route in main": ("ip -6 route add default via fe80::1 dev eth0", "default_route",
                                 "ip -6 route show table main default", ""),
    "half a default route": ("ip route add 128.0.0.0/1 via 192.168.50.10 dev eth0", "default_route",
                             "ip route show table main 128.0.0.0/1", ""),
    "default route in a foreign table": ("ip route add default via 192.168.50.10 dev eth0 table 77", "default_route",
                                         "ip route show table 77", ""),
    "rule deleted": ("ip rule del pref 900", "rules", "ip rule show pref 900",
                     "900:\tfrom all fwmark 0x100/0xff00 lookup 100"),
    "last rule deleted": ("ip -6 rule del pref 1400", "rules", "ip -6 rule show pref 1400",
                          "1400:\tfrom all unreachable"),
    "foreign rule": ("ip rule add pref 800 from all lookup main", "rules", "ip rule show pref 800", ""),
    "firewall flushed": ("nft flush ruleset", "firewall", "nft list chain inet oobd forward | grep -o 'policy drop'",
                         "policy drop"),
    "firewall opened": ("nft insert rule inet oobd input accept", "firewall",
                        "nft list chain inet oobd input | grep -c '^\\s*accept$' || true", "0"),
    "masquerade": ("nft add table ip nat; nft 'add chain ip nat post { type nat hook postrouting priority 100; }';"
                   "nft add rule ip nat post oifname eth0 masquerade", "translation",
                   "nft list table ip nat | grep -c masquerade || true", "0"),
    "masquerade as Docker writes it": ("iptables-nft -t nat -A POSTROUTING -o eth0 -j MASQUERADE", "translation",
                                       "iptables-nft -t nat -S | grep -c MASQUERADE || true", "0"),
    "forwarding as Docker writes it": ("iptables-nft -A FORWARD -i eth0 -j ACCEPT", "translation",
                                       "iptables-nft -S FORWARD | grep -c -- '-j ACCEPT' || true", "0"),
    "foreign forward accept": ("nft add table inet f; nft 'add chain inet f w { type filter hook forward priority -5; }';"
                               "nft add rule inet f w iifname eth0 accept", "translation",
                               "nft list table inet f | grep -c 'iifname.*accept' || true", "0"),
}


def guard(world):
    """A sealed and guarded board on the hotspot, found in order."""
    world.hotspot()
    world.start()
    world.join()
    assert "the board is no gateway" in world.peer.ask("check")
    return world


@pytest.fixture
def guarded(world):
    return guard(world)


@pytest.fixture(scope="module")
def shared(tmp_path_factory, peer_binary):
    """One board for all breaches: each is undone, so each finds it in order."""
    with namespaces() as spaces:
        yield guard(World(spaces, tmp_path_factory.mktemp("guard"), peer_binary))


def test_a_board_in_order_is_left_in_peace(guarded):
    """Leases, advertisements, a hotspot that comes and goes: none of it is a breach."""
    peer = guarded.peer
    assert "Done" in peer.ask("unaddress wlan0")
    guarded.join()
    guarded.board("ip link set wlan0 down")
    peer.event("LinkDown", interface="wlan0")
    assert '"the board is no gateway"' in peer.ask("check")
    assert peer.count("GuardBreached") == 0
    guard = peer.state()["guard"]
    assert guard["sealed"] is True and guard["breaches"] == 0 and guard["open"] == []
    assert set(guard["dropped"]) == {"prerouting", "input", "forward", "output"}


def test_drops_are_counted(guarded):
    guarded.phone.ok("ping -c1 -W1 $(ip -4 neigh show dev ap0 | awk '{print $1}')")
    guarded.peer.ask("check")
    assert guarded.peer.state()["guard"]["dropped"]["input"] >= 1


@pytest.mark.parametrize("name", BREACHES)
def test_a_breach_is_told_and_undone_by_itself(shared, name):
    """Nobody asks: the kernel's own notice is enough, long before the next 30 s check."""
    spoil, kind, look, want = BREACHES[name]
    peer = shared.peer
    before = peer.last()
    shared.board(spoil)
    breach = peer.event("GuardBreached", timeout=5, after=before)
    assert breach["severity"] == "critical" and breach["undone"] is True
    assert list(breach["breach"]) == [kind], breach
    assert shared.board(look).strip() == want
    peer.event("GuardRestored", timeout=5, after=breach["seq"])
    assert peer.state()["guard"]["sealed"] is True


def test_a_breach_found_when_asked(guarded):
    """The same on command: `CheckGuard` looks at once and says what it did."""
    guarded.board("sysctl -qw net.ipv4.ip_forward=1")
    said = guarded.peer.ask("check")
    assert "no gateway" in said
    assert guarded.board("cat /proc/sys/net/ipv4/ip_forward").strip() == "0"
    guarded.peer.event("GuardBreached")


def test_a_link_in_a_bridge_is_taken_out(guarded):
    board = guarded.board
    kinds = [kind for kind in ("bridge", "bond") if board.ok(f"ip link add sw0 type {kind}")]
    if not kinds:
        pytest.skip("this kernel has neither bridge nor bond")
    before = guarded.peer.last()
    board("ip link set eth0 down; ip link set eth0 master sw0")
    breach = guarded.peer.event("GuardBreached", timeout=5, after=before)
    assert "enslaved to sw0" in breach["breach"]["translation"] and breach["undone"]
    assert "master" not in board("ip link show eth0")


def test_somebody_who_keeps_at_it_makes_no_storm_of_events(guarded):
    peer = guarded.peer
    before = peer.last()
    end = time.monotonic() + 6
    while time.monotonic() < end:
        guarded.board("sysctl -qw net.ipv4.ip_forward=1")
        time.sleep(0.1)
    wait_for("it is undone in the end", lambda: guarded.board("cat /proc/sys/net/ipv4/ip_forward").strip() == "0")
    peer.event("GuardRestored", after=before)
    peer.ask("check")
    # Switching forwarding off makes the kernel switch accept_redirects on, and a look while it is switched finds single
    # interfaces: how many breaches there are is the kernel's affair, but each is told once, and once more if it stays.
    told = [repr(e["kind"]["GuardBreached"]) for e in peer.events if "GuardBreached" in e["kind"]]
    assert told and sorted(told) == sorted(set(told))
    assert 1 <= peer.count("GuardRestored") <= len(told)
    assert peer.state()["guard"]["breaches"] > len(told), "every one was counted and undone"
