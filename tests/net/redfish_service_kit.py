"""What the tests of our own Redfish service need: a board with machines, PDUs and a UPS, its service as a client sees it, and
DMTF's validators with the schema files."""
import base64
import functools
import http.client
import json
import os
import re
import subprocess
from pathlib import Path

from api_kit import Door
from machine_kit import FAST, HOST, ipmi
from machine_kit import House as MachineHouse
from power_kit import Nut
from ssh_kit import HASH, PASSWORD
from venv_kit import venv

HERE = Path(__file__).parent
PDU = f'[pdu.rack]\npowerman = {{ host = "{HOST}" }}\npoll = "2s"\nconfirm = "6s"\nstagger = "100ms"\n'
UPS = f'[ups.cellar]\nnut = {{ host = "{HOST}", ups = "ups1", username = "admin", password = "adminpw" }}\npoll = "2s"\n'
PEOPLE = {
    "alice": 'role = "administrator"',
    "bob": 'role = "operator"\nmachines = ["db1"]\noutlets = ["rack/rack1"]\nconsoles = ["core-*"]',
    "eve": 'role = "readonly"',
}


def users(people):
    return "".join(f'[user.{name}]\npassword = "{HASH}"\n{body}\n' for name, body in people.items())


class House(MachineHouse):
    """db1 has a BMC and two outlets, relay-only has an outlet and nothing else; a PDU of eight outlets, a UPS."""

    def __init__(self, work, make_board, people=None):
        super().__init__(work, make_board, users=users(people or PEOPLE))

    def run(self, more="", confirm="6s", relay=True):
        self.sim()
        self.powermand = self.powerman()
        self.nut = self.peers(Nut).up()
        pdu = PDU.replace('"6s"', f'"{confirm}"')
        alone = f'[machine.relay-only]\noutlets = ["rack/rack3"]\n{FAST}' if relay else ""
        self.start(f'{pdu}{UPS}[machine.db1]\n{ipmi()}outlets = ["rack/rack1", "rack/rack2"]\n{FAST}{alone}{more}')
        self.phase("up")
        self.until("the PDU and the UPS", lambda: self.pdu().get("outlets") and self.board.json("status")["upses"]["cellar"].get("status"))
        self.service = Service(self)
        return self


class Service(Door):
    """The Redfish service of a House."""

    def call(self, method, path, body=None, user="alice", token=None, password=PASSWORD, **headers):
        """One request below /redfish/v1 (or at an absolute path), as this user by HTTP Basic, by a token, or as nobody."""
        if token:
            headers["X_Auth_Token"] = token
        elif user:
            headers["Authorization"] = self.basic(user, password)
        path = path if path.startswith("/redfish") or path.startswith("/machine") else "/redfish/v1" + path
        # One connection for many requests, as clients do; the board ends one that was idle.
        for kept in (getattr(self, "kept", None), None):
            self.kept = kept or self.connection()
            try:
                return self.ask(method, path, body, connection=self.kept, **headers)
            except (http.client.HTTPException, OSError):
                if not kept:
                    raise
        return None

    @staticmethod
    def basic(user, password=PASSWORD):
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def get(self, path, user="alice", **headers):
        answer = self.call("GET", path, user=user, **headers)
        assert answer.status == 200, (path, answer.status, answer.body)
        return answer.json()

    def members(self, path, user="alice"):
        return [one["@odata.id"] for one in self.get(path, user)["Members"]]


@functools.cache
def validators():
    """The folder of the validators' programs."""
    return venv("redfish-validators", HERE / "redfish-validators.txt") / "bin"


@functools.cache
def csdl():
    """The folder of DMTF's schema files."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--manifest-path", HERE / "redfish-csdl/Cargo.toml"]
    packages = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=600).stdout)["packages"]
    (found,) = [one for one in packages if one["name"] == "nv-redfish-schema"]
    return Path(found["manifest_path"]).parent / "redfish-csdl/csdl"


def validate(house, program, *arguments, timeout=900):
    """Runs a validator in the board's namespace against its service; gives exit status and what it said."""
    env = {name: value for name, value in os.environ.items() if name not in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")}
    command = ["ip", "netns", "exec", house.lan.board, validators() / program, *map(str, arguments)]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, cwd=house.work)
    return done.returncode, done.stdout


def login():
    return ["-u", "alice", "-p", PASSWORD, "-r", "https://127.0.0.1"]


def hold_by_schema(house, at_least):
    """DMTF's service validator finds nothing wrong in what alice sees, of so many properties."""
    code, said = validate(house, "rf_service_validator", *login(), "--authtype", "Session", "--schema_directory", csdl(),
                          "--skipschema", "--logdir", house.work / "validator")
    counts = re.search(r"\|\s+(\d+)\s+\|\s+(\d+)\s+\|\s+(\d+)\s+\|\s+\d+\s+\|\s*\n\+[-+]+\+\s*$", said.split("NOT TESTED")[-1].split("HTML")[0].strip())
    assert code == 0 and counts, said[-4000:]
    passed, warned, failed = map(int, counts.groups())
    log = next((house.work / "validator").rglob("*Debug*.log")).read_text()
    warnings = [line for line in log.splitlines() if " - WARN - " in line]
    # Thermal and Power are deprecated, and exporters read nothing else; Severity of a message is deprecated, and required.
    others = [line for line in warnings if "/Thermal" not in line and "/Power)" not in line and "/Power " not in line and "/Severity (" not in line]
    assert passed > at_least and failed == 0 and warned == len(warnings) and not others, (said[-4000:], others)
