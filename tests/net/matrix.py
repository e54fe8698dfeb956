"""Every way a packet could pass the board that it must not, and those it must. Bounded: one packet or connection each."""
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

KIT = f"/usr/bin/python3 {Path(__file__).resolve().parent}/tcp_kit.py"


def serve(space, *ports):
    process = space.start("/usr/bin/python3", KIT.split()[1], "serve", *ports, stdout=-1)
    assert process.stdout.readline() == b"serving\n"
    return process


def flows(world, four, six, lan6):
    """(must it pass?, what, namespace, command) for a board with these addresses on wlan0, and this one on eth0."""
    lan, phone, net, board = world.lan, world.phone, world.net, world.board
    get = f"{KIT} get"
    return [
        (False, "board, unmarked, to the internet, v4", board, "ping -c1 -W1 203.0.113.9"),
        (False, "board, unmarked, to the internet, v6", board, "ping -6 -c1 -W1 2001:db8:9::9"),
        (False, "board, unmarked, to the phone, v4", board, "ping -c1 -W1 172.20.10.1"),
        (False, "board, unmarked, to the phone, v6", board, "ping -6 -c1 -W1 fd00:20:10::1"),
        (False, "board, bound to wlan0 but unmarked, v4", board, "ping -c1 -W1 -I wlan0 203.0.113.9"),
        (False, "board, bound to wlan0 but unmarked, v6", board, "ping -6 -c1 -W1 -I wlan0 2001:db8:9::9"),
        (False, "board, from the uplink's address but unmarked, v4", board, f"ping -c1 -W1 -I {four} 203.0.113.9"),
        (False, "board, from the uplink's address but unmarked, v6", board, f"ping -6 -c1 -W1 -I {six} 2001:db8:9::9"),
        (False, "LAN host to the internet, v4", lan, "ping -c1 -W1 203.0.113.9"),
        (False, "LAN host to the internet, v6", lan, "ping -6 -c1 -W1 2001:db8:9::9"),
        (False, "LAN host to the phone, v4", lan, "ping -c1 -W1 172.20.10.1"),
        (False, "LAN host to the phone, v6", lan, "ping -6 -c1 -W1 fd00:20:10::1"),
        (False, "LAN host to our uplink address, v4", lan, f"{get} {four} 22"),
        (False, "LAN host to our uplink address, v6", lan, f"{get} {six} 22"),
        (False, "phone to a LAN host, v4", phone, "ping -c1 -W1 192.168.50.10"),
        (False, "phone to a LAN host, v6", phone, "ping -6 -c1 -W1 fd50::10"),
        (False, "internet to a LAN host, v4", net, "ping -c1 -W1 192.168.50.10"),
        (False, "internet to a LAN host, v6", net, "ping -6 -c1 -W1 fd50::10"),
        (False, "phone to our LAN address, v4", phone, f"{get} 192.168.50.2 22"),
        (False, "phone to our LAN address, v6", phone, f"{get} {lan6} 22"),
        (False, "phone pings us, v4", phone, f"ping -c1 -W1 {four}"),
        (False, "phone pings us, v6", phone, f"ping -6 -c1 -W1 {six}"),
        (False, "phone to a door that is shut, v4", phone, f"{get} {four} 8443"),
        (False, "phone to a door that is shut, v6", phone, f"{get} {six} 8443"),
        (True, "board, marked, to the internet, v4", board, "ping -c1 -W1 -m 256 203.0.113.9"),
        (True, "board, marked, to the internet, v6", board, "ping -6 -c1 -W1 -m 256 2001:db8:9::9"),
        (True, "phone to our SSH door, v4", phone, f"{get} {four} 22"),
        (True, "phone to our SSH door, v6", phone, f"{get} {six} 22"),
        (True, "internet to our SSH door, v4", net, f"{get} {four} 22"),
        (True, "internet to our SSH door, v6", net, f"{get} {six} 22"),
        (True, "LAN host to our SSH door, v4", lan, f"{get} 192.168.50.2 22"),
        (True, "LAN host to our SSH door, v6", lan, f"{get} {lan6} 22"),
        (True, "LAN host pings us, v4", lan, "ping -c1 -W1 192.168.50.2"),
        (True, "board pings a LAN host, v6", board, "ping -6 -c1 -W1 fd50::10"),
        (True, "board reaches itself at its LAN address", board, f"{get} 192.168.50.2 22"),
    ]


def run(world, four, six, lan6="fd50::ff:fe00:1"):
    """Tries every flow; returns (what passed although it must not, what did not pass although it must)."""
    world.lan(f"ip route replace default via 192.168.50.2; ip -6 route replace default via {lan6}")
    world.phone(f"ip route replace 192.168.50.0/24 via {four}; ip -6 route replace fd50::/64 via {six}")
    rows = flows(world, four, six, lan6)
    with ThreadPoolExecutor(8) as pool:
        passed = list(pool.map(lambda row: row[2].ok(row[3]), rows))
    leaks = [row[1] for row, ok in zip(rows, passed) if ok and not row[0]]
    shut = [row[1] for row, ok in zip(rows, passed) if not ok and row[0]]
    return leaks, shut
