"""A BMC on a LAN: real ipmi_sim of OpenIPMI, or our own for cipher suite 17; the client of oobd beside real ipmitool."""
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path

from board import ROOT, wait_for
from links import wire

HOST = "10.79.0.9"
BMC = (HOST, 623)
BEHIND = (HOST, 624)  # where a BMC is that has a relay before it
RELAY = Path(__file__).with_name("udp_relay.py")

CHASSIS = """#!/bin/sh
# chassis_control of ipmi_sim: DIR get|set|check NAME [VALUE]…; a file for each, and a line for each order
d=$1; op=$2; shift 2
case $op in
get) for p in "$@"; do v=$(cat "$d/$p" 2>/dev/null); [ -n "$v" ] || { [ "$p" = boot ] && v=none || v=0; }; echo "$p:$v"; done;;
set) while [ $# -ge 2 ]; do p=$1 v=$2; shift 2; [ "$p" = identify ] && [ $# -ge 1 ] && shift
       echo "$v" > "$d/$p"; echo "$p $v" >> "$d/events"
       [ "$p" = shutdown ] && echo 0 > "$d/power"; done; exit 0;;
check) exit 1;;
esac
"""

LAN = """name "oobsim"
set_working_mc 0x20
  startlan 1
    addr {host} {port}
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "{folder}/chassis.sh {folder}"
  sol "tcp:127.0.0.1:625" 115200
  user 1 true ""      "test"   user  10 none md2 md5 straight
  user 2 true "admin" "secret" admin 10 none md2 md5 straight
"""

EMULATION = """mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
sensor_add 0x20 0 1 0x01 0x01 poll 200 file "{folder}/cputemp"
sensor_set_threshold 0x20 0 1 settable 011000 0x00 85 75 0x00 0x00 0x00
sensor_set_event_support 0x20 0 1 enable scanning per-state 000111111000000 000111111000000 000111111000000 000111111000000
sensor_add 0x20 0 2 0x04 0x01 poll 200 file "{folder}/fan1"
sensor_set_threshold 0x20 0 2 settable 000011 0 0 0 0 5 8
sensor_set_event_support 0x20 0 2 enable scanning per-state 000000000111111 000000000111111 000000000111111 000000000111111
sensor_add 0x20 0 3 0x02 0x01 poll 200 file "{folder}/v12"
sensor_set_threshold 0x20 0 3 settable 011011 0 220 210 0 180 190
sensor_set_event_support 0x20 0 3 enable scanning per-state 000111111111111 000111111111111 000111111111111 000111111111111
sensor_add 0x20 0 4 0x05 0x6f poll 200 file "{folder}/intrusion"
sensor_set_event_support 0x20 0 4 enable scanning per-state 000000000000001 000000000000001 000000000000001 000000000000001
sensor_add 0x20 0 5 0x08 0x6f
sensor_set_bit_clr_rest 0x20 0 5 0 1
sensor_set_event_support 0x20 0 5 enable scanning per-state 000000000001011 000000000001011 000000000001011 000000000001011
mc_enable 0x20
"""

YES = "init_scanning init_events init_thresholds init_sensor_type default_event_gen_on default_sensor_scan_on sensor_auto_rearm " \
      "return_lnc return_lc return_unc return_uc lnc_thrsh_readable lc_thrsh_readable unc_thrsh_readable uc_thrsh_readable " \
      "assert_lncgl assert_lcgl assert_uncgh assert_ucgh".split()


def record(kind, number, entity, sensor_type, reading, name, **more):
    fields = {"sensor_owner_id": "0x20", "sensor_owner_lun": 0, "channel_number": 0, "sensor_number": number,
              "entity_id": entity, "entity_instance": 1, "sensor_type": sensor_type, "event_reading_type_code": reading, **more}
    lines = [f"\t{key}\t{value}" for key, value in fields.items()] + [f'\tid_string "{name}"']
    return "\n".join([f"sdr type {kind}", *lines, "endsdr", ""])


