"""What Intel AMT has besides power: boot with consent, features, information, logs, alarms, clock."""
import re
import tempfile
import time

import pytest
from amt_kit import PASSWORD, AmtHouse, Device, amt
from machine_kit import FAST, HOST, There


@pytest.fixture
def house(tmp_path, make_board):
    house = AmtHouse(tmp_path, make_board)
    yield house
    house.close()


def up(house, **more):
    device = house.device(**more)
    house.start(f"[machine.db1]\n{amt()}{FAST}")
    house.phase("up")
    return device


def methods(device, since):
    """What was called since then, without the readings of the owner's own."""
    own = ("CIM_AssociatedPowerManagementService.", "AMT_MessageLog.", "CIM_Chassis.")
    return [call for call in device.has("call")[since:] if not call.startswith(own)]


def refused(house, *words):
    done = house.board.ctl("machine", *words, check=False)
    assert done.returncode == 1, done
    return done.stderr


def test_it_starts_once_from_where_it_is_told(house):
    device = up(house)
    board = house.board
    for target, comes_from in (("bios", "BIOS setup"), ("pxe", "Force PXE Boot"), ("disk", "Force Hard-drive Boot"), ("cd", "IDER 1"),
                               ("usb", "IDER 0"), ("diagnostic", "Force Diagnostic Boot")):
        since = len(device.has("call"))
        board.ctl("machine", "boot", "db1", target)
        calls = methods(device, since)
        assert len(calls) <= 6, calls
        assert calls[:5] == ["IPS_OptInService.Get", "AMT_BootSettingData.Get", "CIM_BootConfigSetting.ChangeBootOrder",
                             "AMT_BootSettingData.Put", "CIM_BootService.SetBootConfigRole"]
        assert board.json("machine", "boot", "db1")["boot"] == {"target": target, "once": True}
        house.power("reset")
        assert device.has("starts_from")[-1] == comes_from
        assert board.json("machine", "boot", "db1")["boot"]["target"] == "none"
        house.power("reset")
        assert device.has("starts_from")[-1] == "itself", "once is once"
    board.ctl("machine", "boot", "db1", "bios")
    board.ctl("machine", "boot", "db1", "none")
    house.power("reset")
    assert device.has("starts_from")[-1] == "itself"
    assert "next start only" in refused(house, "boot", "db1", "pxe", "--always")
    # Every return value counts.
    for method, value, said in (("ChangeBootOrder", 16, "not permitted"), ("SetBootConfigRole", 1, "internal error")):
        device.tell(f"return {method} {value}")
        assert said in refused(house, "boot", "db1", "pxe")
        assert board.json("machine", "boot", "db1")["boot"]["target"] == "none"


def test_without_consent_nothing_is_changed_and_with_it_all_works(house):
    device = up(house, mode="ccm")
    board = house.board

    def consent(*words, check=True):
        return board.ctl("amt", "consent", "db1", *words, check=check)

    assert "not asked for" in consent().stdout
    since = len(device.has("call"))
    said = refused(house, "boot", "db1", "bios")
    assert "needs the consent of somebody at the machine" in said and "oobctl amt consent" in said
    assert methods(device, since) == ["IPS_OptInService.Get"], "it was left alone"
    assert "on the screen" in consent("ask").stdout
    assert "asked for already" in consent("ask", check=False).stderr
    code = device.has("screen")[-1]
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    assert "not the code" in consent(wrong, check=False).stderr
    assert "consent is given" in consent(code).stdout
    board.ctl("machine", "boot", "db1", "pxe")
    house.power("reset")
    assert device.has("starts_from")[-1] == "Force PXE Boot"
    assert "not asked for" in consent("cancel").stdout
    consent("ask")
    for attempt in range(3):
        done = consent(f"{(int(device.has('screen')[-1]) + 1) % 1_000_000:06}", check=False)
        assert done.returncode == 1 and ("three wrong codes" in done.stderr) == (attempt == 2)
    assert consent("12345", check=False).returncode == 2
    # Whoever watches the journal reads no code.
    assert code not in board.ctl("event", "list", "-n", "500").stdout


