"""Plugs, relays and scripts: stand-ins that speak the real protocols (and that curl finds right), a relay board on a pty, programs."""
import contextlib
import json
import os
import pty
import socket
import subprocess
import sys
import threading
import tty
from pathlib import Path

import pytest
from board import in_namespace, wait_for
from power_kit import HOST, House, Peers

PEERS = Path(__file__).resolve().parent / "plug_peers.py"
# What oobctl ends with when the device took it and nothing shows it.
UNCONFIRMED = 5
FAST = 'poll = "2s"\noff_time = "2s"\nconfirm = "15s"\n'


class Plug(Peers):
    def up(self, kind, port=80, **options):
        self.file = self.work / f"{kind}.json"
        self.start(kind, sys.executable, PEERS, kind, HOST, port, self.file, *(f"{k}={v}" for k, v in options.items()))
        self.speaks(port)
        return self

    def outlets(self):
        return json.loads(self.file.read_text())

    def asked(self):
        log = Path(f"{self.file}.log")
        return log.read_text().splitlines() if log.exists() else []

    def curl(self, *words):
        done = subprocess.run(["ip", "netns", "exec", self.netns, "curl", "-s", "-m", "10", *words], capture_output=True, text=True, timeout=30)
        return done.stdout


@pytest.fixture
def house(tmp_path, make_board):
    house = House(tmp_path, make_board)
    yield house
    house.close()


def test_a_shelly_cycles_by_itself_and_wants_its_digest(house):
    plug = house.peers(Plug).up("shelly", password="geheim-17")
    url = f"http://{HOST}/rpc"
    ask = '{"id":1,"method":"Switch.GetStatus","params":{"id":1}}'
    assert "401" in plug.curl("-d", ask, url)
    said = json.loads(plug.curl("--digest", "-u", "admin:geheim-17", "-d", ask, url))
    assert said["result"]["output"] is True
    house.start(f'[pdu.rack]\n{FAST}shelly = {{ host = "{HOST}", password = "geheim-17" }}\n'
                f'[pdu.wrong]\n{FAST}shelly = {{ host = "{HOST}", password = "geheim-18" }}\n')
    house.up()
    outlets = house.pdu()["outlets"]
    assert [(o["key"], o["state"], o["watts"], o["amps"]) for o in outlets] == [("0", "On", 8.9, 0.12), ("1", "On", 8.9, 0.12)]
    house.switch("off", "rack/1")
    assert plug.outlets() == [True, False]
    house.switch("on", "rack/1")
    house.switch("cycle", "rack/0")
    sets = [json.loads(line)["params"] for line in plug.asked() if "Switch.Set" in line]
    assert sets == [{"id": 1, "on": False}, {"id": 1, "on": True}, {"id": 0, "on": False, "toggle_after": 2}]
    assert plug.outlets() == [True, True]
    house.until("refused", lambda: house.pdu("wrong").get("phase") == "refused")
    assert "geheim" not in house.board.text()


@pytest.mark.parametrize("relays,old", [(1, 0), (2, 1)])
def test_a_tasmota_cycles_by_itself_and_its_password_is_in_no_log(house, relays, old):
    options = {"old": 1} if old else {}
    plug = house.peers(Plug).up("tasmota", password="geheim&17", relays=relays, **options)
    url = f"http://{HOST}/cm?cmnd=Power{relays}&user=admin&password="
    assert "WARNING" in plug.curl(url + "x")
    assert plug.curl(url + "geheim%2617").strip() == json.dumps({"POWER" if relays == 1 else "POWER2": "ON"})
    house.start(f'[pdu.rack]\n{FAST}tasmota = {{ host = "{HOST}", password = "geheim&17" }}\n'
                f'[pdu.wrong]\n{FAST}tasmota = {{ host = "{HOST}", password = "geheim-18" }}\n')
    house.up()
    outlets = house.pdu()["outlets"]
    assert [o["key"] for o in outlets] == [str(n + 1) for n in range(relays)]
    assert outlets[0]["watts"] == (42 if relays == 1 else None)
    house.switch("off", f"rack/{relays}")
    assert plug.outlets() == [True] * (relays - 1) + [False]
    house.switch("on", f"rack/{relays}")
    house.switch("cycle", f"rack/{relays}")
    assert sum("Backlog" in line for line in plug.asked()) == 1
    assert plug.outlets() == [True] * relays
    house.until("refused", lambda: house.pdu("wrong").get("phase") == "refused")
    events = json.dumps(house.board.events())
    assert "geheim" not in house.board.text() and "geheim" not in events and "geheim" not in json.dumps(house.pdu("wrong"))


def test_a_plug_that_goes_away_is_silent_and_its_state_not_off(house):
    plug = house.peers(Plug).up("shelly")
    house.start(f'[pdu.rack]\n{FAST}shelly = {{ host = "{HOST}" }}\n')
    house.up()
    plug.stop("shelly", 9)
    house.until("silent", lambda: house.pdu().get("phase") == "silent", 60)
    assert all(outlet["state"] != "Off" for outlet in house.pdu()["outlets"])
    house.switch("off", "rack/0", code=1)


