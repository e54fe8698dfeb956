"""An uplink gets its addresses when told so, keeps them, and gives all of them up again: what is left fails closed."""
import subprocess

import pytest

import matrix
from links import Dnsmasq, wait_for, wire

SHORT = ("--dhcp-range=172.20.10.2,172.20.10.14,255.255.255.240,2m", "--dhcp-option=58,4", "--dhcp-option=59,8")


def nothing_left(world):
    board = world.board
    gone = "172.20.10." not in board("ip -4 addr show dev wlan0") and "fd00" not in board("ip -6 addr show dev wlan0")
    return gone and not board("(ip route show table 100; ip -6 route show table 100; ip rule show pref 920) 2>/dev/null", check=False).strip()


def test_everything_stands_in_the_uplinks_own_table(world):
    world.hotspot()
    world.start()
    four, _ = world.join()
    board = world.board
    table = board("ip route show table 100")
    assert f"172.20.10.0/28 dev wlan0 proto 79 scope link src {four}" in table
    assert f"default via 172.20.10.1 dev wlan0 proto 79 src {four} onlink" in table
    assert f"920:\tfrom {four} lookup 100" in board("ip rule show pref 920")
    assert "wlan0" not in board("ip -4 route show table main")
    assert "172.20.10.1" not in (world.folder / "resolv.conf").read_text(), "an uplink's name server is never used"
    assert world.peer.link("wlan0")["role"] == {"uplink": "up0"}
    wait_for("two addresses and two gateways in the link's fact", lambda: [2, 2] == [
        len(world.peer.link("wlan0")[key]) for key in ("addresses", "gateways")])


def test_hanging_up_takes_all_of_it_away(world):
    world.hotspot()
    world.start()
    world.join()
    assert world.board.ok("ping -c1 -W1 -m 256 203.0.113.9")
    assert "Done" in world.peer.ask("unaddress wlan0")
    wait_for("nothing is left", lambda: nothing_left(world))
    world.peer.event("LeaseLost", interface="wlan0")
    world.peer.event("RouterLost", interface="wlan0")
    said = world.board("ping -c1 -W1 -m 256 203.0.113.9", check=False)
    assert "100% packet loss" in said or "unreachable" in said.lower() or "No route" in said, said
    assert "unreachable" in world.board("ip route get 203.0.113.9 mark 0x100", check=False).lower() or \
        "No route" in world.board("ip route get 203.0.113.9 mark 0x100", check=False)


def test_a_lost_carrier_does_the_same_and_comes_back_by_itself(world):
    world.hotspot()
    world.start()
    world.join()
    before = world.peer.last()
    world.phone("ip link set ap0 down")
    assert "carrier" in world.peer.event("LeaseLost", interface="wlan0", after=before)["reason"]
    wait_for("nothing is left", lambda: nothing_left(world))
    world.phone("ip link set ap0 up")
    world.peer.event("LeaseAcquired", interface="wlan0", after=before)
    wait_for("the way out", lambda: world.board.ok("ping -c1 -W1 -m 256 203.0.113.9"))


def test_an_interface_that_is_unplugged_and_plugged_in_again(world):
    world.hotspot()
    peer = world.start()
    world.join()
    before = peer.last()
    world.board("ip link del wlan0")
    peer.event("LinkRemoved", interface="wlan0", after=before)
    assert "wlan0" not in peer.state()["links"]
    wire(world.board, "wlan0", world.phone, "ap1", "02:00:00:00:00:02")
    world.phone("ip link set ap1 up; ip addr add 192.168.43.1/24 dev ap1")
    peer.event("LinkAdded", interface="wlan0", after=before)
    Dnsmasq(world.phone, "ap1", world.folder, "--dhcp-range=192.168.43.10,192.168.43.20,255.255.255.0,1h")
    peer.ask("address wlan0")
    lease = peer.event("LeaseAcquired", interface="wlan0", after=before)
    assert lease["address"].startswith("192.168.43.")
    assert world.board("cat /proc/sys/net/ipv6/conf/wlan0/accept_ra").strip() == "0"
    assert world.board("cat /proc/sys/net/ipv4/conf/wlan0/rp_filter").strip() == "1"


def test_only_uplinks_can_be_addressed(world):
    peer = world.start()
    assert "Unknown" in peer.ask("address eth0")
    assert "Unknown" in peer.ask("address wlan7")


def test_a_lease_is_renewed_without_a_word(world):
    server = world.hotspot(*SHORT)
    world.start()
    world.join()
    asked = server.text().count("DHCPACK(ap0)")
    wait_for("a renewal", lambda: server.text().count("DHCPACK(ap0)") >= asked + 2, timeout=20)
    assert world.peer.count("LeaseAcquired") == 1 and world.peer.count("LeaseLost") == 0
    valid = world.board("ip -4 addr show dev wlan0 | grep -o 'valid_lft [0-9]*'").split()[1]
    assert 100 < int(valid) <= 120, "the kernel ends the address with the lease, and the renewal prolonged it"


def test_we_ask_for_no_option_that_harms(world):
    """108 makes an iPhone give no IPv4; 121, 33 and 249 would write routes; the host name is nobody's business."""
    server = world.hotspot("--dhcp-range=172.20.10.2,172.20.10.14,255.255.255.240,1h",
                           "--dhcp-option-force=121,0.0.0.0/1,172.20.10.3,128.0.0.0/1,172.20.10.3",
                           "--dhcp-option-force=33,10.0.0.0,172.20.10.3", "--dhcp-option-force=108,00:00:07:08")
    world.start()
    world.join()
    text = server.text()
    asked = {word.split(":")[0].strip() for line in text.splitlines() if "requested options:" in line
             for word in line.split("requested options:")[1].split(",")}
    assert asked and not asked & {"12", "15", "33", "42", "108", "119", "121", "249", "252"}, asked
    assert "client provides name" not in text
    assert "172.20.10.3" not in world.board("ip route show table all")


