"""Fixtures that all tests with real boards share."""
import os
import subprocess

import board as boards
import pytest


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
