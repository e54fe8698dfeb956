"""What holds for outlets of every kind: a crash in the middle of a cycle, grants, the menu inside a session, our own branch."""
import json
import signal

import pytest
from board import wait_for
from power_kit import HOST, House, Nut, Powerman, Relay, slowly
from ssh_kit import Device, Operator

FAST = 'poll = "2s"\nconfirm = "4s"\noff_time = "6s"\nstagger = "100ms"\n'
RACK = f'[pdu.rack]\npowerman = {{ host = "{HOST}:10101" }}\n{FAST}'
OURS = ('[pdu.rack.outlet.rack1]\nlabel = "core switch"\nfeeds = ["switch"]\n'
        '[pdu.rack.outlet.rack2]\nlabel = "this board"\nfeeds = ["appliance"]\n')


@pytest.fixture
def house(tmp_path, make_board):
    house = House(tmp_path, make_board)
    house.powerman = house.peers(Powerman).up()
    yield house
    house.close()


def test_a_crash_in_the_middle_of_a_cycle_leaves_nothing_dark(house):
    board = house.start(RACK)
    house.up()
    house.switch("on", "rack/rack3")
    board.ctl("outlet", "cycle", "rack/rack3", "--yes", "--no-wait")
    house.until("dark", lambda: house.powerman.state("rack3") == "off")
    board.stop(signal.SIGKILL)
    assert house.powerman.state("rack3") == "off"
    board.start()
    house.until("on again", lambda: house.powerman.state("rack3") == "on")
    # The outcome comes under the number that was given, and is told once.
    told = house.until("told", lambda: [b for b in house.told("OutletSwitched") if b["action"] == 2])
    assert [(body["verb"], body["outcome"]) for body in told] == [("PowerCycle", "confirmed")]
    assert house.book()["owed"] == []
    # Numbers go on; one that may have been given out as the power was cut is left out.
    house.switch("on", "rack/rack3")
    assert house.told("OutletSwitched")[-1]["action"] == 4


def test_a_crash_in_the_middle_of_a_verb_loses_no_outcome(house):
    """The answer does not come, oobd is killed, and what it reads at its next start is what it tells."""
    relay = Relay(house.lan.host, 10102, 10101)
    board = house.start(RACK.replace("10101", "10102"))
    house.up()
    house.switch("on", "rack/rack3", "rack/rack4")

    def swallow(sink, data):
        if b"off rack" not in relay.asked:
            sink.sendall(data)

    # One was done; of the other it shows that it was not.
    for number, outlet, then, outcome in [(2, "rack3", "off", "confirmed"), (4, "rack4", "on", "failed")]:
        relay.asked.clear()
        relay.fault = swallow
        board.ctl("outlet", "off", f"rack/{outlet}", "--yes", "--no-wait")
        house.until("it is asked", lambda outlet=outlet: house.powerman.state(outlet) == "off")
        board.stop(signal.SIGKILL)
        house.powerman.ask(f"{then} {outlet}")
        relay.fault = None
        relay.asked.clear()
        board.start()
        told = house.until("told", lambda number=number: [b for b in house.told("OutletSwitched") if b["action"] == number], 90)
        assert [(body["outlet"], body["verb"], body["outcome"]) for body in told] == [(outlet, "ForceOff", outcome)]
        assert told[0]["by"].startswith("root@console")
        assert outcome == "confirmed" or told[0]["why"] == "oobd was restarted in the middle; it still says on"
        assert b"off " not in relay.asked and b"on " not in relay.asked, "it is not asked again"
        house.until("struck out", lambda: house.book()["underway"] == [])
    relay.close()


def test_a_cycle_whose_device_dies_is_ended_when_it_comes_back(house):
    house.start(RACK.replace('"6s"', '"3s"'))
    house.up()
    house.switch("on", "rack/rack3")
    house.board.ctl("outlet", "cycle", "rack/rack3", "--yes", "--no-wait")
    house.until("dark", lambda: house.powerman.state("rack3") == "off")
    house.powerman.stop("powermand", signal.SIGKILL)
    house.until("told", lambda: house.told("OutletSwitched")[1:])
    assert house.told("OutletSwitched")[1]["outcome"] in ("unconfirmed", "failed")
    owed = house.book()["owed"]
    assert [one["outlet"] for one in owed] == ["rack3"]
    house.powerman.up()
    house.powerman.ask("off rack3")
    house.until("on again", lambda: house.powerman.state("rack3") == "on", 90)
    told = house.until("told", lambda: house.told("OutletSwitched")[2:], 30)
    assert told[0]["by"] == "pdu.rack" and told[0]["verb"] == "On"


