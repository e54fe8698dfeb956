"""The native API against its own document: schemathesis makes up requests, good and bad, and holds the answers against what is documented."""
from pathlib import Path

from api_kit import Door, house, make_house  # noqa: F401
from board import wait_for
from ssh_kit import PASSWORD, Device
from venv_kit import venv

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_whatever_is_asked_is_answered_as_documented(house):
    one, door = house(devices={"sw": Device()})
    program = venv("api-peers", Path(__file__).with_name("api-requirements.txt")) / "bin" / "schemathesis"
    wait_for("the console is open", lambda: one.board.json("status")["consoles"]["sw"]["phase"] == "open")
    # The same cases each time. Streams end with their reader, so that a list is all that can be held against anything.
    done = one.board.in_ns(program, "run", "https://localhost/api/openapi.json", "--tls-verify", door.file, "--auth", f"alice:{PASSWORD}",
                           "--phases", "examples,coverage,fuzzing", "--max-examples", "15", "--generation-deterministic", "--seed", "1",
                           "--checks", CHECKS, "--exclude-path", "/api/events", "--exclude-path", "/api/state/stream", "--warnings", "off", "--no-color", "--request-timeout", "60",
                           timeout=500, cwd=one.board.work)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "panicked" not in one.board.text()
    assert one.board.json("status")["owners"]["api"]["restarts"] == 0
    assert door.ask("GET", "/api/state", token=door.sign_in()).status == 200
