#!/usr/bin/env python3
"""What snmpd asks for the outlets of a PDU (`pass_persist`): four outlets that look like those of seven families at once.

Arguments: FILE and then latency=SECONDS (of each answer), cycle=SECONDS, stuck=N (an outlet that takes every order and never moves).
FILE holds the outlets as JSON, and FILE.orders every order that was taken, a line each."""
import json
import os
import sys
import threading
import time

FILE = sys.argv[1]
OPTIONS = dict(word.split("=") for word in sys.argv[2:])
LATENCY, CYCLE, STUCK = float(OPTIONS.get("latency", 0)), float(OPTIONS.get("cycle", 2)), int(OPTIONS.get("stuck", 0))
OUTLETS = (1, 2, 3, 4)
LOCK = threading.Lock()
STATE = {n: 1 for n in OUTLETS}
TREE = {}
E = "1.3.6.1.4.1."


def save():
    with open(FILE + ".new", "w") as out:
        json.dump(STATE, out)
    os.replace(FILE + ".new", FILE)


def put(n, on):
    with LOCK:
        if n != STUCK:
            STATE[n] = on
            save()


def later(seconds, work, *arguments):
    timer = threading.Timer(seconds, work, arguments)
    timer.daemon = True
    timer.start()


def cycle(n):
    put(n, 0)
    later(CYCLE, put, n, 1)


def orders(n, on, off, again):
    def take(value):
        with open(FILE + ".orders", "a") as out:
            out.write(f"{n} {value}\n")
        work = {on: lambda: put(n, 1), off: lambda: put(n, 0), again: lambda: cycle(n)}.get(value)
        if work is None:
            return "wrong-value"
        work()
    return take


def add(oid, kind, get, take=None):
    TREE[tuple(int(part) for part in oid.split("."))] = (kind, get, take)


def delayed(n, work):
    """Eaton: the value is a delay in seconds."""
    def take(value):
        with open(FILE + ".orders", "a") as out:
            out.write(f"{n} {value}\n")
        if value >= 0:
            later(value, work, n)
    return take


for n in OUTLETS:
    def words(on, off, n=n):
        return lambda: on if STATE[n] else off
    # APC rack PDU, APC MasterSwitch, CyberPower
    for state, control in (("318.1.1.12.3.5.1.1.4", "318.1.1.12.3.3.1.1.4"), ("318.1.1.4.4.2.1.3", "318.1.1.4.4.2.1.3"),
                           ("3808.1.1.3.3.5.1.1.4", "3808.1.1.3.3.3.1.1.4")):
        add(f"{E}{state}.{n}", "integer", words(1, 2))
        add(f"{E}{control}.{n}", "integer", words(1, 2), orders(n, 1, 2, 3))
    add(f"{E}318.1.1.12.3.5.1.1.2.{n}", "string", lambda n=n: f"Outlet {n}")
    # Raritan PX2
    add(f"{E}13742.6.4.1.2.1.2.1.{n}", "integer", words(1, 0), orders(n, 1, 0, 2))
    add(f"{E}13742.6.4.1.2.1.3.1.{n}", "integer", words(7, 8))
    # Server Technology Sentry3
    add(f"{E}1718.3.2.3.1.5.1.1.{n}", "integer", words(1, 0))
    add(f"{E}1718.3.2.3.1.7.1.1.{n}", "integer", lambda n=n: 25 * n if STATE[n] else -1)
    add(f"{E}1718.3.2.3.1.11.1.1.{n}", "integer", lambda: 0, orders(n, 1, 2, 3))
    # Eaton ePDU G3; its units count from 0
    add(f"{E}534.6.6.7.6.6.1.2.0.{n}", "integer", words(1, 0))
    for column, work in ((3, lambda n: put(n, 0)), (4, lambda n: put(n, 1)), (5, cycle)):
        add(f"{E}534.6.6.7.6.6.1.{column}.0.{n}", "integer", lambda: -1, delayed(n, work))
    # RFC 3621
    add(f"1.3.6.1.2.1.105.1.1.1.3.1.{n}", "integer", words(1, 2), orders(n, 1, 2, None))

save()
OIDS = sorted(TREE)


def say(*lines):
    print(*lines, sep="\n", flush=True)


def show(oid):
    kind, get, _ = TREE[oid]
    say("." + ".".join(map(str, oid)), kind, str(get()))


for line in sys.stdin:
    asked = line.strip()
    if asked == "PING":
        say("PONG")
        continue
    if asked not in ("get", "getnext", "set"):
        continue
    oid = tuple(int(part) for part in sys.stdin.readline().strip().strip(".").split(".") if part)
    time.sleep(LATENCY)
    if asked == "get":
        show(oid) if oid in TREE else say("NONE")
    elif asked == "getnext":
        after = next((other for other in OIDS if other > oid), None)
        show(after) if after else say("NONE")
    else:
        kind, value = sys.stdin.readline().strip().split(None, 1)
        if oid not in TREE or not TREE[oid][2]:
            say("not-writable")
        elif kind != "integer":
            say("wrong-type")
        else:
            say(TREE[oid][2](int(value)) or "DONE")
