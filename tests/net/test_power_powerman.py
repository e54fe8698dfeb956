"""Outlets through a real powermand and its simulator: read, switched, cycled, and what happens when it dies or lies."""
import signal

import pytest
from power_kit import HOST, House, Powerman, Relay, bytewise

FAST = 'poll = "2s"\nconfirm = "4s"\noff_time = "2s"\nstagger = "100ms"\n'


def section(port=10101, more=FAST):
    return f'[pdu.rack]\npowerman = {{ host = "{HOST}:{port}" }}\n{more}'


@pytest.fixture
def house(tmp_path, make_board):
    house = House(tmp_path, make_board)
    house.powerman = house.peers(Powerman).up()
    yield house
    house.close()


@pytest.fixture
def relayed(house):
    """The same with a relay in front of powermand."""
    house.relay = Relay(house.lan.host, 10102, 10101)
    yield house
    house.relay.close()


def test_outlets_are_read_switched_and_confirmed(house):
    board = house.start(section())
    house.up()
    keys = [o["key"] for o in house.pdu()["outlets"]]
    assert sorted(keys) == sorted([f"rack{n}" for n in range(8)] + ["web-1"])
    for verb, state in (("on", "on"), ("off", "off"), ("on", "on"), ("off", "off"), ("on", "on")):
        said = house.switch(verb, "rack/rack3")
        assert f"rack/rack3: {verb} confirmed after " in said
        assert house.powerman.state("rack3") == state
    said = house.switch("cycle", "rack/rack3", "rack/web-1")
    assert said.count("cycle confirmed after ") == 2, said
    assert house.powerman.state("rack3") == "on" and house.powerman.state("web-1") == "on"
    # Each intent stands before its outcome, and both have their actor and number.
    told = [next(iter(e["kind"].items())) for e in board.events() if isinstance(e["kind"], dict)]
    mine = [(kind, body) for kind, body in told if kind.startswith("Outlet") and body["outlet"] == "rack3"]
    assert [kind for kind, _ in mine] == ["OutletSwitching", "OutletSwitched"] * 6
    assert [body["action"] for _, body in mine] == [n for n in range(1, 7) for _ in (0, 1)]
    assert all(body["by"].startswith("root@console") for _, body in mine)
    assert "CommandGiven" in board.kinds()


def test_what_nobody_asked_of_us_is_told_and_a_dead_powermand_is_unknown_and_found_again(house):
    board = house.start(section())
    house.up()
    before = house.outlet("rack5")["state"]
    assert before in ("On", "Off")
    other = "Off" if before == "On" else "On"
    house.powerman.ask(f"{other.lower()} rack5")
    house.until("the change", lambda: house.outlet("rack5")["state"] == other)
    changed = house.told("OutletChanged")
    assert changed[-1] == {"pdu": "rack", "outlet": "rack5", "state": other}
    house.powerman.stop("powermand", signal.SIGKILL)
    house.until("lost", lambda: house.pdu()["phase"] == "silent")
    assert {o["state"] for o in house.pdu()["outlets"]} == {"Unknown"}
    said = house.switch("off", "rack/rack5", code=1)
    assert "off failed after" in said and "nothing was asked of it: cannot connect to" in said
    house.powerman.up()
    house.up()
    # The simulated PDU has begun anew, too.
    assert house.outlet("rack5")["state"].lower() == house.powerman.state("rack5")
    assert "PduLost" in board.kinds() and "PduFound" in board.kinds()


def test_a_node_that_is_not_there_and_a_verb_that_outlets_have_not(house):
    house.start(section())
    house.up()
    assert "there is no outlet rack/rack99" in house.switch("on", "rack/rack99", code=1)
    assert "there is no outlet nowhere/1" in house.switch("on", "nowhere/1", code=1)
    done = house.board.ctl("outlet", "shutdown", "rack/rack1", check=False)
    assert done.returncode == 2


def test_a_program_must_say_yes(house):
    house.start(section())
    house.up()
    said = house.switch("off", "rack/rack1", code=2, options=())
    assert "say --yes" in said
    assert "OutletSwitching" not in house.board.kinds()
    house.switch("on", "rack/rack1", options=())


def test_replies_in_single_bytes_are_the_same_replies(relayed):
    relayed.relay.fault = bytewise
    relayed.start(section(10102))
    relayed.up()
    assert "confirmed" in relayed.switch("on", "rack/rack2")
    assert "confirmed" in relayed.switch("off", "rack/rack2")


@pytest.mark.parametrize("reply", [
    b"302 " + b"x" * 70_000 + b"\r\n",
    b"303 rack1: on\r\n" * 5000,
    b"\xff\xfe\x00" * 100 + b"\r\n",
    b"500 nonsense\r\n",
    b"99\r\n",
    b"303 no colon here\r\n103 ok\r\n",
    b"201 Unknown command\r\n",
], ids=["endless-line", "endless-list", "binary", "no-code", "short", "no-colon", "refused"])
def test_hostile_replies_are_told_and_harm_nothing(relayed, reply):
    relayed.start(section(10102))
    relayed.up()
    relayed.relay.fault = lambda sink, data: sink.sendall(reply)
    relayed.until("told", lambda: relayed.pdu()["phase"] == "silent")
    assert {o["state"] for o in relayed.pdu()["outlets"]} == {"Unknown"}
    why = relayed.pdu()["why"]
    assert why and why.isprintable(), why
    relayed.relay.fault = None
    relayed.relay.cut()
    relayed.up()


def test_a_lost_answer_is_looked_at_before_anything_is_said_again(relayed):
    relayed.start(section(10102, 'poll = "1h"\nconfirm = "5s"\n'))
    relayed.up()
    relayed.switch("off", "rack/rack4")
    asked = relayed.relay.asked
    del asked[:]

    def swallow(sink, data):
        if b"on rack4" in asked and b"on rack4" not in swallow.seen:
            swallow.seen.append(b"on rack4")
            relayed.relay.cut()
            return
        sink.sendall(data)

    swallow.seen = []
    relayed.relay.fault = swallow
    assert "on confirmed" in relayed.switch("on", "rack/rack4")
    assert asked.count(b"on rack4\r\n") == 1, bytes(asked)


def test_a_dead_device_delays_no_other(house):
    """10.77.0.77 is nobody: a connect to it takes its five seconds."""
    house.start(section() + f'[pdu.dead]\npowerman = {{ host = "10.77.0.77:10101" }}\npoll = "2s"\n')
    house.up()
    house.until("dead", lambda: house.pdu("dead")["phase"] == "silent")
    for _ in range(3):
        action = house.board.json("outlet", "on", "rack/rack1")["outlets"]["rack/rack1"]
        assert action["outcome"] == "confirmed" and action["millis"] < 4000, action
