"""The VNC port of a machine's screen: TigerVNC and vncsnapshot look through it, and nobody without TLS from elsewhere."""
import socket
import ssl
import struct
import subprocess
import types

import pytest
from api_kit import Door
from board import in_namespace, wait_for
from redirection_kit import Rack
from ssh_kit import HASH, PASSWORD
from vnc_kit import Display, Tiger, password_file

SECRET = "s3cr3t!w"


@pytest.fixture
def rack(spaces, tmp_path, make_board):
    rack = Rack(spaces, tmp_path, make_board)
    rack.closing = []
    yield rack
    for one in reversed(rack.closing):
        one.close()
    rack.close()


def begin(rack, vnc, **device):
    """The machine, the board with this VNC port, and its certificate as a file."""
    device = rack.device(**device)
    users = "".join(f'[user.{name}]\nrole = "{role}"\npassword = "{HASH}"\n' for name, role in (("alice", "operator"), ("eve", "readonly")))
    users += f'[user.mallory]\nrole = "operator"\nmachines = []\npassword = "{HASH}"\n'
    rack.up(consoles=f"vnc = {vnc}\n", more=users)
    wait_for("the door", lambda: "vnc.db1" in rack.board.json("status")["doors"], 60)
    wait_for("the HTTPS door", lambda: "https" in rack.board.json("status")["doors"], 60)
    pem = (rack.board.work / "state" / "https.pem").read_text()
    certificate = rack.board.work / "board.pem"
    certificate.write_text(pem[pem.index("-----BEGIN CERTIFICATE-----"):])
    return device, certificate


def take(link, count):
    said = b""
    while len(said) < count:
        got = link.recv(count - len(said))
        assert got, said
        said += got
    return said


def told(rack, kind):
    return [event["kind"][kind] for event in rack.board.events() if kind in event["kind"]]


def tiger(rack, tmp_path, certificate, *options, **who):
    display = Display(tmp_path / "display")
    rack.closing.append(display)
    viewer = Tiger(rack.space.name, display, certificate, 5901, *options, home=tmp_path, **who)
    rack.closing.append(viewer)
    return display, viewer


@pytest.mark.parametrize("how", ["password", "user"])
def test_tigervnc_looks_and_types_through_tls(rack, tmp_path, how):
    device, certificate = begin(rack, f'{{ port = 5901, password = "{SECRET}" }}')
    if how == "user":
        display, _ = tiger(rack, tmp_path, certificate, "-SecurityTypes=X509Plain", user="alice", password=PASSWORD)
    else:
        secret = password_file(tmp_path / "passwd", SECRET)
        display, _ = tiger(rack, tmp_path, certificate, "-SecurityTypes=X509Vnc", f"-passwd={secret}")
    wait_for("the session", lambda: device.seen(service="KVMR", session="begun"), 90)
    device.tell("KVMR colour 63488")
    wait_for("the red square", lambda: display.count(255, 0, 0) >= 1024, 90)
    device.tell("KVMR colour 31")
    wait_for("the blue square", lambda: display.count(255, 0, 0) == 0 and display.count(0, 0, 255) >= 1024, 90)
    display.type("a")
    wait_for("the key", lambda: device.seen(key=0x61, down=True), 60)
    opened = told(rack, "ScreenOpened")
    assert [(one["user"], one["control"]) for one in opened] == [("alice" if how == "user" else "vnc", True)]
    assert opened[0]["from"].startswith("vnc 127.0.0.1:")
    assert [(one["door"], one["method"]) for one in told(rack, "SignInAccepted")] == [("vnc", "password")]


def test_who_only_looks_types_nothing_and_who_may_not_sees_nothing(rack, tmp_path):
    device, certificate = begin(rack, "5901")
    display, viewer = tiger(rack, tmp_path, certificate, "-SecurityTypes=X509Plain", user="eve", password=PASSWORD)
    wait_for("the session", lambda: device.seen(service="KVMR", session="begun"), 90)
    device.tell("KVMR colour 63488")
    wait_for("the red square", lambda: display.count(255, 0, 0) >= 1024, 90)
    display.type("a")
    # Whoever types by another door is heard after her key would have been.
    door = Door(types.SimpleNamespace(board=rack.board))
    assert door.ask("GET", "/api/screen/db1/snapshot.png", token=door.sign_in()).status == 200
    assert not device.seen(key=0x61)
    # Rights that are taken away end the view.
    text = rack.board.config.read_text().replace('[user.eve]\nrole = "readonly"', '[user.eve]\nrole = "readonly"\nmachines = []')
    rack.board.reload(text)
    wait_for("its end", lambda: told(rack, "ScreenClosed"), 60)
    viewer.close()
    for user, password in (("mallory", PASSWORD), ("alice", "wrong"), ("nobody", PASSWORD)):
        _, viewer = tiger(rack, tmp_path, certificate, "-SecurityTypes=X509Plain", user=user, password=password)
        viewer.ended()
    assert {one["user"] for one in told(rack, "ScreenOpened")} == {"eve", "alice"}
    assert sorted(one["user"] for one in told(rack, "SignInRefused")) == ["alice", "nobody"]


