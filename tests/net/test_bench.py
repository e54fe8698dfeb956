"""The benches still run, in their short form."""
import json
import subprocess

from board import ROOT, TARGET


KEYS = ["name", "unit", "ours", "peer", "theirs", "ratio", "goal", "met"]


def bench(*words):
    """The results and the exit status."""
    done = subprocess.run([ROOT / "scripts/bench", *words, "--oobd", TARGET / "oobd"], capture_output=True, text=True, timeout=600)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines and all(list(line) == KEYS for line in lines), done.stdout + done.stderr
    return lines, done.returncode


def test_the_console_bench_runs_and_loses_nothing():
    """Every door of this oobd, the peers beside it, no byte lost."""
    lines, status = bench("console", "--quick", "--only", "echo", "--only", "stalled")
    assert status == 0, lines
    names = [line["name"] for line in lines]
    for door in ("raw", "telnet", "rfc2217", "websocket", "ssh", "control"):
        assert f"echo round trip p50, {door}" in names
    lost = next(line for line in lines if line["name"].startswith("bytes lost"))
    assert lost["ours"] == 0 and int(lost["goal"].split()[-1]) >= 1 << 20, lost


def test_the_amt_bench_counts_what_is_asked():
    # Without the screen: nothing is to be seen of a debug build there.
    some = [word for stage in ("asks", "scan", "fleet") for word in ("--only", stage)]
    lines, _ = bench("amt", *some, "--rounds", "1", "--live", "5", "--dead", "2", "--slow", "1000")
    # Counts do not depend on how busy the machine is.
    counts = {line["name"]: line["met"] for line in lines if line["name"].endswith(", requests") and line["goal"]}
    assert counts == {"power-on, requests": True, "boot to BIOS setup, requests": True}
    assert any(line["name"].startswith("7 machines, 2 dead") for line in lines)


def test_the_power_bench_runs_and_its_table_is_complete():
    lines, status = bench("power", "--quick")
    assert status == 0, lines
    names = [line["name"] for line in lines]
    for device in ("ipmi", "powerman", "nut", "snmp"):
        for verb in ("on", "off"):
            assert f"{device}, {verb}: command to outcome read back, median" in names
    assert next(line for line in lines if line["name"].startswith("rows"))["ours"] == 0
