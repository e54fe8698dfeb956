"""Programs of tests/support, built once per test run."""
import functools
import json
import subprocess

from board import ROOT


@functools.cache
def example(name):
    """The path of the example program `name`."""
    build = subprocess.run(
        ["cargo", "build", "--locked", "--example", name, "--message-format=json"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=1800)
    assert build.returncode == 0, f"tests/support/{name}.rs does not build"
    for line in build.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == name:
            return message["executable"]
    raise AssertionError(f"cargo names no binary for tests/support/{name}.rs")
