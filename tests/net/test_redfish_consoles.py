"""What a system says of its consoles is so: its serial console by a WebSocket library and by OpenSSH, its screen by VNC, all of them
found in the resource and nowhere else."""
import base64
import json
import socket

import pytest
import websocket
from board import in_namespace, wait_for
from redfish_kit import peers
from redfish_rack_kit import Rack, redfishtool, sushy
from redfish_service_kit import PEOPLE, users
from ssh_kit import PASSWORD, Device, Operator

CONSOLES = "".join(f'[console.{name}]\nsol = {{ machine = "{name}" }}\n{more}' for name, more in (("db1", "telnet = 2001\n"), ("pc", "")))


@pytest.fixture
def rack(tmp_path, make_board):
    peers()
    house = Rack(tmp_path, make_board)
    house.operator = Operator(tmp_path, house.lan.board)
    house.users = users({**PEOPLE, "alice": f'role = "administrator"\nkeys = ["{house.operator.public}"]'})
    house.device = Device()
    port = f'[console.sw]\nserial = {{ port = "{house.device.path}", line = "9600e7" }}\n'
    yield house.run(more=CONSOLES + port, pc='vnc = { port = 5901, password = "s3cr3t!w" }\n')
    house.close()
    house.device.close()


def shown(rack, name, what, user="alice"):
    return rack.service.get(f"/Systems/{name}", user)[what]


class Terminal:
    """The WebSocket of a serial console: websocket-client, with nothing but the URI and a way of Redfish to sign in."""

    def __init__(self, rack, uri, **headers):
        header = [f"{name}: {value}" for name, value in headers.items()]
        self.link = websocket.create_connection(f"wss://localhost{uri}", socket=rack.service.tls(), header=header, suppress_origin=True)
        self.link.settimeout(90)
        self.seen = b""

    def sees(self, text):
        while text not in self.seen:
            code, data = self.link.recv_data()
            assert code == websocket.ABNF.OPCODE_BINARY, (code, data, self.seen)
            self.seen += data

    def close(self):
        self.link.close()


def basic(user="alice"):
    return "Basic " + base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()


def session(rack, user="alice"):
    made = rack.service.call("POST", "/SessionService/Sessions", {"UserName": user, "Password": PASSWORD}, user=None)
    assert made.status == 201, made.body
    return made.headers["X-Auth-Token"]


def test_the_websocket_of_a_system_is_its_console(rack):
    for name in ("db1", "pc"):
        web = shown(rack, name, "SerialConsole")["WebSocket"]
        assert web["ServiceEnabled"] and web["Interactive"] and web["ConsoleURI"].startswith("/redfish/v1/"), web
        wait_for("the line", lambda name=name: rack.board.json("status")["consoles"][name]["phase"] == "open", 90)
        first = Terminal(rack, web["ConsoleURI"], **{"X-Auth-Token": session(rack)})
        # Both machines send back what they get; pc's says something besides.
        if name == "pc":
            rack.amt.tell("SOL say hello from the machine")
            first.sees(b"hello from the machine")
        first.link.send_binary(b"typed in bytes;")
        first.sees(b"typed in bytes;")
        first.link.send("and as text;")
        first.sees(b"and as text;")
        # Whoever comes later watches; the words that say so stand among the bytes, and are no JSON.
        second = Terminal(rack, web["ConsoleURI"], Authorization=basic("alice"))
        second.sees(b"somebody else types, you watch")
        second.sees(b"and as text;")
        assert b"{" not in second.seen and b"{" not in first.seen
        second.close()
        first.close()
        # The same in the service of this one machine.
        one = rack.service.get(f"/machine/{name}/redfish/v1/Systems/{name}")["SerialConsole"]["WebSocket"]["ConsoleURI"]
        assert one == f"/machine/{name}{web['ConsoleURI']}"
        third = Terminal(rack, one, Authorization=basic())
        third.sees(b"and as text;")
        third.close()
    # The system has none, and nothing is promised.
    assert "SerialConsole" not in rack.service.get("/Systems/db2")


