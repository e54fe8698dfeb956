"""Runs the gateway matrix (guest/matrix.py) in a world and judges it: a leak is a row that got through though it must not."""
import json
import ssl

from world import INTERNET4, LAN_HOST, LAN_NET, LAN_PREFIX

LISTENER = 8443
NET4, NET6 = "203.0.113.9", "2001:db8:9::9"


def address(agent, dev, family):
    words = agent.run(f"ip -{family} -o addr show dev {dev} scope global", check=False).text.split()
    for i, w in enumerate(words):
        if w.startswith("inet"):
            return words[i + 1].split("/")[0]
    return None


def client_hello():
    """The first bytes of a TLS client, made by OpenSSL; a server of today answers them with a handshake record (22, 3, 3)."""
    out = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="rack7")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def matrix(world, force=True, mark=0x100, dead_hotspot=False, wlan=None):
    """Rows as dicts: flow, family, want, got. The board must be on the hotspot (or have been, with dead_hotspot)."""
    a = world.agent
    wlan4, wlan6 = wlan or (address(a, "wlan0", 4), address(a, "wlan0", 6))
    # a door the configuration does not name, to be found shut from the hotspot
    a.spawn(["python3", "-c", "import socket\ns=socket.create_server(('::',%d),family=socket.AF_INET6,dualstack_ipv6=True)\n"
             "while 1:\n c,_=s.accept()\n c.sendall(b'open\\n')\n c.close()" % LISTENER])
    try:
        ask = {"wlan4": wlan4, "wlan6": wlan6, "lan4": address(a, "eth0", 4), "lan6": address(a, "eth0", 6), "net4": NET4, "net6": NET6,
               "phone4": f"{world.phone.net}.1", "phone6": f"{world.phone.prefix}::1", "host4": LAN_HOST, "host6": f"{LAN_PREFIX}::10",
               "hair4": INTERNET4, "hair6": "2001:db8:ff:2::1", "mark": mark, "ssh": 22, "https": 443, "client_hello": client_hello().hex(), "listener": LISTENER, "force": force,
               "dead_hotspot": dead_hotspot, "dev": {"lanhost": "eth0", "phone": "wlan1", "internet": "phone0"}}
        got = a.run(["python3", "/run/lab/matrix.py"], stdin=json.dumps(ask).encode(), timeout=90)
    finally:
        a.run(f"kill $(ss -Hltnp sport = :{LISTENER} | sed -n 's/.*pid=\\([0-9]*\\).*/\\1/p' | head -1)", check=False)
    return json.loads(got.stdout)


def both_families(world, timeout=60):
    """Waits until the board has IPv4 and IPv6 on both sides, so that the matrix has all its rows."""
    a = world.agent
    world.until("IPv4 and IPv6 on LAN and hotspot", lambda: all(address(a, dev, f) for dev in ("wlan0", "eth0") for f in (4, 6)), timeout)
    world.until("an IPv6 way out", lambda: "default" in a.board("ip -6 route show table 100", check=False).text, timeout)


def leaks(rows):
    return [r for r in rows if r["got"] and not r["want"]]


def dead(rows):
    """Rows that should have got through: without them a clean matrix proves nothing."""
    return [r for r in rows if r["want"] and not r["got"]]


def table(rows):
    return "\n".join(f"{'LEAK ' if r['got'] and not r['want'] else 'DEAD ' if r['want'] and not r['got'] else 'ok   '}"
                     f"v{r['family']} {r['flow']}: {'passes' if r['got'] else 'blocked'}{' by ' + ','.join(r['by']) if r.get('by') else ''}" for r in rows)
