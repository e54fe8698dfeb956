"""Our own Redfish service: DMTF's validators, signing in, roles and grants, and what holds for every resource."""
import json
import re

import pytest
from board import wait_for
from redfish_service_kit import House, Service, hold_by_schema, login, validate, validators
from ssh_kit import PASSWORD

RESET = "/Systems/db1/Actions/ComputerSystem.Reset"
CONTROL = "/PowerEquipment/RackPDUs/rack/Outlets/rack1/Actions/Outlet.PowerControl"


@pytest.fixture
def house(tmp_path, make_board):
    house = House(tmp_path, make_board)
    yield house
    house.close()


def test_every_resource_is_what_its_schema_says(house):
    validators()
    house.run()
    hold_by_schema(house, at_least=2500)


def test_the_protocol_is_what_dsp0266_says(house):
    validators()
    house.run()
    reports = house.work / "reports"
    reports.mkdir()
    code, said = validate(house, "rf_protocol_validator", *login(), "--ca-bundle", house.service.file, "--avoid-http-redirect",
                          "--report-dir", reports)
    passed, warned, failed = map(int, re.search(r"PASS: (\d+), WARN: (\d+), FAIL: (\d+)", said).groups())
    table = next(reports.glob("*.tsv")).read_text()
    wrong = [line for line in table.splitlines() if re.search(r"\t(FAIL|WARN)\t", line)]
    assert code == 0 and passed > 250 and (warned, failed) == (0, 0), wrong


def test_a_session_is_a_token_and_ends(house):
    service = house.run().service
    begun = service.call("POST", "/SessionService/Sessions", {"UserName": "alice", "Password": PASSWORD}, user=None)
    token, place = begun.headers["X-Auth-Token"], begun.headers["Location"]
    assert begun.status == 201 and "Set-Cookie" not in begun.headers and begun.json()["@odata.id"] == place
    assert begun.json()["Password"] is None and begun.json()["UserName"] == "alice"
    assert service.call("GET", "/Systems", token=token).status == 200
    # Neither by a bearer token nor by the cookie of a page.
    for header in ({"Authorization": f"Bearer {token}"}, {"Cookie": f"__Host-oobd={token}"}):
        refused = service.ask("GET", "/redfish/v1/Systems", **header)
        assert refused.status == 401 and refused.headers["WWW-Authenticate"].startswith("Basic"), header
    assert service.call("DELETE", place, token=token).status == 204
    assert service.call("GET", "/Systems", token=token).status == 401
    for body, status, message in [({"UserName": "alice"}, 400, "CreateFailedMissingReqProperties"), ({"UserName": 1, "Password": "x"}, 400, "PropertyValueTypeError"),
                                  (b"{", 400, "MalformedJSON"), (b"[]", 400, "UnrecognizedRequestBody"),
                                  ({"UserName": "alice", "Password": "guess"}, 401, "NoValidSession")]:
        answer = service.call("POST", "/SessionService/Sessions", body, user=None)
        assert (answer.status, answer.json()["error"]["code"].split(".")[-1]) == (status, message), body
    assert "guess" not in json.dumps(house.board.events())


def test_what_is_open_to_everybody_and_what_is_not(house):
    service = house.run().service
    for path in ("/redfish", "/redfish/v1", "/redfish/v1/", "/redfish/v1/odata", "/redfish/v1/$metadata"):
        assert service.call("GET", path, user=None).status == 200, path
    seen, waiting = set(), ["/redfish/v1"]
    while waiting:
        path = waiting.pop()
        seen.add(path)
        found = re.findall(r'"@odata.id":"(/redfish/[^"#]*)"', service.call("GET", path).body.decode())
        waiting += {one.rstrip("/") for one in found} - seen - set(waiting)
    assert {"/redfish/v1/Systems/db1", "/redfish/v1/Chassis/ups:cellar/PowerSubsystem/Batteries/Battery/Metrics"} <= seen
    entry = next(path for path in seen if "/Entries/" in path)
    private = [path for path in seen if "/Entries/" not in path and path != "/redfish/v1"] + [entry]
    for path in sorted(private):
        assert service.call("GET", path, user=None).status == 401, path
        assert service.call("GET", path, user="eve").status in (200, 403, 404), path
    assert service.call("GET", "/Nowhere", user=None).status == 401 and service.call("GET", "/Nowhere").status == 404