def test_nobody_saws_off_the_branch_we_sit_on(house):
    house.start(RACK + OURS)
    house.up()
    for options in (("--yes",), ("--yes", "--yes-cut-myself")):
        for verb in ("off", "cycle"):
            for outlet, what in (("rack/rack1", "switch"), ("this board", "appliance")):
                said = house.switch(verb, outlet, code=4, options=options)
                assert f"for it feeds the {what} of this board" in said
    # A group with one of them is refused as a whole.
    house.switch("off", "rack/rack5", "rack/rack1", code=4)
    assert "OutletSwitching" not in house.board.kinds()
    assert "on confirmed" in house.switch("on", "core switch")


def test_a_device_that_cycles_by_itself_may_when_it_is_said_twice(house):
    house.nut = house.peers(Nut).up()
    nut = f'nut = {{ host = "{HOST}", ups = "fake", username = "admin", password = "adminpw" }}'
    house.start(f'[pdu.rack]\n{nut}\n{FAST}[pdu.rack.outlet.1]\nfeeds = ["uplink"]\n')
    house.up()
    assert "--yes-cut-myself" in house.switch("cycle", "rack/1", code=4)
    house.switch("off", "rack/1", code=4, options=("--yes-cut-myself",))
    assert "cycle confirmed" in house.switch("cycle", "rack/1", options=("--yes-cut-myself",))


def users(operator):
    key = f'keys = ["{operator.public}"]'
    return (f'[user.alice]\nrole = "operator"\noutlets = ["rack/rack3", "rack/rack4:read"]\n{key}\n'
            f'[user.root]\nrole = "administrator"\n{key}\n'
            f'[user.eve]\nrole = "readonly"\n{key}\n')


@pytest.fixture
def signed(house, tmp_path):
    """The same with users who come by SSH, and a console on a pty."""
    house.operator = Operator(tmp_path, house.lan.board)
    house.device = Device()
    house.users = users(house.operator)
    console = f'[console.core]\nserial = {{ port = "{house.device.path}" }}\n'
    house.start(RACK + console + 'outlet = ["rack/rack3"]\n'
                + f'[console.bare]\nserial = {{ port = "{house.device.path}x" }}\n')
    house.up()
    yield house
    house.device.close()


def test_grants_show_and_switch(signed):
    def ssh(user, *words):
        done = signed.operator.ssh(user, *words)
        return done.returncode, (done.stdout + done.stderr).decode()

    signed.switch("on", "rack/rack3", "rack/rack7")
    code, said = ssh("alice", "outlet", "list", "--json")
    assert code == 0 and sorted(json.loads(said)["outlets"]) == ["rack/rack3", "rack/rack4"]
    assert ssh("alice", "outlet", "off", "rack/rack3")[0] == 2
    code, said = ssh("alice", "outlet", "off", "rack/rack3", "--yes")
    assert code == 0 and "off confirmed after" in said
    code, said = ssh("alice", "outlet", "on", "rack/rack4")
    assert code == 4 and "alice may only look at outlet rack/rack4" in said
    code, said = ssh("alice", "outlet", "off", "rack/rack7", "--yes")
    assert code != 0 and "there is no outlet rack/rack7" in said
    code, said = ssh("eve", "outlet", "off", "rack/rack7", "--yes")
    assert code == 4 and "readonly" in said
    assert signed.powerman.state("rack7") == "on"
    # What others did elsewhere is not told to who may not see it.
    ssh("root", "outlet", "off", "rack/rack7", "--yes")
    _, said = ssh("alice", "event", "list")
    assert "rack/rack3" in said and "rack7" not in said
    assert "rack7" in ssh("root", "event", "list")[1]


def test_the_menu_inside_a_session(signed):
    signed.switch("on", "rack/rack3")
    child = signed.operator.terminal("alice:core", columns=120)
    child.expect("you type")
    slowly(child, "\r~~p")
    child.expect("rack/rack3 is on")
    child.expect("o on, f off, c cycle")
    child.send("f")
    child.expect("switch off rack/rack3")
    child.send("n")
    child.expect("left as it is")
    assert signed.powerman.state("rack3") == "on"
    slowly(child, "\r~~pf")
    child.expect("switch off rack/rack3")
    child.send("y")
    child.expect(r"rack/rack3: off confirmed after \d+\.\d s")
    assert signed.powerman.state("rack3") == "off"
    # What follows is the device's again, and nothing of the menu reached it.
    child.send("after")
    wait_for("typed", lambda: b"after" in signed.device.got)
    assert b"f" not in signed.device.got.replace(b"after", b"") and b"y" not in signed.device.got
    slowly(child, "\r~~.")
    child.expect("left core")
    by = [body["by"] for body in signed.told("OutletSwitched")]
    assert by[-1].startswith("alice (ssh ")
    child.close()


def test_a_console_without_an_outlet_and_a_person_without_a_grant(signed):
    child = signed.operator.terminal("alice:bare", columns=120)
    child.expect("help")
    slowly(child, "\r~~p")
    child.expect("no outlet is bound to bare")
    child.close()
    child = signed.operator.terminal("eve:core", columns=120)
    child.expect("you watch")
    slowly(child, "\r~~po")
    child.expect("eve has the role readonly")
    child.close()
