"""State, commands and events over HTTPS: what each role gets, and a stream that resumes."""
import json

from api_kit import Door, house, make_house  # noqa: F401
from board import wait_for
from ssh_kit import Device


PEOPLE = {"alice": "administrator", "bob": 'role = "operator"\nconsoles = ["core-*"]', "eve": 'role = "readonly"\nconsoles = ["core-*"]'}


def test_who_may_command_what(house):
    one, door = house(devices={"core-1": Device(), "edge": Device()}, people=PEOPLE)
    tokens = {name: door.sign_in(name) for name in PEOPLE}
    note = {"WriteNote": {"text": "hello"}}
    line = {"SendBreak": {"console": "core-1", "millis": 100}}
    edge = {"SendBreak": {"console": "edge", "millis": 100}}
    # command: alice, bob, eve
    for command, expected in [(note, (200, 200, 403)), ("CheckGuard", (200, 403, 403)), (line, (200, 200, 403)), (edge, (200, 403, 403)),
                              ({"AddressLink": {"interface": "eth0"}}, (403, 403, 403))]:
        got = tuple(door.ask("POST", "/api/command", command, token=tokens[name]).status for name in ("alice", "bob", "eve"))
        assert got == expected, command
    assert "there is no console edge" in door.ask("POST", "/api/command", edge, token=tokens["bob"]).error
    reply = door.ask("POST", "/api/command", note, token=tokens["alice"]).json()["reply"]
    assert isinstance(reply["Journaled"]["seq"], int)
    given = one.seen("CommandGiven", "check the guard")
    assert given["actor"].startswith("alice (https 127.0.0.1:")
    assert one.seen("CommandGiven", "bob (https", "break of 100 ms on console core-1")
    for bad, status in [(b"{", 400), ({"Explode": {}}, 422), ({"SendBreak": {"console": 1}}, 422)]:
        answer = door.ask("POST", "/api/command", bad, token=tokens["alice"], **({"Content_Type": "application/json"} if bad == b"{" else {}))
        assert answer.status == status and answer.error, answer.body
    assert door.ask("POST", "/api/command", {"RescanUplink": {"uplink": "none"}}, token=tokens["alice"]).status == 404


def test_state_and_events_stay_within_the_grants(house):
    one, door = house(devices={"core-1": Device(), "edge": Device()}, people=PEOPLE)
    alice, eve = door.sign_in("alice"), door.sign_in("eve")
    one.seen("ConsoleOpened", "edge")
    assert set(door.ask("GET", "/api/state", token=alice).json()["consoles"]) == {"core-1", "edge"}
    state = door.ask("GET", "/api/state", token=eve).json()
    assert set(state["consoles"]) == {"core-1"} and "console.edge" not in state["owners"]

    def opened(token):
        events = door.ask("GET", "/api/events?follow=false&after=0", token=token).json()["events"]
        return {event["kind"]["ConsoleOpened"]["console"] for event in events if "ConsoleOpened" in event["kind"]}

    assert opened(alice) == {"core-1", "edge"} and opened(eve) == {"core-1"}
    assert door.ask("GET", "/api/events?folow=false", token=eve).status == 400
    assert len(door.ask("GET", "/api/events?follow=false&newest=2", token=alice).json()["events"]) == 2
    events = door.ask("GET", "/api/events?follow=false&source=console", token=alice).json()["events"]
    assert events and all(event["source"].startswith("console.") for event in events)


class Stream:
    """Server-sent events, as a browser reads them."""

    def __init__(self, door, token, query="", **headers):
        connection = door.connection()
        connection.request("GET", "/api/events" + query, headers={"Authorization": f"Bearer {token}", **headers})
        self.answer, self.connection = connection.getresponse(), connection

    def next(self):
        fields = {}
        while True:
            line = self.answer.readline().decode().rstrip("\n")
            if not line and "data" in fields:
                event = json.loads(fields["data"])
                assert fields["id"] == str(event["seq"])
                return event
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value


def test_the_event_stream_resumes_where_it_broke(house):
    one, door = house()
    token = door.sign_in()
    stream = Stream(door, token)
    assert stream.answer.headers["Content-Type"] == "text/event-stream"

    def note(text):
        return door.ask("POST", "/api/command", {"WriteNote": {"text": text}}, token=token).json()["reply"]["Journaled"]["seq"]

    first = note("one")
    assert stream.next()["seq"] == first
    stream.connection.close()
    missed = [note(text) for text in ("two", "three", "four")]
    stream = Stream(door, token, **{"Last-Event-ID": str(first)})
    got = [stream.next() for _ in missed]
    assert [event["seq"] for event in got] == missed and "two" in got[0]["text"]
    last = note("five")
    assert stream.next()["seq"] == last
    assert Stream(door, token, **{"Last-Event-ID": "x"}).answer.status == 400
    # It ends with the session.
    door.ask("DELETE", "/api/session", token=token)
    while stream.answer.readline():
        pass


def test_a_stopping_board_lets_streams_end(house):
    one, door = house(devices={"sw": Device()})
    token = door.sign_in()
    stream, console = Stream(door, token), door.console("sw", "", token)
    assert one.board.stop() < 4
    assert "stops" in console.to_end()["reason"]
    while stream.answer.readline():
        pass
