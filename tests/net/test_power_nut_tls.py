"""STARTTLS towards a real upsd: the key is pinned, another one is refused until it is trusted, and nothing is ever said in the plain."""
from itertools import pairwise

import pytest
from power_kit import HOST, House, Nut, Relay

SECTION = (f'[pdu.rack]\nnut = {{ host = "{HOST}:3494", ups = "fake", username = "admin", password = "adminpw", starttls = true }}\n'
           'poll = "2s"\nconfirm = "8s"\n')


@pytest.fixture
def house(tmp_path, make_board):
    house = House(tmp_path, make_board)
    house.nut = house.peers(Nut).up()
    house.relay = Relay(house.lan.host, 3494, 3493)
    house.closing.append(house.relay)
    yield house
    house.close()


def renew(house):
    house.nut.stop("upsd")
    house.nut.certify()
    house.nut.upsd()


def test_the_key_is_pinned_and_another_is_refused_until_it_is_trusted(house):
    renew(house)
    board = house.start(SECTION)
    house.up(timeout=90)
    assert "off confirmed" in house.switch("off", "rack/2")
    assert house.nut.get("fake", "outlet.2.status") == "off"
    # Of all that was asked, only this was readable.
    assert house.relay.asked.startswith(b"STARTTLS\n")
    assert b"adminpw" not in house.relay.asked and b"INSTCMD" not in house.relay.asked
    renew(house)
    house.relay.cut()
    house.until("refused", lambda: house.pdu()["phase"] == "refused", 120)
    mismatch = house.told("PinMismatch")
    assert [body["what"] for body in mismatch] == [f"tls {HOST}:3494"]
    assert mismatch[0]["pinned"] != mismatch[0]["found"]
    assert "is not who it was" in house.switch("on", "rack/2", code=1)
    assert house.nut.get("fake", "outlet.2.status") == "off"
    # Each other key is told, and each once, however often it is asked.

    def asked_again(times):
        before = house.relay.connections

        def ask():
            board.ctl("pdu", "read", "rack")
            return house.relay.connections >= before + times
        house.until("asked again", ask, 60)

    asked_again(3)
    assert len(house.told("PinMismatch")) == 1
    renew(house)
    asked_again(3)
    house.until("told", lambda: len(house.told("PinMismatch")) > 1)
    mismatch = house.told("PinMismatch")
    assert len(mismatch) == 2
    assert mismatch[1]["pinned"] == mismatch[0]["pinned"] and mismatch[1]["found"] != mismatch[0]["found"]
    # What is wrong is told when it changes (it may have been asked while its key was renewed), not each time it is asked.
    untrusted = ["is not who it was" in body["reason"] for body in house.told("PduLost")]
    assert untrusted[-1] and all(before != after for before, after in pairwise(untrusted))
    board.ctl("pdu", "trust", "rack")
    house.up(timeout=90)
    assert "on confirmed" in house.switch("on", "rack/2")
    assert [body["fingerprint"] for body in house.told("Pinned")] == [mismatch[1]["found"]]


def test_a_ups_is_known_by_its_key_too(house):
    renew(house)
    board = house.start(f'[ups.rack]\nnut = {{ host = "{HOST}:3494", ups = "ups1", starttls = true }}\npoll = "2s"\n')

    def ups():
        return board.json("status")["upses"].get("rack", {})

    house.until("up", lambda: ups().get("phase") == "up" and ups()["status"], 90)
    # Of all that was asked, only this was readable.
    assert house.relay.asked.startswith(b"STARTTLS\n") and b"LIST" not in house.relay.asked and b"GET" not in house.relay.asked
    assert ups()["status"] == ["OL"]
    renew(house)
    house.relay.cut()
    house.until("refused", lambda: ups()["phase"] == "refused", 120)
    # Whatever it says now is not believed, and what it said is not shown for what is.
    assert ups()["status"] == [] and "is not who it was" in ups()["why"]
    mismatch = house.told("PinMismatch")
    assert len(mismatch) == 1 and mismatch[0]["pinned"] != mismatch[0]["found"]
    board.ctl("ups", "trust", "rack")
    house.until("up again", lambda: ups()["phase"] == "up" and ups()["status"], 90)
    assert [body["fingerprint"] for body in house.told("Pinned")] == [mismatch[0]["found"]]


def test_a_ups_without_tls_over_there_is_asked_nothing(house):
    board = house.start(f'[ups.rack]\nnut = {{ host = "{HOST}:3494", ups = "ups1", starttls = true }}\npoll = "2s"\n')

    def why():
        return board.json("status")["upses"].get("rack", {}).get("why", "")

    house.until("why", lambda: "does not speak TLS" in why(), 90)
    assert "FEATURE-NOT-CONFIGURED" in why() and "starttls = true" in why()
    assert set(bytes(house.relay.asked).split(b"\n")) == {b"STARTTLS", b""}


def test_without_tls_over_there_nothing_is_asked(house):
    house.start(SECTION)
    why = house.until("why", lambda: "does not speak TLS" in house.pdu().get("why", "") and house.pdu()["why"], 90)
    assert "FEATURE-NOT-CONFIGURED" in why and "starttls = true" in why
    house.board.ctl("outlet", "on", "rack/2", "--yes", check=False, timeout=90)
    assert set(bytes(house.relay.asked).split(b"\n")) == {b"STARTTLS", b""}
