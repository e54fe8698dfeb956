"""Wake-on-LAN on the wire: what a sleeping card on the LAN hears, byte by byte, and that nobody elsewhere hears anything."""
import socket
import subprocess
import threading

import pytest
from board import in_namespace
from machine_kit import FAST, House, There

MAC = "00:1b:21:3c:4d:5e"
ALL, OUTGOING = 0x0003, 4  # linux/if_ether.h, linux/if_packet.h
EVERYBODY = b"\xff" * 6


def magic(mac=MAC, password=b""):
    """AMD's Magic Packet Technology, publication 20213."""
    return EVERYBODY + bytes.fromhex(mac.replace(":", "")) * 16 + password


class Ear:
    """All frames that come in by an interface, as the card hears them."""

    def __init__(self, netns, interface):
        def listen():
            ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL))
            ear.bind((interface, 0))
            ear.settimeout(0.1)
            return ear
        self.ear, self.frames, self.ends = in_namespace(f"/run/netns/{netns}", listen), [], threading.Event()
        self.thread = threading.Thread(target=self._hear, daemon=True)
        self.thread.start()

    def _hear(self):
        while not self.ends.is_set():
            try:
                frame, address = self.ear.recvfrom(65535)
            except OSError:
                continue
            if address[2] != OUTGOING:
                self.frames.append(frame)

    def woken(self, mac=MAC):
        """The frames that a card with this address would wake up from."""
        return [frame for frame in list(self.frames) if magic(mac) in frame]

    def close(self):
        self.ends.set()
        self.thread.join()
        self.ear.close()


@pytest.fixture
def house(tmp_path, make_board):
    """Beside the LAN the board has another interface, with an address and every route there is."""
    house = House(tmp_path, make_board)
    other = There(f"{house.lan.board}x")
    subprocess.run(["ip", "netns", "add", other.name], check=True)
    board = There(house.lan.board)
    board(f"ip link add eth1 type veth peer name far0 netns {other.name}")
    other("ip link set far0 up; ip addr add 10.78.0.9/24 dev far0")
    house.near, house.far = Ear(house.lan.host, "lan0"), Ear(other.name, "far0")

    def tempt():
        board("ip link set eth1 up; ip addr add 10.78.0.5/24 dev eth1; ip route add 255.255.255.255/32 dev eth1; ip route add default via 10.78.0.9")
    house.tempt = tempt
    yield house
    house.near.close()
    house.far.close()
    house.close()
    subprocess.run(["ip", "netns", "del", other.name], check=False)


def start(house, *options):
    more = "".join(f", {option}" for option in options)
    house.start(f'[machine.db1]\nwol = {{ mac = "{MAC}"{more} }}\n{FAST}')
    house.until("the LAN's address", lambda: "10.77.0.5" in There(house.lan.board)("ip -4 addr show dev eth0"))


def parts(frame):
    """Source and destination of an IPv4 UDP datagram, and what it carries."""
    header = 14 + (frame[14] & 15) * 4
    assert frame[12:14] == b"\x08\x00" and frame[23] == socket.IPPROTO_UDP
    port, length = (int.from_bytes(frame[header + at:header + at + 2], "big") for at in (2, 4))
    return socket.inet_ntoa(frame[26:30]), (socket.inet_ntoa(frame[30:34]), port), frame[header + 8:header + length]


@pytest.mark.parametrize("options, password", [
    ((), b""),
    (('password = "01:02:03:04:05:06"',), bytes([1, 2, 3, 4, 5, 6])),
    (('password = "10.20.30.40"',), bytes([10, 20, 30, 40])),
], ids=["plain", "secure-on-6", "secure-on-4"])
def test_the_packet_goes_to_everybody_on_the_lan_and_to_nobody_else(house, options, password):
    start(house, *options)
    house.tempt()
    # Nothing tells whether it woke up, and that is said.
    said = house.power("on", code=5)
    assert "db1: on unconfirmed" in said
    heard = house.until("three times both", lambda: len(house.near.woken()) >= 6 and house.near.woken())
    frames = [frame for frame in heard if frame[12:14] == b"\x08\x42"]
    datagrams = [parts(frame) for frame in heard if frame[12:14] != b"\x08\x42"]
    assert len(frames) == len(datagrams) == 3
    assert all(frame[:6] == EVERYBODY for frame in heard)
    assert all(frame[14:] == magic(password=password) for frame in frames)
    assert datagrams == [("10.77.0.5", ("255.255.255.255", 9), magic(password=password))] * 3
    assert house.far.woken() == []
    assert not any(password and password.hex() in line for line in house.board.text().splitlines())


def test_a_program_on_the_lan_hears_it_on_port_9(house):
    """As relays between LANs do, and cards that a driver listens for."""
    def listen():
        ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ear.bind(("", 9))
        ear.settimeout(60)
        return ear
    ear = in_namespace(f"/run/netns/{house.lan.host}", listen)
    start(house)
    house.board.ctl("machine", "power", "db1", "on", "--no-wait")
    said, (source, _) = ear.recvfrom(2048)
    ear.close()
    assert (said, source) == (magic(), "10.77.0.5")


def test_without_a_lan_nothing_is_sent_and_that_is_said(house):
    start(house)
    house.tempt()
    # A link that is only down, oobd raises again.
    There(house.lan.board)("ip link del eth0")
    said = house.power("on", code=1)
    assert "on failed" in said and "cannot send from eth0" in said
    assert house.far.woken() == []
