"""Every native route and every command, for every role, with and without a grant. The routes are those of the served document,
which a unit test holds against the router: a new route or command without a line here fails."""
import http.client

import pytest
from api_kit import Door, users
from board import wait_for
from ssh_kit import Device, House

# Who asks: role, and whether the grants reach console `sw`, machine `m` and outlet `odd/a`.
NONE = 'consoles = ["other*"]\noutlets = []\nmachines = []'
ALL = 'consoles = ["*"]\noutlets = ["*"]\nmachines = ["*"]'
RANKS = ["readonly", "operator", "administrator"]
PEOPLE = {f"{role}-{grant}": f'role = "{role}"\n{ALL if grant == "with" else NONE}' for role in RANKS for grant in ("with", "without")}
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13", "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ=="}
SWITCH = """#!/bin/sh
[ "$1" = status ] && echo on
exit 0
"""


def row(nobody, granted, others):
    """What is answered to whom: nobody, then readonly, operator, administrator with a grant, and the three without."""
    return [nobody, *granted, *others]


EVERYBODY = row(401, [200] * 3, [200] * 3)
ROUTES = {
    # Wrong credentials, so that nobody has to wait for a hash of each.
    ("post", "/api/session"): (dict(body={"user": 1}), row(422, [422] * 3, [422] * 3)),
    ("get", "/api/session"): ({}, EVERYBODY),
    ("get", "/api/sessions"): ({}, EVERYBODY),
    # Another one's session does not exist, but for administrators; this number is nobody's.
    ("delete", "/api/sessions/{id}"): (dict(path="/api/sessions/99999"), row(401, [404] * 3, [404] * 3)),
    ("post", "/api/ticket"): ({}, row(401, [201] * 3, [201] * 3)),
    ("post", "/api/password"): (dict(body={"new": "correct horse"}), row(401, [422] * 3, [422] * 3)),
    ("get", "/api/state"): ({}, EVERYBODY),
    ("get", "/api/state/stream"): (dict(begins=True), EVERYBODY),
    ("get", "/api/events"): (dict(path="/api/events?follow=false&newest=1"), EVERYBODY),
    ("post", "/api/command"): (dict(body={"WriteNote": {"text": "x"}}), row(401, [403, 200, 200], [403, 200, 200])),
    ("post", "/api/config/check"): (dict(body={"text": "schema = 1\n"}), row(401, [403, 403, 200], [403, 403, 200])),
    ("get", "/api/control"): (UPGRADE, row(401, [101] * 3, [101] * 3)),
    ("get", "/api/console/{name}"): (dict(path="/api/console/sw", **UPGRADE), row(401, [101] * 3, [404] * 3)),
    # The machine has no screen: whoever may look is told so by its owner, which is not there.
    ("get", "/api/screen/{machine}"): (dict(path="/api/screen/m", **UPGRADE), row(401, [404] * 3, [404] * 3)),
    ("get", "/api/screen/{machine}/snapshot.png"): (dict(path="/api/screen/m/snapshot.png"), row(401, [404] * 3, [404] * 3)),
    ("get", "/api/support-bundle"): ({}, row(401, [403, 403, 200], [403, 403, 200])),
    ("get", "/api/openapi.json"): ({}, row(200, [200] * 3, [200] * 3)),
    ("get", "/metrics"): ({}, EVERYBODY),
    # The last one: it ends the session.
    ("delete", "/api/session"): ({}, EVERYBODY),
}
M, C = {"machine": "m"}, {"console": "sw"}
# Least role, whether it takes a grant, and what is asked.
COMMANDS = {
    "WriteNote": ("operator", False, {"text": "x"}), "AcknowledgeEvent": ("operator", False, {"seq": 1}), **{name: ("administrator", False, None) for name in ("ReloadConfig", "CheckGuard", "GetConfig", "ConfirmConfig", "ListUsers", "RemoveCertificate")},
    "ShowCertificate": ("readonly", False, None),
    "InstallCertificate": ("administrator", False, {"certificate": "none"}), "RequestCertificate": ("administrator", False, {"names": []}),
    # Of a text that nobody has, so that nothing changes.
    "ApplyConfig": ("administrator", False, {"text": "schema = 1\n", "base": "none"}),
    **{name: ("administrator", False, {"user": {"name": "-"}}) for name in ("AddUser", "ChangeUser")},
    "RemoveUser": ("administrator", False, {"name": "nobody"}), "AddMachine": ("administrator", False, {"name": "-", "text": ""}),
    **{name: ("operator", False, {"uplink": "none"}) for name in ("RescanUplink", "TakeUplinkUp", "TakeUplinkDown", "ReleaseUplink")},
    "ListNetworks": ("readonly", False, {"uplink": "none"}), "ReadUplinkHistory": ("readonly", False, {"uplink": "none"}),
    "KickSession": ("administrator", True, {**C, "session": 99999}), "GiveWriter": ("administrator", True, {**C, "session": 99999}),
    "TrustHost": ("administrator", True, C), "SendBreak": ("operator", True, {**C, "millis": 1}), "SetLine": ("operator", True, {**C, "order": "Restore"}),
    **{name: ("operator", True, C) for name in ("FindLine", "FindName", "ResetCounters")},
    "SwitchOutlets": ("operator", True, {"pdu": "odd", "outlets": ["a"], "verb": "On", "cut_myself": False}), "ReadPdu": ("readonly", False, {"pdu": "odd"}),
    "SwitchMachine": ("operator", True, {**M, "verb": "On", "cut_myself": False}), "IdentifyMachine": ("operator", True, {**M, "seconds": 1}),
    **{name: ("readonly", True, M) for name in ("ReadMachine", "ReadSensors", "ReadBoot", "ReadMedia", "ReadBios", "ReadParts", "ReadSensorHistory")},
    "ReadMachineLog": ("readonly", True, {**M, "limit": 1}), "ClearMachineLog": ("administrator", True, M),
    "SetBoot": ("operator", True, {**M, "boot": {"target": "pxe", "once": True}}), "InsertMedium": ("operator", True, {**M, "slot": None, "image": "none.iso"}),
    "EjectMedium": ("operator", True, {**M, "slot": None}), "StageBios": ("administrator", True, {**M, "settings": {}}),
    "TrustDevice": ("administrator", False, {"owner": "pdu.odd"}), "AskAmt": ("readonly", True, {**M, "ask": "Info"}),
    # Too much at once: refused before anything is sent.
    "ScanAmt": ("administrator", False, {"network": "10.77.0.0", "prefix": 8}),
    "InsertIder": ("operator", True, {**M, "cd": None, "floppy": None, "writable": False, "start": "now"}), "EjectIder": ("operator", True, M), "BootFrom": ("operator", True, {**M, "url": "http://none"}),
    # The last one: nothing was changed from inside, so there is nothing to go back to.
    "RollbackConfig": ("administrator", False, None),
}