def test_vncsnapshot_on_the_board_needs_no_tls(rack, tmp_path):
    device, _ = begin(rack, f'{{ port = 5901, password = "{SECRET}", write = false }}')

    def shot(password, name):
        secret = password_file(tmp_path / "passwd", password)
        words = ["ip", "netns", "exec", rack.space.name, "vncsnapshot", "-passwd", secret, "-quality", "100", "127.0.0.1:1", tmp_path / name]
        return subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False, timeout=120)

    done = shot(SECRET, "a.jpg")
    assert done.returncode == 0, done
    head = (tmp_path / "a.jpg").read_bytes()
    assert head[:3] == b"\xff\xd8\xff" and struct.pack(">HH", 600, 800) in head
    assert shot("wr0ng!pw", "b.jpg").returncode != 0 and not (tmp_path / "b.jpg").exists()
    assert [one["user"] for one in told(rack, "ScreenOpened")] == ["vnc"] and not told(rack, "ScreenOpened")[0]["control"]
    assert [one["door"] for one in told(rack, "SignInRefused")] == ["vnc"]
    assert device.seen(service="KVMR", session="begun")
    # Guessing is slowed down, and the right password waits, too.
    for _ in range(6):
        shot("wr0ng!pw", "b.jpg")
    assert shot(SECRET, "b.jpg").returncode != 0


def test_from_elsewhere_there_is_no_way_without_tls(rack):
    device, certificate = begin(rack, f'{{ port = 5901, password = "{SECRET}" }}')

    def say(version, *replies):
        """What the board says to a viewer on the LAN, up to its end."""
        with socket.create_connection(("10.79.0.5", 5901), 60) as link:
            link.settimeout(60)
            said = b""
            for reply in (version, *replies):
                got = link.recv(4096)
                said += got
                if not got:
                    break
                link.sendall(reply)
            while more := link.recv(4096):
                said += more
            return said

    def there(work):
        return in_namespace(f"/run/netns/{rack.host.name}", work)

    old = there(lambda: say(b"RFB 003.003\n"))
    assert old[12:16] == bytes(4) and b"by TLS only" in old
    assert there(lambda: say(b"RFB 003.008\n", b"\x02")) == b"RFB 003.008\n\x01\x13"
    assert there(lambda: say(b"GET / HTTP/1")) == b"RFB 003.008\n"
    # VeNCrypt: other versions, and ways that are not offered.
    assert there(lambda: say(b"RFB 003.008\n", b"\x13", b"\x00\x01"))[14:] == b"\x00\x02\x01"
    assert there(lambda: say(b"RFB 003.008\n", b"\x13", b"\x00\x02", b"\x00\x00\x00\x02"))[-1:] == b"\x00"

    def inside(name, password):
        """X509Plain by Python's own TLS, verified."""
        context = ssl.create_default_context(cafile=certificate)
        with socket.create_connection(("10.79.0.5", 5901), 60) as link:
            link.settimeout(60)
            for reply, length in ((b"RFB 003.008\n", 12), (b"\x13", 2), (b"\x00\x02", 2)):
                take(link, length)
                link.sendall(reply)
            assert take(link, 10) == struct.pack(">BBII", 0, 2, 262, 261)
            link.sendall(struct.pack(">I", 262))
            assert take(link, 1) == b"\x01"
            with context.wrap_socket(link, server_hostname="localhost") as safe:
                safe.sendall(struct.pack(">II", len(name), len(password)) + name + password)
                result = struct.unpack(">I", take(safe, 4))[0]
                if result == 0:
                    safe.sendall(b"\x01")
                    return struct.unpack(">HH", take(safe, 4))
                return take(safe, struct.unpack(">I", take(safe, 4))[0])

    assert there(lambda: inside(b"alice", PASSWORD.encode())) == (800, 600)
    assert b"wrong" in there(lambda: inside(b"alice", b"guess"))
    assert device.seen(service="KVMR", session="begun")
    # Not in the list of who may connect.
    text = rack.board.config.read_text().replace('port = 5901,', 'port = 5901, allow = ["10.79.0.77"],')
    rack.board.reload(text)
    wait_for("the door of the new list", lambda: there(lambda: say(b"RFB 003.008\n")) == b"", 60)
