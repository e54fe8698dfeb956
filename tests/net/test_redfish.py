"""The Redfish client against a controller that misbehaves on request (redfish_bmc.py)."""
import pytest
from board import wait_for
from redfish_bmc import SESSIONS, SYSTEM, Bmc
from redfish_kit import Client

LOG = f"{SYSTEM}/LogServices/SEL"


def test_one_session_for_everything_and_none_left(tmp_path):
    with Bmc() as bmc:
        with Client(tmp_path, bmc.url) as client:
            assert client.opened == {"open": True, "pinned": None}
            assert client.do("session") is True
            for _ in range(3):
                assert client.do("power") == "Off"
            assert len(bmc.sessions) == 1
        wait_for("the session's end", lambda: not bmc.sessions)
        assert bmc.paths("POST") == [SESSIONS]
        signed = [headers for _, path, headers in bmc.asked if path == SYSTEM]
        assert all("X-Auth-Token" in headers and "Authorization" not in headers for headers in signed)
        assert all(headers["Connection"] == "close" for headers in signed)


@pytest.mark.parametrize("faults", [
    {"session_at": ["/redfish/v1/Sessions"]},
    {"session_id_in": "body"},
    {"session_id_in": "Location"},
])
def test_sessions_where_and_how_old_controllers_make_them(tmp_path, faults):
    with Bmc(**faults) as bmc:
        with Client(tmp_path, bmc.url) as client:
            assert client.do("session") is True
        wait_for("the session's end", lambda: not bmc.sessions)


@pytest.mark.parametrize("faults", [{"session_slots": 0}, {"session_at": []}])
def test_without_a_session_to_have_it_is_basic(tmp_path, faults):
    with Bmc(**faults) as bmc, Client(tmp_path, bmc.url) as client:
        assert client.do("session") is False
        assert client.do("power") == "Off"
        assert bmc.failed_logins == 0


def test_full_without_basic_is_no_wrong_password_and_passes(tmp_path):
    with Bmc(basic=False) as bmc, Client(tmp_path, bmc.url) as client:
        bmc.sessions.clear()
        bmc.session_slots = 0
        for _ in range(2):
            said = client.fails("power")
            assert said["error"] == "refused" and "a session: 503, Too many sessions." in said["said"]
        bmc.session_slots = 8
        assert client.do("power") == "Off"


@pytest.mark.parametrize("faults", [{}, {"session_at": []}])
def test_a_wrong_password_is_tried_once(tmp_path, faults):
    with Bmc(**faults) as bmc:
        with Client(tmp_path, bmc.url, password="guess") as client:
            assert client.opened["error"] == "wrong password", client.opened
            assert "guess" not in client.opened["said"]
        assert bmc.failed_logins == 1


def test_a_password_that_changes_is_tried_once_more(tmp_path):
    with Bmc() as bmc, Client(tmp_path, bmc.url) as client:
        bmc.password = "other"
        bmc.sessions.clear()
        for _ in range(3):
            assert client.fails("power")["error"] == "wrong password"
        assert bmc.failed_logins == 1


def test_a_session_that_ran_out_is_made_anew(tmp_path):
    with Bmc() as bmc:
        with Client(tmp_path, bmc.url) as client:
            bmc.sessions.clear()
            assert client.do("power") == "Off"
            assert len(bmc.sessions) == 1
        wait_for("the session's end", lambda: not bmc.sessions)


def test_a_session_is_closed_when_there_is_no_such_machine(tmp_path):
    with Bmc() as bmc:
        with Client(tmp_path, bmc.url, system="2") as client:
            assert client.opened["error"] == "no system" and "the machines 1" in client.opened["said"]
        assert not bmc.sessions and SESSIONS in bmc.paths("POST")


@pytest.mark.parametrize("faults, intent, kind, state", [
    ({}, "On", "On", "On"),
    ({"tasks": 3}, "Restart", "ForceRestart", "On"),
    ({"action_info": True, "advertised": ["On", "PowerCycle"]}, "Restart", "PowerCycle", "On"),
    ({"implemented": ["PowerCycle"]}, "Restart", "PowerCycle", "On"),
    ({"power": "On", "advertised": ["PushPowerButton"]}, "GracefulOff", "PushPowerButton", "On"),
    ({"busy": 2}, "On", "On", "On"),
])
def test_resets_by_what_they_are_for(tmp_path, faults, intent, kind, state):
    with Bmc(**faults) as bmc, Client(tmp_path, bmc.url) as client:
        assert client.do("reset", intent=intent)["kind"] == kind
        assert (bmc.resets, client.do("power")) == ([kind], state)


