"""Fixtures of the tests with real peers in network namespaces on this machine."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

import board as boards  # noqa: E402
from links import peer_binary, spaces, world  # noqa: E402, F401


@pytest.fixture(scope="session", autouse=True)
def binaries():
    """The binaries under test are those of this tree."""
    assert os.getuid() == 0, "network namespaces need root"
    subprocess.run(["cargo", "build", "--locked", "--bins", "--quiet"], cwd=boards.ROOT, check=True)


@pytest.fixture
def make_board(tmp_path):
    """Makes boards and ends them with the test."""
    made = []

    def make(config, **options):
        made.append(boards.Board(tmp_path / f"board{len(made)}", config, **options))
        return made[-1]

    yield make
    for board in made:
        board.stop(9)
