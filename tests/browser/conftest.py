"""Fixtures of the tests in a browser: Debian's Chromium, driven by Playwright, in the namespace of a LAN host."""
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent / "net"))

from board import ROOT, Board  # noqa: E402
from fixtures import binaries, make_board  # noqa: E402, F401
from links import spaces  # noqa: E402, F401
from venv_kit import venv  # noqa: E402

# Playwright for this very interpreter, without the browsers it would download.
sys.path.append(str(next(venv("playwright", HERE / "requirements.txt").glob("lib/python3*/site-packages"))))

from browser_kit import Browser, Place  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def page_files():
    """The page under test is that of this tree."""
    subprocess.run([ROOT / "scripts/build-ui"], check=True)


@pytest.fixture(scope="module")
def place(binaries, page_files, tmp_path_factory):  # noqa: F811
    """A board with consoles, outlets and people, on a LAN with a browser."""
    work = tmp_path_factory.mktemp("place")
    place = Place(work, lambda config, **options: Board(work / "board", config, **options))
    yield place
    place.close()


@pytest.fixture(scope="module")
def browser(place, tmp_path_factory):
    browser = Browser(place.lan.host, tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture
def visit(place, browser):
    """Makes visitors, each with cookies of its own, and says in the end whether their pages complained."""
    visitors = []

    def make(size="phone", **options):
        visitors.append(browser.visitor(place.address, size, **options))
        return visitors[-1]

    yield make
    complaints = [text for one in visitors for text in one.complaints]
    for one in visitors:
        one.close()
    assert not complaints