def test_a_nak_starts_over_at_once(world):
    leases = world.folder / "leases-nak"
    first = world.hotspot(*SHORT, leases=leases)
    peer = world.start()
    four, _ = world.join()
    before = peer.last()
    first.stop()
    leases.unlink()
    low, high = ("172.20.10.2", "172.20.10.7") if int(four.split(".")[3]) > 7 else ("172.20.10.8", "172.20.10.14")
    second = world.hotspot(f"--dhcp-range={low},{high},255.255.255.240,1h", leases=leases)
    lost = peer.event("LeaseLost", interface="wlan0", after=before, timeout=20)
    assert "NAK" in lost["reason"]
    lease = peer.event("LeaseAcquired", interface="wlan0", after=lost["seq"], timeout=30)
    assert "DHCPNAK" in second.text() and lease["address"].split("/")[0] != four
    wait_for("the old address is gone", lambda: four not in world.board("ip -4 addr show dev wlan0; ip rule"))


def test_a_server_that_comes_back_with_another_subnet(world):
    first = world.hotspot(*SHORT)
    peer = world.start()
    four, _ = world.join()
    before = peer.last()
    first.stop()
    world.phone("ip addr flush dev ap0 scope global; ip addr add 192.168.43.1/24 dev ap0")
    Dnsmasq(world.phone, "ap0", world.folder, "--dhcp-authoritative",
            "--dhcp-range=192.168.43.10,192.168.43.20,255.255.255.0,1h")
    peer.event("LeaseLost", interface="wlan0", after=before, timeout=30)
    lease = peer.event("LeaseAcquired", interface="wlan0", after=before, timeout=30)
    assert lease["address"].startswith("192.168.43.") and lease["gateway"] == "192.168.43.1"
    wait_for("the new way out", lambda: world.board.ok("ping -c1 -W1 -m 256 203.0.113.9"))
    assert "172.20.10" not in world.board("ip -4 addr; ip rule; ip route show table all")


def test_a_silent_server_is_told_and_asked_again_for_ever(world):
    peer = world.start()
    peer.ask("address wlan0")
    lost = peer.event("LeaseLost", interface="wlan0", timeout=20)
    assert "no DHCP server answered" in lost["reason"] and "still asking" in lost["reason"]
    world.hotspot()
    peer.event("LeaseAcquired", interface="wlan0", timeout=20)
    assert peer.count("LeaseLost") == 1


def test_a_lease_that_is_not_renewed_ends(world):
    """busybox's server, because dnsmasq gives no lease under two minutes."""
    conf = world.folder / "udhcpd.conf"
    leases = world.folder / "udhcpd.leases"
    leases.touch()
    conf.write_text(f"start 172.20.10.5\nend 172.20.10.6\ninterface ap0\nmin_lease 10\nlease_file {leases}\n"
                    "option subnet 255.255.255.240\noption router 172.20.10.1\noption lease 12\n")
    server = world.phone.start("udhcpd", "-f", "-I", "172.20.10.1", conf, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    peer = world.start()
    peer.ask("address wlan0")
    peer.event("LeaseAcquired", interface="wlan0")
    world.phone.stop(server)
    lost = peer.event("LeaseLost", interface="wlan0", timeout=25)
    assert "ended" in lost["reason"]
    wait_for("it fails closed", lambda: nothing_left(world))
    assert not world.board.ok("ping -c1 -W1 -m 256 203.0.113.9")


@pytest.mark.parametrize("times", [20])
def test_a_hotspot_that_flaps(world, times):
    """Twenty associations in a row, some cut off in the middle of the exchange: the last one counts."""
    world.hotspot()
    peer = world.start()
    for turn in range(times):
        before = peer.last()
        peer.ask("address wlan0")
        if turn % 3 == 0:
            peer.event("LeaseAcquired", interface="wlan0", after=before)
        peer.ask("unaddress wlan0")
    wait_for("nothing is left", lambda: nothing_left(world))
    world.join()
    wait_for("the way out", lambda: world.board.ok("ping -c1 -W1 -m 256 203.0.113.9"))
    assert world.board("ip rule show pref 920").count("from") == 1


def test_a_hotspot_with_ipv6_only(world):
    """No DHCP at all: the way out and the door work by what the router advertises."""
    Dnsmasq(world.phone, "ap0", world.folder, "--enable-ra", "--dhcp-range=fd00:20:10::,ra-only,64")
    peer = world.start()
    peer.ask("address wlan0")
    peer.event("RouterFound", interface="wlan0")
    wait_for("the way out", lambda: world.board.ok("ping -6 -c1 -W1 -m 256 2001:db8:9::9"))
    matrix.serve(world.board, 22)
    assert world.net.ok(f"{matrix.KIT} get fd00:20:10::ff:fe00:2 22")
    wait_for("the router in the link's fact", lambda: "fe80" in "".join(world.peer.link("wlan0")["gateways"]))
    peer.event("LeaseLost", interface="wlan0", timeout=60)
    assert world.board.ok("ping -6 -c1 -W1 -m 256 2001:db8:9::9"), "no IPv4 takes nothing from IPv6"