def test_a_lan_without_an_address_speaks_from_no_uplinks(house):
    """The kernel would take another interface's address for a socket bound to one that has none."""
    plug = house.peers(Plug).up("shelly")
    up = ["ip", "-n", house.lan.board]
    subprocess.run([*up, "link", "add", "up0", "type", "veth", "peer", "name", "up1"], check=True)
    subprocess.run([*up, "address", "add", "198.18.0.2/24", "dev", "up0"], check=True)
    for link in ("up0", "up1"):
        subprocess.run([*up, "link", "set", link, "up"], check=True)
    wire = in_namespace(f"/run/netns/{house.lan.host}", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800)))
    with wire:
        wire.setblocking(False)
        given = house.config
        house.config = lambda sections: given(sections).replace('"10.77.0.5/24"', '"dhcp"')
        house.start(f'[pdu.rack]\n{FAST}shelly = {{ host = "{HOST}" }}\n[pdu.man]\n{FAST}powerman = {{ host = "{HOST}" }}\n')
        for pdu in ("rack", "man"):
            house.until("it says so", lambda pdu=pdu: "eth0 has no IPv4 address" in house.pdu(pdu).get("why", ""))
            assert house.pdu(pdu)["phase"] == "unknown"
        assert "PduLost" not in house.board.kinds()
        assert plug.asked() == []
        heard = []
        with contextlib.suppress(BlockingIOError):
            while True:
                heard.append(wire.recv(2048))
    # What DHCP asks comes from 0.0.0.0.
    assert not [packet for packet in heard if packet[12:16] == bytes([198, 18, 0, 2])]


class Board:
    """A relay board of LCUS on a pty, with so many relays; `mute` boards tell nothing."""

    def __init__(self, relays, mute=False):
        self.near, far = pty.openpty()
        tty.setraw(far)
        self.far, self.path, self.mute = far, os.ttyname(far), mute
        self.on = [False] * relays
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        heard = b""
        while True:
            try:
                heard += os.read(self.near, 64)
            except OSError:
                return
            while heard:
                if heard[0] == 0xFF:
                    heard = heard[1:]
                    if not self.mute:
                        lines = (f"CH{n + 1}: {'ON' if on else 'OFF'}\r\n" for n, on in enumerate(self.on))
                        os.write(self.near, "".join(lines).encode())
                elif heard[0] == 0xA0 and len(heard) >= 4:
                    start, relay, state, total = heard[:4]
                    if total == (start + relay + state) % 256 and 1 <= relay <= len(self.on):
                        self.on[relay - 1] = state == 1
                    heard = heard[4:]
                elif heard[0] == 0xA0:
                    break
                else:
                    heard = heard[1:]

    def close(self):
        os.close(self.near)
        os.close(self.far)


def test_a_serial_relay_board_is_switched_and_cycled(house):
    two, one = Board(2), Board(1, mute=True)
    house.closing += [two, one]
    house.start(f'[pdu.rack]\n{FAST}usb_relay = {{ board = "lcus", device = "{two.path}", relays = 2 }}\n'
                f'[pdu.mute]\npoll = "2s"\nconfirm = "2s"\nusb_relay = {{ board = "lcus", device = "{one.path}" }}\n')
    house.up()
    assert [o["state"] for o in house.pdu()["outlets"]] == ["Off", "Off"]
    house.switch("on", "rack/2")
    assert two.on == [False, True]
    house.switch("cycle", "rack/2")
    assert two.on == [False, True]
    # A board that tells nothing is switched, and nobody pretends to know.
    house.up("mute")
    house.switch("on", "mute/1", code=UNCONFIRMED)
    # Its own thread reads what was written to it.
    wait_for("the relay", lambda: one.on == [True])
    outlet = house.outlet("1", "mute")
    assert outlet["state"] == "Unknown" and outlet["action"]["outcome"] == "unconfirmed"


def test_a_script_is_run_with_verb_and_outlet(house, tmp_path):
    script = tmp_path / "switch"
    script.write_text(
        "#!/bin/sh\nset -eu\ncd " + str(tmp_path) + "\n"
        "[ \"$OOBD_PASSWORD\" = geheim-17 ]\n"
        "case $2 in\n  status) cat \"outlet-$3\" 2>/dev/null || echo on ;;\n"
        "  on|off) [ \"$3\" != stuck ] || { echo 'relay is stuck' >&2; exit 4; }\n"
        "    echo \"$2\" > \"outlet-$3\"; tr '\\0' ' ' < /proc/$$/cmdline >> argv ;;\nesac\n")
    script.chmod(0o755)
    house.start(f'[pdu.rack]\n{FAST}[pdu.rack.script]\nprogram = "{script}"\nargs = ["-x"]\noutlets = ["a", "stuck"]\npassword = "geheim-17"\n')
    house.up()
    house.switch("off", "rack/a")
    assert (tmp_path / "outlet-a").read_text() == "off\n"
    house.switch("on", "rack/a")
    house.switch("cycle", "rack/a")
    assert house.outlet("a")["state"] == "On"
    assert "relay is stuck" in house.switch("off", "rack/stuck", code=1)
    assert "geheim" not in (tmp_path / "argv").read_text() + house.board.text()