def test_roles_and_grants(house):
    service = house.run().service
    boot = {"Boot": {"BootSourceOverrideTarget": "Pxe"}}
    # method, path, body: alice, bob (db1 and rack/rack1), eve (looks at all)
    for method, path, body, expected in [
            ("GET", "/Systems/db1", None, (200, 200, 200)), ("GET", "/Systems/relay-only", None, (200, 404, 200)),
            ("GET", "/Chassis/relay-only", None, (200, 404, 200)),
            ("GET", "/PowerEquipment/RackPDUs/rack/Outlets/rack2", None, (200, 404, 200)),
            ("GET", "/AccountService/Accounts/alice", None, (200, 403, 403)), ("GET", "/AccountService/Accounts/bob", None, (200, 200, 403)),
            ("PATCH", "/Systems/db1", boot, (200, 200, 403)), ("PATCH", "/Systems/relay-only", boot, (400, 404, 403)),
            ("POST", RESET, {"ResetType": "On"}, (204, 204, 403)),
            ("POST", RESET.replace("db1", "relay-only"), {"ResetType": "On"}, (204, 404, 403)),
            ("POST", CONTROL, {"PowerState": "On"}, (204, 204, 403)),
            ("POST", CONTROL.replace("rack1", "rack2"), {"PowerState": "On"}, (204, 404, 403)),
            ("DELETE", "/SessionService/Sessions/999", None, (404, 404, 404))]:
        # 409: it may be asked, and what was asked before is still under way.
        got = tuple(204 if (code := service.call(method, path, body, user=user).status) == 409 else code for user in ("alice", "bob", "eve"))
        assert got == expected, (method, path)
    assert service.members("/Systems", "bob") == ["/redfish/v1/Systems/db1"]
    assert service.members("/AccountService/Accounts", "bob") == ["/redfish/v1/AccountService/Accounts/bob"]
    assert service.get("/Systems/db1", "bob")["Links"]["PoweredBy"] == [{"@odata.id": "/redfish/v1/PowerEquipment/RackPDUs/rack/Outlets/rack1"}]
    entries = json.dumps(service.get("/Managers/oob/LogServices/Journal/Entries", "bob"))
    assert "db1" in entries and "relay-only" not in entries
    events = [one["kind"]["CommandGiven"]["actor"] for one in house.board.events() if "CommandGiven" in one["kind"]]
    assert any(actor.startswith("bob (https 127.0.0.1:") for actor in events)


