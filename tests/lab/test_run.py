"""scripts/run as a person and as CI use it."""
import json
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent.parent
KEYS = {"boot_s", "oobd_ready_s", "hotspot_on_to_associated_s", "hotspot_on_to_leased_s", "hotspot_on_to_ssh_s", "image_mb", "oobd_rss_mb", "gateway_leaks"}


def qemus(folder):
    """Command lines of QEMU processes that work in `folder`."""
    found = []
    for p in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = p.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "qemu-system" in words[0] and any(folder in w for w in words):
            found.append(p.parent.name)
    return found


def start(*args, folder):
    return subprocess.Popen([REPO / "scripts/run", "--no-build", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env={**os.environ, "TMPDIR": folder}, start_new_session=True)


def test_check_prints_one_line_of_measured_values_and_leaves_nothing(tmp_path):
    with tempfile.TemporaryDirectory(prefix="oobd-t-", dir="/tmp") as folder:
        p = start("--check", folder=folder)
        out, err = p.communicate(timeout=900)
        assert p.returncode == 0, err[-4000:]
        lines = out.splitlines()
        assert len(lines) == 1
        values = json.loads(lines[0])
        assert set(values) == KEYS
        assert values["gateway_leaks"] == 0
        assert 0 < values["boot_s"] <= values["oobd_ready_s"]
        assert 0 < values["hotspot_on_to_associated_s"] <= values["hotspot_on_to_leased_s"] <= values["hotspot_on_to_ssh_s"]
        assert "show version" in err and "uptime is" in err
        assert os.listdir(folder) == [] and qemus(folder) == []


def test_ctrl_c_ends_at_once_and_leaves_nothing():
    with tempfile.TemporaryDirectory(prefix="oobd-t-", dir="/tmp") as folder:
        p = start(folder=folder)
        deadline = time.monotonic() + 300
        while not qemus(folder):
            assert p.poll() is None and time.monotonic() < deadline
            time.sleep(0.5)
        os.killpg(p.pid, signal.SIGINT)
        try:
            _, err = p.communicate(timeout=90)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGTERM)
            _, err = p.communicate()
            raise AssertionError(f"it went on: {err[-4000:]}") from None
        assert p.returncode == 0, err[-4000:]
        assert os.listdir(folder) == [] and qemus(folder) == []
