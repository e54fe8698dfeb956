"""Machines by IPMI, by Redfish and by AMT behind our Redfish service, and the tools of the trade that speak to it."""
import contextlib
import json
import os
import subprocess
from pathlib import Path

import pytest
from amt_kit import Device, amt
from board import in_namespace
from machine_kit import FAST, There, ipmi
from redfish_kit import emulator, peers
from redfish_service_kit import House, Service
from ssh_kit import PASSWORD
from venv_kit import venv

FIRST = "10000000-0000-0000-0000-000000000001"
SLOW = FAST.replace('confirm = "8s"', 'confirm = "60s"').replace('shutdown = "12s"', 'shutdown = "60s"')


class Rack(House):
    """db1 by IPMI, db2 by Redfish, pc by AMT."""

    def run(self, more="", pc=""):
        """`more` sections of oobd.toml, and more keys of pc."""
        self.stack = contextlib.ExitStack()
        self.closing.append(self.stack)
        self.sim()
        inside = f"/run/netns/{self.lan.board}"
        in_namespace(inside, lambda: self.stack.enter_context(emulator(self.work / "emulator", 8443)))
        space = There(self.lan.host)
        self.closing.append(space)
        self.amt = Device(space, "10.77.0.9")
        url = "https://127.0.0.1:8443"
        self.start(f'[machine.db1]\n{ipmi()}{FAST}'
                   f'[machine.db2]\nredfish = {{ url = "{url}", username = "root", password = "calvin", system = "{FIRST}" }}\n{SLOW}'
                   f'[machine.pc]\n{amt()}{FAST}{pc}{more}')
        images = Path(self.board.work) / "state" / "images"
        images.mkdir(exist_ok=True)
        (images / "rescue.iso").write_bytes(bytes(range(256)) * 4096)
        for name in ("db1", "db2", "pc"):
            self.phase("up", name)
        self.service = Service(self)
        return self


@pytest.fixture
def rack(tmp_path, make_board):
    peers()
    house = Rack(tmp_path, make_board)
    yield house.run()
    house.close()


def tool(house, *words, timeout=300, folder=None, **more):
    """Runs a program of the peers, or of another venv, in the board's namespace; `more` goes to its environment."""
    env = {name: value for name, value in os.environ.items() if "CA_BUNDLE" not in name}
    command = ["ip", "netns", "exec", house.lan.board, (folder or peers()) / "bin" / words[0], *words[1:]]
    return subprocess.run(command, env={**env, **more}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, stdin=subprocess.DEVNULL)


def redfishtool(house, *words, fails=False, user="alice", password=PASSWORD):
    """What DMTF's redfishtool printed."""
    done = tool(house, "redfishtool", "-r", "127.0.0.1", "-u", user, "-p", password, "-S", "Always", *words)
    assert (done.returncode != 0) == fails, (words, done.returncode, done.stdout)
    return done.stdout


def sushy(house, program, *arguments):
    """Runs a program with sushy's `root`, signed in; what it printed."""
    head = ("import sys, sushy\nroot = sushy.Sushy('https://127.0.0.1', verify=False,\n"
            f"                   auth=sushy.auth.SessionOrBasicAuth(username='alice', password={PASSWORD!r}))\n")
    done = tool(house, "python", "-W", "ignore", "-c", head + program, *arguments)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def play(house, module, **words):
    """One task of Ansible's community.general against the board; what the module said."""
    login = {"baseuri": "127.0.0.1", "username": "alice", "password": PASSWORD}
    folder = venv("ansible", Path(__file__).with_name("ansible.txt"))
    done = tool(house, "ansible", "localhost", "-c", "local", "-m", f"community.general.{module}", "-a", json.dumps({**login, **words}), folder=folder,
                ANSIBLE_HOME=str(house.work / "ansible"), ANSIBLE_LOAD_CALLBACK_PLUGINS="1", ANSIBLE_STDOUT_CALLBACK="json")
    # Warnings come first.
    said = json.loads(done.stdout[done.stdout.index("{"):])
    return said["plays"][0]["tasks"][0]["hosts"]["localhost"]
