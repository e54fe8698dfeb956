"""Lost kernel events, a killed program, a program started twice: the board stays closed and finds its way back."""
import signal

import pytest

import matrix
from links import wait_for


def test_lost_events_cost_nothing(world):
    """Thousands of changes while the program cannot listen, and in their midst its own state is spoilt."""
    world.lan_server("--dhcp-range=192.168.50.100,192.168.50.120,255.255.255.0,1h", "--dhcp-option=3,192.168.50.10")
    peer = world.start(address="dhcp")
    lease = peer.event("LeaseAcquired", interface="eth0")["address"]
    board = world.board
    board("ip link add x0 type veth peer name x1")
    batch = world.folder / "batch"
    batch.write_text("".join(f"link set dev x{n % 2} mtu {1400 + n % 97}\n" for n in range(8000)))
    peer.process.send_signal(signal.SIGSTOP)
    try:
        board(f"ip -batch {batch}", timeout=60)
        board(f"ip addr del {lease} dev eth0; ip route flush table 50; ip route add 10.9.9.0/24 dev x0 table 50", check=False)
        board("ip link del x0")
    finally:
        peer.process.send_signal(signal.SIGCONT)
    wait_for("the address is back", lambda: lease in board("ip -4 addr show dev eth0"))
    wait_for("the route is back", lambda: "default via 192.168.50.10" in board("ip route show table 50"))
    assert "10.9.9.0" not in board("ip route show table 50")
    assert "were lost" in peer.log.read_text(), "the storm was big enough to lose events"
    assert "x0" not in peer.state()["links"]


def test_a_storm_is_not_read_message_by_message(world):
    """A Wi-Fi scan reports its link anew each time; the owner stays at hand all the while."""
    peer = world.start()
    board = world.board
    board("ip link add x0 type veth peer name x1")
    batch = world.folder / "batch"
    batch.write_text("".join(f"link set dev x{n % 2} mtu {1400 + n % 97}\n" for n in range(20000)))
    storm = board.start("ip", "-batch", str(batch))
    while storm.poll() is None:
        peer.state()
        assert "Unknown" in peer.ask("address nosuch")
    assert peer.count("LinkUp") == 2 and peer.count("GuardBreached") == 0


def spoiled(world):
    world.hotspot()
    world.lan_server("--enable-ra", "--dhcp-range=fd50::,ra-only,64", "--ra-param=lan0,10,0")
    world.start()
    addresses = world.join()
    wait_for("an IPv6 address on the LAN", lambda: "fd50::ff:fe00:1/64" in world.board("ip -6 addr show dev eth0 -tentative"))
    world.peer.kill()
    matrix.serve(world.board, 22, 8443)
    return addresses


def test_killed_it_leaves_the_board_closed(world):
    four, six = spoiled(world)
    world.board("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
    leaks, _ = matrix.run(world, four, six)
    assert leaks == []


@pytest.mark.parametrize("state", ["idle", "leasing", "hung up", "without carrier"])
def test_killed_in_any_state_it_is_closed_and_comes_back(world, state):
    if state != "leasing":
        world.hotspot()
    peer = world.start()
    if state != "idle":
        assert "Done" in peer.ask("address wlan0")
    if state in ("hung up", "without carrier"):
        peer.event("LeaseAcquired", interface="wlan0")
    if state == "hung up":
        peer.ask("unaddress wlan0")
    if state == "without carrier":
        world.phone("ip link set ap0 down")
        peer.event("LinkDown", interface="wlan0")
    peer.kill()
    world.board("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
    assert not world.lan.ok("ip route replace default via 192.168.50.2 && ping -c1 -W1 172.20.10.1")
    assert not world.board.ok("ping -c1 -W1 172.20.10.1")
    world.phone("ip link set ap0 up; ip -6 addr replace fd00:20:10::1/64 dev ap0 nodad")
    if state == "leasing":
        world.hotspot()
    world.start()
    assert world.board("cat /proc/sys/net/ipv4/ip_forward").strip() == "0", "sealed again before anything else"
    world.join()
    wait_for("the way out", lambda: world.board.ok("ping -c1 -W1 -m 256 203.0.113.9"))


def test_killed_and_started_again_it_finds_its_way(world):
    four, _ = spoiled(world)
    rules, table = world.board("ip rule; ip -6 rule"), world.board("nft -s list table inet oobd")
    world.board("ip route add 10.9.9.0/24 dev wlan0 table 100; ip addr add 10.9.9.9/32 dev eth0")
    world.start()
    wait_for("the rest of the last life is gone", lambda: four not in world.board("ip -4 addr; ip rule; ip route show table 100"))
    assert "10.9.9" not in world.board("ip route show table 100; ip -4 addr")
    assert "192.168.50.2/24" in world.board("ip -4 addr show dev eth0")
    world.join()
    wait_for("the way out", lambda: world.board.ok("ping -c1 -W1 -m 256 203.0.113.9"))
    same = [line for line in rules.splitlines() if not line.startswith("920")]
    assert [line for line in world.board("ip rule; ip -6 rule").splitlines() if not line.startswith("920")] == same
    assert world.board("nft -s list table inet oobd") == table


def test_sealing_comes_before_any_link_is_brought_up(world):
    """By the order of the kernel's own notices: rules stand before eth0 or wlan0 goes up."""
    watch = world.folder / "notices"
    monitor = world.board.start("ip", "monitor", "link", "rule", stdout=watch.open("w"))
    wait_for("a monitor", lambda: monitor.poll() is None and world.board("cat /proc/net/netlink").count("\n") > 1)
    world.start()
    wait_for("links are up", lambda: "LOWER_UP" in world.board("ip link show eth0"))
    wait_for("notices", lambda: "eth0" in watch.read_text())
    lines = watch.read_text().splitlines()
    rule = next(n for n, line in enumerate(lines) if "1400" in line and "unreachable" in line)
    up = next(n for n, line in enumerate(lines) if "eth0" in line and "UP" in line.split(">")[0])
    assert rule < up, lines


def test_without_nft_nothing_is_brought_up_quietly(world, tmp_path):
    """The seal fails by name when the firewall cannot be loaded; what it can close it closes all the same."""
    import os
    import subprocess
    empty = tmp_path / "bin"
    empty.mkdir()
    done = subprocess.run(
        ["/usr/sbin/ip", "netns", "exec", world.board.name, world.binary, "--ignored", "--nocapture", "--quiet", "peer"],
        env=dict(os.environ, PATH=str(empty), OOBD_PEER='{"lan":"eth0","uplinks":["wlan0"],"run":"%s"}' % tmp_path),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
    assert done.returncode != 0 and "nft" in done.stdout.lower()
    assert "unreachable" in world.board("ip rule show pref 1400")
    assert world.board("cat /proc/sys/net/ipv4/conf/wlan0/rp_filter").strip() == "1"
