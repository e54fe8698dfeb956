"""What the HTTPS tests need: TLS into the board's namespace, requests, WebSockets of the websocket-client library."""
import http.client
import json
import socket
import ssl

import pytest
import websocket
from board import in_namespace
from ssh_kit import HASH, PASSWORD, House

PROTOCOL = "oobd.console.v1"


def users(**roles):
    """A function for House: users with the known password, by name; each value is the role or more lines of the section."""
    def make(_operator):
        return {name: f'password = "{HASH}"\n' + (body if "=" in body else f'role = "{body}"') for name, body in roles.items()}
    return make


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json()["error"]


class Door:
    """The HTTPS door of a House, as somebody in its namespace (or another, by path) reaches it."""

    def __init__(self, house, host="127.0.0.1", space=None, port=443):
        self.house, self.host, self.port = house, host, port
        self.space = space or f"/proc/{house.board.process.pid}/ns/net"
        self.file = house.board.work / "state" / "https.pem"

    def tcp(self, room=None):
        """A connection; `room`: how much may wait for a client that does not read."""
        def connect():
            link = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
            link.settimeout(15)
            if room:
                link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
            link.connect((self.host, self.port))
            return link

        return in_namespace(self.space, connect)

    def tls(self, room=None):
        context = ssl.create_default_context(cafile=self.file)
        return context.wrap_socket(self.tcp(room), server_hostname="localhost")

    def connection(self):
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=20)
        connection.sock = self.tls()
        connection.auto_open = 0
        return connection

    def ask(self, method, path, body=None, token=None, connection=None, **headers):
        """One request; a body that is no bytes goes as JSON."""
        connection = connection or self.connection()
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None and not isinstance(body, bytes):
            body, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        connection.request(method, path, body, headers)
        return Answer(connection.getresponse())

    def sign_in(self, user="alice", password=PASSWORD):
        answer = self.ask("POST", "/api/session", {"user": user, "password": password})
        assert answer.status == 201, answer.body
        return answer.json()["token"]

    def console(self, name, query="", token=None, **options):
        """A WebSocket on a console."""
        header = options.pop("header", [])
        if token:
            header = header + [f"Authorization: Bearer {token}"]
        link = self.tls(options.pop("room", None))
        options = {"suppress_origin": True, "subprotocols": [PROTOCOL], **options}
        return Console(websocket.create_connection(f"wss://localhost:{self.port}/api/console/{name}?{query}", socket=link, header=header, **options))


class Console:
    """A client that counts as docs/api.md says: `data` is all it has got, `offset` where to resume."""

    def __init__(self, link):
        self.link, self.data, self.texts, self.offset, self.next_offset, self.gaps = link, bytearray(), [], None, None, []
        self.link.settimeout(15)
        self.hello = self.until(lambda: self.texts and self.texts[0])

    def step(self):
        """Takes one frame in; False when the board closed it."""
        code, body = self.link.recv_data()
        if code == websocket.ABNF.OPCODE_CLOSE:
            return False
        if code == websocket.ABNF.OPCODE_BINARY:
            self.data += body
            self.offset = self.next_offset if self.next_offset is not None else self.offset + len(body)
            self.next_offset = None
            return True
        said = json.loads(body)
        self.texts.append(said)
        if said["type"] == "offset":
            self.next_offset = said["offset"]
        elif said["type"] == "gap":
            self.gaps.append(said["bytes"])
            self.offset = said["offset"]
        elif said["type"] == "hello":
            self.offset = said["offset"]
        return True

    def until(self, check):
        """Takes frames in until that holds."""
        while not (found := check()):
            assert self.step(), f"closed; {self.texts[-3:]}"
        return found

    def read(self, count):
        self.until(lambda: len(self.data) >= count)
        return bytes(self.data)

    def saw(self, kind):
        """The first text frame of this type, waiting for it."""
        return self.until(lambda: next((text for text in self.texts if text["type"] == kind), None))

    def to_end(self):
        """Everything up to the close."""
        while self.step():
            pass
        return self.texts[-1]

    def type(self, data):
        self.link.send_binary(data)

    def say(self, kind, **fields):
        self.link.send(json.dumps({"type": kind, **fields}))

    def cut(self):
        """The connection is gone without a word."""
        self.link.sock.close()


def make_house(tmp_path, make_board, devices=(), people=None):
    return House(tmp_path, make_board, users=users(**(people or {"alice": "administrator"})), devices=devices).start()


@pytest.fixture
def house(tmp_path, make_board):
    """Makes houses with their HTTPS doors, and closes them with the test."""
    houses = []

    def make(**options):
        houses.append(make_house(tmp_path, make_board, **options))
        return houses[-1], Door(houses[-1])

    yield make
    for one in houses:
        one.close()
