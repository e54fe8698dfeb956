"""Accounts and firmware settings by Ansible, sushy and redfishtool, and everything that Ansible can ask of us."""
import contextlib
import functools
import json
import time

import pytest
from board import in_namespace
from machine_kit import FAST
from redfish_bmc import Bmc
from redfish_kit import peers
from redfish_rack_kit import Rack, play, rack, redfishtool, sushy  # noqa: F401
from redfish_service_kit import House, Service, hold_by_schema, validators
from ssh_kit import PASSWORD

NEW, NEWER, NEWEST = "a new password", "a newer password", "the newest password"
CHANGE = "Actions/ManagerAccount.ChangePassword"


@pytest.fixture
def house(tmp_path, make_board):
    house = House(tmp_path, make_board)
    yield house
    house.close()


def test_ansible_reads_everything_there_is(rack):
    told = play(rack, "redfish_info", category="all", command="all", timeout=60)
    assert not told.get("failed"), told
    facts = told["redfish_facts"]
    assert facts["service_id"]["service_identification"] == "rack7"
    (ours,) = facts["firmware"]["entries"]
    assert ours["Id"] == "oobd" and ours["Version"] and not ours["Updateable"]
    for name in ("system", "health_report", "boot_override", "chassis", "fan", "thermals", "user", "session", "manager", "network_protocols", "log",
                 "manager_nics", "service"):
        assert facts[name]["ret"] is True, (name, facts[name])
    # No machine here has settings of its firmware, not even the one whose controller speaks Redfish: no link leads to any.
    for name in ("db1", "db2", "pc"):
        assert "Bios" not in rack.service.get(f"/Systems/{name}"), name
        assert rack.service.call("GET", f"/Systems/{name}/Bios").status == 404


def test_redfishtool_reads_everything_there_is(rack):
    tool = functools.partial(redfishtool, rack)
    for words in ("root", "versions", "odata", "Systems list", "Systems collection", "Chassis list", "Chassis collection", "Managers list", "Managers collection",
                  "AccountService get", "AccountService Roles list", "AccountService Accounts list", "SessionService get", "SessionService Sessions list",
                  "Managers -I oob get", "Managers -I oob NetworkProtocol", "Managers -I oob EthernetInterfaces list",
                  "Managers -I oob SerialInterfaces list", "Managers -I oob Logs list"):
        assert tool(*words.split()), words
    for name in ("db1", "db2", "pc"):
        for words in ("get", "list", "Logs list"):
            assert name in tool("Systems", "-I", name, *words.split()), (name, words)
        # No controller tells these, and nobody makes them up.
        for words in ("Processors", "EthernetInterfaces", "SimpleStorage", "setIndicatorLed Off"):
            said = tool("Systems", "-I", name, *words.split(), fails=True)
            assert "does not have" in said, said
        for words in ("Power", "Thermal"):
            tool("Chassis", "-I", name, words, fails=name == "pc")
    # Accounts: whatever it can do with them but what oobd.toml has no word for.
    tool("AccountService", "adduser", "joe", NEW, "Operator")
    assert '"Enabled": true' in tool("AccountService", "useradmin", "joe", "enable")
    tool("AccountService", "useradmin", "joe", "unlock")
    tool("AccountService", "useradmin", "joe", "disable", fails=True)
    tool("AccountService", "setusername", "joe", "jim", fails=True)
    tool("AccountService", "deleteuser", "joe")
    assert "joe" not in tool("AccountService", "Accounts", "list")
    begun = json.loads(tool("SessionService", "login"))
    assert begun["SessionLocation"] in tool("SessionService", "Sessions", "list")
    tool("SessionService", "logout", "-i", begun["SessionId"])
    assert begun["SessionLocation"] not in tool("SessionService", "Sessions", "list")


def db3(house, stack):
    """A controller with settings of the firmware, at the board's loopback, and db3 in oobd.toml."""
    bmc = in_namespace(f"/run/netns/{house.lan.board}", lambda: stack.enter_context(Bmc()))
    return bmc, f'[machine.db3]\nredfish = {{ url = "{bmc.url}", username = "root", password = "calvin" }}\n{FAST}'


