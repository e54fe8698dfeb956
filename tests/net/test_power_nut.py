"""Outlets and UPSes through a real upsd: commands, variables, drivers that are slow, stuck or dead, and passwords that are wrong."""
import signal

import pytest
from power_kit import HOST, House, Nut, Powerman, Relay, bytewise

FAST = 'poll = "2s"\nconfirm = "4s"\noff_time = "2s"\nstagger = "100ms"\n'
ADMIN = 'username = "admin", password = "adminpw"'


def section(ups, name="rack", port=3493, user=ADMIN, more=FAST):
    return f'[pdu.{name}]\nnut = {{ host = "{HOST}:{port}", ups = "{ups}", {user} }}\n{more}'


@pytest.fixture
def house(tmp_path, make_board):
    house = House(tmp_path, make_board)
    house.nut = house.peers(Nut).up()
    yield house
    house.close()


def test_commands_switch_and_a_cycle_of_the_device_is_seen(house):
    house.start(section("fake"))
    house.up()
    outlets = house.pdu()["outlets"]
    assert [(o["key"], o["state"], o["label"], o["cycles"]) for o in outlets] == [
        (str(n), "On", f'Outlet "{n}"', True) for n in range(1, 5)]
    for verb in ("off", "on"):
        assert f"{verb} confirmed" in house.switch(verb, "rack/2")
        assert house.nut.get("fake", "outlet.2.status") == verb
    assert "cycle confirmed" in house.switch("cycle", "rack/2")
    assert house.nut.get("fake", "outlet.2.status") == "on"


def test_a_stuck_outlet_is_unconfirmed_and_a_failing_one_failed(house):
    house.start(section("fake"))
    house.up()
    house.nut.control(delay=0.1, stuck=3, fail=4)
    said = house.switch("off", "rack/3", code=5)
    assert "off unconfirmed after" in said and "it still says on" in said
    assert house.outlet("3")["state"] == "On"
    said = house.switch("off", "rack/4", code=1)
    assert "off failed after" in said
    assert "cycle unconfirmed" in house.switch("cycle", "rack/3", code=5)
    outcomes = [body["outcome"] for body in house.told("OutletSwitched")]
    assert outcomes == ["unconfirmed", "failed", "unconfirmed"]


def test_variables_switch_where_a_driver_has_no_commands_and_the_cycle_is_ours(house):
    house.start(section("pdurw"))
    house.up()
    assert house.outlet("1")["watts"] == 40.5
    assert "off confirmed" in house.switch("off", "rack/1")
    assert house.nut.get("pdurw", "outlet.1.status") == "off"
    assert "cycle confirmed" in house.switch("cycle", "rack/2")
    assert house.nut.get("pdurw", "outlet.2.status") == "on"


def test_through_powermand_too(house):
    house.peers(Powerman).up()
    house.nut.close()
    house.nut.up(powerman=10101)
    house.start(section("pm"))
    house.up()
    assert len(house.pdu()["outlets"]) == 9
    for verb in ("on", "off"):
        assert f"{verb} confirmed" in house.switch(verb, "rack/1")


def test_a_dead_driver_is_unknown_and_never_off(house):
    board = house.start(section("fake"))
    house.up()
    house.nut.stop("fake", signal.SIGKILL)
    house.until("lost", lambda: house.pdu()["phase"] == "silent")
    assert {o["state"] for o in house.pdu()["outlets"]} == {"Unknown"}
    assert "DRIVER-NOT-CONNECTED" in house.pdu()["why"]
    assert "nothing was asked of it" in house.switch("off", "rack/1", code=1)
    house.nut.fake()
    house.up(timeout=60)
    house.until("it is on", lambda: house.outlet("1")["state"] == "On")
    assert "OutletChanged" not in board.kinds()


@pytest.mark.parametrize("user", ['username = "admin", password = "wrong"', 'username = "looker", password = "lookpw"'])
def test_a_wrong_password_is_tried_once(house, user):
    relay = Relay(house.lan.host, 13493, 3493)
    house.start(section("fake", port=13493, user=user))
    house.up()
    said = house.switch("off", "rack/1", code=1)
    assert "ACCESS-DENIED" in said
    asked = relay.asked.count(b"INSTCMD")
    assert asked == 1
    for _ in range(3):
        assert "it is not asked again for" in house.switch("off", "rack/1", code=1)
    assert relay.asked.count(b"INSTCMD") == asked
    # Reading goes on, and says why nothing is switched.
    assert house.pdu()["phase"] == "up" and "ACCESS-DENIED" in house.pdu()["why"]
    assert "wrong\"" not in house.board.text() and "lookpw" not in house.board.text()
    # A person may want it tried again.
    house.board.ctl("pdu", "read", "rack")
    assert "ACCESS-DENIED" in house.switch("off", "rack/1", code=1)
    assert relay.asked.count(b"INSTCMD") == asked + 1
    relay.close()


