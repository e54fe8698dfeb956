#!/usr/bin/env python3
"""A Shelly of the second generation (two switches) and a Tasmota device (one relay, or two) as small web servers.

Arguments: shelly|tasmota ADDRESS PORT FILE [password=WORD] [relays=N] [old=1]. FILE holds the switches as JSON; FILE.log what was
asked, queries included. They follow shelly-api-docs.shelly.cloud (Gen2, digest with SHA-256) and tasmota.github.io/docs/Commands."""
import hashlib
import json
import os
import re
import secrets
import sys
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KIND, ADDRESS, PORT, FILE = sys.argv[1:5]
OPTIONS = dict(word.split("=", 1) for word in sys.argv[5:])
PASSWORD = OPTIONS.get("password", "")
COUNT = int(OPTIONS.get("relays", 2))
REALM = "shellyplus2pm-441793d69718"
LOCK = threading.Lock()
STATE = [True] * COUNT
TIMED, NONCES = {}, set()


def save():
    with open(FILE + ".new", "w") as out:
        json.dump(STATE, out)
    os.replace(FILE + ".new", FILE)


def put(at, on):
    with LOCK:
        STATE[at] = on
        TIMED.pop(at, None)
        save()


def later(seconds, at, on):
    TIMED[at] = seconds
    timer = threading.Timer(seconds, put, (at, on))
    timer.daemon = True
    timer.start()


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


class Plug(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def note(self, text):
        with LOCK, open(FILE + ".log", "a") as out:
            out.write(text + "\n")

    def answer(self, status, body, **headers):
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Shelly(Plug):
    def signed(self):
        given = self.headers.get("Authorization", "")
        if not PASSWORD:
            return True
        if not given.lower().startswith("digest "):
            return False
        said = {name: quoted or bare for name, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', given)}
        if said.get("nonce") not in NONCES or said.get("username") != "admin" or said.get("algorithm") != "SHA-256":
            return False
        ha1, ha2 = sha256(f"admin:{REALM}:{PASSWORD}"), sha256(f"{self.command}:{said.get('uri')}")
        words = (ha1, said["nonce"], said.get("nc", ""), said.get("cnonce", ""), "auth", ha2)
        return said.get("uri") == self.path and said.get("response") == sha256(":".join(words))

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if not self.signed():
            nonce = secrets.token_hex(8)
            NONCES.add(nonce)
            challenge = f'Digest qop="auth", realm="{REALM}", nonce="{nonce}", algorithm=SHA-256'
            return self.answer(401, {"code": 401, "message": "unauthorized"}, WWW_Authenticate=challenge)
        if self.path != "/rpc":
            return self.answer(404, {"code": 404, "message": "no such page"})
        self.note(body)
        asked = json.loads(body)
        frame = {"id": asked.get("id"), "src": REALM}
        if asked.get("src"):
            frame["dst"] = asked["src"]
        method, params = asked["method"], asked.get("params", {})
        at = params.get("id")
        if method not in ("Switch.GetStatus", "Switch.Set"):
            return self.answer(500, {**frame, "error": {"code": 404, "message": f"No handler for {method}"}})
        if not isinstance(at, int) or not 0 <= at < COUNT:
            return self.answer(500, {**frame, "error": {"code": -105, "message": f"Argument 'id', value {at} not found!"}})
        if method == "Switch.GetStatus":
            status = {"id": at, "source": "init", "output": STATE[at], "apower": 8.9 if STATE[at] else 0.0, "voltage": 237.5,
                      "current": 0.12 if STATE[at] else 0.0, "temperature": {"tC": 52.9, "tF": 127.3}}
            if at in TIMED:
                status["timer_duration"] = TIMED[at]
            return self.answer(200, {**frame, "result": status})
        was = STATE[at]
        put(at, bool(params["on"]))
        if "toggle_after" in params:
            later(float(params["toggle_after"]), at, not params["on"])
        return self.answer(200, {**frame, "result": {"was_on": was}})


class Tasmota(Plug):
    def do_GET(self):
        self.note(self.path)
        path, _, query = self.path.partition("?")
        said = {name: words[0] for name, words in urllib.parse.parse_qs(query).items()}
        if path != "/cm":
            return self.answer(404, {})
        if PASSWORD and (said.get("user"), said.get("password")) != ("admin", PASSWORD):
            status = 200 if OPTIONS.get("old") else 401
            return self.answer(status, {"WARNING": "Need user=<username>&password=<password>"})
        return self.answer(200, self.command_of(said.get("cmnd", "")))

    def names(self):
        return ["POWER"] if COUNT == 1 else [f"POWER{n + 1}" for n in range(COUNT)]

    def command_of(self, text):
        word, _, rest = text.partition(" ")
        if word.lower() == "backlog":
            self.backlog([part.strip() for part in rest.split(";")])
            return {}
        power = re.fullmatch(r"(?i)power(\d*)", word)
        if power:
            at = int(power[1] or 1) - 1
            if not 0 <= at < COUNT:
                return {"Command": "Unknown"}
            if rest.lower() in ("on", "1", "off", "0"):
                put(at, rest.lower() in ("on", "1"))
            return {self.names()[at]: "ON" if STATE[at] else "OFF"}
        if text.lower() == "status 11":
            powers = {name: "ON" if on else "OFF" for name, on in zip(self.names(), STATE)}
            return {"StatusSTS": {"Time": "2026-01-01T00:00:00", "UptimeSec": 9, **powers, "Wifi": {"AP": 1, "RSSI": 84}}}
        if text.lower() == "status 10":
            return {"StatusSNS": {"Time": "2026-01-01T00:00:00", "ENERGY": {"Power": 42, "Voltage": 231, "Current": 0.182}}}
        return {"Command": "Unknown"}

    def backlog(self, commands):
        for place, command in enumerate(commands):
            if command.lower().startswith("delay "):
                rest = commands[place + 1:]
                timer = threading.Timer(int(command.split()[1]) / 10, self.backlog, (rest,))
                timer.daemon = True
                timer.start()
                return
            self.command_of(command)


save()
ThreadingHTTPServer((ADDRESS, int(PORT)), {"shelly": Shelly, "tasmota": Tasmota}[KIND]).serve_forever()
