"""Alarms and who has seen them: by oobctl and over HTTPS, for everybody, over a restart, within the grants."""
import signal

from api_kit import house  # noqa: F401
from board import wait_for
from ssh_kit import Device

PEOPLE = {"alice": "administrator", "bob": 'role = "operator"\nconsoles = ["none*"]', "eve": "readonly"}


def alarms(board):
    return {int(seq): alarm for seq, alarm in board.json("status")["alarms"].items()}


def alarm(board, text):
    """A file that is not taken makes one; its sequence number."""
    good, before = board.config.read_text(), set(alarms(board))
    board.reload(good + f"[{text}]\n")
    seq, = wait_for("the alarm", lambda: set(alarms(board)) - before)
    board.config.write_text(good)
    return seq


def test_an_alarm_is_open_until_somebody_has_seen_it_for_everybody_and_over_a_restart(house):  # noqa: F811
    one, door = house(devices={"sw": Device()}, people=PEOPLE)
    board, token = one.board, door.sign_in("bob")

    def acknowledge(seq, note=None, who=token):
        return door.ask("POST", "/api/command", {"AcknowledgeEvent": {"seq": seq, **({"note": note} if note else {})}}, token=who)

    first, second, third = (alarm(board, text) for text in ("wrong", "worse", "worst"))
    assert "Alarms" in board.ctl("status").stdout and "3 not acknowledged" in board.ctl("status").stdout
    answer = acknowledge(first, "  a typo of mine ")
    assert answer.status == 200, answer.body
    seq = answer.json()["reply"]["Journaled"]["seq"]
    told = next(event for event in board.events() if event["seq"] == seq)
    assert told["kind"]["EventAcknowledged"]["event"] == first and told["severity"] == "info"
    assert told["text"].startswith("bob (https ") and told["text"].endswith(f" acknowledged event {first}: a typo of mine")
    seen = wait_for("all see it", lambda: alarms(board)[first]["acknowledged"])
    assert seen["by"].startswith("bob (") and seen["note"] == "a typo of mine" and seen["at"] == told["at"]
    assert door.ask("GET", "/api/state", token=door.sign_in("eve")).json()["alarms"][str(first)]["acknowledged"] == seen
    # Once is enough, the role must be right, and what one does not see does not exist.
    assert acknowledge(first).status == 409 and b"bob (https" in acknowledge(first).body
    assert acknowledge(second, who=door.sign_in("eve")).status == 403
    hidden = next(event["seq"] for event in board.events() if "ConsoleOpened" in event["kind"])
    for nobody in (0, hidden, 10**6, 2**64 - 1):
        assert acknowledge(nobody).status == 404, nobody
    assert board.ctl("event", "ack", str(10**6), check=False).stderr == "oobctl: there is no event 1000000; `event list` shows them\n"
    # Any event will do, and several at once.
    board.ctl("event", "ack", str(second), str(hidden), "--note", "on it")
    wait_for("it is seen", lambda: alarms(board)[second]["acknowledged"])
    assert "1 not acknowledged" in board.ctl("status").stdout
    before = alarms(board)
    board.stop(signal.SIGKILL)
    board.start()
    wait_for("it remembers", lambda: alarms(board) == before)
    board.ctl("event", "ack", str(third))
    wait_for("none is open", lambda: "not acknowledged" not in board.ctl("status").stdout)


def test_a_list_may_begin_anywhere_in_the_journal(house):  # noqa: F811
    one, door = house(people=PEOPLE)
    token = door.sign_in()
    numbers = [int(one.board.ctl("event", "note", f"note {n}").stdout) for n in range(6)]
    at = next(event["at"] for event in one.board.events() if event["seq"] == numbers[2])

    def listed(query):
        answer = door.ask("GET", f"/api/events?follow=false&{query}", token=token)
        return [event["seq"] for event in answer.json()["events"]]

    assert listed(f"since={at}&first=1") == [numbers[2]]
    assert listed(f"after={numbers[0]}&first=2") == [numbers[0] + 1, numbers[0] + 2]
    assert len(listed("first=3")) == 3 and listed("first=3")[0] == 1
    assert door.ask("GET", "/api/events?first=3", token=token).status == 400
