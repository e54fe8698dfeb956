"""RFC 2217 doors under clients nobody here wrote: pyserial and ser2net; and by hand where a client is too polite."""
import socket
import struct
import subprocess
import time

import pytest
import serial
from board import wait_for
from plain_kit import HERE, Device, House, both_ways, connect, inside, read_until, house  # noqa: F401

DOOR = f"rfc2217 = {{ port = 5001, allow = {HERE} }}"
IAC, SB, SE = b"\xff", b"\xff\xfa", b"\xff\xf0"
WILL_COM_PORT = b"\xff\xfb\x2c"


def pyserial(house, port=5001, **settings):
    settings = dict({"baudrate": 115200, "timeout": 5}, **settings)
    return inside(house.board, lambda: serial.serial_for_url(f"rfc2217://127.0.0.1:{port}", **settings))


def message(*payload):
    return SB + b"\x2c" + bytes(payload).replace(IAC, IAC + IAC) + SE


def line(house):
    return house.console()["state"]["line"]


def test_pyserial_opens_within_a_second_and_sets_everything(house):
    house = house()
    began = time.monotonic()
    port = pyserial(house)
    took = time.monotonic() - began
    assert took < 1, f"{took:.2f} s"
    for key, values, of in [
        ("baudrate", [9600, 50, 230400, 1000000, 115200], lambda now: now["baud"]),
        ("bytesize", [7, 6, 5, 8], lambda now: now["data_bits"]),
        ("parity", ["E", "O", "M", "S", "N"], lambda now: {"none": "N", "even": "E", "odd": "O", "mark": "M", "space": "S"}[now["parity"]]),
        ("stopbits", [2, 1], lambda now: now["stop_bits"]),
        ("rtscts", [True, False], lambda now: now["flow"] == "rts_cts"),
        ("xonxoff", [True, False], lambda now: now["flow"] == "xon_xoff"),
    ]:
        for value in values:
            began = time.monotonic()
            try:
                setattr(port, key, value)
            except ValueError:
                # A pty's driver keeps what it will: then the answer said so, and the state says the same.
                assert of(line(house)) != value, (key, value)
                port = reopened(house, port)
                continue
            assert time.monotonic() - began < 1, (key, value)
            wait_for(f"{key} {value}", lambda: of(line(house)) == value)
    for wire in ("dtr", "rts"):
        for value in (False, True):
            setattr(port, wire, value)
            wait_for(f"{wire} {value}", lambda: house.console()["state"][wire] == value)
    assert port.cts and port.dsr and port.cd and not port.ri
    port.reset_input_buffer()
    port.reset_output_buffer()
    began = time.monotonic()
    port.send_break(0.2)
    assert time.monotonic() - began < 1.5
    port.write(b"after the break")
    wait_for("what was typed", lambda: bytes(house.core.got).endswith(b"after the break"))
    port.close()


def reopened(house, port):
    port.close()
    house.sessions(0)
    return pyserial(house)


def test_settings_are_told_to_people_and_restored_when_the_last_client_leaves(house):
    house = house()
    first = pyserial(house, baudrate=9600)
    wait_for("9600 baud", lambda: line(house)["baud"] == 9600)
    assert "set 9600 baud" in str(house.happened("LineSet"))
    # A second one only watches: it is given the value in effect, which pyserial takes for a refusal.
    with pytest.raises(ValueError, match="rejected"):
        pyserial(house, baudrate=1200)
    assert line(house)["baud"] == 9600
    house.sessions(1)
    first.close()
    house.sessions(0)
    wait_for("the settings of oobd.toml", lambda: line(house)["baud"] == 115200)
    # And again at once, as programming tools do.
    for turn in range(1, 6):
        port = pyserial(house, baudrate=19200)
        port.write(b"x")
        # The next one opens with a purge, which would take what is still on its way.
        wait_for("it is out", lambda: bytes(house.core.got).count(b"x") == turn)
        port.close()
    wait_for("restored again", lambda: line(house)["baud"] == 115200)


def test_all_values_pass_both_ways_through_pyserial(house):
    house = house()
    port = pyserial(house)
    port.timeout = 1
    both_ways(house.core, port.write, lambda: port.read(max(1, port.in_waiting)))
    port.close()


