"""Raw TCP doors: bytes as they are, who may come in, what a stalled or greedy client costs, doors that cannot open."""
import os
import socket
import subprocess
import time

from board import wait_for
from plain_kit import HERE, Device, House, both_ways, connect, ended, inside, read_until, house  # noqa: F401

DOOR = f"raw = {{ port = 4001, allow = {HERE} }}"


def test_all_values_pass_both_ways_and_nothing_else_does(house):
    house = house()
    client = connect(house.board, 4001)
    house.sessions(1)
    both_ways(house.core, client.sendall, lambda: client.recv(65536))
    session = house.happened("SessionOpened")[0]
    assert session["user"] == "raw" and session["from"].startswith("raw 127.0.0.1:") and session["writer"]
    client.close()
    house.sessions(0)
    assert len(house.happened("SessionClosed")) == 1


def test_socat_and_a_pipe_that_ends_hear_the_answer(house):
    house = house(devices={"core": Device(lambda data: b"<" + data + b">\r\n")})
    for number in range(2):
        done = house.board.in_ns("sh", "-c", "printf 'show version\\r' | socat -t 5 - TCP:127.0.0.1:4001")
        assert "<show version\n>" in done.stdout.replace("\r", "\n").replace("\n>", "\n>"), done
    # The one before has left, so the keyboard was free at once.
    assert [session["writer"] for session in house.happened("SessionOpened")] == [True, True]


def test_a_second_client_watches_and_is_refused_when_it_types(house):
    house = house()
    first, second = connect(house.board, 4001), None
    house.sessions(1)
    second = connect(house.board, 4001)
    house.sessions(2)
    house.core.say(b"to both")
    for client in (first, second):
        read_until(client, b"to both")
    second.sendall(b"reload\r")
    assert ended(second) == b""
    first.sendall(b"show\r")
    wait_for("the first one's bytes", lambda: bytes(house.core.got) == b"show\r")


def test_a_program_that_loses_the_keyboard_is_told_by_the_end_of_its_connection(house):
    house = house()
    program = connect(house.board, 4001)
    first = house.sessions(1)[0]["id"]
    person = connect(house.board, 4001)
    house.sessions(2)
    program.sendall(b"mine")
    wait_for("typed", lambda: bytes(house.core.got) == b"mine")
    other = next(session["id"] for session in house.console()["sessions"] if session["id"] != first)
    house.board.ctl("console", "give", "core", str(other))
    wait_for("given", lambda: next(s for s in house.console()["sessions"] if s["id"] == other)["writer"])
    program.sendall(b"lost")
    assert ended(program) == b""
    house.sessions(1)
    assert bytes(house.core.got) == b"mine"
    person.close()


def test_dead_peers_are_looked_for(house):
    house = house()
    client = connect(house.board, 4001)
    house.sessions(1)
    seen = house.board.in_ns("ss", "-Htno", "state", "established", "sport", "=", ":4001").stdout
    assert "timer:(keepalive,2" in seen or "timer:(keepalive,30" in seen, seen
    client.close()


def test_a_door_to_watch_by_takes_nothing(house):
    house = house(f"raw = {{ port = 4001, allow = {HERE}, write = false }}")
    client = connect(house.board, 4001)
    house.sessions(1)
    client.sendall(b"reload\r")
    house.core.say(b"still here")
    read_until(client, b"still here")
    assert bytes(house.core.got) == b"" and not house.console()["sessions"][0]["writer"]


def test_strangers_are_dropped_and_told_of_once(house):
    house = house('raw = { port = 4001, allow = ["127.0.0.2", "fd00::/8"] }')
    for _ in range(20):
        client = connect(house.board, 4001)
        assert ended(client) == b""
    welcome = inside(house.board, lambda: socket.create_connection(("127.0.0.1", 4001), 5, ("127.0.0.2", 0)))
    house.sessions(1)
    house.core.say(b"hello")
    read_until(welcome, b"hello")
    refused = wait_for("events", lambda: house.happened("SignInRefused"))
    assert 1 <= len(refused) <= 6 and refused[0]["door"] == "raw" and "allow" in refused[0]["reason"]


