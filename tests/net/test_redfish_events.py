"""Events over our Redfish service: streams that resume, and receivers that get every event, also after a restart of either side."""
import http.server
import json
import signal
import threading

import pytest
from board import in_namespace, wait_for
from redfish_service_kit import House, Service

SUBSCRIPTIONS = "/EventService/Subscriptions"


class Receiver:
    """Takes events on loopback of the board's namespace, or answers 503 as long as `deaf`."""

    def __init__(self, space, port=9000):
        self.got, self.refused, self.deaf, self.headers = [], 0, False, {}
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if receiver.deaf:
                    receiver.refused += 1
                else:
                    receiver.headers = dict(self.headers)
                    receiver.got.append(body)
                self.send_response(503 if receiver.deaf else 204)
                self.end_headers()

        self.server = in_namespace(space, lambda: http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def texts(self):
        return [record["MessageArgs"][2] for body in self.got for record in body["Events"]]

    def heard(self, text, timeout=60):
        wait_for(f"the event {text}", lambda: any(text in one for one in self.texts()), timeout)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Stream:
    """Server-sent events of the service."""

    def __init__(self, service, **headers):
        self.connection = service.connection()
        self.connection.request("GET", "/redfish/v1/EventService/SSE", headers={"Authorization": service.basic("alice"), **headers})
        self.answer = self.connection.getresponse()

    def next(self):
        fields = {}
        while True:
            line = self.answer.readline().decode()
            assert line, "the stream ended"
            if line == "\n" and "data" in fields:
                return int(fields["id"]), json.loads(fields["data"])
            name, _, value = line.rstrip("\n").partition(": ")
            if name:
                fields[name] = value

    def until(self, text):
        while True:
            seq, event = self.next()
            if text in event["Events"][0]["Message"]:
                return seq, event

    def close(self):
        self.connection.sock.close()
        self.answer.close()


@pytest.fixture
def house(tmp_path, make_board):
    house = House(tmp_path, make_board)
    house.start("")
    house.service = Service(house)
    yield house
    house.close()


@pytest.fixture
def receiver(house):
    receiver = Receiver(f"/run/netns/{house.lan.board}")
    yield receiver
    receiver.close()


def note(house, text):
    assert house.service.call("POST", "/EventService/Actions/EventService.SubmitTestEvent", {"MessageId": text}).status == 204


def test_a_stream_is_a_subscription_and_resumes(house):
    service = house.service
    stream = Stream(service)
    assert stream.answer.status == 200 and stream.answer.headers["Content-Type"] == "text/event-stream"
    wait_for("the subscription", lambda: service.members(SUBSCRIPTIONS))
    (place,) = service.members(SUBSCRIPTIONS)
    assert service.get(place)["SubscriptionType"] == "SSE" and service.get(SUBSCRIPTIONS, "bob")["Members"] == []
    note(house, "one")
    seq, event = stream.until("test event one")
    record = event["Events"][0]
    assert record["MessageId"] == "Oobd.1.0.Event" and record["MessageArgs"][1] == "NoteWritten" and record["LogEntry"]["@odata.id"].endswith(str(seq))
    assert event["Context"] == service.get(place)["Context"]
    stream.close()
    wait_for("the end of it", lambda: not service.members(SUBSCRIPTIONS), 60)
    note(house, "two")
    note(house, "three")
    stream = Stream(service, **{"Last-Event-ID": str(seq)})
    assert stream.until("test event two")[0] < stream.until("test event three")[0]
    # Deleting it ends the stream.
    (place,) = service.members(SUBSCRIPTIONS)
    assert service.call("DELETE", place).status == 204
    while stream.answer.readline():
        pass
    assert service.call("GET", "/EventService/SSE", Last_Event_ID="x").status == 400


def test_a_receiver_gets_every_event_also_after_restarts(house, receiver):
    service = house.service
    wanted = {"Destination": "http://127.0.0.1:9000/events", "Protocol": "Redfish", "Context": "ours",
              "HttpHeaders": [{"X-Key": "hidden-key"}], "Severities": ["OK"]}
    for body, message in [({**wanted, "Protocol": "FTP"}, "PropertyValueNotInList"), ({**wanted, "Destination": "nowhere"}, "PropertyValueFormatError"),
                          ({"Protocol": "Redfish"}, "CreateFailedMissingReqProperties"), ({**wanted, "Severities": ["Bad"]}, "PropertyValueNotInList"),
                          ({**wanted, "Colour": "red"}, "PropertyUnknown")]:
        answer = service.call("POST", SUBSCRIPTIONS, body)
        assert answer.status == 400 and answer.json()["error"]["code"].endswith(message), body
    assert service.call("POST", SUBSCRIPTIONS, wanted, user="eve").status == 403
    made = service.call("POST", SUBSCRIPTIONS, wanted)
    place = made.headers["Location"]
    assert made.status == 201 and made.json()["Context"] == "ours" and b"hidden" not in made.body
    note(house, "one")
    receiver.heard("test event one")
    assert receiver.headers["X-Key"] == "hidden-key" and receiver.got[0]["Context"] == "ours"
    # Nobody takes them for a while; none is lost.
    receiver.deaf = True
    note(house, "two")
    wait_for("a try", lambda: receiver.refused)
    note(house, "three")
    receiver.deaf = False
    receiver.heard("test event three")
    order = [word for text in receiver.texts() for word in ("one", "two", "three") if f"test event {word}" in text]
    assert order == ["one", "two", "three"]
    # Killed and started again: the subscription is there, and what happened meanwhile comes, too.
    house.board.stop(signal.SIGKILL)
    house.board.start()
    service = house.service = Service(house)
    assert service.get(place)["Context"] == "ours"
    note(house, "four")
    receiver.heard("test event four")
    receiver.heard("oobd")
    changed = service.call("PATCH", place, {"Context": "theirs"})
    assert changed.json()["Context"] == "theirs"
    assert service.call("DELETE", place).status == 204
    assert service.call("GET", place).status == 404
