"""Tools of the trade against our Redfish service: a power cycle, a boot override and a virtual medium on a machine by IPMI, by Redfish and
by AMT each; interoperability profiles."""
import html
import json
import re
import threading
from pathlib import Path

import pytest
from redfish_rack_kit import play, rack, redfishtool, tool  # noqa: F401
from redfish_service_kit import House, validate, validators
from ssh_kit import PASSWORD

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


def test_sushy_cycles_boots_and_inserts(rack):
    for name, media in (("db1", False), ("db2", True), ("pc", True)):
        done = tool(rack, "python", "-c", CYCLE, PASSWORD, name)
        assert done.returncode == 0 and done.stdout.endswith("done\n"), (name, done.stdout[-3000:])
        assert ("media\n" in done.stdout) == media
    assert rack.bmc.events("boot")[-1] == "pxe"


def test_redfishtool_cycles_boots_and_inserts(rack):
    for name, slot in (("db1", None), ("db2", "Cd"), ("pc", "Cd")):
        before = len(rack.told("MachineSwitched"))
        redfishtool(rack, "Systems", "-I", name, "setBootOverride", "Once", "Pxe")
        boot = json.loads(redfishtool(rack, "Systems", "-I", name, "get", "-P", "Boot"))["Boot"]
        assert boot["BootSourceOverrideTarget"] == "Pxe", boot
        drives = f"/redfish/v1/Systems/{name}/VirtualMedia"
        if slot is None:
            # There are no media by IPMI, and none are offered.
            assert "VirtualMedia" not in json.loads(redfishtool(rack, "Systems", "-I", name, "get"))
            assert "404" in redfishtool(rack, "raw", "GET", drives, fails=True)
        else:
            def drive(at=f"{drives}/{slot}"):
                return json.loads(redfishtool(rack, "raw", "GET", at))

            def act(verb, at=f"{drives}/{slot}", **body):
                redfishtool(rack, "raw", "POST", f"{at}/Actions/VirtualMedia.{verb}", "-d", json.dumps(body))

            assert not drive()["Inserted"]
            act("InsertMedia", Image="rescue.iso")
            assert (drive()["Inserted"], drive()["Image"], drive()["ConnectedVia"]) == (True, "rescue.iso", "URI")
            act("EjectMedia")
            assert (drive()["Inserted"], drive()["Image"]) == (False, None)
        redfishtool(rack, "Systems", "-I", name, "reset", "PowerCycle")
        rack.until("the outcome", lambda before=before: len(rack.told("MachineSwitched")) > before, 120)
        told = rack.told("MachineSwitched")[-1]
        assert (told["machine"], told["verb"], told["outcome"]) == (name, "PowerCycle", "confirmed")


def test_ansible_cycles_boots_and_inserts(rack):
    for name, media in (("db1", False), ("db2", True), ("pc", True)):
        of = {"category": "Systems", "resource_id": name}

        def command(verb, of=of, **words):
            told = play(rack, "redfish_command", command=verb, **of, **words)
            assert not told.get("failed"), (verb, told)

        command("SetOneTimeBoot", bootdevice="Pxe")
        told = play(rack, "redfish_info", category="Systems", command="GetBootOverride")["redfish_facts"]["boot_override"]["entries"]
        (override,) = [boot for where, boot in told if where["system_uri"].endswith(f"/{name}")]
        # The emulator behind db2 says Continuous whatever it is told.
        enabled = "Continuous" if name == "db2" else "Once"
        assert (override["BootSourceOverrideTarget"], override["BootSourceOverrideEnabled"]) == ("Pxe", enabled), override
        disc = {"image_url": "rescue.iso", "media_types": ["CD"]}
        if media:
            command("VirtualMediaInsert", virtual_media=disc)
            command("VirtualMediaEject", virtual_media={"image_url": "rescue.iso"})
        else:
            refused = play(rack, "redfish_command", command="VirtualMediaInsert", virtual_media=disc, **of)
            assert refused["failed"] and "VirtualMedia" in refused["msg"], refused
        before = len(rack.told("MachineSwitched"))
        command("PowerCycle")
        rack.until("the outcome", lambda before=before: len(rack.told("MachineSwitched")) > before, 120)
        told = rack.told("MachineSwitched")[-1]
        assert (told["machine"], told["verb"], told["outcome"]) == (name, "PowerCycle", "confirmed")


@pytest.mark.parametrize("profile", ["oob-appliance", "ironic-needs"])
def test_profiles_hold(tmp_path, make_board, profile):
    validators()
    house = House(tmp_path, make_board)
    try:
        # Without a controller nothing can be said of what a machine starts from, so Ironic cannot use one.
        house.run(relay=profile != "ironic-needs")
        code, said = validate(house, "rf_interop_validator", "-u", "alice", "-p", PASSWORD, "-r", "https://127.0.0.1", "--authtype", "Session",
                              "--logdir", tmp_path / "interop", Path(__file__).with_name(f"{profile}.json"))
        assert code == 0, said[-5000:]
    finally:
        house.close()


def use_cases(house, *names):
    """Runs DMTF's use cases; gives how many passed and what failed."""
    reports = house.work / "reports"
    reports.mkdir(exist_ok=True)
    _, said = validate(house, "rf_use_case_checkers", "-u", "alice", "-p", PASSWORD, "-r", "https://127.0.0.1", "--report-dir", reports,
                       "--test-list", *names)
    page = max(reports.rglob("*.html"), key=lambda path: path.stat().st_mtime).read_text()
    cells = [html.unescape(re.sub(r"<[^>]+>", " ", cell)).strip() for cell in re.findall(r"<td.*?</td>", page, re.S)]
    failed = [after for cell, after in zip(cells, cells[1:]) if re.fullmatch(r"(FAIL|WARN)\w*", cell)]
    return len([cell for cell in cells if cell == "PASS"]), failed, said


def test_use_cases_of_dmtf_hold(tmp_path, make_board):
    validators()
    house = House(tmp_path, make_board)
    try:
        house.run()
        passed, failed, said = use_cases(house, "AccountManagement", "PowerControl", "ManagerEthernetInterfaces", "QueryParameters")
        # It switches the machine off and has it restarted then: a reset by IPMI does not switch on what is off.
        known = [one for one in failed if one.startswith("System 'db1' did not transition to the 'On' power state after performing a reset of type 'ForceRestart'")]
        assert passed > 60 and failed == known, (failed, said[-3000:])
    finally:
        house.close()


def test_the_use_case_of_booting_once_holds(tmp_path, make_board):
    validators()
    house = House(tmp_path, make_board)
    over = threading.Event()

    def firmware():
        """The simulator has no host: what a host's firmware does at its start, to take what it is to start from and to clear it."""
        def starts():
            return sum(len(house.bmc.events(name)) for name in ("reset", "power"))

        before = starts()
        while not over.wait(0.3):
            if (now := starts()) > before:
                house.bmc.set("boot", "none")
                before = now

    try:
        house.run()
        host = threading.Thread(target=firmware)
        host.start()
        passed, failed, said = use_cases(house, "BootOverride")
        over.set()
        host.join()
        assert passed >= 10 and not failed, (failed, said[-3000:])
    finally:
        over.set()
        house.close()
