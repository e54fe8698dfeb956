"""Machines through a real BMC simulator and real outlets: power, what is tried when something is dead, sensors, log, console."""
import json
import signal

import pytest
from machine_kit import FAST, HOST, House, ipmi
from ssh_kit import Operator

PDU = f'[pdu.rack]\npowerman = {{ host = "{HOST}" }}\npoll = "2s"\nconfirm = "6s"\nstagger = "100ms"\n'
FEEDS = 'outlets = ["rack/rack1", "rack/rack2"]\n'


@pytest.fixture
def house(tmp_path, make_board):
    house = House(tmp_path, make_board)
    yield house
    house.close()


def test_power_is_switched_by_ipmi_read_back_and_seen_by_ipmitool(house):
    house.sim()
    board = house.start(f"[machine.db1]\n{ipmi()}{FAST}")
    house.phase("up")
    machine = house.machine()
    assert (machine["state"], machine["methods"]) == ("On", ["ipmi"])
    assert machine["verbs"] == ["On", "GracefulShutdown", "GracefulRestart", "Nmi", "ForceRestart", "PowerCycle", "ForceOff"]

    def tool():
        return house.space(f"ipmitool -I lanplus -C 3 -H {HOST} -U admin -P secret power status", timeout=60).split()[-1]

    for verb, state in (("off", "off"), ("on", "on"), ("shutdown", "off"), ("on", "on")):
        assert f"db1: {verb} confirmed after " in house.power(verb)
        assert house.machine()["state"].lower() == state == tool()
    assert "db1: reset confirmed after " in house.power("reset")
    assert house.bmc.events("reset") == ["1"]
    # Each intent stands before its outcome, and both have their actor and number.
    told = [next(iter(e["kind"].items())) for e in board.events() if isinstance(e["kind"], dict)]
    mine = [(kind, body) for kind, body in told if kind.startswith("MachineSwitch")]
    assert [kind for kind, _ in mine] == ["MachineSwitching", "MachineSwitched"] * 5
    assert [body["action"] for _, body in mine] == [n for n in range(1, 6) for _ in (0, 1)]
    assert all(body["by"].startswith("root@console") for _, body in mine)
    assert not house.told("MachineChanged"), "we asked for all of it"
    # What somebody else does is told.
    house.space(f"ipmitool -I lanplus -C 3 -H {HOST} -U admin -P secret power off", timeout=60)
    house.until("the change", lambda: house.told("MachineChanged") == [{"machine": "db1", "state": "Off"}])
    # A program must say that it means it.
    assert "say --yes" in house.power("cycle", code=2, options=())
    assert house.power("on", options=()).startswith("db1: on confirmed")


def test_a_verb_whose_answer_is_lost_is_done_once_and_read_back(house):
    bmc = house.sim(behind=True)
    house.start(f"[machine.db1]\n{ipmi()}{FAST}")
    house.phase("up")

    def lost(verb):
        """What came of a verb whose answer does not come, and what the BMC was told."""
        before = len((bmc.folder / "events").read_text().splitlines())
        count = house.relay.counts().get("lost", 0)
        house.relay.lose_answer(bmc.folder / "events")
        done = house.board.ctl("machine", "power", "db1", verb, "--yes", "--json", check=False, timeout=120)
        assert house.relay.counts()["lost"] == count + 1, "its answer was lost"
        action = json.loads(done.stdout)["action"]
        assert done.returncode == {"confirmed": 0, "unconfirmed": 5}[action["outcome"]]
        return action, (bmc.folder / "events").read_text().splitlines()[before:]

    # The answer is waited for; who reads then may see the darkness still, or that the power is back. No cycle is given again.
    action, told = lost("cycle")
    assert told == ["power 0", "power 1"]
    assert house.machine()["state"] == "On"
    assert action["outcome"] == "confirmed" or action["why"].endswith("it is on, and was not seen away"), action
    # Nothing tells whether a reset came: that is said, and it is not given again either.
    action, told = lost("reset")
    assert (action["outcome"], told) == ("unconfirmed", ["reset 1"])
    assert "gave no answer, and may have done it" in action["why"]
    # Off and on may be said again, for they do no more then.
    for verb, state in (("off", "power 0"), ("on", "power 1")):
        action, told = lost(verb)
        assert (action["outcome"], set(told)) == ("confirmed", {state})
    verbs = [body["verb"] for body in house.told("MachineSwitched")]
    assert verbs == ["PowerCycle", "ForceRestart", "ForceOff", "On"]


