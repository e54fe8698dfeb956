"""The gateway matrix: who can get through the board, and how. One JSON document in on stdin (addresses), one out (rows).

Every flow sends UDP, a TCP SYN and an ICMP echo with its own marker (destination port, echo id) and a watcher on the far side records the
markers that arrive: a leak in one direction counts, no answer is needed. Rows with want=True prove that the watchers see at all.
"""
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time

BASE = 33000
SO_MARK = 36
WATCH = """
table inet matrix
delete table inet matrix
table inet matrix {
  set by_tcp { type inet_service; flags dynamic; size 4096; }
  set by_udp { type inet_service; flags dynamic; size 4096; }
  set by_echo { typeof icmp id; flags dynamic; size 4096; }
  set by_echo6 { typeof icmpv6 id; flags dynamic; size 4096; }
  chain pre { type filter hook prerouting priority -350; policy accept;
    iifname "%s" tcp dport 33000-34999 add @by_tcp { tcp dport }
    iifname "%s" udp dport 33000-34999 add @by_udp { udp dport }
    iifname "%s" icmp type echo-request add @by_echo { icmp id }
    iifname "%s" icmpv6 type echo-request add @by_echo6 { icmpv6 id }
  }
}
"""


def sh(cmd, check=False):
    done = subprocess.run(["sh", "-c", cmd], capture_output=True, text=True)
    if check and done.returncode:
        sys.exit(f"{cmd}: {done.stderr}")
    return done


def in_ns(ns, call):
    """Runs call() in a thread that sits in namespace `ns` (None: the board's own)."""
    box = []

    def body():
        if ns:
            with open(f"/run/netns/{ns}") as f:
                os.setns(f.fileno(), 0x40000000)
        try:
            box.append(call())
        except OSError as e:
            box.append(e)

    t = threading.Thread(target=body)
    t.start()
    t.join()
    return box[0]


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def shoot(dst, marker, mark=0, dev=None, src=None):
    """UDP, TCP SYN and ICMP echo towards dst; what the kernel refuses to send is simply not sent."""
    family = socket.AF_INET6 if ":" in dst else socket.AF_INET
    icmp = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
    for kind, proto in ((socket.SOCK_DGRAM, 0), (socket.SOCK_STREAM, 0), (socket.SOCK_RAW, icmp)):
        s = socket.socket(family, kind, proto)
        keep.append(s)
        try:
            s.setblocking(False)
            if mark:
                s.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
            if dev:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, dev.encode())
            if src:
                s.bind((src, 0))
            if kind == socket.SOCK_RAW:
                head = struct.pack("!BBHHH", 8 if family == socket.AF_INET else 128, 0, 0, marker, 1)
                if family == socket.AF_INET:
                    head = head[:2] + struct.pack("!H", checksum(head + b"oobd")) + head[4:]
                s.sendto(head + b"oobd", (dst, 0))
            elif kind == socket.SOCK_DGRAM:
                s.sendto(b"oobd", (dst, marker))
            else:
                s.connect((dst, marker))
        except OSError:
            pass


keep = []  # sockets stay open so that SYNs are repeated until the end


def answers(host, port, dev=None, hello=b""):
    """True when something sends us a line from host:port; `hello` is what it has to hear first."""
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    s.settimeout(2.5)
    try:
        if dev:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, dev.encode())
        s.connect((host, port))
        s.sendall(hello)
        return bool(s.recv(64))
    except OSError:
        return False
    finally:
        s.close()


def seen(ns):
    text = sh(f"ip netns exec {ns} nft -j list table inet matrix", True).stdout
    got = {}
    for item in json.loads(text)["nftables"]:
        if "set" in item:
            for e in item["set"].get("elem", []):
                got.setdefault(e, set()).add(item["set"]["name"].removeprefix("by_"))
    return got


