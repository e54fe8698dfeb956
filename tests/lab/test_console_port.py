"""Serial ports on a real driver (ftdi_sio): two adapters told apart by where they are plugged in, modem lines, settings, break, the cable."""
import os
import socket
import threading
import time

import pytest

from world import SERIAL_PORT

BUS = "0000:00:10.0"
# Both consoles by position: the adapter of the switch sits in port 1, a second one comes and goes in port 2.
CONSOLES = f"""[console.core-switch]
serial = {{ usb = "{BUS}/1", line = "9600n8" }}
[console.spare]
serial = {{ usb = "2:0", line = "115200n8" }}
"""


class Spare:
    """The second adapter and what is at its far end: a talker on a socket, or a pty whose modem lines are all down.

    One for the life of a QEMU: a far end that was made is kept. QEMU leads a session, so the pty became its terminal, and closing it
    would send QEMU SIGHUP.
    """

    def __init__(self, rack):
        self.rack, self.qmp = rack, rack.machine.qmp
        self.plugged, self.heard = None, b""
        path = str(rack.machine.work / "spare.sock")
        self.qmp("chardev-add", id="spare-talker", backend={"type": "socket", "data": {
            "addr": {"type": "unix", "data": {"path": path}}, "server": True, "wait": False}})
        self.peer = socket.socket(socket.AF_UNIX)
        self.peer.connect(path)
        threading.Thread(target=self._hear, daemon=True).start()
        self.pty = os.openpty()
        self.qmp("chardev-add", id="spare-dark", backend={"type": "serial", "data": {"device": os.ttyname(self.pty[1])}})

    def _hear(self):
        while True:
            try:
                got = self.peer.recv(4096)
            except OSError:
                return
            if not got:
                return
            self.heard += got

    def plug(self, end="spare-talker"):
        self.qmp("device_add", driver="usb-serial", id="spare", bus="xhci.0", port="2", chardev=end, **{"always-plugged": True})
        self.plugged = end

    def unplug(self):
        self.qmp("device_del", id="spare")
        self.plugged = None
        self.rack.until("the spare port is gone", lambda: phase(self.rack, "spare") == "gone", 60)

    def say(self, text):
        self.peer.sendall(text.encode())

    def end(self):
        if self.plugged:
            self.unplug()


def console(rack, name):
    return rack.status()["consoles"][name]


def both(rack):
    """The board's serial ports by position, once both adapters are among them."""
    ports = {port["position"]: port for port in rack.status()["ports"] if port["position"]}
    return ports if {f"{BUS}/1:0", f"{BUS}/2:0"} <= set(ports) else None


def phase(rack, name):
    return console(rack, name)["phase"]


@pytest.fixture
def spare(rack):
    rack.configure(rack.plain.replace(f"""[console.core-switch]
serial = {{ port = "{SERIAL_PORT}", line = "9600n8" }}
""", CONSOLES))
    rack.until("the switch's port is open by its position", lambda: phase(rack, "core-switch") == "open" and console(rack, "core-switch")["port"] == f"usb {BUS}/1:0", 60)
    it = rack.machine.spare = getattr(rack.machine, "spare", None) or Spare(rack)
    try:
        yield it
    finally:
        it.end()


def test_two_adapters_are_told_apart_by_where_they_are(rack, spare):
    assert phase(rack, "spare") == "gone"
    spare.plug()
    rack.until("the spare port is open", lambda: phase(rack, "spare") == "open", 30)
    # The list follows the uevent, which may come after the console has found its port.
    where = rack.until("both positions are listed", lambda: both(rack), 30)
    assert where[f"{BUS}/2:0"]["driver"] == "ftdi_sio" and where[f"{BUS}/2:0"]["usb_id"] == "0403:6001"
    listed = rack.oobctl("console", "ports").text
    assert "core-switch" in listed and "spare" in listed and f"{BUS}/2:0" in listed
    spare.say("I am the spare one\r\n")
    rack.until("its words on its console", lambda: console(rack, "spare")["last_line"] == "I am the spare one", 30)

    # Both away, back in the other order: the kernel gives ttyUSB0 to the other one now.
    spare.unplug()
    rack.machine.unplug_serial()
    rack.until("the switch's port is gone", lambda: phase(rack, "core-switch") == "gone", 60)
    spare.plug()
    rack.until("the spare port is back", lambda: phase(rack, "spare") == "open", 30)
    rack.machine.plug_serial()
    rack.until("the switch's port is back", lambda: phase(rack, "core-switch") == "open", 30)
    rack.until("the names are swapped", lambda: both(rack) and both(rack)[f"{BUS}/2:0"]["device"] == where[f"{BUS}/1:0"]["device"], 30)
    spare.say("still the spare one\r\n")
    rack.until("its words on its console again", lambda: console(rack, "spare")["last_line"] == "still the spare one", 30)


def test_settings_wires_and_break_on_a_real_driver(rack, spare):
    spare.plug()
    rack.until("the spare port is open", lambda: phase(rack, "spare") == "open", 30)
    state = console(rack, "spare")["state"]
    # QEMU's adapter holds these up while a socket is at its far end.
    assert state["signals"] == {"cts": True, "dsr": True, "dcd": True, "ri": False}
    assert state["cable"] == "connected" and state["dtr"] and state["rts"]
    assert set(state["faults"]) == {"framing", "parity", "overrun", "breaks"}
    assert "19200e7, flow control none" in rack.oobctl("console", "set", "spare", "19200e7").text
    assert "flow control rtscts, DTR=0" in rack.oobctl("console", "set", "spare", "9600n8", "flow", "rtscts", "dtr", "off").text
    assert "115200n8, flow control none, DTR=1 RTS=1" in rack.oobctl("console", "set", "spare", "restore").text
    before = rack.last_seq()
    rack.oobctl("console", "set", "spare", "break", "on")
    rack.oobctl("console", "set", "spare", "break", "off")
    rack.happened("BreakSent", before)
    wanted = ("CTS=1 DSR=1 DCD=1 RI=0", "connected", "BREAK=0")

    def shown():
        text = rack.oobctl("console", "show", "spare").text
        return all(word in text for word in wanted)
    rack.until(f"{wanted} are shown", shown, 10)


def test_a_cable_that_was_seen_is_missed(rack, spare):
    spare.plug()
    rack.until("the cable was seen", lambda: console(rack, "spare")["state"]["cable"] == "connected", 30)
    before = rack.last_seq()
    spare.unplug()
    # The same adapter, but nobody at the far end of its cable: every modem line is down.
    spare.plug("spare-dark")
    rack.until("the spare port is open", lambda: phase(rack, "spare") == "open", 30)
    start = time.monotonic()
    assert rack.happened("CableUnplugged", before, 30)["signal"] == "DSR"
    assert time.monotonic() - start < 25
    state = console(rack, "spare")["state"]
    assert state["cable"] == "unplugged" and not state["signals"]["dsr"]
    spare.unplug()
    spare.plug()
    assert rack.happened("CableBack", before, 30)["signal"] == "DSR"
    # The switch's adapter never lost a line and nothing was said of it.
    assert console(rack, "core-switch")["state"]["cable"] == "connected"