def test_a_wrong_password_is_told_and_not_tried_again(house):
    house.sim()
    house.start(f"[machine.db1]\n{ipmi('wrong')}{FAST}")
    house.phase("refused")
    machine = house.machine()
    assert "has another password for admin" in machine["why"] and machine["state"] == "Unknown"
    said = house.power("off", code=1)
    assert "db1: off failed after" in said and "another password" in said
    assert house.bmc.events("power") == []
    lost = house.told("MachineLost")
    assert len(lost) == 1 and "another password" in lost[0]["reason"]
    # Who has put it right says so.
    house.board.reload(house.config(f"[machine.db1]\n{ipmi()}{FAST}"))
    house.phase("up")


def test_a_dead_controller_falls_back_to_the_outlets_on_record(house):
    house.sim()
    powerman = house.powerman()
    house.start(f"{PDU}[machine.db1]\n{ipmi()}{FEEDS}{FAST}")
    house.phase("up")
    assert "db1: on confirmed" in house.power("on")
    for outlet in ("rack/rack1", "rack/rack2"):
        house.switch("on", outlet)
    house.bmc.kill()
    house.phase("silent")
    assert house.machine()["state"] == "On", "as its outlets tell"
    said = house.power("cycle")
    assert "db1: cycle confirmed after" in said
    assert "  ipmi: failed, BMC" in said and "  outlets: confirmed" in said
    switched = house.told("MachineSwitched")[-1]
    assert switched["outcome"] == "confirmed" and switched["trail"][0].startswith("ipmi: failed")
    assert switched["trail"][1] == "outlets: confirmed"
    # All off before any on.
    verbs = [(o["outlet"], o["verb"]) for o in house.told("OutletSwitched")][2:]
    assert sorted(verbs[:2]) == [("rack1", "ForceOff"), ("rack2", "ForceOff")]
    assert sorted(verbs[2:]) == [("rack1", "On"), ("rack2", "On")]
    assert powerman.state("rack1") == powerman.state("rack2") == "on"
    house.bmc.start()
    house.phase("up", timeout=90)
    assert len(house.told("MachineFound")) == 1


def test_a_cycle_that_a_restart_interrupts_gives_the_power_back(house):
    powerman = house.powerman()
    board = house.start(f"{PDU}[machine.db1]\n{FEEDS}{FAST}")
    for outlet in ("rack/rack1", "rack/rack2"):
        house.switch("on", outlet)
    house.phase("up")
    started = board.ctl("machine", "power", "db1", "cycle", "--yes", "--no-wait")
    assert started.stdout.startswith("started (1)")
    house.until("darkness", lambda: powerman.state("rack1") == powerman.state("rack2") == "off")
    board.stop(signal.SIGKILL)
    board.start()

    def over():
        action = house.machine().get("action")
        return action and action["outcome"] != "running" and action

    action = house.until("the end of it", over, 90)
    assert (action["id"], action["verb"], action["outcome"]) == (1, "PowerCycle", "unconfirmed")
    assert "restarted in the middle" in action["why"]
    assert powerman.state("rack1") == powerman.state("rack2") == "on"


def test_a_crash_in_the_middle_of_a_verb_loses_no_outcome(house):
    bmc = house.sim(behind=True)
    board = house.start(f"[machine.db1]\n{ipmi()}{FAST}")
    house.phase("up")
    for number, (verb, name, state) in enumerate([("off", "ForceOff", "0"), ("on", "On", "1")], 1):
        before = len(bmc.events("power"))
        house.relay.lose_answer(bmc.folder / "events")
        board.ctl("machine", "power", "db1", verb, "--yes", "--no-wait")
        house.until("the BMC does it", lambda state=state, before=before: bmc.events("power")[before:] == [state])
        board.stop(signal.SIGKILL)
        board.start()
        told = house.until("told", lambda number=number: [b for b in house.told("MachineSwitched") if b["action"] == number], 90)
        assert [(body["verb"], body["outcome"]) for body in told] == [(name, "confirmed")]
        assert set(bmc.events("power")[before:]) == {state}
    assert len(house.told("MachineSwitching")) == 2


