"""PDUs over SNMP: oobd against net-snmp's agent with the outlets of seven families, watched with net-snmp's own client."""
import pytest
from board import wait_for
from power_kit import HOST, House
from snmp_kit import ENTERPRISES, NOBODY, Agent, Lossy

V2C = 'community = "writer"'
V3 = 'user = "pduadmin", auth_password = "authpass123", privacy_password = "privpass123"'
# profile: its tree, outlet 2 as oobd calls it, where its state stands, the numbers for on and off there
FAMILIES = {
    "apc-rpdu": ("318", "2", "318.1.1.12.3.5.1.1.4.2", "1", "2"),
    "cyberpower": ("3808", "2", "3808.1.1.3.3.5.1.1.4.2", "1", "2"),
    "raritan-px2": ("13742", "2", "13742.6.4.1.2.1.3.1.2", "7", "8"),
    "sentry3": ("1718", "AA2", "1718.3.2.3.1.5.1.1.2", "1", "0"),
    "eaton-g3": ("534", "2", "534.6.6.7.6.6.1.2.0.2", "1", "0"),
}


def pdu(access, profile=None, name="rack", port=161, more='poll = "2s"'):
    said = f', profile = "{profile}"' if profile else ""
    return f'[pdu.{name}]\n{more}\nsnmp = {{ host = "{HOST}:{port}", {access}{said} }}\n'


@pytest.fixture
def house(tmp_path, make_board):
    house = House(tmp_path, make_board)
    yield house
    house.close()


def states(house, name="rack"):
    return [outlet["state"] for outlet in house.pdu(name)["outlets"]]


@pytest.mark.parametrize("access", [V2C, V3], ids=["v2c", "v3"])
def test_five_families_are_read_switched_and_cycled(house, access):
    agent = house.peers(Agent).up()
    house.start("".join(pdu(access, profile, profile) for profile in FAMILIES))
    for profile, (tree, key, oid, on, off) in FAMILIES.items():
        house.up(profile)
        assert states(house, profile) == ["On"] * 4
        assert agent.get(ENTERPRISES + oid) == on
        house.switch("off", f"{profile}/{key}")
        assert agent.get(ENTERPRISES + oid) == off
        assert agent.outlets(tree) == {1: 1, 2: 0, 3: 1, 4: 1}
        house.switch("on", f"{profile}/{key}")
        assert agent.outlets(tree)[2] == 1
        given = len(agent.orders(tree))
        house.switch("cycle", f"{profile}/{key}")
        # The device does it: one order, and darkness after it.
        assert len(agent.orders(tree)) == given + 1
        wait_for("light again", lambda: agent.outlets(tree)[2] == 1)
    outlets = house.pdu("sentry3")["outlets"]
    assert [outlet["key"] for outlet in outlets] == ["AA1", "AA2", "AA3", "AA4"]
    assert outlets[2]["amps"] == 0.75


def test_a_family_is_known_by_its_object_id_and_others_hands_are_seen(house):
    agent = house.peers(Agent).up()
    house.start(pdu(V2C))
    house.up()
    assert [outlet["label"] for outlet in house.pdu()["outlets"]] == [f"Outlet {n}" for n in (1, 2, 3, 4)]
    agent.set(ENTERPRISES + "318.1.1.12.3.3.1.1.4.3", 2)
    house.until("outlet 3 off", lambda: house.outlet("3").get("state") == "Off")


def test_ports_of_a_poe_switch_are_outlets(house):
    agent = house.peers(Agent).up(object_id=NOBODY)
    house.start(pdu(V2C))
    house.up()
    house.switch("off", "rack/4")
    assert agent.outlets("105") == {1: 1, 2: 1, 3: 1, 4: 0}


def test_snmp_1_is_spoken(house):
    agent = house.peers(Agent).up()
    house.start(pdu('version = "1", community = "public", write_community = "writer"'))
    house.up()
    house.switch("off", "rack/1")
    assert agent.outlets("318")[1] == 0


