"""What the benches share: the lab's modules on the path, progress on stderr, one JSON line per result."""
import json
import sys
import tempfile
import time
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(REPO / "tests/lab"))
T0 = time.monotonic()


def say(text):
    print(f"{time.monotonic() - T0:7.1f} s  {text}", file=sys.stderr, flush=True)


def result(name, unit, ours, peer=None, theirs=None, goal=None, met=None):
    line = {"name": name, "unit": unit, "ours": round(ours, 3), "peer": peer, "theirs": None if theirs is None else round(theirs, 3),
            "ratio": round(ours / theirs, 3) if theirs else None, "goal": goal, "met": met}
    print(json.dumps(line), flush=True)
    return met is not False


def workdir():
    return tempfile.TemporaryDirectory(prefix="oobd-bench-")
