"""A Redfish controller that misbehaves on request, in a thread of the test. That it speaks the real protocol is shown by
clients that nobody here wrote: see test_redfish_peer.py. Faults are attributes; `asked` is what it was asked."""
import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROOT = "/redfish/v1"
SYSTEM, MANAGER, CHASSIS = f"{ROOT}/Systems/1", f"{ROOT}/Managers/bmc", f"{ROOT}/Chassis/1"
SESSIONS = f"{ROOT}/SessionService/Sessions"
RESETS = ["On", "ForceOff", "GracefulShutdown", "ForceRestart", "PowerCycle", "PushPowerButton", "Nmi"]


def ref(uri):
    return {"@odata.id": uri}


def collection(uri, members, **more):
    return {"@odata.id": uri, "@odata.type": "#Collection.Collection", "Name": "Collection",
            "Members": [ref(member) for member in members], "Members@odata.count": len(members), **more}


def error(code, text):
    return {"error": {"code": "Base.1.8.GeneralError", "message": "See extended information.",
                      "@Message.ExtendedInfo": [{"MessageId": f"Base.1.8.{code}", "Message": text}]}}


class Bmc:
    def __init__(self, **faults):
        self.password = "calvin"
        self.vendor = "Contoso"
        self.lock = threading.RLock()
        self.asked, self.sessions, self.failed_logins = [], {}, 0
        # Faults.
        self.session_slots = 8
        self.session_at = [SESSIONS, f"{ROOT}/Sessions"]
        self.session_id_in = "both"      # both, Location, body
        self.etag = "strong"            # strong, weak, weak-only, any, none, empty
        self.racing = 0                 # changes by others before so many PATCHes
        self.tasks = 0                  # so many polls until a reset is done; 0: done at once
        self.task_fails = False
        self.action_info = False
        self.implemented = list(RESETS)
        self.advertised = list(RESETS)
        self.boot_in_settings = False
        self.media_under, self.media = "Systems", "standard"
        self.eject_lag = 0
        self.old_sensors = False
        self.busy = 0                   # so many 503 before an answer to a GET of the system
        self.die_after_reset = False
        self.split = False
        self.oversize = None
        self.garbage = None
        # State.
        self.power, self.resets, self.generation = "Off", [], 0
        self.boot = {"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None", "BootSourceOverrideMode": "UEFI"}
        self.bios, self.bios_next = {"BootMode": "Uefi", "Cores": 8, "Turbo": True}, {}
        self.image, self.ejecting = None, 0
        self.log = [{"@odata.id": f"{SYSTEM}/LogServices/SEL/Entries/{at}", "Id": str(at), "Name": "Entry", "Severity": "Warning",
                     "Created": "2026-01-02T03:04:05-0600", "Message": f"event {at}"} for at in range(1, 8)]
        self.monitors = {}
        for name, value in faults.items():
            assert hasattr(self, name), name
            setattr(self, name, value)

    def __enter__(self):
        bmc = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def handle_any(self):
                bmc.answer(self)

            do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = do_HEAD = handle_any

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def paths(self, method):
        with self.lock:
            return [path for had, path, _ in self.asked if had == method]

    # Requests.

    def answer(self, request):
        length = int(request.headers.get("Content-Length") or 0)
        raw = request.rfile.read(length)
        path = request.path.split("?")[0]
        path = path.rstrip("/") or "/"
        with self.lock:
            self.asked.append((request.command, path, dict(request.headers)))
            try:
                status, headers, body = self.reply(request, path, raw)
            except ConnectionAbortedError:
                request.close_connection = True
                request.connection.close()
                return
        data = b"" if body is None else json.dumps(body).encode()
        if self.garbage is not None and path == self.garbage:
            data = b'{"Members": [{"@odata.id": 7'
        if self.oversize is not None and path == self.oversize:
            data = b'{"x": "' + b"x" * (5 << 20) + b'"}'
        head = f"HTTP/1.1 {status} X\r\nOData-Version: 4.0\r\nContent-Length: {len(data)}\r\n"
        headers = {"Content-Type": "application/json", **headers}
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        if request.headers.get("Connection", "").lower() == "close":
            request.close_connection = True
        out = head.encode() + b"\r\n" + (b"" if request.command == "HEAD" else data)
        try:
            for at in range(0, len(out), 1 if self.split else len(out)):
                request.connection.sendall(out[at:at + 1] if self.split else out)
        except OSError:
            request.close_connection = True

    def signed_in(self, request):
        token = request.headers.get("X-Auth-Token")
        if token is not None:
            return token in self.sessions
        given = request.headers.get("Authorization", "")
        if given.startswith("Basic "):
            if base64.b64decode(given[6:]).decode() == f"root:{self.password}":
                return True
            self.failed_logins += 1
        return False

    def reply(self, request, path, raw):
        method = request.command
        body = json.loads(raw) if raw else None
        if path in ("/redfish", ROOT) and method in ("GET", "HEAD"):
            return 200, {}, {"v1": f"{ROOT}/"} if path == "/redfish" else self.root()
        if path in (SESSIONS, f"{ROOT}/Sessions") and method == "POST":
            return self.log_in(path, body)
        if not self.signed_in(request):
            return 401, {"WWW-Authenticate": 'Basic realm="x"'}, error("NoValidSession", "No valid session.")
        if path.startswith(f"{SESSIONS}/") and method == "DELETE":
            token = next((token for token, number in self.sessions.items() if path.endswith(f"/{number}")), None)
            return (204, {}, None) if self.sessions.pop(token, None) else (404, {}, error("ResourceMissing", "None."))
        if path in self.monitors:
            return self.monitor(path)
        if method == "POST":
            return self.act(path, body, raw, request)
        resource = self.resource(path)
        if resource is None:
            return 404, {}, error("ResourceMissingAtURI", f"There is no {path}.")
        if method == "PATCH":
            return self.change(path, body, request)
        if path == SYSTEM and self.busy:
            self.busy -= 1
            return 503, {"Retry-After": "0"}, error("ServiceTemporarilyUnavailable", "Soon.")
        return 200, {"ETag": self.tag()} if self.etag != "none" else {}, resource

    def log_in(self, path, body):
        if path not in self.session_at:
            return 405, {"Allow": "GET"}, error("OperationNotAllowed", "Not here.")
        if (body or {}).get("UserName") != "root" or body.get("Password") != self.password:
            self.failed_logins += 1
            return 401, {}, error("ResourceAtUriUnauthorized", "Wrong.")
        if len(self.sessions) >= self.session_slots:
            return 503, {}, error("SessionLimitExceeded", "Too many sessions.")
        number = str(len(self.asked))
        token = f"token-{number}"
        self.sessions[token] = number
        uri = f"{SESSIONS}/{number}"
        headers = {"X-Auth-Token": token}
        if self.session_id_in != "body":
            # Those that say nothing else do not know their own name, either.
            headers["Location"] = uri if self.session_id_in == "both" else f"https://bmc.invalid{uri}"
        shown = {"@odata.id": uri, "@odata.type": "#Session.v1_3_0.Session", "Id": number, "Name": "Session", "UserName": "root"}
        return 201, headers, shown if self.session_id_in != "Location" else None

    def tag(self):
        return {"strong": f'"{self.generation}"', "weak": f'W/"{self.generation}"', "weak-only": f'W/"{self.generation}"',
                "any": f'"{self.generation}"', "empty": ""}.get(self.etag, f'"{self.generation}"')

    def matches(self, given):
        """Does `If-Match` of a change fit? Controllers differ."""
        right = {"strong": [f'"{self.generation}"', None], "weak": [f'"{self.generation}"'], "weak-only": [f'W/"{self.generation}"'],
                 "any": ["*"], "none": [None], "empty": [None]}[self.etag]
        return given in right

    def change(self, path, body, request):
        if self.racing:
            self.racing -= 1
            self.generation += 1
        if not self.matches(request.headers.get("If-Match")):
            return 412, {}, error("PreconditionFailed", "Another one changed it.")
        self.generation += 1
        settings = f"{SYSTEM}/Pending"
        if "Boot" in body and path == (settings if self.boot_in_settings else SYSTEM):
            if body["Boot"].get("BootSourceOverrideTarget") not in (None, "None", *self.targets()):
                return 400, {}, error("PropertyValueNotInList", "No such target.")
            self.boot.update(body["Boot"])
            return 204, {}, None
        if path == f"{SYSTEM}/Bios/Settings" and "Attributes" in body:
            unknown = set(body["Attributes"]) - set(self.bios)
            if unknown:
                return 400, {}, error("PropertyUnknown", f"There is no {unknown.pop()}.")
            self.bios_next.update(body["Attributes"])
            return 202, {}, None
        if path.endswith("/VirtualMedia/Cd") and self.media == "patch":
            if body.get("Image") and not body.get("Inserted"):
                return 400, {}, error("PropertyMissing", "Inserted is missing.")
            self.image = body["Image"]
            return 200, {}, None
        return 405, {"Allow": "GET"}, error("OperationNotAllowed", "No.")

    def act(self, path, body, raw, request):
        if path == f"{SYSTEM}/Actions/ComputerSystem.Reset":
            kind = (body or {}).get("ResetType")
            if kind not in self.implemented:
                return 400, {}, error("ActionParameterNotSupported", f"{kind} is not supported.")
            if self.tasks:
                uri = f"{ROOT}/TaskService/TaskMonitors/{len(self.asked)}"
                self.monitors[uri] = [self.tasks, kind]
                task = {"@odata.id": f"{ROOT}/TaskService/Tasks/1", "Id": "1", "Name": "Task", "TaskState": "Running"}
                return 202, {"Location": uri, "Retry-After": "0"}, task
            self.reset(kind)
            if self.die_after_reset:
                raise ConnectionAbortedError
            return 204, {}, None
        if path.endswith("VirtualMedia.InsertMedia") and self.media != "patch":
            if self.media == "bare" and set(body) != {"Image"}:
                return 400, {}, error("ActionParameterUnknown", "Inserted is unknown.")
            if self.media == "full" and "UserName" not in body:
                return 400, {}, error("ActionParameterMissing", "UserName is missing.")
            self.image = body["Image"]
            return 204, {}, None
        if path.endswith("VirtualMedia.EjectMedia") and self.media != "patch":
            if self.media == "full" and raw == b"":
                return 415, {}, error("UnsupportedMediaType", "No body.")
            self.ejecting = self.eject_lag
            if not self.ejecting:
                self.image = None
            return 204, {}, None
        if path.endswith("LogService.ClearLog"):
            self.log.clear()
            return 204, {}, None
        return 404, {}, error("ActionNotSupported", f"There is no action {path}.")

    def reset(self, kind):
        self.resets.append(kind)
        self.power = {"On": "On", "ForceOff": "Off", "GracefulShutdown": "Off"}.get(kind, "On")
        if kind == "PushPowerButton":
            self.power = "On"
        if kind != "ForceOff":
            self.bios.update(self.bios_next)
            self.bios_next.clear()

    def monitor(self, path):
        left, kind = self.monitors[path]
        if left:
            self.monitors[path][0] -= 1
            return 202, {"Retry-After": "0"}, None
        if self.task_fails:
            return 200, {}, {"TaskState": "Exception", "Messages": [{"MessageId": "x.Failed", "Message": "The fan is missing."}]}
        del self.monitors[path]
        self.reset(kind)
        return 200, {}, {"@odata.id": f"{ROOT}/TaskService/Tasks/1", "TaskState": "Completed", "TaskStatus": "OK"}

    # Resources.

    def root(self):
        return {"@odata.id": f"{ROOT}/", "@odata.type": "#ServiceRoot.v1_9_0.ServiceRoot", "Id": "RootService", "Name": "Root",
                "RedfishVersion": "1.9.0", "Vendor": self.vendor, "Systems": ref(f"{ROOT}/Systems"), "Chassis": ref(f"{ROOT}/Chassis"),
                "Managers": ref(f"{ROOT}/Managers"), "SessionService": ref(f"{ROOT}/SessionService"),
                "Registries": ref(f"{ROOT}/Registries"), "Links": {"Sessions": ref(SESSIONS)}}

    def targets(self):
        return ["None", "Pxe", "UsbCd", "Hdd", "BiosSetup"]

    def system(self):
        action = {"target": f"{SYSTEM}/Actions/ComputerSystem.Reset"}
        if self.action_info:
            action["@Redfish.ActionInfo"] = f"{SYSTEM}/ResetActionInfo"
        else:
            action["ResetType@Redfish.AllowableValues"] = self.advertised
        system = {
            "@odata.id": SYSTEM, "@odata.type": "#ComputerSystem.v1_13_0.ComputerSystem", "Id": "1", "Name": "machine", "UUID": "",
            "PowerState": self.power, "Status": {"State": "Enabled", "Health": "OK"}, "Bios": ref(f"{SYSTEM}/Bios"),
            "Boot": dict(self.boot), "Storage": ref(f"{SYSTEM}/Storage"), "LogServices": ref(f"{SYSTEM}/LogServices"),
            "Actions": {"#ComputerSystem.Reset": action}, "Links": {"ManagedBy": [ref(MANAGER)], "Chassis": [ref(CHASSIS)]},
            "SerialConsole": {"SSH": {"ServiceEnabled": True, "Port": 2200, "ConsoleEntryCommand": "console"},
                              "IPMI": {"ServiceEnabled": False, "Port": 623},
                              "WebSocket": {"ServiceEnabled": True, "ConsoleURI": "/console0"}}}
        if self.media_under == "Systems":
            system["VirtualMedia"] = ref(f"{SYSTEM}/VirtualMedia")
        if self.boot_in_settings:
            system["@Redfish.Settings"] = {"SettingsObject": ref(f"{SYSTEM}/Pending")}
        else:
            system["Boot"]["BootSourceOverrideTarget@Redfish.AllowableValues"] = self.targets()
        return system

    def slot(self, owner):
        if self.ejecting:
            self.ejecting -= 1
            if not self.ejecting:
                self.image = None
        uri = f"{owner}/VirtualMedia/Cd"
        slot = {"@odata.id": uri, "@odata.type": "#VirtualMedia.v1_3_0.VirtualMedia", "Id": "Cd", "Name": "Cd",
                "MediaTypes": ["CD", "DVD"], "Image": self.image, "Inserted": self.image is not None}
        if self.media != "patch":
            slot["Actions"] = {f"#VirtualMedia.{verb}": {"target": f"{uri}/Actions/VirtualMedia.{verb}"}
                               for verb in ("InsertMedia", "EjectMedia")}
        return slot

    def resource(self, path):
        owner = SYSTEM if self.media_under == "Systems" else MANAGER
        sensors = {"Thermal": ref(f"{CHASSIS}/Thermal"), "Power": ref(f"{CHASSIS}/Power")}
        if not self.old_sensors:
            sensors["Sensors"] = ref(f"{CHASSIS}/Sensors")
        log = f"{SYSTEM}/LogServices/SEL"
        manager = {"@odata.id": MANAGER, "@odata.type": "#Manager.v1_9_0.Manager", "Id": "bmc", "Name": "bmc", "ManagerType": "BMC",
                   "FirmwareVersion": "1.2.3"}
        if self.media_under == "Managers":
            manager["VirtualMedia"] = ref(f"{MANAGER}/VirtualMedia")
        known = {
            f"{ROOT}/Systems": lambda: collection(path, [SYSTEM]),
            f"{ROOT}/Managers": lambda: collection(path, [MANAGER]),
            f"{ROOT}/Chassis": lambda: collection(path, [CHASSIS]),
            f"{ROOT}/SessionService": lambda: {"@odata.id": path, "Id": "SessionService", "Name": "x", "Sessions": ref(SESSIONS)},
            SESSIONS: lambda: collection(path, [f"{SESSIONS}/{number}" for number in self.sessions.values()]),
            SYSTEM: self.system, MANAGER: lambda: manager,
            f"{SYSTEM}/Pending": lambda: {"@odata.id": path, "Id": "Pending", "Boot": {
                **self.boot, "BootSourceOverrideTarget@Redfish.AllowableValues": self.targets()}},
            f"{SYSTEM}/ResetActionInfo": lambda: {"@odata.id": path, "Parameters": [
                {"Name": "ResetType", "Required": True, "AllowableValues": self.advertised}]},
            f"{SYSTEM}/Bios": lambda: {"@odata.id": path, "Id": "Bios", "Name": "Bios", "AttributeRegistry": "BiosReg.v1_0_0",
                                       "Attributes": self.bios, "@Redfish.Settings": {"SettingsObject": ref(f"{path}/Settings")}},
            f"{SYSTEM}/Bios/Settings": lambda: {"@odata.id": path, "Id": "Settings", "Name": "x", "Attributes": self.bios_next},
            f"{ROOT}/Registries": lambda: collection(path, [f"{path}/Base", f"{path}/BiosReg"]),
            f"{ROOT}/Registries/BiosReg": lambda: {"@odata.id": path, "Id": "BiosReg", "Registry": "BiosReg.v1_0_0",
                                                   "Location": [{"Language": "en", "Uri": f"{path}/file"}]},
            f"{ROOT}/Registries/BiosReg/file": lambda: {"RegistryEntries": {"Attributes": [
                {"AttributeName": "BootMode", "Type": "Enumeration", "DisplayName": "Boot mode",
                 "Value": [{"ValueName": "Uefi"}, {"ValueName": "Legacy"}]},
                {"AttributeName": "Cores", "Type": "Integer", "ReadOnly": True}]}},
            f"{owner}/VirtualMedia": lambda: collection(path, [f"{path}/Cd"]),
            f"{owner}/VirtualMedia/Cd": lambda: self.slot(owner),
            CHASSIS: lambda: {"@odata.id": path, "Id": "1", "Name": "chassis", "ChassisType": "RackMount",
                              "PhysicalSecurity": {"IntrusionSensor": "HardwareIntrusion"}, **sensors},
            f"{CHASSIS}/Sensors": lambda: collection(path, [f"{path}/t", f"{path}/f"]),
            f"{CHASSIS}/Sensors/t": lambda: {"@odata.id": path, "Id": "t", "Name": "CPU", "ReadingType": "Temperature",
                                             "ReadingUnits": "Cel", "Reading": 41.5, "Status": {"State": "Enabled", "Health": "OK"}},
            f"{CHASSIS}/Sensors/f": lambda: {"@odata.id": path, "Id": "f", "Name": "Fan 1", "ReadingType": "Rotational",
                                             "ReadingUnits": "RPM", "Reading": None, "Status": {"State": "Absent"}},
            f"{CHASSIS}/Thermal": lambda: {"@odata.id": path, "Temperatures": [
                {"Name": "Inlet", "ReadingCelsius": 22, "Status": {"Health": "Warning"}}, {"Name": "ghost"}], "Fans": [
                {"FanName": "Fan old", "Reading": 40, "ReadingUnits": "Percent", "Status": {"Health": "OK"}}]},
            f"{CHASSIS}/Power": lambda: {"@odata.id": path, "Voltages": None, "PowerControl": [
                {"Name": "Total", "PowerConsumedWatts": "344"}], "PowerSupplies": [
                {"Name": "PSU 1", "Status": {"State": "Enabled", "Health": "Critical"}}]},
            f"{SYSTEM}/LogServices": lambda: collection(path, [log]),
            log: lambda: {"@odata.id": log, "Id": "SEL", "Name": "SEL", "Entries": ref(f"{log}/Entries"), "Actions": {
                "#LogService.ClearLog": {"target": f"{log}/Actions/LogService.ClearLog"}}},
            f"{SYSTEM}/Storage": lambda: collection(path, [f"{path}/RAID"]),
            f"{SYSTEM}/Storage/RAID": lambda: {"@odata.id": path, "Id": "RAID", "Name": "RAID", "Drives": [ref(f"{path}/Drives/0")],
                                               "Volumes": ref(f"{path}/Volumes")},
            f"{SYSTEM}/Storage/RAID/Drives/0": lambda: {"@odata.id": path, "Id": "0", "Name": "disk", "CapacityBytes": 4000787030016},
            f"{SYSTEM}/Storage/RAID/Volumes": lambda: collection(path, [f"{path}/1"]),
            f"{SYSTEM}/Storage/RAID/Volumes/1": lambda: {"@odata.id": path, "Id": "1", "Name": "v", "RAIDType": "RAID1"},
        }
        for page in range(3):
            # The third page leads back to the first.
            name = f"{log}/Entries" if page == 0 else f"{log}/Entries{page}"
            following = f"{log}/Entries{page + 1}" if page < 2 else f"{log}/Entries"
            part = self.log[page * 3:page * 3 + 3]
            known[name] = lambda part=part, following=following: {
                **collection(path, []), "Members": part, "Members@odata.nextLink": following}
        return known[path]() if path in known else None


def serve():
    """Alone, until its end: for a look at it by hand."""
    with Bmc() as bmc:
        print(bmc.url, flush=True)
        while True:
            time.sleep(60)


if __name__ == "__main__":
    serve()