def test_replies_in_single_bytes_and_a_device_that_dies_in_the_middle(house):
    relay = Relay(house.lan.host, 13493, 3493)
    house.start(section("fake", port=13493, more='poll = "1h"\nconfirm = "6s"\n'))
    house.up()
    relay.fault = bytewise
    assert "off confirmed" in house.switch("off", "rack/1")
    relay.fault = None
    # The answer to the cycle is lost with the connection: it is read, and not asked a second time.
    house.nut.control(delay=0.5, dark=3)

    def swallow(sink, data):
        if b"TRACKING" in data:
            relay.fault = None
            relay.cut()
            return
        sink.sendall(data)

    before = relay.asked.count(b"outlet.2.load.cycle")
    relay.cut()
    house.board.ctl("pdu", "read", "rack")
    relay.fault = lambda sink, data: swallow(sink, data) if b"INSTCMD" in relay.asked[-200:] else sink.sendall(data)
    said = house.switch("cycle", "rack/2")
    assert "cycle confirmed" in said
    assert relay.asked.count(b"outlet.2.load.cycle") == before + 1
    relay.close()


@pytest.mark.parametrize("reply", [
    b"VAR fake x " + b"y" * 70_000 + b"\n",
    b"BEGIN LIST VAR fake\n" + b'VAR fake x "y"\n' * 9000,
    b"BEGIN LIST VAR other\n",
    b'BEGIN LIST VAR fake\nVAR fake x "open\n',
    b"\x00\xff\x1b[2J\n",
    b"ERR \x1b[2J\n",
    b"\n",
], ids=["endless-line", "endless-list", "another-device", "open-quote", "binary", "odd-code", "empty"])
def test_hostile_replies_are_told_and_harm_nothing(house, reply):
    relay = Relay(house.lan.host, 13493, 3493)
    house.start(section("fake", port=13493))
    house.up()
    relay.fault = lambda sink, data: sink.sendall(reply)
    house.until("told", lambda: house.pdu()["phase"] == "silent")
    assert house.pdu()["why"].isprintable(), house.pdu()["why"]
    relay.fault = None
    relay.cut()
    house.up()
    relay.close()


def test_a_ups_is_read_and_its_changes_are_told(house):
    board = house.start(f'[ups.rack]\nnut = {{ host = "{HOST}", ups = "ups1" }}\npoll = "2s"\n')

    def ups():
        return board.json("status")["upses"]["rack"]

    house.until("up", lambda: ups()["phase"] == "up")
    now = ups()
    assert (now["status"], now["charge"], now["runtime"], now["load"], now["input_volts"]) == (["OL"], 97, 1260, 23, 231)
    assert now["model"] == "Dummy Manufacturer Dummy UPS"
    assert "UpsChanged" not in board.kinds()
    for status in ("OB DISCHRG", "OB LB", "OL CHRG LB", "OL"):
        house.nut.set("ups1", "ups.status", status)
        house.until(status, lambda: ups()["status"] == status.split())
    told = [(" ".join(e["kind"]["UpsChanged"]["status"]), e["severity"].lower()) for e in board.events()
            if isinstance(e["kind"], dict) and "UpsChanged" in e["kind"]]
    assert told == [("OB DISCHRG", "warning"), ("OB LB", "alert"), ("OL CHRG LB", "warning"), ("OL", "notice")]
    assert "Dummy UPS" in board.ctl("ups", "list").stdout
    # We are no load of it.
    assert house.nut.ask("GET NUMLOGINS ups1") == ["NUMLOGINS ups1 0"]
    before = len(board.kinds())
    house.nut.stop("upsd", signal.SIGKILL)
    house.until("lost", lambda: ups()["phase"] == "silent")
    assert ups()["status"] == [] and ups()["charge"] is None
    house.nut.upsd()
    house.until("found", lambda: ups()["phase"] == "up", 60)
    # A server that rises may have its data for a moment and then call it stale: each loss is told, and each return.
    told = [kind for kind in board.kinds()[before:] if kind in ("UpsLost", "UpsFound")]
    assert told == ["UpsLost", "UpsFound"] * (len(told) // 2) and told
