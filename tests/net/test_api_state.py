"""The state as a stream: one picture, then what changes of it, with the journal in the same connection; within the grants."""
import json
import time

from api_kit import house  # noqa: F401
from ssh_kit import Device

PEOPLE = {"alice": "administrator", "eve": 'role = "readonly"\nconsoles = ["core-*"]'}


class Stream:
    """What a page does with it: `picture` is the state, `events` are those of the journal."""

    def __init__(self, door, token, query="", **headers):
        self.connection = door.connection()
        self.connection.request("GET", "/api/state/stream" + query, headers={"Authorization": f"Bearer {token}", **headers})
        self.answer, self.picture, self.events, self.changes = self.connection.getresponse(), None, [], []

    def step(self):
        """Takes one event in; False at the end."""
        name, data = "message", None
        while line := self.answer.readline().decode():
            field, _, value = line.rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data = json.loads(value)
            elif line == "\n" and data is not None:
                break
        else:
            return False
        if name == "message":
            self.events.append(data)
        elif name == "state":
            self.picture = data
        else:
            assert name == "change"
            self.changes.append(data)
            for change in data:
                *above, last = change["path"]
                place = self.picture
                for key in above:
                    place = place[key]
                if "value" in change:
                    place[last] = change["value"]
                else:
                    del place[last]
        return True

    def until(self, check):
        while not (found := check()):
            assert self.step(), "the stream ended"
        return found


def test_a_picture_and_what_changes_of_it(house):
    devices = {"core-1": Device(), "edge": Device()}
    one, door = house(devices=devices, people=PEOPLE)
    alice, eve = door.sign_in("alice"), door.sign_in("eve")
    wide, narrow = Stream(door, alice), Stream(door, eve)
    assert wide.answer.headers["Content-Type"] == "text/event-stream"
    wide.until(lambda: wide.picture)
    narrow.until(lambda: narrow.picture)
    assert set(wide.picture["consoles"]) == {"core-1", "edge"} and set(narrow.picture["consoles"]) == {"core-1"}
    for name in devices:
        devices[name].say(f"word of {name}\r\n".encode())
    wide.until(lambda: "word of edge" in wide.picture["consoles"]["edge"]["last_line"])
    narrow.until(lambda: "word of core-1" in narrow.picture["consoles"]["core-1"]["last_line"])
    assert "edge" not in json.dumps(narrow.picture) + json.dumps(narrow.changes)
    # A section more and a section less are one change each, and the picture is the state itself.
    one.board.reload(one.config().replace("[console.edge]", "[console.back]"))
    wide.until(lambda: "back" in wide.picture["consoles"] and "edge" not in wide.picture["consoles"])
    # Where they differ a change is on its way.
    while door.ask("GET", "/api/state", token=alice).json() != wide.picture:
        assert wide.step()
    assert wide.events == []


def test_changes_are_gathered(house):
    device = Device()
    one, door = house(devices={"sw": device})
    stream = Stream(door, door.sign_in())
    stream.until(lambda: stream.picture)
    began = time.monotonic()
    for number in range(200):
        device.say(f"line {number}\r\n".encode())
        time.sleep(0.005)
    stream.until(lambda: "line 199" in stream.picture["consoles"]["sw"]["last_line"])
    # At most four a second as the board sends them; here they may pile up, but not in number.
    assert len(stream.changes) <= 8 + 4 * (time.monotonic() - began)


def test_the_journal_in_the_same_connection(house):
    one, door = house(people=PEOPLE)
    token = door.sign_in()

    def note(text):
        return door.ask("POST", "/api/command", {"WriteNote": {"text": text}}, token=token).json()["reply"]["Journaled"]["seq"]

    first = note("one")
    stream = Stream(door, token, "?newest=3")
    stream.until(lambda: stream.picture and len(stream.events) == 3)
    assert stream.events[-1]["seq"] == first
    second = note("two")
    stream.until(lambda: stream.events[-1]["seq"] == second)
    stream.connection.close()
    missed = [note(text) for text in ("three", "four")]
    for query, headers in ((f"?after={second}", {}), ("?newest=3", {"Last-Event-ID": str(second)})):
        again = Stream(door, token, query, **headers)
        again.until(lambda: again.picture and len(again.events) == 2)
        assert [event["seq"] for event in again.events] == missed
    assert Stream(door, token, "?newest=x").answer.status == 400
    assert Stream(door, token, "?follow=1").answer.status == 400
    assert Stream(door, "nobody").answer.status == 401
    door.ask("DELETE", "/api/session", token=token)
    while again.step():
        pass


def test_rights_that_change_change_the_picture(house):
    one, door = house(devices={"core-1": Device(), "edge": Device()}, people=PEOPLE)
    stream = Stream(door, door.sign_in("alice"))
    stream.until(lambda: stream.picture)
    one.users["alice"] = one.users["alice"].replace("administrator", "readonly")
    one.board.reload(one.config())
    while stream.step():
        pass