def test_what_holds_for_every_resource(house):
    service = house.run().service
    answer = service.call("GET", "/Systems/db1")
    etag = answer.headers["ETag"]
    assert etag == answer.json()["@odata.etag"] and answer.headers["OData-Version"] == "4.0"
    assert "rel=describedby" in answer.headers["Link"] and answer.headers["Allow"] == "GET, HEAD, PATCH"
    assert service.call("GET", "/Systems/db1", If_None_Match=etag).status == 304
    body = {"Boot": {"BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Once"}}
    assert service.call("PATCH", "/Systems/db1", body, If_Match='"stale"').status == 412
    changed = service.call("PATCH", "/Systems/db1", {**body, "AssetTag": "7"}, If_Match=etag)
    assert changed.status == 200 and changed.json()["@Message.ExtendedInfo"][0]["RelatedProperties"] == ["#/AssetTag"]
    assert changed.json()["Boot"]["BootSourceOverrideTarget"] == "Pxe" and changed.headers["ETag"] != etag
    for method, path, body, status, message in [
            ("PUT", "/Systems/db1", {}, 405, "OperationNotAllowed"), ("DELETE", "/Systems", None, 405, "OperationNotAllowed"),
            ("PATCH", "/Systems/db1", {}, 400, "NoOperation"), ("PATCH", "/Systems/db1", {"AssetTag": "7"}, 400, "PropertyNotWritable"),
            ("POST", RESET, {"ResetType": "Explode"}, 400, "ActionParameterValueNotInList"), ("POST", RESET, {}, 400, "ActionParameterMissing"),
            ("POST", RESET, {"ResetType": 1}, 400, "ActionParameterValueTypeError"), ("POST", RESET, {"ResetType": "On", "x": 1}, 400, "ActionParameterUnknown"),
            ("POST", RESET + "?$select=Id", {"ResetType": "On"}, 400, "QueryNotSupportedOnOperation"),
            ("POST", "/Systems/db1/VirtualMedia/Cd/Actions/VirtualMedia.InsertMedia", {"Image": "rescue.iso"}, 404, "ResourceMissingAtURI"),
            ("PATCH", "/Systems/relay-only", {"Boot": {"BootSourceOverrideTarget": "Pxe"}}, 400, "PropertyValueNotInList"),
            ("GET", "/SessionService?only", None, 400, "QueryNotSupportedOnResource"),
            ("GET", "/Systems?$filter=x", None, 501, "QueryNotSupported"), ("GET", "/Systems?$expand=.($levels=7)", None, 400, "QueryParameterOutOfRange"),
            ("GET", "/Systems/db9", None, 404, "ResourceMissingAtURI")]:
        answer = service.call(method, path, body)
        assert (answer.status, answer.json()["error"]["@Message.ExtendedInfo"][0]["MessageId"].split(".")[-1]) == (status, message), (method, path, body)
        assert status != 405 or answer.headers["Allow"].startswith("GET, HEAD")
    assert service.call("GET", "/Systems", OData_Version="3.0").status == 412
    head = service.call("HEAD", "/Systems/db1")
    assert (head.status, head.body) == (200, b"") and head.headers["ETag"]
    whole = service.get("/Systems?$expand=.")
    assert {one["Id"]: one["PowerState"] for one in whole["Members"]}["db1"] == "On" and whole["Members@odata.count"] == 2
    assert set(service.get("/Systems/db1?$select=Id,Boot/BootSourceOverrideTarget")) == {"@odata.id", "@odata.type", "@odata.etag", "Id", "Boot"}
    assert len(service.get("/PowerEquipment/RackPDUs/rack/Outlets?$top=2&$skip=1")["Members"]) == 2
    assert service.get("/Managers?only")["Id"] == "oob"


def test_accounts_are_made_changed_and_removed(house):
    service, accounts = house.run().service, "/AccountService/Accounts"
    new = {"UserName": "carol", "Password": "a good password", "RoleId": "ReadOnly"}
    assert service.call("POST", accounts, new, user="bob").status == 403
    made = service.call("POST", accounts, new)
    assert made.status == 201 and made.headers["Location"].endswith("/carol") and made.json()["Password"] is None
    carol = {"user": "carol", "password": "a good password"}
    assert service.call("GET", "/Systems/db1", **carol).status == 200
    assert service.call("PATCH", "/Systems/db1", {"Boot": {"BootSourceOverrideTarget": "Pxe"}}, **carol).status == 403
    assert service.call("PATCH", f"{accounts}/carol", {"RoleId": "Operator"}, **carol).status == 400
    assert service.call("PATCH", f"{accounts}/carol", {"RoleId": "Operator"}, If_Match='"x"').status == 412
    assert service.call("PATCH", f"{accounts}/carol", {"RoleId": "Operator"}).json()["RoleId"] == "Operator"
    assert service.call("PATCH", "/Systems/db1", {"Boot": {"BootSourceOverrideTarget": "Pxe"}}, **carol).status == 200
    assert service.call("PATCH", f"{accounts}/carol", {"Password": "a better password"}, **carol).status == 200
    assert service.call("GET", "/Systems", user="carol", password="a better password").status == 200
    for body in (new, {**new, "UserName": "dave", "Password": "short"}, {**new, "UserName": "no good"}, {**new, "UserName": "dave", "RoleId": "King"},
                 {"UserName": "dave"}, {**new, "UserName": "dave", "Enabled": False}):
        answer = service.call("POST", accounts, body)
        assert answer.status == 400 and "short" not in answer.body.decode(), body
    assert service.call("DELETE", f"{accounts}/carol").status == 204
    assert service.call("GET", f"{accounts}/carol").status == 404 and "carol" not in house.board.config.read_text()
    assert service.call("DELETE", f"{accounts}/alice").status == 400, "the last administrator stays"
    assert "a better" not in json.dumps(house.board.events()) + house.board.config.read_text()