def test_outlets_that_feed_the_board_are_not_cut(house):
    powerman = house.powerman()
    ours = '[pdu.rack.outlet.rack2]\nfeeds = ["uplink"]\n'
    house.start(f"{PDU}{ours}[machine.db1]\n{FEEDS}{FAST}")
    house.switch("on", "rack/rack1")
    house.switch("on", "rack/rack2")
    house.phase("up")
    for verb in ("off", "cycle"):
        for options in (("--yes",), ("--yes-cut-myself",)):
            assert "feeds the board's uplink" in house.power(verb, code=1, options=options)
    assert powerman.state("rack1") == powerman.state("rack2") == "on"
    assert house.told("MachineSwitching") == []


def test_sensors_boot_log_and_lamp(house):
    house.sim()
    board = house.start(f"[machine.db1]\n{ipmi()}{FAST}")
    house.phase("up")

    def sensors():
        found = board.json("machine", "sensors", "db1")["sensors"]
        return {sensor["name"]: sensor for sensor in found}

    house.until("readings", lambda: sensors()["FAN1"]["value"] == 3700)
    assert (sensors()["FAN1"]["unit"], sensors()["CPU Temp"]["kind"]) == ("rpm", "temperature")
    house.until("sensors in the state", lambda: len(house.machine()["sensors"]) == 5)
    assert "CPU Temp" in board.ctl("machine", "sensors", "db1").stdout
    board.ctl("machine", "boot", "db1", "pxe")
    assert house.bmc.events("boot")[-1] == "pxe"
    boot = board.json("machine", "boot", "db1")["boot"]
    assert boot == {"target": "pxe", "once": True}
    board.ctl("machine", "identify", "db1", "--seconds", "7")
    assert house.bmc.events("identify") == ["7"]
    house.bmc.set("fan1", 1)

    def log():
        return board.json("machine", "log", "db1")["log"]

    house.until("the log", lambda: len(log()) >= 2)
    assert log()[-1]["part"] == "FAN1" and log()[-1]["health"] == "critical"
    assert "say --yes" in board.ctl("machine", "log", "db1", "--clear", check=False).stderr
    board.ctl("machine", "log", "db1", "--clear", "--yes")
    assert log() == []
    media = board.ctl("machine", "media", "db1", check=False)
    assert media.returncode == 1
    assert "machine db1 has no way to do this: ipmi cannot play media" in media.stderr


def test_what_the_machine_logs_becomes_events(house):
    house.sim()
    house.start(f"[machine.db1]\n{ipmi()}{FAST}")
    house.phase("up")
    house.until("sensors in the state", lambda: len(house.machine()["sensors"]) == 5)
    house.bmc.set("fan1", 1)
    found = house.until("the event", lambda: house.told("MachineLogged"), 120)
    assert found[0]["machine"] == "db1" and found[0]["part"] == "FAN1"


def test_a_console_over_lan_carries_both_ways_and_comes_back(house, tmp_path):
    house.sim()
    operator = Operator(tmp_path, house.lan.board)
    house.users = f'[user.alice]\nrole = "administrator"\nkeys = ["{operator.public}"]\n'
    board = house.start(f'[machine.db1]\n{ipmi()}{FAST}[console.db1]\nsol = {{ machine = "db1" }}\n')

    def console():
        return board.json("console", "list")["consoles"]["db1"]

    # ipmi_sim asks for its serial port once, then again after ten seconds.
    house.until("the console", lambda: console()["phase"] == "open", 60)
    assert console()["port"] == "sol://db1"

    def echoed(words):
        done = operator.ssh("alice:db1", stdin=f"{words}\r".encode(), timeout=60)
        return words.encode() in done.stdout

    house.until("an echo", lambda: echoed("hello over lan"), 60)
    assert "hello over lan" in board.ctl("console", "log", "db1").stdout
    house.bmc.kill()
    house.until("the loss", lambda: console()["phase"] != "open", 90)
    house.bmc.start()
    house.until("the console again", lambda: console()["phase"] == "open", 120)
    house.until("an echo again", lambda: echoed("and again"), 60)
