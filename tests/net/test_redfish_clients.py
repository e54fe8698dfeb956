"""Tools of the trade against our Redfish service: a power cycle, a boot override and a virtual medium on a machine by IPMI, by Redfish and
by AMT each; interoperability profiles."""
import contextlib
import os
import subprocess
from pathlib import Path

import pytest
from amt_kit import Device, amt
from board import in_namespace
from machine_kit import FAST, There, ipmi
from redfish_kit import emulator, peers
from redfish_service_kit import House, Service, validate, validators
from ssh_kit import PASSWORD

FIRST = "10000000-0000-0000-0000-000000000001"
SLOW = FAST.replace('confirm = "8s"', 'confirm = "60s"').replace('shutdown = "12s"', 'shutdown = "60s"')
CYCLE = """
import sys, time, sushy
password, name = sys.argv[1:]
root = sushy.Sushy("https://127.0.0.1", auth=sushy.auth.SessionOrBasicAuth(username="alice", password=password), verify=False)
system = root.get_system(f"/redfish/v1/Systems/{name}")

def reach(state):
    for _ in range(450):
        system.refresh(force=True)
        if system.power_state == state:
            return
        time.sleep(0.2)
    raise SystemExit(f"{name} is {system.power_state} and not {state}")

def settled():
    # Another verb waits until the outcome of the one before is known.
    for _ in range(450):
        try:
            return system.reset_system(wanted)
        except sushy.exceptions.HTTPError as error:
            if error.status_code != 409:
                raise
            time.sleep(0.2)
    raise SystemExit(f"{name} stays busy")

for wanted, state in ((sushy.ResetType.FORCE_OFF, sushy.PowerState.OFF), (sushy.ResetType.ON, sushy.PowerState.ON)):
    settled()
    reach(state)
system.set_system_boot_options(sushy.BootSource.PXE, enabled=sushy.BootSourceOverrideEnabled.ONCE)
system.refresh(force=True)
assert system.boot.target == sushy.BootSource.PXE, system.boot
if "VirtualMedia" in system.json:
    (drive,) = [one for one in system.virtual_media.get_members() if sushy.VirtualMediaType.CD in one.media_types][:1]
    drive.insert_media("rescue.iso")
    drive.refresh(force=True)
    assert drive.inserted and "rescue" in drive.image, drive.json
    drive.eject_media()
    drive.refresh(force=True)
    assert not drive.inserted, drive.json
    print("media")
assert system.managers[0].name
print("done")
"""


class Rack(House):
    """db1 by IPMI, db2 by Redfish, pc by AMT."""

    def run(self, more=""):
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
                   f'[machine.pc]\n{amt()}{FAST}')
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


def tool(house, *words, timeout=300):
    """Runs a program of the peers in the board's namespace."""
    env = {name: value for name, value in os.environ.items() if "CA_BUNDLE" not in name}
    command = ["ip", "netns", "exec", house.lan.board, peers() / "bin" / words[0], *words[1:]]
    return subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, stdin=subprocess.DEVNULL)


def test_sushy_cycles_boots_and_inserts(rack):
    for name, media in (("db1", False), ("db2", True), ("pc", True)):
        done = tool(rack, "python", "-c", CYCLE, PASSWORD, name)
        assert done.returncode == 0 and done.stdout.endswith("done\n"), (name, done.stdout[-3000:])
        assert ("media\n" in done.stdout) == media
    assert rack.bmc.events("boot")[-1] == "pxe"


def test_redfishtool_cycles_and_boots(rack):
    login = ["redfishtool", "-r", "127.0.0.1", "-u", "alice", "-p", PASSWORD, "-S", "Always"]
    for name in ("db1", "pc"):
        for words in (["reset", "PowerCycle"], ["setBootOverride", "Once", "Pxe"]):
            done = tool(rack, *login, "Systems", "-I", name, *words)
            assert done.returncode == 0, (name, words, done.stdout)
            if words[0] == "reset":
                rack.until("the outcome", lambda name=name: any(one["machine"] == name for one in rack.told("MachineSwitched")), 120)


def test_profiles_hold(tmp_path, make_board):
    validators()
    house = House(tmp_path, make_board)
    try:
        house.run()
        profile = Path(__file__).with_name("oob-appliance.json")
        code, said = validate(house, "rf_interop_validator", "-u", "alice", "-p", PASSWORD, "-r", "https://127.0.0.1", "--authtype", "Session",
                              "--logdir", tmp_path / "interop", profile)
        assert code == 0, said[-5000:]
    finally:
        house.close()
