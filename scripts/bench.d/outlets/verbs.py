"""The same verb at the same device: by oobctl, and by the program that people use for devices of that kind, read back by it too."""
import shlex
import subprocess
import time

import board as boards
from ipmi_kit import Sim
from machine_kit import There, ipmi
from power_kit import HOST, House, Nut, Powerman
from snmp_kit import Agent

CALM = 'poll = "1h"\n'


class Lane(House):
    """A board and one device. `ours` and `theirs` switch and read back, `order` leaves it at the order; each gives the seconds until
    its program had ended. A lane says what its program is called with, `ordering` a verb and `reading`."""

    def __init__(self, work, oobd):
        boards.TARGET, self.oobctl = oobd.parent, oobd.with_name("oobctl")
        super().__init__(work, lambda config, **options: boards.Board(self.work / "board", config, **options))
        self.millis = 0
        try:
            self.device()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def run(self, *argv):
        """Both run in the board's namespace, so that both have the same way to the device and the same overhead."""
        argv = ["ip", "netns", "exec", self.lan.board, *map(str, argv)]
        began = time.monotonic()
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        took = time.monotonic() - began
        if done.returncode:
            raise RuntimeError(f"{argv}: {done.returncode}\n{done.stdout}{done.stderr}")
        return took

    def verb(self, verb):
        return ["outlet", verb, f"rack/{self.outlet_key}"]

    def action(self):
        return self.outlet(self.outlet_key)["action"]

    def ours(self, verb):
        took = self.run(self.oobctl, "--socket", self.board.socket, *self.verb(verb), "--yes")
        action = self.action()
        assert action["outcome"] == "confirmed", action
        self.millis = action["millis"]
        return took

    def order(self, verb):
        return self.run(*self.ordering(verb))

    def theirs(self, verb):
        """Both steps in one shell: as somebody would who wants to know."""
        return self.run("sh", "-c", f"{shlex.join(self.ordering(verb))} && {shlex.join(self.reading())}")

    def prepare(self, verb):
        """Puts the device into a state, whoever is measured next, and waits until it is there."""
        self.order(verb)
        self.until(f"it is {verb}", lambda: self.stands(verb))


class Ipmi(Lane):
    word, peer, package = "ipmi", "ipmitool", "ipmitool"

    def device(self):
        space = There(self.lan.host)
        self.closing.append(space)
        folder = self.work / "sim"
        folder.mkdir()
        self.bmc = Sim(space, folder, (HOST, 623))
        self.start(f"[machine.db1]\n{ipmi()}{CALM}")
        self.until("up", lambda: self.board.json("status")["machines"]["db1"]["phase"] == "up", 60)

    def verb(self, verb):
        return ["machine", "power", "db1", verb]

    def action(self):
        return self.board.json("status")["machines"]["db1"]["action"]

    TOOL = ["ipmitool", "-I", "lanplus", "-C", "3", "-H", HOST, "-U", "admin", "-P", "secret", "power"]

    def ordering(self, verb):
        return [*self.TOOL, verb]

    def reading(self):
        return [*self.TOOL, "status"]

    def stands(self, verb):
        return (self.bmc.folder / "power").read_text().strip() == str(int(verb == "on"))


class Powermand(Lane):
    word, peer, package, outlet_key = "powerman", "pm", "powerman", "rack3"

    def device(self):
        self.powerman = self.peers(Powerman).up()
        self.start(f'[pdu.rack]\npowerman = {{ host = "{HOST}" }}\n{CALM}')
        self.up()

    def ordering(self, verb):
        return ["pm", "-h", HOST, {"on": "-1", "off": "-0"}[verb], self.outlet_key]

    def reading(self):
        return ["pm", "-h", HOST, "-q", self.outlet_key]

    def stands(self, verb):
        return self.powerman.state(self.outlet_key) == verb


class Upsd(Lane):
    """upscmd waits for what the driver says, as oobd does, with `-w`."""
    word, peer, package, outlet_key = "nut", "upscmd -w", "nut-client", "2"

    def device(self):
        self.nut = self.peers(Nut).up()
        self.start(f'[pdu.rack]\nnut = {{ host = "{HOST}", ups = "fake", username = "admin", password = "adminpw" }}\n{CALM}')
        self.up()
        self.until("four outlets", lambda: len(self.pdu()["outlets"]) == 4)

    def ordering(self, verb):
        return ["upscmd", "-w", "-u", "admin", "-p", "adminpw", f"fake@{HOST}", f"outlet.{self.outlet_key}.load.{verb}"]

    def reading(self):
        return ["upsc", f"fake@{HOST}", f"outlet.{self.outlet_key}.status"]

    def stands(self, verb):
        return self.nut.get("fake", f"outlet.{self.outlet_key}.status") == verb


class Snmp(Lane):
    """An APC rack PDU: 1 is on, 2 is off."""
    word, peer, package, outlet_key = "snmp", "snmpset", "snmp", "2"
    STATE, CONTROL = "1.3.6.1.4.1.318.1.1.12.3.5.1.1.4.2", "1.3.6.1.4.1.318.1.1.12.3.3.1.1.4.2"

    def device(self):
        self.agent = self.peers(Agent).up()
        self.start(f'[pdu.rack]\nsnmp = {{ host = "{HOST}", community = "writer" }}\n{CALM}')
        self.up()

    WORDS = ["-v2c", "-c", "writer", "-m", "", HOST]

    def ordering(self, verb):
        return ["snmpset", *self.WORDS, self.CONTROL, "i", str({"on": 1, "off": 2}[verb])]

    def reading(self):
        return ["snmpget", *self.WORDS, self.STATE]

    def stands(self, verb):
        return self.agent.get(self.STATE) == {"on": "1", "off": "2"}[verb]


KINDS = (Ipmi, Powermand, Upsd, Snmp)