def test_break_signature_masks_polls_and_suspend_by_hand(house):
    house = house()
    client = connect(house.board, 5001)
    opening = read_until(client, b"\xff\xfd\x2c")
    assert opening == b"\xff\xfb\x03\xff\xfd\x03\xff\xfb\x01\xff\xfd\x00\xff\xfb\x00\xff\xfd\x2c"
    client.sendall(WILL_COM_PORT + b"\xff\xfd\x2c")
    # One modem-state notice, and the refusal to be a client; nothing else that was not asked for.
    assert read_until(client, b"\xff\xfc\x2c") == message(107, 0xb0) + b"\xff\xfc\x2c"
    for asked, answer in [
        (message(1, 0, 0, 0, 0), message(101, 0, 1, 0xc2, 0)),
        (message(1, 0), message(101, 14)),           # old Cisco IOS
        (message(1, 8), message(101, 8)),
        (message(1, 0, 0, 0, 0), message(101, 0, 0, 0x25, 0x80)),
        (message(5, 5), message(105, 5)),
        (message(5, 4), message(105, 5)),
        (message(5, 6), message(105, 6)),
        (message(5, 7), message(105, 8)),
        (message(5, 9), message(105, 9)),
        (message(5, 7), message(105, 9)),
        (message(5, 12), message(105, 12)),
        (message(5, 10), message(105, 12)),
        (message(5, 0), message(105, 1)),
        (message(5, 13), message(105, 14)),
        (message(5, 19), message(105, 1)),
        (message(10, 255), message(110, 255)),
        (message(11, 255), message(111, 255)),
        (message(7), message(107, 0xb0)),
        (message(6), message(106, 96)),
        (message(12, 1), message(112, 1)),
        (message(12, 2), message(112, 2)),
        (message(12, 3), message(112, 3)),
        (b"\xff\xf6", b"\xff\xf1"),
    ]:
        client.sendall(asked)
        assert read_until(client, answer[-2:]) == answer, asked
    client.sendall(message(0))
    assert b"oobd" in read_until(client, SE)
    client.sendall(message(0, *b"a client") + message(8))
    # Suspended: nothing comes but answers. Resumed: what was kept comes.
    client.sendall(message(7))
    read_until(client, SE)  # it is suspended now: what is asked is done in its order
    house.core.say(b"later")
    client.sendall(message(1, 0, 0, 0, 0))
    assert b"later" not in read_until(client, SE)
    client.sendall(message(9))
    read_until(client, b"later")
    # Noise of every kind is survived.
    client.sendall(message(99, 1, 2) + message() + message(1, 1, 1) + SB + b"\x2c" + b"\x00" * 5000 + SE + message(5, 7))
    assert read_until(client, SE) == message(105, 9)
    client.close()
    wait_for("the settings of oobd.toml", lambda: line(house)["baud"] == 115200 and house.console()["state"]["dtr"])


def test_a_client_hears_what_another_changes_only_after_it_has_asked(house):
    house = house(f'{DOOR}\nsessions = "shared"')
    quiet, asking, setting = (connect(house.board, 5001) for _ in range(3))
    for client in (quiet, asking, setting):
        read_until(client, b"\xff\xfd\x2c")
        client.sendall(WILL_COM_PORT)
        read_until(client, message(107, 0xb0))
    asking.sendall(message(1, 0, 0, 0, 0))
    read_until(asking, SE)
    setting.sendall(message(1, 0, 0, 0x4b, 0))
    assert read_until(setting, SE) == message(101, 0, 0, 0x4b, 0)
    assert read_until(asking, SE) == message(101, 0, 0, 0x4b, 0)
    house.core.say(b"done")
    assert read_until(quiet, b"done") == b"done"


def test_who_uses_the_option_without_a_word_has_agreed_to_it(house):
    """pyserial, when our DO is there before it has begun to ask."""
    house = house()
    client = connect(house.board, 5001)
    read_until(client, b"\xff\xfd\x2c")
    client.sendall(message(1, 0, 0, 0, 0))
    assert read_until(client, message(101, 0, 1, 0xc2, 0)) == message(107, 0xb0) + message(101, 0, 1, 0xc2, 0)


def test_a_flood_of_questions_from_one_who_does_not_read_ends_it(house):
    house = house()
    client = connect(house.board, 5001)
    client.settimeout(20)
    try:
        while True:
            client.sendall(message(0) * 1000)
    except OSError:
        pass
    house.sessions(0)
    again = pyserial(house)
    again.close()