def test_one_machine_as_a_service_of_its_own(house):
    service, base = house.run().service, "/machine/db1/redfish/v1"
    root = service.get(base + "/", user=None)
    assert root["Systems"]["@odata.id"] == f"{base}/Systems"
    assert service.members(f"{base}/Systems") == [f"{base}/Systems/db1"] and service.members(f"{base}/Chassis") == [f"{base}/Chassis/db1"]
    assert service.members(f"{base}/PowerEquipment/RackPDUs/rack/Outlets") == [f"{base}/PowerEquipment/RackPDUs/rack/Outlets/rack{n}" for n in (1, 2)]
    assert service.call("GET", f"{base}/Systems/relay-only").status == 404
    assert service.get(f"{base}/Systems?$expand=.")["Members"][0]["Actions"]["#ComputerSystem.Reset"]["target"].startswith(base)
    begun = service.call("POST", f"{base}/SessionService/Sessions", {"UserName": "alice", "Password": PASSWORD}, user=None)
    assert begun.headers["Location"].startswith(base)
    assert service.call("POST", f"{base}/Systems/db1/Actions/ComputerSystem.Reset", {"ResetType": "On"}, token=begun.headers["X-Auth-Token"]).status == 204
    assert service.call("GET", "/machine/relay-only/redfish/v1/Systems", user="bob").status == 404
    # Its log has what is about it, and nothing of the others.
    entries = service.get(f"{base}/Managers/oob/LogServices/Journal/Entries")
    sources = {one["Originator"] for one in entries["Members"]}
    assert "machine.db1" in sources and not sources & {"machine.relay-only", "link", "control"}, sources
    assert "Managers" in entries["Members"][0]["@odata.id"] and service.call("GET", entries["Members"][0]["@odata.id"]).status == 200
    everything = service.get("/Managers/oob/LogServices/Journal/Entries?$top=100")["Members"]
    other = next(one["Id"] for one in everything if one["Originator"] not in sources)
    assert service.call("GET", f"{base}/Managers/oob/LogServices/Journal/Entries/{other}").status == 404
    assert service.call("GET", "/machine/nobody/redfish/v1/Systems").status == 404


def test_the_password_of_first_boot_is_changed_here(tmp_path, make_board):
    house = House(tmp_path, make_board)
    house.users = ""
    try:
        house.start("")
        service = Service(house)
        note = wait_for("first-boot.txt", lambda: next(iter(tmp_path.rglob("first-boot.txt")), None)).read_text()
        password = re.search(r"\b([0-9a-z]{5}-[0-9a-z]{5}-[0-9a-z]{5}-[0-9a-z]{5})\b", note)[1]
        as_admin = {"user": "admin", "password": password}
        begun = service.call("POST", "/SessionService/Sessions", {"UserName": "admin", "Password": password}, user=None)
        assert begun.status == 201 and begun.json()["@Message.ExtendedInfo"][0]["MessageId"].endswith("PasswordChangeRequired")
        account = "/AccountService/Accounts/admin"
        refused = service.call("GET", "/Systems", **as_admin)
        assert refused.status == 403 and account in refused.json()["error"]["message"]
        assert service.get(account, **as_admin)["PasswordChangeRequired"] is True
        assert service.call("PATCH", account, {"Password": "short"}, **as_admin).status == 400
        assert service.call("PATCH", account, {"Password": "a better one"}, **as_admin).status == 200
        assert service.call("GET", "/Systems", user="admin", password="a better one").status == 200
        assert service.get(account, user="admin", password="a better one")["PasswordChangeRequired"] is False
    finally:
        house.close()
