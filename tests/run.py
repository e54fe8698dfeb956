"""Runs the stages of scripts/test and adds up what they say. A stage that dies without saying anything counts as a failure."""
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "out" / "test"
PYTEST = ["/usr/bin/python3", "-m", "pytest", "-q", "-ra", "--color=no", "-p", "no:cacheprovider"]

LAB = ROOT / "tests" / "lab"
# What is tested is what ships: scripts/build-image makes the image for QEMU sooner, and larger, when it is not told.
os.environ.setdefault("OOBD_PROFILE", "release")


def lab(*names):
    return PYTEST + [str(LAB / f"test_{name}.py") for name in names]


# name: command, how its results are read, seconds after which it is hung
STAGES = {
    "check": (["scripts/check"], "lines", 1200),
    "unit": (["cargo", "test", "--locked", "--no-fail-fast"], "cargo", 1500),
    # They wait for timers and peers more than they compute; each has namespaces of its own.
    "net": (PYTEST + ["-n", "4", "tests/net"], "pytest", 1800),
    # The web page in Chromium, on a phone and a desktop; pictures of it in target/screens.
    "browser": (PYTEST + ["tests/browser"], "pytest", 1200),
    "image": (["bash", "-c", "scripts/build-image qemu && tests/lab/build-disk"], "exit", 2400),
    "build": (lab("image_build"), "pytest", 1200),
    "lab": (lab("hotspot", "gateway", "addresses", "console", "console_port", "relays", "crash", "wifi_recovery"), "pytest", 3300),
    # Twenty-one boots whose length nobody asks for, on one processor.
    "power": (lab("power"), "pytest", 3300),
    "boot": (lab("run", "image_boot"), "pytest", 3300),
    "card": (["bash", "-c", "scripts/build-image rpi4 && exec \"$@\"", "card"] + lab("image_rpi4"), "pytest", 1800),
}
QUICK = [["check", "unit", "net"]]
# The chains run side by side, for there are two cores and much waiting.
CHAINS = [["check", "unit", "net", "browser", "lab", "boot"], ["image", "build", "card", "power"]]
# A stage that needs another one of another chain waits for its end.
NEEDS = {"lab": "image"}


class Tally:
    def __init__(self, failed=0):
        self.passed, self.failed, self.skipped = 0, failed, 0
        self.notes = []

    def add(self, passed=0, failed=0, skipped=0):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def read_cargo(text, tally):
    for passed, failed, ignored in re.findall(r"^test result: .*? (\d+) passed; (\d+) failed; (\d+) ignored", text, re.M):
        tally.add(int(passed), int(failed), int(ignored))
    tally.notes += [f"ignored: {name}" for name in re.findall(r"^test (\S+) \.\.\. ignored", text, re.M)]


def read_lines(text, tally):
    """`ok NAME` or `not ok NAME`, one a line."""
    tally.add(len(re.findall(r"^ok ", text, re.M)), len(re.findall(r"^not ok ", text, re.M)))


def read_pytest(report, tally):
    if not report.exists():
        return
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        total, bad = int(suite.get("tests")), int(suite.get("failures")) + int(suite.get("errors"))
        skipped = int(suite.get("skipped"))
        tally.add(total - bad - skipped, bad, skipped)
        for case in suite.iter("testcase"):
            for skip in case.iter("skipped"):
                tally.notes.append(f"skipped: {case.get('name')}: {skip.get('message')}")


class Stage:
    def __init__(self, name):
        self.name = name
        command, self.kind, self.limit = STAGES[name]
        self.log, self.report = LOGS / f"{name}.log", LOGS / f"{name}.xml"
        if self.kind == "pytest":
            command = command + [f"--junitxml={self.report}"]
        self.started = time.monotonic()
        print(f"== {name}: {' '.join(command)}", flush=True)
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=self.log.open("wb"), stderr=subprocess.STDOUT,
            start_new_session=True)

    def finish(self):
        """Waits with a sign of life each minute; a hung stage is ended and failed."""
        status = None
        while status is None:
            left = self.limit - (time.monotonic() - self.started)
            try:
                status = self.process.wait(timeout=max(0.1, min(60, left)))
            except subprocess.TimeoutExpired:
                if left <= 60:
                    os.killpg(self.process.pid, signal.SIGTERM)
                    try:
                        self.process.wait(timeout=30)
                    except subprocess.TimeoutExpired:
                        os.killpg(self.process.pid, signal.SIGKILL)
                        self.process.wait()
                    status = f"hung for {self.limit} s"
                else:
                    print(f"   {self.name}: {time.monotonic() - self.started:.0f} s …", flush=True)
        text = self.log.read_text(errors="replace")
        tally = Tally()
        if self.kind == "cargo":
            read_cargo(text, tally)
        elif self.kind == "lines":
            read_lines(text, tally)
        elif self.kind == "pytest":
            read_pytest(self.report, tally)
        elif status == 0:
            tally.add(passed=1)
        if status != 0 and tally.failed == 0:
            tally.add(failed=1)
        if status == 0 and tally.passed == 0:
            tally.add(failed=1)
            tally.notes.append("it ran no test")
        print(f"== {self.name}: {tally} in {time.monotonic() - self.started:.0f} s (exit {status})", flush=True)
        for note in tally.notes:
            print(f"   {note}")
        if tally.failed:
            print("\n".join("   | " + line for line in text.splitlines()[-120:]), flush=True)
        return tally


def run_chain(names, tallies, ended):
    for name in names:
        if NEEDS.get(name) in ended:
            ended[NEEDS[name]].wait()
        try:
            tallies[name] = Stage(name).finish()
        finally:
            ended[name].set()


def main(arguments):
    unknown = [name for name in arguments if name not in STAGES and arguments != ["quick"]]
    if unknown:
        sys.exit(f"no stage {', '.join(unknown)}; there are: quick {' '.join(STAGES)}")
    forgotten = {path.stem for path in LAB.glob("test_*.py")} - {Path(word).stem for command, *_ in STAGES.values() for word in command}
    if forgotten:
        sys.exit(f"in no stage: {', '.join(sorted(forgotten))}")
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    chains = CHAINS
    if arguments == ["quick"]:
        chains = QUICK
    elif arguments:
        chains = [[name for name in chain if name in arguments] for chain in CHAINS]
    tallies = {}
    ended = {name: threading.Event() for chain in chains for name in chain}
    threads = [threading.Thread(target=run_chain, args=(chain, tallies, ended)) for chain in chains]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = Tally()
    for name in ended:
        # A chain that broke off has said why; what it did not run has failed.
        tally = tallies.get(name) or Tally(failed=1)
        total.add(tally.passed, tally.failed, tally.skipped)
    print(total, flush=True)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