def test_what_is_advertised_and_refused_is_told(tmp_path):
    with Bmc(implemented=["PowerCycle"]) as bmc, Client(tmp_path, bmc.url) as client:
        used = client.do("reset", intent="Restart")
        assert used["kind"] == "PowerCycle"
        assert [kind for kind, _ in used["refused"]] == ["ForceRestart"]
        assert "ForceRestart is not supported" in used["refused"][0][1]
        said = client.fails("reset", intent="Nmi")
        assert said["error"] == "refused" and not said["maybe_done"]
        # Off and on is for who remembers that the on is owed.
        bmc.implemented = ["ForceOff", "On"]
        assert client.fails("reset", intent="Cycle")["error"] == "refused"
        assert bmc.resets == ["PowerCycle"]


def test_a_way_that_is_not_advertised_is_not_tried(tmp_path):
    with Bmc(advertised=["On"]) as bmc, Client(tmp_path, bmc.url) as client:
        assert client.fails("reset", intent="Nmi")["error"] == "unsupported"
        assert bmc.paths("POST") == [SESSIONS]


def test_tasks_that_fail_or_never_end_are_told(tmp_path):
    with Bmc(tasks=2, task_fails=True) as bmc, Client(tmp_path, bmc.url) as client:
        said = client.fails("reset", intent="On")
        assert said["error"] == "failed" and "The fan is missing." in said["said"]
    with Bmc(tasks=10**6) as bmc, Client(tmp_path, bmc.url, task=1) as client:
        said = client.fails("reset", intent="On")
        assert said["error"] == "unfinished" and said["maybe_done"]


def test_a_reset_whose_answer_is_lost_is_not_repeated(tmp_path):
    with Bmc(die_after_reset=True) as bmc, Client(tmp_path, bmc.url) as client:
        said = client.fails("reset", intent="Cycle")
        assert said["error"] == "http" and said["maybe_done"]
        assert bmc.resets == ["PowerCycle"]
        assert client.do("power") == "On"


