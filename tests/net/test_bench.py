"""`scripts/bench console` still runs, in its short form: every door of this oobd, the peers beside it, no byte lost."""
import json
import subprocess

from board import ROOT, TARGET


def test_the_console_bench_runs_and_loses_nothing():
    command = [ROOT / "scripts/bench", "console", "--quick", "--only", "echo", "--only", "stalled", "--oobd", TARGET / "oobd"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(list(line) == ["name", "unit", "ours", "peer", "theirs", "ratio", "goal", "met"] for line in lines)
    names = [line["name"] for line in lines]
    for door in ("raw", "telnet", "rfc2217", "websocket", "ssh", "control"):
        assert f"echo round trip p50, {door}" in names
    lost = next(line for line in lines if line["name"].startswith("bytes lost"))
    assert lost["ours"] == 0 and int(lost["goal"].split()[-1]) >= 1 << 20, lost