@pytest.fixture
def door(tmp_path, make_board):
    one = House(tmp_path, make_board, users=users(**PEOPLE), devices={"sw": Device(), "other": Device()})
    program = tmp_path / "switch"
    program.write_text(SWITCH)
    program.chmod(0o755)
    text = one.board.config.read_text()
    one.board.config.write_text(text + f'[pdu.odd.script]\nprogram = "{program}"\noutlets = ["a"]\n[machine.m]\noutlets = ["odd/a"]\n')
    one.start()
    wait_for("the console is open", lambda: one.board.json("status")["consoles"]["sw"]["phase"] == "open")
    yield Door(one)
    one.close()


class Person:
    """Somebody who keeps a connection, for the door counts how many come in a minute."""

    def __init__(self, door, name):
        self.door, self.token, self.connection = door, name and door.sign_in(name), None

    def ask(self, *words, **options):
        for left in (1, 0):
            self.connection = self.connection or self.door.connection()
            try:
                answer = self.door.ask(*words, token=self.token, connection=self.connection, **options)
                if answer.status == 101 or answer.headers.get("Connection") == "close":
                    self.close()
                return answer
            except (http.client.HTTPException, OSError):
                # It was idle for too long.
                self.close()
                assert left, words

    def begin(self, path):
        """The status of a stream, on a connection of its own."""
        connection = self.door.connection()
        connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"} if self.token else {})
        status = connection.getresponse().status
        connection.close()
        return status

    def close(self):
        self.connection.close()
        self.connection = None


def document(door):
    return door.ask("GET", "/api/openapi.json").json()


def test_every_route_for_everybody(door):
    routes = {(method, path) for path, methods in document(door)["paths"].items() for method in methods}
    assert routes == set(ROUTES), f"without a line here: {routes - set(ROUTES)}; not there any more: {set(ROUTES) - routes}"
    people = [None, *(f"{role}-{grant}" for grant in ("with", "without") for role in RANKS)]
    asking = [Person(door, name) for name in people]
    wrong = []
    for (method, path), (how, expected) in ROUTES.items():
        how = dict(how)
        address, body = how.pop("path", path), how.pop("body", None)
        for name, person, status in zip(people, asking, expected):
            # A stream only begins; what comes of it is left.
            got = person.begin(address) if how.get("begins") else person.ask(method.upper(), address, body, **how).status
            if got != status:
                wrong.append((method, path, name or "nobody", got, status))
    assert not wrong, "\n".join(map(str, wrong))


def test_every_command_for_everybody(door):
    plain, others = document(door)["components"]["schemas"]["Command"]["oneOf"]
    commands = {*plain["enum"], *others["properties"]}
    assert commands == set(COMMANDS), f"without a line here: {commands - set(COMMANDS)}; not there any more: {set(COMMANDS) - commands}"
    people = {name: Person(door, name) for name in PEOPLE}
    wrong = []
    for command, (least, granted, fields) in COMMANDS.items():
        body = command if fields is None else {command: fields}
        for name, person in people.items():
            role, grant = name.split("-")
            may = RANKS.index(role) >= RANKS.index(least) and (grant == "with" or not granted)
            answer = person.ask("POST", "/api/command", body)
            # Whoever may is answered by the owner, which may have reasons of its own.
            if (answer.status != 403) != may or answer.status in (400, 401, 422):
                wrong.append((command, name, answer.status, answer.body[:200]))
            if not may and command in ("SendBreak", "SwitchMachine") and grant == "without":
                assert "there is no" in answer.error, "names do not leak"
    assert not wrong, "\n".join(map(str, wrong))