def test_features_are_switched_alone_and_only_where_they_differ(house):
    device = up(house)
    board = house.board

    def features(*words):
        return board.json("amt", "features", "db1", *words, *(["--yes"] if words else []))["features"]

    before = features()
    assert before == {"sol": True, "ider": True, "kvm": True, "listener": True, "consent": "none", "consent_is_ours": True, "recovery": None}
    assert features("ider=off") == {**before, "ider": False}
    assert device.state()["redirection"] == 2
    assert features("kvm=off", "sol=off") == {**before, "ider": False, "kvm": False, "sol": False, "listener": False}
    assert not device.state()["listener"]
    assert features("consent=kvm")["consent"] == "kvm"
    state = device.state()
    assert features("consent=kvm", "sol=off")["consent"] == "kvm"
    assert device.state() == state, "flash wears out: what is so is not written again"
    assert features("sol=on")["listener"] and device.state()["redirection"] == 2
    assert "say --yes" in board.ctl("amt", "features", "db1", "sol=off", check=False).stderr
    device.tell("absent CIM_KVMRedirectionSAP")
    assert features()["kvm"] is None
    assert "no screen" in board.ctl("amt", "features", "db1", "kvm=on", "--yes", check=False).stderr


def test_client_control_keeps_its_consent(house):
    up(house, mode="ccm")
    told = house.board.json("amt", "features", "db1")["features"]
    assert (told["consent"], told["consent_is_ours"]) == ("all", False)
    assert "cannot be changed" in house.board.ctl("amt", "features", "db1", "consent=none", "--yes", check=False).stderr


def test_it_says_who_it_is(house):
    device = up(house)
    info = house.board.json("amt", "info", "db1")["info"]
    assert info["uuid"] == "4c4c4544-004b-4210-8033-b6c04f504633"
    assert (info["mode"], info["version"], info["build"]) == ("admin", "15.0.23.1706", "1706")
    assert info["model"] == "Example & Sons Workstation 9" and info["bios"] == "Example & Sons 1.9.2"
    assert [module["bytes"] for module in info["memory"]] == [8 << 30] * 3 and info["drives"] == [512_110_190_000]
    assert info["network"] == [{"mac": "a4:bb:6d:00:00:01", "address": HOST, "dhcp": True, "up": True}]
    assert info["accounts"] == ["admin", "operator"]
    text = house.board.ctl("amt", "info", "db1").stdout
    assert re.search(r"^control +admin control \(ACM\)$", text, re.M)
    house.until("the model", lambda: house.machine()["model"] == info["model"])
    # Old firmware: what it has not is left out.
    for missing in ("CIM_SoftwareIdentity", "CIM_Chassis", "IPS_HostBasedSetupService", "AMT_AuthorizationService", "CIM_Chip"):
        device.tell(f"absent {missing}")
    info = house.board.json("amt", "info", "db1")["info"]
    assert (info["mode"], info["model"], info["processors"], info["accounts"]) == ("admin", "", [], [])


def test_both_logs_are_read_and_the_event_log_is_emptied(house):
    device = up(house)
    board = house.board
    log = board.json("machine", "log", "db1")["log"]
    assert [entry["text"] for entry in log] == ["firmware: the operating system is being started", "signing in failed 3 times",
                                                "no bootable medium"]
    assert [entry["health"] for entry in log] == ["ok", "warning", "critical"]
    assert board.json("machine", "log", "db1", "-n", "1")["log"] == log[-1:]
    audit = board.json("amt", "log", "db1")["log"]
    assert [entry["text"] for entry in audit] == ["provisioning begun by admin from 127.0.0.1", "powered on by admin from 127.0.0.1"]
    assert board.json("amt", "log", "db1", "-n", "1")["log"] == audit[-1:]
    board.ctl("machine", "log", "db1", "--clear", "--yes")
    assert board.json("machine", "log", "db1")["log"] == []
    assert device.has("call").count("AMT_MessageLog.ClearLog") == 1


def test_alarms_and_the_clock(house):
    up(house)
    board = house.board
    assert board.json("amt", "alarm", "db1")["alarms"] == []
    board.ctl("amt", "alarm", "db1", "add", "monday", "--at", "2030-01-07T06:00:00Z", "--every", "7d")
    told = board.json("amt", "alarm", "db1", "add", "once", "--at", "2030-01-01T06:30:00Z")["alarms"]
    assert sorted((alarm["name"], alarm["every"]) for alarm in told) == [("monday", 10080), ("once", 0)]
    assert next(alarm["at"] for alarm in told if alarm["name"] == "once").startswith("2030-01-01T06:30:00")
    done = board.ctl("amt", "alarm", "db1", "add", "once", "--at", "2030-01-01T06:30:00Z", check=False)
    assert "it is there already" in done.stderr
    left = board.json("amt", "alarm", "db1", "remove", "monday")["alarms"]
    assert [alarm["name"] for alarm in left] == ["once"]
    assert "DestinationUnreachable" in board.ctl("amt", "alarm", "db1", "remove", "monday", check=False).stderr
    # The device is an hour ahead.
    assert abs(board.json("amt", "clock", "db1")["clock"]["ahead"] - 3600) < 60
    assert abs(board.json("amt", "clock", "db1")["clock"]["ahead"]) < 60


