"""Tasks of our own Redfish service: verbs that go on after their request was answered."""
import os
import signal

import pytest
from board import wait_for
from redfish_service_kit import House, Service
from ssh_kit import PASSWORD

CONTROL = "/PowerEquipment/RackPDUs/rack/Outlets/rack{}/Actions/Outlet.PowerControl"
LATER = {"Prefer": "respond-async"}
TASKS = "/TaskService/Tasks"


@pytest.fixture
def house(tmp_path, make_board):
    house = House(tmp_path, make_board)
    yield house
    house.close()


def over(service, monitor, user="alice"):
    """What the monitor answers in the end; until then 202 and when to come back."""
    def ended():
        answer = service.call("GET", monitor, user=user)
        if answer.status == 202:
            assert answer.headers["Location"] == monitor and int(answer.headers["Retry-After"]) > 0 and answer.json()["TaskState"] == "Running"
            return None
        return answer
    return wait_for("the end of the task", ended, 90)


def test_a_verb_is_a_task_until_it_was_read_back(house):
    service = house.run().service
    begun = service.call("POST", CONTROL.format(1), {"PowerState": "Off"}, user="bob", **LATER)
    task, monitor = begun.json(), begun.headers["Location"]
    assert begun.status == 202 and task["TaskMonitor"] == monitor and task["TaskState"] in ("Running", "Completed")
    assert over(service, monitor, "bob").status == 204
    assert service.get("/PowerEquipment/RackPDUs/rack/Outlets/rack1", "bob")["PowerState"] == "Off", "it is over when it was read back"
    ended = service.get(task["@odata.id"], "bob")
    assert (ended["TaskState"], ended["TaskStatus"], ended["PercentComplete"]) == ("Completed", "OK", 100) and ended["EndTime"] >= ended["StartTime"]
    assert [one["MessageId"] for one in ended["Messages"]] == ["TaskEvent.1.0.TaskStarted", "TaskEvent.1.0.TaskCompletedOK"]
    # Others do not see it, an administrator does; one machine's view has what is of that machine.
    assert service.members(TASKS, "bob") == service.members(TASKS) == [task["@odata.id"]] and service.members(TASKS, "eve") == []
    assert service.call("GET", task["@odata.id"], user="eve").status == service.call("GET", monitor, user="eve").status == 404
    assert service.members("/machine/db1/redfish/v1" + TASKS) == ["/machine/db1" + task["@odata.id"]]
    assert service.members("/machine/relay-only/redfish/v1" + TASKS) == []
    # What is wrong with the request is said at once, and without the wish nothing changes.
    for body, status in (({"PowerState": "Explode"}, 400), ({}, 400)):
        assert service.call("POST", CONTROL.format(1), body, **LATER).status == status
    assert service.call("POST", CONTROL.format(2), {"PowerState": "Off"}).status == 204 and len(service.members(TASKS)) == 1
    assert service.call("DELETE", task["@odata.id"], user="bob").status == 204 and service.members(TASKS) == []
    assert service.call("GET", monitor, user="bob").status == 404


def test_the_end_is_what_was_read_back(house):
    service = house.run().service
    house.powermand.stop("powermand", signal.SIGKILL)
    begun = service.call("POST", CONTROL.format(1), {"PowerState": "Off"}, **LATER)
    if begun.status == 202:
        ended, task = over(service, begun.headers["Location"]), service.get(begun.json()["@odata.id"])
        outcome = house.outlet("rack1")["action"]["outcome"]
        expected = {"unconfirmed": (200, "Completed", "Warning", "Unconfirmed"), "failed": (409, "Exception", "Critical", "Refused")}[outcome]
        message = ended.json()["error"]["@Message.ExtendedInfo"][0]["MessageId"].split(".")[-1]
        assert (ended.status, task["TaskState"], task["TaskStatus"], message) == expected, ended.body
    else:
        # It was known already that the PDU is gone.
        assert begun.status == 409, begun.body


def test_a_task_that_a_restart_cuts_off_is_told_as_that(house):
    service = house.run(confirm="90s").service
    # The device does not answer, so that the verb stays under way.
    os.killpg(house.powermand.running["powermand"].pid, signal.SIGSTOP)
    begun = service.call("POST", CONTROL.format(1), {"PowerState": "Off"}, **{"Prefer": "respond-async, wait=0"})
    assert begun.status == 202
    number = begun.json()["Id"]
    token = service.call("POST", "/SessionService/Sessions", {"UserName": "bob", "Password": PASSWORD}, user=None).headers["X-Auth-Token"]
    assert service.call("GET", "/Systems", token=token).status == 200
    assert service.call("GET", begun.headers["Location"]).status == 202
    assert service.call("DELETE", f"{TASKS}/{number}").status == 409
    house.board.stop(signal.SIGKILL)
    os.killpg(house.powermand.running["powermand"].pid, signal.SIGCONT)
    house.board.start()
    service = Service(house)
    wait_for("the task", lambda: service.call("GET", f"{TASKS}/{number}").status == 200)
    assert service.call("GET", "/Systems", token=token).status == 401, "sessions end with the board's service"
    task = service.get(f"{TASKS}/{number}")
    assert (task["TaskState"], task["TaskStatus"]) == ("Exception", "Critical") and task["Messages"][-1]["MessageId"] == "Oobd.1.0.CutOff"
    assert service.call("GET", begun.headers["Location"]).status == 500