def test_every_resource_of_every_kind_of_machine_is_what_its_schema_says(tmp_path, make_board):
    peers()
    validators()
    house = Rack(tmp_path, make_board)
    with contextlib.ExitStack() as stack:
        stack.callback(house.close)
        _, more = db3(house, stack)
        consoles = "".join(f'[console.{name}]\nsol = {{ machine = "{name}" }}\n' for name in ("db1", "pc"))
        house.run(more=more + consoles)
        house.phase("up", "db3")
        for name in ("db2", "pc"):
            done = house.service.call("POST", f"/Systems/{name}/VirtualMedia/Cd/Actions/VirtualMedia.InsertMedia", {"Image": "rescue.iso"})
            assert done.status == 204, done.body
        # A screen without a port of its own: VNC's protocol by the native WebSocket alone.
        assert house.service.get("/Systems/pc")["GraphicalConsole"] == {
            "ServiceEnabled": True, "MaxConcurrentSessions": 32, "ConnectTypesSupported": ["OEM"], "Port": 443}
        hold_by_schema(house, at_least=2500)


def test_firmware_settings_are_staged_by_sushy_and_ansible(house):
    peers()
    with contextlib.ExitStack() as stack:
        bmc, section = db3(house, stack)
        house.start(section)
        house.phase("up", "db3")
        house.service = Service(house)
        said = sushy(house, """
bios = root.get_system("/redfish/v1/Systems/db3").bios
assert bios.attributes == {"BootMode": "Uefi", "Cores": 8, "Turbo": True}, bios.attributes
assert bios.supported_apply_times == [sushy.ApplyTime.ON_RESET] and not bios.pending_attributes
bios.set_attributes({"BootMode": "Legacy", "Cores": 4}, apply_time=sushy.ApplyTime.ON_RESET)
bios.refresh(force=True)
assert bios.attributes["Cores"] == 8 and bios.pending_attributes == {"BootMode": "Legacy", "Cores": 4}, bios.pending_attributes
print("done")
""")
        assert said.endswith("done\n"), said
        # In the types that the controller has them in.
        assert bmc.bios_next == {"BootMode": "Legacy", "Cores": 4}

        def settings(**wanted):
            return play(house, "redfish_config", category="Systems", command="SetBiosAttributes", resource_id="db3", bios_attributes=wanted)

        assert settings(Turbo=False)["changed"]
        assert bmc.bios_next == {"BootMode": "Legacy", "Cores": 4, "Turbo": False}
        # So already.
        assert not settings(Cores=8)["changed"]
        wrong = settings(Nonsense="1")
        assert wrong.get("failed") or "Nonsense" in json.dumps(wrong["bios_attributes"] if "bios_attributes" in wrong else wrong), wrong
        read = play(house, "redfish_info", category="Systems", command="GetBiosAttributes")["redfish_facts"]["bios_attribute"]
        assert read["entries"][0][1] == {"BootMode": "Uefi", "Cores": 8, "Turbo": True}, read
        house.power("ForceRestart", "db3")
        assert house.service.get("/Systems/db3/Bios")["Attributes"] == {"BootMode": "Legacy", "Cores": 4, "Turbo": False}
        assert house.service.get("/Systems/db3/Bios/Settings")["Attributes"] == {}


def test_passwords_are_changed_by_ansible_redfishtool_and_whoever_proves_to_be_there(house):
    peers()
    house.run()
    service = house.service
    assert service.get("/AccountService")["RequireChangePasswordAction"] is False

    def signs_in(user, password):
        return service.call("GET", f"/AccountService/Accounts/{user}", user=user, password=password).status == 200

    # An administrator, somebody else's.
    play(house, "redfish_command", category="Accounts", command="AddUser", account_username="carol", account_password=PASSWORD, account_roleid="ReadOnly")
    told = play(house, "redfish_command", category="Accounts", command="UpdateUserPassword", account_username="carol", account_password=NEW)
    assert not told.get("failed") and signs_in("carol", NEW) and not signs_in("carol", PASSWORD), told
    redfishtool(house, "AccountService", "setpassword", "carol", NEWER)
    assert signs_in("carol", NEWER)
    # One's own, as any user.
    redfishtool(house, "AccountService", "setpassword", "carol", NEWEST, user="carol", password=NEWER)
    assert signs_in("carol", NEWEST)


