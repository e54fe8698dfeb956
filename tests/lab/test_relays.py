"""Relays under a real kernel: GPIO lines of the machine's own controller (PL061), and a HID relay board that the kernel takes for one."""
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent / "guest" / "relay.py"
LOG = "/run/lab/tmp/relay.log"
# Line 3 is the power button of QEMU's machine.
RELAYS = """[pdu.board]
gpio = { lines = { modem = { chip = "gpiochip0", offset = 5 }, siren = { chip = "gpiochip0", offset = 6, active_low = true }, taken = { chip = "gpiochip0", offset = 3 } } }
poll = "2s"
"""
HID = """[pdu.strip]
usb_relay = { board = "hid", device = "DEVICE", relays = 4 }
poll = "2s"
off_time = "2s"
"""


def outlets(rack, pdu):
    return {outlet["key"]: outlet for outlet in rack.status()["pdus"][pdu]["outlets"]}


def state(rack, pdu, key):
    return outlets(rack, pdu)[key]["state"].lower()


def line(rack, offset):
    """What the kernel says of a line: who has it, which way, and its level."""
    text = rack.agent.board("cat /sys/kernel/debug/gpio").text
    rows = [row for row in text.splitlines() if row.strip().startswith("gpio-")]
    return next((row for row in rows if row.split("(")[0].strip().endswith(str(512 + offset))), "")


def test_gpio_lines_are_taken_as_they_are_and_driven_when_switched(rack):
    rack.configure(rack.plain + RELAYS)
    rack.until("the lines are read", lambda: state(rack, "board", "modem") == "off", 60)
    # Taken, and still what they were: inputs. One that the kernel itself uses is unknown and spoils no other.
    assert "oobd" in line(rack, 5) and " in " in line(rack, 5), line(rack, 5)
    assert state(rack, "board", "siren") == "on" and state(rack, "board", "taken") == "unknown"
    said = rack.oobctl("outlet", "on", "board/modem").text
    assert "confirmed" in said, said
    assert " out hi" in line(rack, 5) and " in " in line(rack, 6), (line(rack, 5), line(rack, 6))
    assert "confirmed" in rack.oobctl("outlet", "off", "board/modem", "--yes").text
    assert " out lo" in line(rack, 5)
    assert "confirmed" in rack.oobctl("outlet", "on", "board/siren").text
    assert " out lo" in line(rack, 6), "active low"
    # A restart of oobd moves no relay: this controller keeps what a freed line was.
    rack.oobctl("outlet", "on", "board/modem")
    rack.kill9("oobd")
    rack.until_ready()
    rack.until("the line is read again", lambda: state(rack, "board", "modem") == "on", 60)
    assert " hi" in line(rack, 5), line(rack, 5)


@pytest.fixture
def strip(rack):
    """The HID board, plugged in; gives its device's path, and what pulls it out."""
    rack.agent.board("modprobe uhid")
    rack.agent.put("/run/lab/tmp/relay.py", SCRIPT.read_text())
    rack.agent.run(f"rm -f {LOG}")
    started = rack.agent.spawn(["python3", "-u", "/run/lab/tmp/relay.py"], log=LOG)
    unplug = lambda: rack.agent.run(["kill", str(started["pid"])], check=False)  # noqa: E731
    try:
        rack.agent.wait_text(LOG, "ready", 60)
        find = "for d in /sys/class/hidraw/*; do grep -q 16C0.*05DF $d/device/uevent && echo /dev/${d##*/}; done"
        yield rack.until("its hidraw device", lambda: rack.agent.board(find, check=False).text, 30), unplug
    finally:
        unplug()


def test_a_hid_relay_board_is_switched_and_read_and_comes_back(rack, strip):
    device, unplug = strip
    rack.configure(rack.plain + HID.replace("DEVICE", device))
    rack.until("its relays are read", lambda: state(rack, "strip", "4") == "off", 60)
    assert "confirmed" in rack.oobctl("outlet", "on", "strip/2").text
    assert "confirmed" in rack.oobctl("outlet", "on", "strip/4").text
    assert "confirmed" in rack.oobctl("outlet", "cycle", "strip/2", "--yes").text
    orders = rack.agent.run(["cat", LOG]).text.splitlines()[1:]
    assert orders == ["ff 2 closed=0010", "ff 4 closed=1010", "fd 2 closed=1000", "ff 2 closed=1010"]
    # Pulled out, it is unknown, never off.
    unplug()
    rack.until("it is gone", lambda: rack.status()["pdus"]["strip"]["phase"] != "up" and state(rack, "strip", "4") == "unknown", 60)
    refused = rack.oobctl("outlet", "on", "strip/1", check=False)
    assert not refused.ok, refused