def test_clients_that_vanish_in_the_middle_of_an_order_leave_a_line_in_order(house):
    house = house()
    for number in range(30):
        client = connect(house.board, 5001)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(WILL_COM_PORT + message(1, 0, 0, 0x25, 0x80) + message(5, 5) + message(2, 7) + b"x" * number + message(5, 9))
        client.close()
    house.sessions(0)
    wait_for("the settings of oobd.toml", lambda: line(house)["baud"] == 115200 and line(house)["data_bits"] == 8)
    port = pyserial(house)
    port.write(b"fine")
    wait_for("fine", lambda: bytes(house.core.got).endswith(b"fine"))
    port.close()
    assert not [owner for owner in house.board.json("status")["owners"].values() if owner["restarts"]]


def test_ser2net_as_a_client_carries_bytes_settings_and_break(house, tmp_path):
    house = house(devices={"core": Device(lambda data: b"")})
    config = tmp_path / "ser2net.yaml"
    config.write_text("%YAML 1.1\n---\nconnection: &c\n  accepter: telnet(rfc2217),tcp,127.0.0.1,7001\n"
                      "  connector: telnet(rfc2217),tcp,127.0.0.1,5001\n")
    # ser2net looks no address up in a place that has none but loopback.
    house.board.in_ns("ip", "addr", "add", "192.0.2.1/32", "dev", "lo")
    process = subprocess.Popen(["nsenter", "-t", str(house.board.process.pid), "-n", "ser2net", "-n", "-d", "-c", str(config)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for("ser2net", lambda: ":7001" in house.board.in_ns("ss", "-Hltn").stdout)
        client = connect(house.board, 7001)
        house.sessions(1)
        both_ways(house.core, lambda data: client.sendall(data.replace(IAC, IAC * 2)), Undo(client), length=24 * 1024)
        client.close()
        house.sessions(0)
        # And its settings, asked by pyserial and carried on by ser2net.
        port = pyserial(house, port=7001, baudrate=19200)
        wait_for("19200 baud", lambda: line(house)["baud"] == 19200)
        port.dtr = False
        wait_for("DTR", lambda: not house.console()["state"]["dtr"])
        port.send_break(0.1)
        wait_for("the break", lambda: house.happened("BreakSent"))
        port.close()
        wait_for("restored", lambda: line(house)["baud"] == 115200)
    finally:
        process.kill()
        process.wait()


class Undo:
    """Reads a telnet stream and gives its data."""

    def __init__(self, sock):
        self.sock, self.rest = sock, b""

    def __call__(self):
        data, out, at = self.rest + self.sock.recv(65536), bytearray(), 0
        while at < len(data):
            end = data.find(IAC, at)
            if end < 0:
                out += data[at:]
                at = len(data)
                break
            out += data[at:end]
            at = end
            word = data[at + 1:at + 2]
            if not word:
                break
            if word == IAC:
                out += IAC
                at += 2
            elif word == b"\xfa":
                stop = data.find(SE, at)
                if stop < 0:
                    break
                at = stop + 2
            elif word >= b"\xfb":
                if at + 3 > len(data):
                    break
                at += 3
            else:
                at += 2
        self.rest = data[at:]
        return bytes(out)


def test_a_door_to_watch_by_sets_nothing(house):
    house = house(f"rfc2217 = {{ port = 5001, allow = {HERE}, write = false }}")
    client = connect(house.board, 5001)
    read_until(client, b"\xff\xfd\x2c")
    client.sendall(WILL_COM_PORT + message(1, 0, 0, 0x4b, 0))
    read_until(client, message(101, 0, 1, 0xc2, 0))
    assert line(house)["baud"] == 115200
    assert not ended_now(client)


def ended_now(client):
    client.settimeout(0.2)
    try:
        return client.recv(100) == b""
    except TimeoutError:
        return False
    finally:
        client.settimeout(10)


def test_the_port_goes_under_an_open_client(house, tmp_path):
    # By a name of its own: another test's pty may get the number of one that is closed.
    device, name = Device(), tmp_path / "port"
    name.symlink_to(device.path)
    device.path = str(name)
    house = house(devices={"core": device})
    port = pyserial(house, baudrate=9600)
    name.unlink()
    device.close()
    wait_for("the port is gone", lambda: house.console()["phase"] == "gone")
    with pytest.raises(ValueError):
        port.baudrate = 19200
    assert house.console()["sessions"]
    port.close()
    house.sessions(0)