def test_nobody_without_a_right_gets_at_it(rack):
    uri = shown(rack, "db1", "SerialConsole")["WebSocket"]["ConsoleURI"]

    def refused(**headers):
        with pytest.raises(websocket.WebSocketBadStatusException) as said:
            Terminal(rack, uri, **headers)
        return said.value.status_code

    assert refused() == 401
    # A token of the page opens nothing below /redfish.
    assert refused(Authorization=f"Bearer {rack.service.sign_in()}") == 401
    # bob's grants name other consoles, so the system says nothing of this one.
    assert "SerialConsole" not in rack.service.get("/Systems/db1", "bob")
    assert refused(Authorization=basic("bob")) == 404
    plain = rack.service.call("GET", uri)
    assert plain.status == 426 and "Upgrade" in plain.body.decode(), plain.body
    # eve may look, and does not type.
    with_eve = Terminal(rack, uri, Authorization=basic("eve"))
    before = rack.board.json("status")["consoles"]["db1"]["tx_bytes"]
    with_eve.link.send_binary(b"rm -rf /\r")
    with_eve.sees(b"watch")
    assert rack.board.json("status")["consoles"]["db1"]["tx_bytes"] == before
    with_eve.close()


def test_openssh_gets_the_console_by_what_the_system_says(rack):
    for name in ("db1", "pc"):
        ssh = shown(rack, name, "SerialConsole")["SSH"]
        assert ssh["ServiceEnabled"] and ssh["SharedWithManagerCLI"], ssh
        wait_for("the line", lambda name=name: rack.board.json("status")["consoles"][name]["phase"] == "open", 90)
        # As a command, and typed where the board offers its consoles.
        for words in ([ssh["ConsoleEntryCommand"]], []):
            terminal = rack.operator.terminal("alice", *words, options=["-p", ssh["Port"], "-t"])
            if not words:
                terminal.expect("pc")
                terminal.send(f"{ssh['ConsoleEntryCommand']}\r")
            terminal.expect(f"{name}.*\n")
            terminal.send(f"ssh to {name};")
            terminal.expect(f"ssh to {name};")
            terminal.send("\r~~.")
            terminal.expect("left")
            terminal.close()


def test_telnet_and_vnc_answer_at_the_ports_that_are_told(rack):
    telnet = shown(rack, "db1", "SerialConsole")["Telnet"]
    assert telnet["ServiceEnabled"] and "Telnet" not in shown(rack, "pc", "SerialConsole")
    screen = shown(rack, "pc", "GraphicalConsole")
    assert screen["ServiceEnabled"] and screen["ConnectTypesSupported"] == ["KVMIP"], screen

    def banner(port):
        def connect():
            return socket.create_connection(("127.0.0.1", port), 60)

        with in_namespace(rack.service.space, connect) as link:
            return link.recv(12)

    assert banner(screen["Port"]) == b"RFB 003.008\n"
    # IAC: what a telnet server says before anything else.
    assert banner(telnet["Port"]).startswith(b"\xff")
    assert "GraphicalConsole" not in rack.service.get("/Systems/db1")


def test_sushy_and_redfishtool_find_managers_sensors_and_ports(rack):
    said = sushy(rack, """
for name in ("db1", "db2", "pc"):
    system = root.get_system(f"/redfish/v1/Systems/{name}")
    (chassis,), (manager,) = system.chassis, system.managers
    assert chassis.identity == name and manager.identity == "oob", name
    assert {one.identity for one in manager.systems} == {one.identity for one in manager.chassis} == {"db1", "db2", "pc"}
    assert [one.identity for one in chassis.systems] == [name]
    if name == "pc":
        # What AMT does not measure is not there.
        assert not {"Thermal", "Power", "Sensors"} & set(chassis.json), chassis.json
        continue
    assert any(fan.reading > 1000 and fan.reading_units.value == "RPM" for fan in chassis.thermal.fans), name
    assert any(20 < one.reading_celsius < 60 for one in chassis.thermal.temperatures), name
    assert chassis.power.power_supplies == [], name
manager = root.get_manager("/redfish/v1/Managers/oob")
assert manager.firmware_version and manager.command_shell.service_enabled
assert manager.get_supported_command_shell_types() == {sushy.CommandConnectType.SSH}
(ours,) = root.get_update_service().firmware_inventory.get_members()
assert ours.version == manager.firmware_version and not ours.updateable
print("done")
""")
    assert said.endswith("done\n"), said
    for name in ("db1", "db2"):
        told = redfishtool(rack, "Chassis", "-I", name, "Sensors")
        assert "FAN" in told.upper(), told
    # A port of the board with its line settings; consoles of machines are none.
    ports = json.loads(redfishtool(rack, "Managers", "-I", "oob", "SerialInterfaces", "list"))
    assert [one["Id"] for one in ports["Members"]] == ["sw"], ports
    port = json.loads(redfishtool(rack, "Managers", "-I", "oob", "SerialInterfaces", "-i", "sw"))
    assert [port[name] for name in ("BitRate", "DataBits", "Parity", "StopBits")] == ["9600", "7", "Even", "1"], port
