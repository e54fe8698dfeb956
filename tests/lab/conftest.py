"""Fixtures of the lab. One guest is booted for all tests that can share it: a boot costs half a minute of emulated processor."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

import measure  # noqa: E402
import world as lab  # noqa: E402


class Rack(lab.World):
    """The shared world plus the people who may sign in."""

    keys, password = {}, None


@pytest.fixture(scope="session")
def booted(tmp_path_factory):
    """The world, booted through U-Boot, oobd READY. Use `rack`, which also tidies up."""
    folder = tmp_path_factory.mktemp("rack")
    users, keys, password = lab.people(folder)
    w = Rack(folder, toml=lab.config(users=users))
    w.keys, w.password, w.users = keys, password, users
    w.plain = w.toml
    try:
        w.boot()
        w.boot_times = measure.ready(w, 300)
        w.until("an address on the LAN", w.lan_address, 90)
        yield w
    finally:
        w.stop()


@pytest.fixture
def rack(booted):
    """Every hotspot off, the standard configuration in force, oobd looking for a hotspot; left so again afterwards."""
    tidy(booted)
    yield booted
    tidy(booted)


def tidy(w):
    for ap in (w.phone, w.twin, w.crowd):
        ap.off()
    if w.phone.net != "172.20.10":
        w.phone.net = "172.20.10"
    if w.toml != w.plain:
        w.configure(w.plain)
    w.until_ready()
    w.until_phase("searching", timeout=90)
