"""A machine with AMT that calls in: everything that AMT does goes through its tunnel, and what a device may not do has an end."""
import hashlib
import os
import socket
import subprocess
import types

import pytest
from api_kit import Door
from board import in_namespace, wait_for
from cira_kit import LOGIN, RAW, UUID, Rack
from console_kit import CONFIG
from redirection_kit import PASSWORD
from rfb_kit import Viewer
from ssh_kit import HASH
from test_amt_kvm import colour


@pytest.fixture
def rack(spaces, tmp_path, make_board):
    rack = Rack(spaces, tmp_path, make_board)
    yield rack
    rack.close()


def power(rack, verb):
    done = rack.board.ctl("machine", "power", "db1", verb, "--yes", check=False, timeout=120)
    assert done.returncode == 0 and "confirmed" in done.stdout, done
    return done.stdout


@pytest.mark.parametrize("call", [{}, {"split": True, "vnc": False}, {"window": 61}])
def test_power_boot_info_line_and_drives_go_through_the_tunnel(rack, call):
    device = rack.device()
    rack.up()
    assert rack.machine()["state"] == "Unknown"
    number = rack.call(**call)
    assert rack.tunnel()["ports"] == sorted({16992, 16993, 16994, 16995, 623, 664} | ({5900} if call.get("vnc", True) else set()))
    rack.read()
    assert rack.machine()["state"] == "On"
    power(rack, "off")
    power(rack, "on")
    rack.board.ctl("machine", "boot", "db1", "bios", timeout=60)
    power(rack, "reset")
    assert device.has("starts_from")[-1] == "BIOS setup" and device.has("power") == [8, 2, 10]
    info = rack.board.json("amt", "info", "db1")
    assert UUID in str(info)
    assert rack.opened()["port"] == "sol://db1"
    session = rack.attach("db1")
    wait_for("the session", lambda: rack.console("db1")["sessions"], 60)
    rack.types(session, b"typed through the tunnel" * 40)
    images = rack.board.work / "state" / "images"
    images.mkdir(exist_ok=True)
    disc = os.urandom(300 * 2048)
    (images / "rescue.iso").write_bytes(disc)
    rack.board.ctl("amt", "ider", "insert", "db1", "--cd", "rescue.iso", timeout=60)
    device.tell("IDER all cd")
    read = wait_for("the disc is read", lambda: device.seen(order="all cd"), 120)[-1]
    assert (read["bytes"], read["md5"]) == (len(disc), hashlib.md5(disc).hexdigest())
    rack.board.ctl("amt", "ider", "eject", "db1", timeout=60)
    device.tell(f"cira ping {number}")
    wait_for("an answer", lambda: device.seen(cira="pong", n=number, cookie=77), 60)
    assert {told["port"] for told in device.seen(cira="channel")} == {16992, 16994}
    assert rack.told("CiraOpened") == [{"machine": "db1", "from": "10.79.0.9"}]
    rack.board.stop()
    wait_for("its goodbye", lambda: device.seen(cira="disconnect", n=number, reason=11), 60)


def test_the_screen_goes_through_the_tunnel_beside_the_line_and_the_power(rack):
    device = rack.device()
    rack.up(more=f'[user.alice]\nrole = "administrator"\npassword = "{HASH}"\n')
    number = rack.call(window=512)
    door = Door(types.SimpleNamespace(board=rack.board))
    viewer = Viewer(door, "db1", token=door.sign_in())
    assert (viewer.name, viewer.size) == ("db1", (800, 600))
    rack.opened()
    session = rack.attach("db1")
    wait_for("the session", lambda: rack.console("db1")["sessions"], 60)
    for keysym, value in ((0x61, 0x61), (0x62, 0x62)):
        viewer.key(keysym)
        viewer.until(lambda value=value: viewer.pixel(5, 5) == colour(value))
        rack.types(session, f"line {value}".encode())
    rack.read()
    power(rack, "reset")
    # A picture is many windows long.
    device.tell("KVMR colour 63488")
    viewer.until(lambda: viewer.pixel(5, 5) == (255, 0, 0))
    viewer.close()
    wait_for("the end of the session", lambda: device.seen(service="KVMR", session="ended"), 90)
    assert not device.seen(cira="closed", n=number)


def test_what_is_shown_is_what_old_firmware_takes(rack):
    rack.device()
    rack.up()

    def shake(*options):
        words = ["openssl", "s_client", "-connect", "10.79.0.5:4433", "-CAfile", str(rack.root), "-verify_return_error", *options]
        done = in_namespace(f"/run/netns/{rack.host.name}",
                            lambda: subprocess.run(words, input="", capture_output=True, text=True, check=False, timeout=60))
        return done.stdout + done.stderr

    said = shake("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256", "-verify_hostname", "rack7")
    assert "Verify return code: 0 (ok)" in said and "Server public key is 2048 bit" in said and "CN = rack7" in said, said
    assert "alert protocol version" in shake("-tls1_3")
    assert "hostname mismatch" in shake("-tls1_2", "-verify_hostname", "other")
    assert rack.door["fingerprint"].startswith("SHA256:")
    # A restart shows the same.
    before = rack.door["fingerprint"]
    rack.board.stop()
    rack.board.start()
    again = wait_for("the listener", lambda: rack.board.json("status")["doors"].get("cira"), 60)
    assert again["fingerprint"] == before


