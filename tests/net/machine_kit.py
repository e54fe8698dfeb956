"""Machines of the tests: a BMC on a LAN host (real ipmi_sim), outlets beside it (real powermand), a board that has both."""
from ipmi_kit import Relay, Sim
from links import Space
from power_kit import HOST
from power_kit import House as PowerHouse
from power_kit import Powerman

FAST = 'poll = "5s"\nconfirm = "8s"\nshutdown = "12s"\n'


class There(Space):
    """A namespace that somebody else has made and takes down."""

    def __init__(self, name):  # pylint: disable=super-init-not-called
        self.name, self.processes = name, []

    def close(self):
        for process in list(self.processes):
            self.stop(process)


class House(PowerHouse):
    """A board with machines on a LAN; its host has the BMC and the PDU."""

    def sim(self, behind=False):
        """ipmi_sim; `behind` a relay that can lose what it answers."""
        self.space = There(self.lan.host)
        self.closing.append(self.space)
        folder = self.work / "sim"
        folder.mkdir()
        self.bmc = Sim(self.space, folder, (HOST, 624 if behind else 623))
        if behind:
            self.relay = Relay(self.space, (HOST, 623), (HOST, 624))
        return self.bmc

    def powerman(self):
        return self.peers(Powerman).up()

    def machine(self, name="db1"):
        return self.board.json("status")["machines"].get(name, {})

    def phase(self, phase, name="db1", timeout=60):
        return self.until(f"{name} {phase}", lambda: self.machine(name).get("phase") == phase, timeout)

    def power(self, verb, name="db1", code=0, options=("--yes",), timeout=120):
        """Switches with oobctl and gives what it printed; `code` is the exit status that must be."""
        done = self.board.ctl("machine", "power", name, verb, *options, check=False, timeout=timeout)
        assert done.returncode == code, f"{verb} {name}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr


def ipmi(password="secret", host=HOST):
    return f'ipmi = {{ host = "{host}", username = "admin", password = "{password}" }}\n'
