"""The record of a console as people ask for it: oobctl and SSH, time, pattern, raw bytes, who typed what, and events of what it prints."""
import json
import subprocess

import pytest
from board import TARGET, wait_for
from ssh_kit import Device, House

EXTRA = """
transcript = { keep = "1MiB", tx = true }
silence = "10s"
[console.sw.pattern.panic]
match = "^kernel panic"
severity = "critical"
[console.sw.pattern.prompt]
match = "login: $"
"""
EVERY = bytes(range(256))


@pytest.fixture
def house(tmp_path, make_board):
    def users(operator):
        key = f'keys = ["{operator.public}"]'
        return {"alice": f'role = "administrator"\n{key}', "olga": f'role = "operator"\n{key}',
                "paul": f'role = "operator"\n{key}\nconsoles = ["other*"]'}

    one = House(tmp_path, make_board, devices={"sw": Device(lambda data: b"")}, users=users)
    text = one.board.config.read_text()
    head = text.index("[console.sw]")
    end = text.find("\n[", head + 1)
    one.board.config.write_text(text[:end] + EXTRA + text[end:] if end > 0 else text + EXTRA)
    one.start()
    wait_for("the console is open", lambda: one.board.json("status")["consoles"]["sw"]["phase"] == "open")
    yield one
    one.close()


def log(one, *words):
    return one.board.ctl("console", "log", "sw", *words).stdout


def test_a_record_answers_questions(house):
    house.devices["sw"].say(b"boot ok\r\n\x1b[31mlink down\x1b[0m\r\n2026-11-20 18:04:11 * alice left console sw: detached\r\nlink up\r\n" + EVERY + b"\r\n")
    wait_for("the lines on flash", lambda: "link up" in log(house))
    wait_for("all bytes on flash", lambda: "\\xff" in repr(subprocess.run(
        [TARGET / "oobctl", "--socket", house.board.socket, "console", "log", "sw", "--raw"], capture_output=True).stdout))
    told = [line[20:] for line in log(house).splitlines()]
    assert told[:4] == ["| boot ok", "| link down", "| 2026-11-20 18:04:11 * alice left console sw: detached", "| link up"]
    assert "\x1b" not in log(house)
    assert [line[20:] for line in log(house, "--grep", "^link", "-n", "1").splitlines()] == ["| link up"]
    context = [line[20:] for line in log(house, "--grep", "boot", "-C", "1").splitlines()]
    assert context == ["| boot ok", ": link down"]
    assert log(house, "--since", "1h") == log(house)
    assert not log(house, "--until", "2020-01-01")
    raw = subprocess.run([TARGET / "oobctl", "--socket", house.board.socket, "console", "log", "sw", "--raw"], capture_output=True)
    assert raw.returncode == 0 and EVERY in raw.stdout and raw.stdout.startswith(b"boot ok\r\n\x1b[31m")
    rows = [json.loads(row) for row in log(house, "--jsonl", "--events").splitlines()]
    assert any(row.get("line") == "boot ok" and row["offset"] == 0 and row["at"] for row in rows)
    assert any("ConsoleOpened" in row.get("event", {}) for row in rows)
    assert json.loads(log(house, "--json"))["log"]
    bad = house.board.ctl("console", "log", "sw", "--grep", "(", check=False)
    assert bad.returncode == 1 and "unclosed group" in bad.stderr
    for name in ["nothing", "../journal", ""]:
        refused = house.board.ctl("console", "log", name, check=False)
        assert refused.returncode in (1, 4) and not refused.stdout, name

    over_ssh = house.operator.ssh("olga", "console", "log", "sw", "--grep", "link.up").stdout.decode()
    assert over_ssh.strip().endswith("| link up")
    hidden = house.operator.ssh("paul", "console", "log", "sw")
    assert hidden.returncode == 4 and b"there is no console sw" in hidden.stderr and not hidden.stdout


def test_who_follows_sees_lines_come(house):
    process = subprocess.Popen([TARGET / "oobctl", "--socket", house.board.socket, "console", "log", "sw", "-f"], stdout=subprocess.PIPE)
    try:
        for number in range(3):
            house.devices["sw"].say(f"tick {number}\r\n".encode())
            assert process.stdout.readline().endswith(f"| tick {number}\n".encode())
    finally:
        process.kill()
        process.wait()


def test_what_is_typed_is_kept_with_who_typed_it_for_administrators(house):
    typing = house.operator.ssh("olga", "console", "attach", "sw", stdin=b"show version\r")
    assert typing.returncode == 0, typing
    wait_for("the typed line", lambda: "> olga: show version\\r" in log(house, "--tx"))
    assert "show version" not in log(house) and bytes(house.devices["sw"].got) == b"show version\r"
    refused = house.operator.ssh("olga", "console", "log", "sw", "--tx")
    assert refused.returncode == 4 and b"administrator" in refused.stderr and not refused.stdout


def test_what_a_device_prints_becomes_events_and_a_flood_does_not(house):
    device = house.devices["sw"]
    device.say(b"\x1b[1mkernel panic\x1b[0m - not syncing\r\nweb1 login: ")
    assert house.seen("PatternSeen", "panic")["line"] == "kernel panic - not syncing"
    assert house.seen("PatternSeen", "prompt")["line"] == "web1 login:"
    device.say(b"alice\r\nPassword: \r\nLast login: Fri Nov 20 18:04:11 on ttyS0\r\nalice@web1:~$ logout\r\nlogout\r\n")
    assert house.seen("DeviceLogin")["user"] == "alice"
    assert house.seen("DeviceLogout")["user"] == "alice"
    assert house.seen("ConsoleSilent")["seconds"] == 10
    device.say(b"here again\r\n")
    assert house.seen("ConsoleHeard")["seconds"] >= 10
    for number in range(200):
        device.say(f"web1 login: user{number}\r\nLast login: now\r\n".encode())
    def told():
        return sum(house.count(kind) for kind in ("PatternSeen", "DeviceLogin", "DeviceLogout", "ConsoleHeard", "ConsoleSilent"))

    wait_for("as many events as one console may make", lambda: told() >= 20, 30)
    device.say(b"the end\r\n")
    wait_for("the flood is in the record", lambda: "the end" in log(house))
    assert told() == 20