def test_a_stalled_client_costs_little_and_hurts_nobody(house):
    house = house()
    good = connect(house.board, 4001)
    house.sessions(1)

    def memory():
        text = open(f"/proc/{house.board.process.pid}/smaps_rollup").read()
        return int(text.split("Rss:")[1].split()[0])

    def flood(rounds):
        for number in range(rounds):
            house.core.say(b"x" * 50_000 + b"end of %d;" % number)
            read_until(good, b"end of %d;" % number)

    flood(60)  # ring, transcript and allocator are at their size now
    stalled = [connect(house.board, 4001) for _ in range(32)]
    house.sessions(33)
    before = memory()
    flood(160)
    grown = memory() - before
    assert grown < 32 * 100, f"{grown} KiB more for 32"
    # They read on where the ring still has it: with a gap, as bytes only.
    for client in stalled:
        assert len(read_until(client, b"end of 159;")) < 8_000_000


def test_384_sessions_open_at_once(house):
    devices = {f"c{number}": Device(lambda data: b"") for number in range(48)}
    doors = {f"c{number}": f"raw = {{ port = {4001 + number}, allow = {HERE} }}\nsessions = \"shared\"" for number in range(48)}
    house = house(doors, devices=devices)

    def all_at_once():
        import selectors
        began, waiting, clients = time.monotonic(), selectors.DefaultSelector(), []
        for number in range(384):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", 4001 + number % 48))
            clients.append(client)
        # Open is a session that types: its byte reaches the device.
        for client in clients:
            waiting.register(client, selectors.EVENT_WRITE)
        while waiting.get_map():
            for key, _ in waiting.select(5):
                key.fileobj.send(b"x")
                waiting.unregister(key.fileobj)
        wait_for("384 bytes", lambda: sum(len(device.got) for device in devices.values()) == 384)
        return time.monotonic() - began, clients

    took, clients = inside(house.board, all_at_once)
    print(f"384 sessions in {took:.2f} s")
    assert took < 6, f"{took:.2f} s"  # 1.5 s on a machine that has nothing else to do: scripts/bench console
    assert len(clients) == 384


def test_a_port_that_is_taken_is_said_and_tried_again(make_board):
    device = Device()
    house = House(make_board, DOOR, devices={"core": device})
    name = f"plain-{os.getpid()}"
    space = subprocess.Popen(["unshare", "-n", "sh", "-c", "ip link set lo up; exec socat TCP-LISTEN:4001,reuseaddr EXEC:cat"])
    try:
        look = ["nsenter", "-t", str(space.pid), "-n", "ss", "-Hltn"]
        wait_for("the squatter", lambda: ":4001 " in subprocess.run(look, stdout=subprocess.PIPE, text=True).stdout)
        # Into the same namespace as the squatter.
        subprocess.run(["ip", "netns", "attach", name, str(space.pid)], check=True)
        house.board.netns = name
        house.board.start()
        status = wait_for("the fault", lambda: house.board.json("status")["owners"].get("raw.core", {}).get("last_fault"))
        assert "4001" in status and "in use" in status.lower(), status
        assert house.plain() == {}
        space.kill()
        wait_for("the door opens", lambda: "raw.core" in house.plain(), 40)
    finally:
        space.kill()
        space.wait()
        house.close()
        subprocess.run(["ip", "netns", "del", name], check=False)


def test_a_reload_restarts_only_the_door_that_changed(house):
    house = house({"core": f"{DOOR}\nrfc2217 = {{ port = 5001, allow = {HERE} }}"})
    client = connect(house.board, 4001)
    house.sessions(1)
    other = connect(house.board, 5001)
    house.sessions(2)
    text = house.board.config.read_text()
    house.board.reload(text.replace("port = 5001", "port = 5002"))
    wait_for("the other port", lambda: house.plain()["rfc2217.core"]["address"].endswith(":5002"))
    ended(other)
    assert "rfc2217.core" in str(house.happened("ConfigApplied"))
    assert "raw.core" not in str(house.happened("ConfigApplied"))
    house.core.say(b"undisturbed")
    read_until(client, b"undisturbed")
    house.board.reload(text.replace("rfc2217 =", "# rfc2217 ="))
    wait_for("the door is gone", lambda: list(house.plain()) == ["raw.core"])