def test_a_wrong_key_is_refused_and_a_wrong_community_is_silence(house):
    house.peers(Agent).up()
    wrong = V3.replace("authpass123", "authpass124")
    hidden = V3.replace("privpass123", "privpass124")
    house.start(pdu(wrong) + pdu(hidden, name="hidden") + pdu(V3.replace("pduadmin", "nobody"), name="user")
                + pdu('community = "guess"', name="guess"))
    house.until("rack refused", lambda: house.pdu().get("phase") == "refused")
    assert "does not take the keys" in house.pdu()["why"]
    house.until("user refused", lambda: house.pdu("user").get("phase") == "refused")
    assert "does not know the user" in house.pdu("user")["why"]
    house.until("hidden refused", lambda: house.pdu("hidden").get("phase") in ("refused", "silent"))
    house.until("guess silent", lambda: house.pdu("guess").get("phase") == "silent" and "community" in house.pdu("guess")["why"], 60)
    for secret in ("authpass124", "privpass123", "guess", "does not take the keys for"):
        assert secret not in house.board.text().replace("pdu.guess", "").replace("guess:", "").replace("PDU guess", "")


def test_a_community_that_may_not_write_reads_on(house):
    agent = house.peers(Agent).up()
    house.start(pdu('community = "public"'))
    house.up()
    assert "does not let us write" in house.switch("off", "rack/1", code=1)
    assert agent.outlets("318")[1] == 1
    assert house.pdu()["phase"] == "up"


def test_a_stuck_relay_stays_unconfirmed(house):
    house.peers(Agent).up(stuck=3)
    house.start(pdu(V2C, more='poll = "2s"\nconfirm = "3s"'))
    house.up()
    house.switch("off", "rack/3", code=5)
    assert house.outlet("3")["state"] == "On"
    assert house.outlet("3")["action"]["outcome"] == "unconfirmed"


def test_a_slow_card_is_asked_for_less_at_once(house):
    house.peers(Agent).up(latency=0.4)
    house.start(pdu(V2C, more='poll = "2s"\nconfirm = "30s"'))
    house.up(timeout=60)
    house.switch("off", "rack/2", timeout=120)


def test_lost_datagrams_are_asked_again(house):
    agent = house.peers(Agent).up()
    lossy = Lossy(house.lan.host)
    house.closing.append(lossy)
    lossy.keep = lambda way, number: way == "answer" or number % 3 != 2
    house.start(pdu(V3, port=1161))
    house.up(timeout=60)
    house.switch("off", "rack/2")
    assert agent.outlets("318")[2] == 0
    lossy.keep = lambda way, number: False
    house.until("silent", lambda: house.pdu().get("phase") == "silent", 60)
    # What was seen last stays seen, and nothing is made of the silence.
    assert agent.outlets("318")[2] == 0
    lossy.keep = lambda way, number: True
    house.up(timeout=60)


def test_a_cycle_whose_answer_is_lost_is_ordered_once(house):
    agent = house.peers(Agent).up()
    lossy = Lossy(house.lan.host)
    house.closing.append(lossy)
    house.start(pdu(V2C, port=1161, more='poll = "1h"'))
    house.up()
    first = lossy.count["answer"]
    lossy.keep = lambda way, number: way == "ask" or number > first + 1
    house.board.ctl("outlet", "cycle", "rack/2", "--yes", check=False, timeout=90)
    assert agent.orders("318").count("2 3") == 1


def test_a_profile_that_does_not_fit_switches_nothing(house):
    agent = house.peers(Agent).up()
    column, control = ENTERPRISES[1:] + "318.1.1.12.3.5.1.1.4", ENTERPRISES[1:] + "318.1.1.12.3.3.1.1.4"
    own = f'profile = {{ state = "{column}", control = "{control}", on = 1, off = 2, cycle = 3 }}'
    misfit = f'profile = {{ state = "{column}", control = "{control}", on = 2, off = 3, states_on = [7], states_off = [8] }}'
    house.start(pdu(f"{V2C}, {misfit}", name="misfit") + pdu(f"{V2C}, {own}", name="own")
                + pdu(V2C, "raritan-px1", name="empty"))
    house.up("misfit")
    assert states(house, "misfit") == ["Unknown"] * 4
    assert "profile" in house.switch("off", "misfit/1", code=1)
    assert agent.orders("318") == []
    house.up("own")
    house.switch("off", "own/1")
    assert agent.orders("318") == ["1 2"]
    house.until("why", lambda: "no outlets" in house.pdu("empty").get("why", ""))
