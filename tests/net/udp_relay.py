"""A bad network between an IPMI client and its BMC: loses, doubles, delays and damages datagrams, and counts them.

udp_relay.py LISTEN:PORT TARGET:PORT
stdin, a line of JSON each: {}   changes nothing
                            {"faults": {"drop": 0.2, "double": 0.1, "late": 0.1, "flip": 0.05}}   how likely each is, both ways
                            {"faults": {"mute": true}}   nothing comes back from the BMC any more
                            {"lose": FILE}   when the file has grown, the next datagram of the BMC is lost: the answer to what made it grow
stdout: an answer to each, how many datagrams went to the BMC, by RMCP+ payload type; "lost" of the BMC's by `lose`
Damage is done inside sessions only: UDP's own checksum keeps it from what nobody signs.
"""
import json
import os
import random
import select
import socket
import sys

RMCP_PLUS, PROTECTED = 6, 0xC0


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def main():
    near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    near.bind(address(sys.argv[1]))
    target = address(sys.argv[2])
    ways = {}  # a socket towards the BMC for each client, so that it tells them apart
    faults, counts, held = {}, {}, []
    watched, length = None, 0
    chance = random.Random(7)

    def pass_on(send, datagram):
        for later, old in held:
            later(old)
        held.clear()

        def is_due(name):
            return chance.random() < faults.get(name, 0)

        if is_due("drop"):
            return
        session = len(datagram) > 16 and datagram[4] == RMCP_PLUS and datagram[5] & PROTECTED == PROTECTED
        if session and is_due("flip"):
            at = chance.randrange(6, len(datagram))
            datagram = datagram[:at] + bytes([datagram[at] ^ 1 << chance.randrange(8)]) + datagram[at + 1:]
        if is_due("late"):
            held.append((send, datagram))
            return
        for _ in range(2 if is_due("double") else 1):
            send(datagram)

    def toward(way):
        def send(datagram):
            try:
                way.sendto(datagram, target)
            except OSError:
                pass  # nobody is there this moment
        return send

    print("up", flush=True)
    while True:
        ready, _, _ = select.select([sys.stdin, near, *ways.values()], [], [], 0.05)
        if not ready:
            for later, old in held:
                later(old)
            held.clear()
        for source in ready:
            if source is sys.stdin:
                line = sys.stdin.readline()
                if not line:
                    return
                order = json.loads(line)
                faults = order.get("faults", faults)
                if "lose" in order:
                    watched = order["lose"]
                    length = os.path.getsize(watched)
                print(json.dumps(counts), flush=True)
                continue
            try:
                datagram, peer = source.recvfrom(4096)
            except OSError:
                continue
            if source is near:
                if peer not in ways:
                    ways[peer] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                if len(datagram) > 5 and datagram[4] == RMCP_PLUS:
                    kind = str(datagram[5] & 0x3F)
                    counts[kind] = counts.get(kind, 0) + 1
                pass_on(toward(ways[peer]), datagram)
            elif watched and os.path.getsize(watched) > length:
                watched = None
                counts["lost"] = counts.get("lost", 0) + 1
            elif not faults.get("mute"):
                peer = next(peer for peer, way in ways.items() if way is source)
                pass_on(lambda datagram, peer=peer: near.sendto(datagram, peer), datagram)


if __name__ == "__main__":
    main()