def main():
    p = json.load(sys.stdin)
    wlan4, wlan6, lan4, lan6 = p["wlan4"], p["wlan6"], p["lan4"], p["lan6"]
    net4, net6, phone4, phone6, host4, host6 = p["net4"], p["net6"], p["phone4"], p["phone6"], p["host4"], p["host6"]
    mark = p["mark"]
    # name, sender namespace, destination, watcher namespace, want, socket options
    flows = [
        ("LAN host -> internet through the board", "lanhost", net4, net6, "phone", False, {}),
        ("LAN host -> phone through the board", "lanhost", phone4, phone6, "phone", False, {}),
        ("LAN host -> LAN router through the board", "lanhost", p["hair4"], p["hair6"], "lan", False, {}),
        ("phone -> LAN host through the board", "phone", host4, host6, "lanhost", False, {}),
        ("internet -> LAN host through phone and board", "internet", host4, host6, "lanhost", False, {}),
        ("board unmarked -> internet over the uplink", None, net4, net6, "phone", False, {}),
        ("board bound to the uplink's address, unmarked", None, net4, net6, "phone", False, {"src": (wlan4, wlan6)}),
        ("board bound to the uplink's device, unmarked", None, net4, net6, "phone", False, {"dev": "wlan0"}),
        ("board marked for the uplink, seen on the LAN", None, net4, net6, "lan", False, {"mark": mark}),
        ("board marked for the uplink -> internet", None, net4, net6, "phone", True, {"mark": mark}),
    ]
    # The attackers' routes. Everything that is changed here is put back below.
    routes = [("lanhost", net4, lan4), ("lanhost", net6, lan6), ("lanhost", phone4, lan4), ("lanhost", phone6, lan6),
              ("lanhost", p["hair4"], lan4), ("lanhost", p["hair6"], lan6), ("lanhost", wlan4, lan4), ("lanhost", wlan6, lan6),
              ("phone", host4, wlan4), ("phone", host6, wlan6), ("phone", lan4, wlan4), ("phone", lan6, wlan6),
              ("internet", host4, "198.51.100.6"), ("internet", host6, "2001:db8:ff:1::2")]
    routes = [r for r in routes if r[1] and r[2]]
    if p.get("dead_hotspot"):
        routes = [r for r in routes if r[0] == "lanhost" and r[1] not in (wlan4, wlan6)]
    for ns, dst, via in routes:
        sh(f"ip -n {ns} route replace {dst} via {via} onlink dev {p['dev'][ns]}")
    for ns, dev in (("phone", "wlan1"), ("lan", "br0"), ("lanhost", "eth0")):
        sh(f"ip netns exec {ns} nft -f - <<'X'\n{WATCH % (dev, dev, dev, dev)}\nX", True)
    stop = threading.Event()
    if p["force"]:
        threading.Thread(target=force, args=(stop,), daemon=True).start()
        time.sleep(0.2)
    rows, probes = [], []
    for n, (name, ns, dst4, dst6, watcher, want, opt) in enumerate(flows):
        for family, dst in ((4, dst4), (6, dst6)):
            # without the radio, the phone's only way to the LAN is the internet's: nothing of the board's
            if not dst or (p.get("dead_hotspot") and (want or ns in ("phone", "internet"))):
                continue
            marker = BASE + n * 2 + (family == 6)
            kw = {k: v[family == 6] if isinstance(v, tuple) else v for k, v in opt.items()}
            if "src" in kw and not kw["src"]:
                continue
            in_ns(ns, lambda: shoot(dst, marker, **kw))
            rows.append({"flow": name, "family": family, "want": want, "marker": marker, "watcher": watcher})
    for name, ns, dst4, dst6, port, want in [] if p.get("dead_hotspot") else [
        ("phone -> board's SSH door", "phone", wlan4, wlan6, p["ssh"], True),
        ("phone -> another port of the board", "phone", wlan4, wlan6, p["listener"], False),
        ("phone -> board's LAN address", "phone", lan4, lan6, p["ssh"], False),
        ("LAN host -> board's SSH door", "lanhost", lan4, lan6, p["ssh"], True),
        ("LAN host -> board's uplink address", "lanhost", wlan4, wlan6, p["ssh"], False),
        ("phone -> board's HTTPS door", "phone", wlan4, wlan6, p["https"], True),
        ("LAN host -> board's HTTPS door at its uplink address", "lanhost", wlan4, wlan6, p["https"], False),
    ]:
        for family, dst in ((4, dst4), (6, dst6)):
            if dst:
                row = {"flow": name, "family": family, "want": want}
                hello = bytes.fromhex(p["client_hello"]) if port == p["https"] else b""
                t = threading.Thread(target=lambda r=row, a=(ns, dst, port, None, hello): r.update(got=in_ns(a[0], lambda: answers(*a[1:])) is True))
                t.start()
                probes.append((t, row))
    for name, ns, dev, target in [] if p.get("dead_hotspot") else [("LAN ARP answers for the uplink's address", "lanhost", "eth0", wlan4),
                                                                 ("phone gets ARP answers for the LAN address", "phone", "wlan1", lan4)]:
        row = {"flow": name, "family": 4, "want": False}
        t = threading.Thread(target=lambda r=row, c=f"ip netns exec {ns} arping -c 2 -w 2 -I {dev} {target}": r.update(got=sh(c).returncode == 0))
        t.start()
        probes.append((t, row))
    for t, row in probes:
        t.join()
        rows.append(row)
    time.sleep(p.get("settle", 1.5))
    stop.set()
    saw = {ns: seen(ns) for ns in ("phone", "lan", "lanhost")}
    for row in rows:
        if "marker" in row:
            row["by"] = sorted(saw[row["watcher"]].get(row["marker"], ()))
            row["got"] = bool(row["by"])
    for ns in ("phone", "lan", "lanhost"):
        sh(f"ip netns exec {ns} nft delete table inet matrix")
    for ns, dst, via in routes:
        sh(f"ip -n {ns} route del {dst} via {via}")
    json.dump(rows, sys.stdout)


def force(stop):
    """Somebody keeps switching forwarding on behind the guard's back."""
    while not stop.is_set():
        for f in ["/proc/sys/net/ipv4/ip_forward"] + [f"/proc/sys/net/ipv{v}/conf/{d}/forwarding" for v in (4, 6) for d in ("all", "eth0", "wlan0")]:
            try:
                with open(f, "r+") as h:
                    if h.read().strip() == "0":
                        h.seek(0)
                        h.write("1\n")
            except OSError:
                pass
        time.sleep(0.01)


if __name__ == "__main__":
    main()
