"""Fixtures of the lab. One guest is booted for all tests that can share it: a boot costs half a minute of TCG."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import world as lab  # noqa: E402


@pytest.fixture(scope="session")
def rack(tmp_path_factory):
    """The shared world, booted through U-Boot, with oobd ready and every hotspot off."""
    w = lab.World(tmp_path_factory.mktemp("rack"))
    try:
        w.boot()
        yield w
    finally:
        w.stop()