def test_ansible_keeps_accounts_and_sessions(house):
    peers()
    house.run()

    def account(verb, fails=False, **words):
        told = play(house, "redfish_command", category="Accounts", command=verb, account_username="dave", **words)
        assert bool(told.get("failed")) == fails, (verb, told)
        return told.get("changed")

    assert account("AddUser", account_password=PASSWORD, account_roleid="ReadOnly")
    assert account("UpdateUserRole", account_roleid="Operator") and not account("UpdateUserRole", account_roleid="Operator")
    assert not account("EnableUser")
    # oobd.toml has no word for these.
    account("DisableUser", fails=True)
    account("UpdateUserName", account_updatename="david", fails=True)
    told = play(house, "redfish_info", category="Accounts", command="ListUsers")["redfish_facts"]["user"]["entries"]
    assert {one["UserName"]: one["RoleId"] for one in told} == {
        "alice": "Administrator", "bob": "Operator", "eve": "ReadOnly", "dave": "Operator"}
    assert account("DeleteUser") and not account("DeleteUser")

    def session(verb, **words):
        told = play(house, "redfish_command", category="Sessions", command=verb, **words)
        assert not told.get("failed"), (verb, told)
        return told

    token = session("CreateSession")["session"]["token"]
    assert house.service.call("GET", "/Systems", token=token).status == 200
    session("ClearSessions")
    assert house.service.call("GET", "/Systems", token=token).status == 401


def test_a_session_alone_does_not_change_a_password_by_the_action(house):
    house.run()
    service = house.service
    account = "/AccountService/Accounts/eve"
    target = service.get(account, "eve")["Actions"]["#ManagerAccount.ChangePassword"]["target"]
    assert target == f"/redfish/v1{account}/{CHANGE}"
    token = service.call("POST", "/SessionService/Sessions", {"UserName": "eve", "Password": PASSWORD}, user=None).headers["X-Auth-Token"]

    def change(proof, new, at=target, **who):
        answer = service.call("POST", at, {"SessionAccountPassword": proof, "NewPassword": new}, **(who or {"token": token}))
        assert proof is None or PASSWORD not in answer.body.decode() and proof not in answer.body.decode()
        return answer

    for body, key in (({"NewPassword": NEW}, "ActionParameterMissing"), ({"SessionAccountPassword": PASSWORD}, "ActionParameterMissing"),
                      ({"SessionAccountPassword": PASSWORD, "NewPassword": 7}, "ActionParameterValueTypeError"),
                      ({"SessionAccountPassword": PASSWORD, "NewPassword": NEW, "OldPassword": PASSWORD}, "ActionParameterUnknown"),
                      ({"SessionAccountPassword": "a guess", "NewPassword": NEW}, "ActionParameterValueError"),
                      ({"SessionAccountPassword": PASSWORD, "NewPassword": "short"}, "ActionParameterValueError")):
        answer = service.call("POST", target, body, token=token)
        assert answer.status == 400 and answer.error["@Message.ExtendedInfo"][0]["MessageId"].endswith(f".{key}"), (body, answer.body)
    assert change(PASSWORD, NEW).status == 204
    # The session goes on under it.
    assert service.get(account, token=token)["UserName"] == "eve"
    assert service.call("GET", account, user="eve", password=NEW).status == 200
    assert service.call("GET", account, user="eve").status == 401
    # Somebody else's needs more than one's own password, and an administrator gives theirs.
    others = f"/AccountService/Accounts/bob/{CHANGE}"
    assert change(NEW, NEWER, at=others).status == 403
    assert change("a guess", NEWER, at=others, user="alice").status == 400
    assert change(PASSWORD, NEWER, at=others, user="alice").status == 204
    assert service.call("GET", "/AccountService/Accounts/bob", user="bob", password=NEWER).status == 200
    # Guessing waits as at a sign-in, longer each time, and the right one waits with it.
    def guess():
        answer = change("a guess", NEWEST)
        wait = int(answer.headers.get("Retry-After") or 0)
        assert answer.status == (503 if wait else 400), answer.body
        # So long that no busy machine is slower.
        if 0 < wait < 6:
            time.sleep(wait)
        return wait >= 6

    house.until("a long wait", guess, 120)
    assert change(NEW, NEWEST).status == 503
    refused = [one for one in house.told("SignInRefused") if one["user"] == "eve"]
    assert refused, house.told("SignInRefused")