def analog(number, entity, sensor_type, unit, m, exponent, name):
    return record(
        1, number, entity, sensor_type, 1, name, **{key: "true" for key in YES}, sensor_threshold_access="settable",
        sensor_event_msg_ctrl="per_state", analog_data_format="unsigned", rate_unit="none", modifier_unit="none",
        percentage="false", base_unit=unit, modifier_unit_code="unspecified", linearization="linear", m=m, tolerance=0, b=0,
        accuracy=1, accuracy_exp=0, sensor_direction="input", r_exp=exponent, b_exp=0, sensor_maximum=255, sensor_minimum=0)


RECORDS = "\n".join([
    analog(1, "processor", "Temperature", "degrees_C", 1, 0, "CPU Temp"),
    analog(2, "fan_cooling_device", "Fan", "RPM", 100, 0, "FAN1"),
    analog(3, "power_supply", "Voltage", "Volts", 6, -2, "12V"),
    record(2, 4, "system_chassis", "Physical_Security", "0x6f", "Intrusion", event0_state_ret="true", assert_event0="true"),
    record(2, 5, "power_supply", "Power_Supply", "0x6f", "PSU1", event0_state_ret="true", event1_state_ret="true",
           event3_state_ret="true"),
])


class Sim:
    """ipmi_sim, its machine in files, and a serial port that sends back what it gets."""

    def __init__(self, space, folder, address=BMC):
        self.space, self.folder, self.address, self.process = space, Path(folder), address, None
        state = self.folder / "state" / "ipmi_sim" / "oobsim"
        state.mkdir(parents=True)
        for name, value in {"power": 1, "cputemp": 42, "fan1": 37, "v12": 201, "intrusion": 0}.items():
            self.set(name, value)
        (self.folder / "events").touch()
        (self.folder / "chassis.sh").write_text(CHASSIS)
        (self.folder / "chassis.sh").chmod(0o755)
        (self.folder / "lan.conf").write_text(LAN.format(host=address[0], port=address[1], folder=self.folder))
        (self.folder / "sim.emu").write_text(EMULATION.format(folder=self.folder))
        (self.folder / "records").write_text(RECORDS)
        # 8-bit names: it packs short upper-case ones so that ipmitool drops the record.
        subprocess.run(["sdrcomp", "-8", "-o", state / "sdr.20.main", self.folder / "records"], check=True)
        # It asks for its serial port once, then again after ten seconds.
        self.serial = space.start("socat", "TCP-LISTEN:625,bind=127.0.0.1,reuseaddr,fork", "EXEC:cat")
        wait_for("the serial port", lambda: ":625 " in space("ss -Hltn"))
        self.start()

    def start(self):
        log = open(self.folder / "sim.log", "ab")
        self.process = self.space.start(
            "ipmi_sim", "-c", self.folder / "lan.conf", "-f", self.folder / "sim.emu", "-s", self.folder / "state", "-n",
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for("ipmi_sim", lambda: f":{self.address[1]} " in self.space("ss -Hlun"))

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def set(self, name, value):
        path = self.folder / name
        path.with_suffix(".new").write_text(f"{value}\n")
        path.with_suffix(".new").rename(path)  # never seen half-written

    def events(self, name):
        lines = (self.folder / "events").read_text().split("\n")
        return [line.split()[1] for line in lines if line.startswith(f"{name} ")]


class Lines:
    """A program that is told things by lines and answers with lines of JSON."""

    def __init__(self, space, *command, **environment):
        self.space = space
        self.process = space.start(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                                   env={**os.environ, **environment})
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put("null")

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def next(self, timeout=60):
        return self.lines.get(timeout=timeout)


class Teller(Lines):
    """A device of ours: it does what it is told by lines, each answered by `{"heard": LINE}` once that is in effect, and tells what happens."""

    def __init__(self, *given, **environment):
        self.told, self.lock, self.ended, self.marks = [], threading.RLock(), False, 0
        super().__init__(*given, **environment)

    def tell(self, line):
        """Says something to it, and waits until that is in effect."""
        with self.lock:
            before = len(self.told)
            super().tell(line)
            self._until(lambda: any(told.get("heard") == line for told in self.told[before:]))

    def _until(self, there):
        while not self.ended and not there():
            told = json.loads(self.next())
            if told is None:
                self.ended = True
            else:
                self.told.append(told)

    def has(self, key):
        """All that it told of this up to now, oldest first: also what is still on its way through the pipe."""
        with self.lock:
            self.marks += 1
            try:
                self.tell(f"mark {self.marks}")
            except BrokenPipeError:
                self._until(lambda: False)
            return [line[key] for line in self.told if key in line]


class Client(Lines):
    """Our client (tests/support/ipmi_client.rs)."""

    def __init__(self, space, binary, address=BMC, interface="eth0", password="secret", **more):
        given = {"bmc": f"{address[0]}:{address[1]}", "interface": interface, "user": "admin", "password": password, **more}
        super().__init__(space, binary, OOBD_IPMI=json.dumps(given))

    def ask(self, command):
        self.tell(command)
        return json.loads(self.next())

    def ok(self, command):
        answer = self.ask(command)
        assert "ok" in answer, (command, answer)
        return answer["ok"]

    def error(self, command):
        answer = self.ask(command)
        assert "error" in answer, (command, answer)
        return answer


class Bmc(Teller):
    """Our own BMC (tests/support/ipmi_bmc.rs)."""

    def __init__(self, space, binary, **more):
        given = {"listen": f"{HOST}:623", "user": "admin", "password": "secret", **more}
        super().__init__(space, binary, OOBD_BMC=json.dumps(given))
        assert json.loads(self.next()) == {"port": 623}


class Relay(Lines):
    """A bad network before a BMC (udp_relay.py)."""

    def __init__(self, space, near=BMC, behind=BEHIND):
        super().__init__(space, sys.executable, RELAY, ":".join(map(str, near)), ":".join(map(str, behind)))
        assert self.next() == "up\n"

    def faults(self, **faults):
        self._ask({"faults": faults})

    def lose_answer(self, file):
        """Loses the answer to the next thing that makes this file grow."""
        self._ask({"lose": str(file)})

    def counts(self):
        return self._ask({})

    def _ask(self, order):
        self.tell(json.dumps(order))
        return json.loads(self.next())


class Rack:
    """A board and a BMC at the two ends of a cable."""

    def __init__(self, spaces, folder, binaries):
        self.spaces, self.folder, self.binaries = spaces, folder, binaries
        self.board, self.host = spaces("board"), spaces("bmc")
        wire(self.board, "eth0", self.host, "lan0")
        self.board("ip link set eth0 up; ip addr add 10.79.0.5/24 dev eth0")
        self.host(f"ip link set lan0 up; ip addr add {HOST}/24 dev lan0")

    def sim(self, behind=False):
        return Sim(self.host, self.folder / "sim", BEHIND if behind else BMC)

    def relay(self):
        return Relay(self.host)

    def bmc(self, **more):
        return Bmc(self.host, self.binaries["ipmi_bmc"], **more)

    def client(self, **more):
        return Client(self.board, self.binaries["ipmi_client"], **more)

    def tool(self, *words, suite=3, check=True):
        """What real ipmitool prints."""
        command = " ".join(words)
        return self.board(f"ipmitool -I lanplus -C {suite} -H {HOST} -U admin -P secret {command} 2>&1", check=check, timeout=60)


def build():
    """The example programs, by name."""
    names = ["ipmi_bmc", "ipmi_client"]
    examples = [word for name in names for word in ("--example", name)]
    run = subprocess.run(["cargo", "build", "--locked", *examples, "--message-format=json"],
                         cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=1800)
    assert run.returncode == 0, "tests/support/ipmi_*.rs do not build"
    messages = map(json.loads, run.stdout.splitlines())
    found = {message["target"]["name"]: message["executable"] for message in messages if message.get("executable")}
    return {name: found[name] for name in names}