def test_other_machines_have_none_of_it(house):
    house.start('[machine.db1]\nwol = { mac = "00:1b:21:3c:4d:5e" }\n')
    said = house.board.ctl("amt", "info", "db1", check=False)
    assert said.returncode == 1 and "wol cannot do what Intel AMT does" in said.stderr


def test_a_scan_finds_what_speaks_amt_and_nobody_else(house):
    house.device(rmcp=True, tls=True)
    board = house.start(f"[machine.db1]\n{amt()}{FAST}")
    house.phase("up")
    began = time.monotonic()
    found = board.json("amt", "scan", "10.77.0.0/24")["devices"]
    took = time.monotonic() - began
    key = found[0].pop("key")
    assert key.startswith("sha256//")
    assert found == [{"address": HOST, "version": "15.0.23.1706", "provisioned": True, "plain": True, "tls": True, "machine": "db1",
                      "also": [], "realm": "34bf0d8a5c6e4f3a9b1c2d3e0a4d0009", "legacy": False}]
    print(f"a /24 in {took:.2f} s")
    assert took < 15, f"{took} s"  # a busy machine
    assert re.search(rf"^{HOST} +15.0.23.1706 +plain, TLS +yes +db1$", board.ctl("amt", "scan", HOST).stdout, re.M)
    nobody = board.ctl("amt", "scan", "10.77.0.128/25")
    assert nobody.stdout == "" and "nobody there speaks Intel AMT" in nobody.stderr
    assert board.ctl("amt", "scan", "10.0.0.0/8", check=False).returncode == 2
    # Nobody was signed in by it, and no key was pinned.
    assert house.told("Pinned") == []


def test_two_addresses_are_one_find_and_one_command_makes_a_machine_of_it(house):
    here = There(house.lan.host)
    house.closing.append(here)
    here("ip addr add 10.77.0.21/24 dev lan0; ip addr add 10.77.0.22/24 dev lan0; ip addr add 10.77.0.23/24 dev lan0")
    realm = "AB" * 16
    # One device that answers at two addresses, and an old one that speaks no TLS of today.
    first = Device(here, "10.77.0.21", realm=realm, tls=True)
    Device(here, "10.77.0.22", realm=realm, profile="16.1", tls=True)
    old = Device(here, "10.77.0.23", profile="7", tls=True, redirection_tls=True, plain=False)
    board = house.start('[machine.other]\nwol = { mac = "00:1b:21:3c:4d:5e" }\n')
    found = board.json("amt", "scan", "10.77.0.16/28")["devices"]
    assert [(one["address"], one["also"], one["realm"], one["legacy"], one["machine"]) for one in found] == [
        ("10.77.0.21", ["10.77.0.22"], realm.lower(), False, None),
        ("10.77.0.23", [], "34bf0d8a5c6e4f3a9b1c2d3e0a4d0017", True, None)]
    assert found[1]["version"] == "7.1.91" and found[1]["key"].startswith("sha256//")
    assert "10.77.0.21, 10.77.0.22" in board.ctl("amt", "scan", "10.77.0.16/28").stdout

    def add(host, name, *more, password=PASSWORD):
        with tempfile.TemporaryFile() as typed:
            typed.write(f"{password}\n".encode())
            typed.seek(0)
            return board.ctl("amt", "add", host, "--name", name, *more, check=False, timeout=60, stdin=typed)

    assert "nobody at 10.77.0.30" in add("10.77.0.30", "desk").stderr
    done = add("10.77.0.21", "desk")
    assert done.returncode == 0 and "in force" in done.stdout, done
    done = add("10.77.0.23", "attic")
    assert done.returncode == 0, done
    for name, device in (("desk", first), ("attic", old)):
        house.phase("up", name, timeout=90)
        assert device.has("asked")
        assert house.machine(name)["state"] == "On"
    text = house.board.config.read_text()
    assert f'amt = {{ host = "10.77.0.21", password = "{PASSWORD}", pin = "{found[0]["key"]}" }}' in text
    assert "legacy_tls = true" in text[text.index("[machine.attic]"):]
    assert "is machine attic already" in add("10.77.0.23", "again").stderr
    assert {one["machine"] for one in board.json("amt", "scan", "10.77.0.16/28")["devices"]} == {"desk", "attic"}
    # The same device by its other address alone is the machine that it is.
    assert board.json("amt", "scan", "10.77.0.22")["devices"][0]["machine"] in ("desk", None)