def test_nobody_gets_in_without_the_password_of_his_machine(rack):
    device = rack.device()
    rack.up()
    for wrong in ({"password": "Call1ng?n"}, {"user": "admin"}, {"uuid": "00" * 16}, {"password": PASSWORD}):
        number = rack.dial(**wrong)
        wait_for("a refusal", lambda number=number: device.seen(cira="refused", n=number), 60)
    reasons = [event["reason"] for event in wait_for("four events", lambda: len(rack.told("SignInRefused")) >= 4 and rack.told("SignInRefused"), 60)]
    assert [reason.split(" ")[0] for reason in reasons] == ["wrong", "wrong", "no", "wrong"], reasons
    assert {event["door"] for event in rack.told("SignInRefused")} == {"cira"}
    assert rack.tunnel() is None and not rack.told("CiraOpened")
    rack.call()
    rack.read()
    # A flood of wrong ones is refused, and does not fill the journal.
    flood = [rack.dial(password=f"wrong{number}") for number in range(30)]
    wait_for("all are refused", lambda: {told["n"] for told in device.seen(cira="refused")} >= set(flood), 120)
    assert len(rack.told("SignInRefused")) < 20
    assert rack.machine()["phase"] == "up" and rack.tunnel(), "the tunnel that is open is not touched"


def test_the_newest_call_wins_and_the_machine_works_on(rack):
    device = rack.device()
    rack.up()
    first = rack.call()
    rack.opened()
    session = rack.attach("db1")
    wait_for("the session", lambda: rack.console("db1")["sessions"], 60)
    rack.types(session, b"one")
    second = rack.call()
    wait_for("the end of the first", lambda: device.seen(cira="disconnect", n=first), 60)
    assert rack.why_closed() == "it called in anew"
    session.sees(b"port back", 120)
    rack.types(session, b"two")
    power(rack, "off")
    assert rack.tunnel() and not device.seen(cira="closed", n=second)
    # A cable that was pulled.
    device.tell(f"cira cut {second}")
    rack.why_closed(2)
    wait_for("the machine is away", lambda: rack.machine()["phase"] == "silent" and rack.tunnel() is None, 90)
    assert "it has no tunnel to this board" in rack.machine()["why"]
    rack.call()
    rack.read()
    session.sees(b"port back", 120)
    rack.types(session, b"three")
    assert len(rack.told("CiraOpened")) == 3


def test_what_a_device_may_not_send_ends_its_tunnel_only(rack):
    device = rack.device()
    rack.up(poll="1h")
    number = rack.call()
    # Between two readings nobody looks at that connection, and what comes there has to wait.
    rack.board.ctl("machine", "read", "db1", timeout=60)
    rack.read()
    device.tell(f"cira flood {number}")
    assert rack.why_closed() == "it sent more on a channel than the window allows"
    ended = 1
    for raw, said in (("5e00000001ffffffff", "4294967295 bytes where 65536 is the most"), ("63", "unknown kind 99"),
                      ("05ffffffff", "256 is the most"), ("c0" + "00" * 12 + RAW + "00" * 64, "a second protocol version")):
        number = rack.call()
        device.tell(f"cira raw {number} {raw}")
        ended += 1
        assert said in rack.why_closed(ended)
    rack.call()
    rack.opened()
    rack.board.ctl("machine", "read", "db1", timeout=60)
    rack.read()


def test_a_find_of_a_scan_is_the_machine_that_calls_from_there_and_another_uuid_is_told(rack):
    rack.device()
    rack.up()
    scan = ("amt", "scan", "10.79.0.9/32")
    assert [found["machine"] for found in rack.board.json(*scan)["devices"]] == [None]
    rack.call()
    rack.read()
    assert [found["machine"] for found in rack.board.json(*scan)["devices"]] == ["db1"]
    assert not rack.told("AmtMistaken")
    # It says the name and the password of another machine than it is.
    other = "4c4c4544-004b-4210-8033-b6c04f504634"
    rack.board.reload(rack.config().replace(UUID, other))
    rack.why_closed()
    rack.call(uuid=RAW[:-1] + "4")
    told = wait_for("the event", lambda: rack.told("AmtMistaken"), 90)
    assert told == [{"machine": "db1", "called": other, "told": UUID}]


def test_nobody_listens_unless_it_is_said_and_who_is_removed_is_sent_away(rack):
    rack.device()
    rack.up()
    number = rack.call()
    rack.read()
    rack.board.reload(rack.config().replace("Call1ng!n", "An0ther!1"))
    assert rack.why_closed() == "it is not configured like that any more"
    wait_for("its end", lambda: rack.amt.seen(cira="closed", n=number), 60)
    rack.call(password="An0ther!1")
    rack.board.reload(CONFIG + f'[machine.db1]\namt = {{ host = "10.79.0.9", tls = false, password = "{PASSWORD}" }}\n')
    wait_for("no listener", lambda: "cira" not in rack.board.json("status")["doors"], 60)

    def connect():
        with socket.create_connection(("10.79.0.5", 4433), 10):
            return True

    with pytest.raises(ConnectionRefusedError):
        in_namespace(f"/run/netns/{rack.host.name}", connect)
    rack.read()
    # A machine that calls in where nobody listens is a mistake.
    rack.board.reload(CONFIG + f'[machine.db1]\namt = {{ cira = {LOGIN}, password = "{PASSWORD}" }}\n')
    problem = wait_for("the problem", lambda: rack.board.json("status")["config_problems"], 60)
    assert "nobody listens for its calls" in str(problem)