@pytest.mark.parametrize("etag", ["strong", "weak", "weak-only", "any", "none", "empty"])
def test_changes_with_every_kind_of_tag(tmp_path, etag):
    with Bmc(etag=etag, racing=int(etag == "weak")) as bmc, Client(tmp_path, bmc.url) as client:
        client.do("set_boot", target="Pxe", mode="UEFI", **{"for": "Once"})
        assert bmc.boot == {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Pxe", "BootSourceOverrideMode": "UEFI"}


def test_a_change_that_always_comes_too_late_ends(tmp_path):
    with Bmc(racing=10**6, etag="weak") as bmc, Client(tmp_path, bmc.url) as client:
        said = client.fails("set_boot", target="Pxe", **{"for": "Once"})
        assert said["error"] == "refused" and "412" in said["said"]
        assert len(bmc.paths("PATCH")) < 10


@pytest.mark.parametrize("settings", [False, True])
def test_boot_overrides_where_they_are_taken(tmp_path, settings):
    with Bmc(boot_in_settings=settings) as bmc, Client(tmp_path, bmc.url) as client:
        client.do("set_boot", target="Cd", **{"for": "Continuous"})
        boot = client.do("boot")
        assert (boot["target"], boot["for"], boot["mode"]) == ("UsbCd", "Continuous", "UEFI")
        assert "BiosSetup" in boot["allowed"]
        client.do("set_boot", target="BiosSetup", **{"for": "Once"})
        assert bmc.boot["BootSourceOverrideTarget"] == "BiosSetup"
        client.do("set_boot", target="None", **{"for": "Disabled"})
        assert client.do("boot")["for"] == "Disabled"
        place = f"{SYSTEM}/Pending" if settings else SYSTEM
        assert set(bmc.paths("PATCH")) == {place}


@pytest.mark.parametrize("dell", [False, True])
def test_firmware_settings_are_staged_until_the_reset(tmp_path, dell):
    with Bmc(apply_times=dell) as bmc, Client(tmp_path, bmc.url) as client:
        client.do("set_bios", settings={"BootMode": "Legacy", "Cores": 4})
        shown = {one["name"]: one for one in client.do("bios", described=True)}
        assert (shown["BootMode"]["value"], shown["BootMode"]["pending"]) == ("Uefi", "Legacy")
        assert shown["BootMode"]["choices"] == ["Uefi", "Legacy"] and shown["BootMode"]["label"] == "Boot mode"
        assert (shown["Cores"]["pending"], shown["Cores"]["read_only"]) == (4, True)
        assert shown["Turbo"]["pending"] is None
        assert bmc.bios_next == {"BootMode": "Legacy", "Cores": 4} and isinstance(bmc.bios_next["Cores"], int)
        assert "There is no Nonsense" in client.fails("set_bios", settings={"Nonsense": 1})["said"]
        assert client.do("bios_result") is None
        client.do("reset", intent="Restart")
        assert client.do("bios_result") == "All was set."
        shown = {one["name"]: one for one in client.do("bios")}
        assert (shown["BootMode"]["value"], shown["BootMode"]["pending"]) == ("Legacy", None)


@pytest.mark.parametrize("under", ["Systems", "Managers"])
@pytest.mark.parametrize("media", ["standard", "bare", "full", "patch"])
def test_media_by_the_way_that_is_taken(tmp_path, under, media):
    with Bmc(media=media, media_under=under, eject_lag=3) as bmc, Client(tmp_path, bmc.url) as client:
        image = "http://127.0.0.1:1/x/debian.iso"
        client.do("insert", slot="Cd", image=image)
        assert bmc.image == image
        assert client.do("media") == [{"id": "Cd", "types": ["CD", "DVD"], "image": image, "inserted": True}]
        client.do("eject", slot="Cd")
        assert bmc.image is None
        asked = len(bmc.asked)
        client.do("eject", slot="Cd")
        assert {method for method, *_ in bmc.asked[asked:]} == {"GET"}


def test_sensors(tmp_path):
    with Bmc() as bmc, Client(tmp_path, bmc.url) as client:
        found = {one["name"]: one for one in client.do("sensors")}
        assert set(found) == {"Intrusion", "CPU", "Fan 1"}
        assert (found["CPU"]["value"], found["CPU"]["unit"], found["CPU"]["state"]) == (41.5, "Cel", "Ok")
        assert (found["Fan 1"]["value"], found["Fan 1"]["state"]) == (None, "Absent")
        assert (found["Intrusion"]["said"], found["Intrusion"]["state"]) == ("HardwareIntrusion", "Critical")


@pytest.mark.parametrize("old", [True, "hollow"])
def test_old_sensors_where_the_new_say_nothing(tmp_path, old):
    with Bmc(old_sensors=old) as bmc, Client(tmp_path, bmc.url) as client:
        found = {one["name"]: one for one in client.do("sensors")}
        assert set(found) == {"Intrusion", "Inlet", "Fan old", "Total", "PSU 1"}
        assert (found["Fan old"]["value"], found["Fan old"]["unit"]) == (40, "%")
        assert (found["Total"]["value"], found["PSU 1"]["state"]) == (344, "Critical")


def test_logs_are_read_to_the_end_and_cleared(tmp_path):
    with Bmc() as bmc, Client(tmp_path, bmc.url) as client:
        assert client.do("logs") == [["SEL", LOG]]
        entries = client.do("log", log=LOG)
        assert [one["id"] for one in entries] == list("1234567")
        assert entries[0] == {"id": "1", "at": "2026-01-02T09:04:05.000Z", "severity": "Warning", "text": "event 1"}
        assert len(client.do("log", log=LOG, most=4)) == 4
        client.do("clear_log", log=LOG)
        assert client.do("log", log=LOG) == []


def test_what_else_it_knows(tmp_path):
    with Bmc() as bmc, Client(tmp_path, bmc.url) as client:
        assert client.do("managers") == [{"id": "bmc", "kind": "BMC", "firmware": "1.2.3"}]
        ways = {one["protocol"]: one for one in client.do("consoles")}
        assert (ways["SSH"]["port"], ways["SSH"]["command"], ways["IPMI"]["enabled"]) == (2200, "console", False)
        assert ways["WebSocket"]["uri"] == "/console0"
        assert client.do("storage") == [{"id": "RAID", "drives": [{"id": "0", "bytes": 4000787030016}],
                                         "volumes": [{"id": "1", "kind": "RAID1"}]}]


def test_hostile_answers_are_errors_and_the_next_is_fine(tmp_path):
    with Bmc(split=True) as bmc, Client(tmp_path, bmc.url) as client:
        assert client.do("power") == "Off"
        bmc.split, bmc.oversize = False, SYSTEM
        assert "longer than" in client.fails("power")["said"]
        bmc.oversize, bmc.garbage = None, SYSTEM
        assert "no JSON" in client.fails("power")["said"]
        bmc.garbage = None
        assert client.do("power") == "Off"
