"""/metrics as Prometheus sees it: its own linter, its own parser, and each person's grants."""
import base64
import subprocess

from api_kit import Door, house, make_house  # noqa: F401
from board import wait_for
from prometheus_client.parser import text_string_to_metric_families
from ssh_kit import PASSWORD, Device

PEOPLE = {"alice": "administrator", "eve": 'role = "readonly"\nconsoles = ["core-*"]'}


def scrape(door, token):
    """The families by name, and the text."""
    answer = door.ask("GET", "/metrics", token=token)
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    text = answer.body.decode()
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families), "one head per family"
    return {family.name: family for family in families}, text


def value(families, family, **labels):
    """The one sample with these labels; None without any."""
    samples = families[family].samples if family in families else []
    found = [s.value for s in samples if all(s.labels.get(k) == v for k, v in labels.items())]
    assert len(found) < 2, found
    return found[0] if found else None


def events(door, token, source):
    """How many events of this source were counted, whatever their severity."""
    families, _ = scrape(door, token)
    samples = families["oobd_events"].samples if "oobd_events" in families else []
    return sum(sample.value for sample in samples if sample.labels["source"] == source)


def test_what_a_scrape_says(house):
    one, door = house(devices={"core-1": Device(), "edge": Device()}, people=PEOPLE)
    one.seen("ConsoleOpened", "edge")
    alice, eve = door.sign_in("alice"), door.sign_in("eve")
    console = door.console("core-1", "write=1", alice)
    console.type(b"hello")
    console.read(5)
    families, text = wait_for("the bytes are counted", lambda: (got := scrape(door, alice)) and value(got[0], "oobd_console_bytes", console="core-1", dir="in") == 5 and got)
    linted = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
    assert linted.returncode == 0 and not linted.stderr, linted.stderr
    assert value(families, "oobd_build_info", device="rack7", mode="off") == 1
    assert value(families, "oobd_ready") == 1 and value(families, "oobd_oob") == 0
    assert value(families, "oobd_console_up", console="edge") == 1
    assert value(families, "oobd_console_bytes", console="core-1", dir="out") == 5
    assert (value(families, "oobd_console_sessions", console="core-1"), value(families, "oobd_console_writers", console="core-1")) == (1, 1)
    assert (value(families, "oobd_console_sessions", console="edge"), value(families, "oobd_console_writers", console="edge")) == (0, 0)
    assert value(families, "oobd_task_restarts", task="console.edge") == 0 and value(families, "oobd_task_up", task="api") == 1
    assert value(families, "oobd_door_open", door="https") == 1
    assert value(families, "oobd_link_carrier", interface="eth0", role="lan") == 1
    assert value(families, "oobd_link_bytes", interface="eth0", dir="in") is not None
    # The sign-ins, the session on the console.
    wait_for("they are counted", lambda: events(door, alice, "api") >= 2 and events(door, alice, "console.core-1") >= 1)

    # What is outside the grants is not there, not even as a name.
    _, text = scrape(door, eve)
    assert "core-1" in text and "edge" not in text
    assert door.ask("GET", "/metrics").status == 401
    basic = base64.b64encode(f"eve:{PASSWORD}".encode()).decode()
    assert door.ask("GET", "/metrics", Authorization=f"Basic {basic}").status == 200


def test_events_are_counted_as_they_happen(house):
    one, door = house()
    token = door.sign_in()
    before = events(door, token, "supervisor")
    for number in range(5):
        door.ask("POST", "/api/command", {"WriteNote": {"text": f"note {number}"}}, token=token)
    wait_for("five more", lambda: events(door, token, "supervisor") == before + 5)
