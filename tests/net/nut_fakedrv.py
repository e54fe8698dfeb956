"""A NUT driver that the tests own: speaks docs/sock-protocol.txt of networkupstools/nut on <statepath>/<driver>-<ups>, so that the real
upsd serves a PDU whose timing and failures a test decides, through a file of `key = value` lines that is read at every command.
usage: nut_fakedrv.py SOCKET CONTROL    keys: delay (seconds), stuck (number), fail (number), outlets (count), cycle (0: no such command)"""
import os
import shlex
import socket
import sys
import threading
import time

PATH, CONTROL = sys.argv[1:]
CLIENTS = []


def setting(key, default):
    with open(CONTROL) as file:
        pairs = dict(line.split(" = ") for line in file.read().splitlines() if " = " in line)
    return float(pairs.get(key, default))


STATE = {n: "on" for n in range(1, int(setting("outlets", 4)) + 1)}


def tell(line, only=None):
    for client in [only] if only else list(CLIENTS):
        try:
            client.sendall((line + "\n").encode())
        except OSError:
            pass


def dump(client):
    tell('SETINFO ups.status "OL"', client)
    tell(f'SETINFO outlet.count "{len(STATE)}"', client)
    for n, state in STATE.items():
        tell(f'SETINFO outlet.{n}.status "{state}"', client)
        tell(f'SETINFO outlet.{n}.desc "Outlet \\"{n}\\""', client)
        for verb in ("on", "off") + (("cycle",) if setting("cycle", 1) else ()):
            tell(f"ADDCMD outlet.{n}.load.{verb}", client)
    tell("DUMPDONE", client)
    tell("DATAOK", client)


def run(client, command, tracking):
    """upshandler.h: 0 handled, 1 unknown, 2 invalid, 3 failed."""
    parts, code = command.split("."), 1
    if len(parts) == 4 and parts[0] == "outlet" and int(parts[1]) in STATE:
        n, code = int(parts[1]), 0

        def put(state):
            if n != setting("stuck", 0):
                STATE[n] = state
                tell(f'SETINFO outlet.{n}.status "{state}"')

        time.sleep(setting("delay", 0.1))
        if n == setting("fail", 0):
            code = 3
        elif parts[3] == "cycle":
            put("off")
            time.sleep(setting("dark", 2))
            put("on")
        else:
            put(parts[3])
    if tracking:
        tell(f"TRACKING {tracking} {code}", client)


def serve(client):
    for line in client.makefile():
        words = shlex.split(line.strip())
        if not words:
            continue
        if words[0] == "PING":
            tell("PONG", client)
        elif words[0] == "DUMPALL":
            dump(client)
        elif words[0] == "INSTCMD":
            tracking = words[words.index("TRACKING") + 1] if "TRACKING" in words else None
            threading.Thread(target=run, args=(client, words[1], tracking), daemon=True).start()
        elif words[0] == "LOGOUT":
            break
    CLIENTS.remove(client)


if os.path.exists(PATH):
    os.unlink(PATH)
listener = socket.socket(socket.AF_UNIX)
listener.bind(PATH)
listener.listen(4)
os.chmod(PATH, 0o666)
while True:
    peer, _ = listener.accept()
    CLIENTS.append(peer)
    threading.Thread(target=serve, args=(peer,), daemon=True).start()
