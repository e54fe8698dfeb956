"""A room full of PDUs on the LAN of a board: fifteen that live, as powermand speaks for them, some slowly, and five that are dead."""
import json
import socket
import struct
import time
from datetime import datetime
from pathlib import Path

import board as boards
from board import wait_for
from consoles.control import number
from power_kit import HOST, House, Powerman, Relay

OUTLETS = 10
# What each live device waits before it says anything, in seconds.
WAITS = [0.0, 0.01, 0.02, 0.05, 0.05, 0.1, 0.1, 0.1, 0.15, 0.2, 0.2, 0.25, 0.3, 0.3, 0.4]
# Three that nobody is at, two that take connections and say nothing.
NOBODY, MUTE = 3, 2
COMMAND, READ_PDU = 3, 18


class Tens(Powerman):
    """powermand before one simulated PDU of ten outlets."""

    def up(self, port):
        config = self.work / "powerman.conf"
        config.write_text(f'include "/etc/powerman/vpc.dev"\nlisten "{HOST}:{port}"\ndevice "pdu0" "vpc" "/usr/sbin/vpcd |&"\n'
                          f'node "o[0-{OUTLETS - 1}]" "pdu0" "[0-{OUTLETS - 1}]"\n')
        self.port = port
        self.start("powermand", "/usr/sbin/powermand", "-f", "-c", config)
        self.speaks(port, hears=b"001 ")
        return self


def waiting(seconds):
    """A device that thinks before it answers."""
    def fault(sink, data):
        time.sleep(seconds)
        sink.sendall(data)
    return fault


class Rack(House):
    def __init__(self, work, oobd):
        boards.TARGET = oobd.parent
        super().__init__(work, lambda config, **options: boards.Board(self.work / "board", config, **options))
        self.live, self.dead, self.relays, sections = [], [], [], []
        for at, wait in enumerate(WAITS):
            folder = self.work / f"pdu{at}"
            folder.mkdir()
            peer = Tens(folder, self.lan.host)
            self.closing.append(peer)
            peer.up(11000 + at)
            relay = self.relay(12000 + at, 11000 + at)
            relay.fault = waiting(wait)
            self.live.append(f"live{at}")
            sections.append(self.section(self.live[-1], f"{HOST}:{12000 + at}"))
        for at in range(NOBODY + MUTE):
            place = f"10.77.0.{70 + at}:10101"
            if at >= NOBODY:
                self.relay(12100 + at, 11000).mute = True
                place = f"{HOST}:{12100 + at}"
            self.dead.append(f"dead{at}")
            # Its outlets are known by oobd.toml alone.
            named = "".join(f'[pdu.dead{at}.outlet.o{n}]\nlabel = "dead {at}.{n}"\n' for n in range(OUTLETS))
            sections.append(self.section(self.dead[-1], place) + named)
        self.sections = "".join(sections)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        for relay in self.relays:
            relay.close()

    def relay(self, port, target):
        self.relays.append(Relay(self.lan.host, port, target))
        return self.relays[-1]

    @staticmethod
    def section(name, place):
        return f'[pdu.{name}]\npowerman = {{ host = "{place}" }}\npoll = "1h"\n'

    def cold(self):
        """Seconds from the start of oobd until all that live are read."""
        began = time.time()
        self.start(self.sections)
        took = self.all_read(self.live, began) - began
        wait_for("the dead told dead", lambda: all(self.pdu(name).get("phase") == "silent" for name in self.dead), 120)
        return took

    def all_read(self, names, since):
        """When the last of these was read; waits for it."""
        last = []

        def read():
            pdus = self.board.json("status")["pdus"]
            last[:] = [moment(pdus[name]["read_at"]) for name in names if pdus[name]["read_at"]]
            return len(last) == len(names) and min(last) >= since
        wait_for("all read", read, 60)
        return max(last)

    def read(self, names):
        """Has these read now, by one connection to oobd, and gives the seconds until all that live have been."""
        began = int(time.time() * 1000) / 1000
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(30)
            link.connect(str(Path(self.board.socket)))
            for name in names:
                body = bytes([COMMAND, READ_PDU]) + number(len(name)) + name.encode()
                link.sendall(struct.pack("<I", len(body)) + body)
            answers = b""
            while not self.whole(answers, len(names)):
                answers += link.recv(65536)
            return self.all_read([name for name in names if name in self.live], began) - began

    @staticmethod
    def whole(data, count):
        """Are these so many answers?"""
        at = 0
        while len(data) >= at + 4 and count:
            at += 4 + struct.unpack_from("<I", data, at)[0]
            count -= 1
        return count == 0 and len(data) >= at

    def table(self):
        """Of each outlet that is shown, whether it stands as it should: known where the device lives, unknown where it is dead."""
        rows = json.loads(self.board.ctl("outlet", "list", "--json").stdout)["outlets"]
        return [(row["state"] in ("On", "Off")) == name.startswith("live") for name, row in rows.items()]


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
