"""What is done over our Redfish service is done: power of a machine and of outlets, what a machine starts from, in the journal by name."""
import pytest
from machine_kit import HOST
from redfish_service_kit import House


@pytest.fixture
def house(tmp_path, make_board):
    house = House(tmp_path, make_board).run()
    yield house
    house.close()


def power(service, path, state):
    return lambda: service.get(path)["PowerState"] == state


def test_a_machine_is_reset_and_starts_from_what_is_asked(house):
    service, system = house.service, "/Systems/db1"

    def tool(*words):
        return house.space(f"ipmitool -I lanplus -C 3 -H {HOST} -U admin -P secret {' '.join(words)}", timeout=60)

    action = service.get(system)["Actions"]["#ComputerSystem.Reset"]
    assert action["ResetType@Redfish.AllowableValues"] == ["On", "GracefulShutdown", "GracefulRestart", "Nmi", "ForceRestart", "PowerCycle", "ForceOff"]
    relay = service.get("/Systems/relay-only")
    assert relay["Actions"]["#ComputerSystem.Reset"]["ResetType@Redfish.AllowableValues"] == house.machine("relay-only")["verbs"]
    assert relay["Boot"]["BootSourceOverrideTarget@Redfish.AllowableValues"] == ["None"]
    for verb, state in (("ForceOff", "Off"), ("On", "On")):
        assert service.call("POST", action["target"], {"ResetType": verb}).status == 204
        house.until(f"{verb} of db1", power(service, system, state))
        assert tool("power status").split()[-1] == state.lower()
    done = house.until("the outcome", lambda: house.told("MachineSwitched")[1:])
    assert done[0]["by"].startswith("alice (https 127.0.0.1:") and done[0]["outcome"] == "confirmed"
    # ipmi_sim takes what is to last and does not say so.
    boot = {"Boot": {"BootSourceOverrideTarget": "Cd", "BootSourceOverrideEnabled": "Once"}}
    assert service.call("PATCH", system, boot).json()["Boot"]["BootSourceOverrideTarget"] == "Cd"
    assert house.bmc.events("boot")[-1] == "cdrom"
    assert service.call("PATCH", system, {"Boot": {"BootSourceOverrideEnabled": "Disabled"}}).json()["Boot"]["BootSourceOverrideTarget"] == "None"
    wrong = service.call("PATCH", system, {"Boot": {"BootSourceOverrideTarget": "Floppy"}})
    assert wrong.json()["error"]["code"].endswith("PropertyValueNotInList")


def test_outlets_and_the_ups(house):
    service, path = house.service, "/PowerEquipment/RackPDUs/rack/Outlets/rack3"
    outlet = service.get(path)
    assert outlet["Links"]["Chassis"] == [{"@odata.id": "/redfish/v1/Chassis/relay-only"}] and outlet["ElectricalConsumerNames"] == ["relay-only"]
    for wanted in ("On", "Off"):
        assert service.call("POST", outlet["Actions"]["#Outlet.PowerControl"]["target"], {"PowerState": wanted}).status == 204
        house.until(f"the outlet {wanted}", power(service, path, wanted))
        house.until(f"the machine {wanted}", power(service, "/Systems/relay-only", wanted))
        assert house.outlet("rack3")["state"] == wanted
    (shelf,) = service.members("/PowerEquipment/PowerShelves")
    chassis = service.get(shelf)["Links"]["Chassis"][0]["@odata.id"]
    (battery,) = service.members(f"{chassis}/PowerSubsystem/Batteries")
    assert service.get(battery)["ChargeState"] == "Idle" and service.get(f"{battery}/Metrics")["ChargePercent"]["Reading"] == 97
    house.nut.set("ups1", "ups.status", "OB LB DISCHRG")
    house.until("the battery at work", lambda: service.get(battery)["ChargeState"] == "Discharging", 60)
    assert service.get(battery)["Status"]["Health"] == "Critical"


def test_the_journal_is_a_log(house):
    log = "/Managers/oob/LogServices/Journal/Entries"
    house.service.call("POST", "/Systems/db1/Actions/ComputerSystem.Reset", {"ResetType": "On"})
    house.until("the outcome", lambda: house.told("MachineSwitched"))
    page = house.service.get(f"{log}?$top=3")
    assert len(page["Members"]) == 3 and page["Members@odata.nextLink"].endswith("$skip=3&$top=3")
    numbers = [int(one["Id"]) for one in page["Members"]]
    assert numbers == sorted(numbers, reverse=True)
    following = house.service.get(page["Members@odata.nextLink"])
    assert int(following["Members"][0]["Id"]) < numbers[-1]
    switched = next(one for one in house.service.get(log)["Members"] if one["MessageArgs"][1] == "MachineSwitched")
    alone = house.service.get(f"{log}/{switched['Id']}")
    assert alone["Message"] == switched["Message"] and "db1" in alone["Message"]
    assert house.service.call("GET", f"{log}/999999").status == 404
