"""An Intel AMT device of the tests (tests/peers/amt) on a LAN host, or on loopback."""
import json
import subprocess

from board import wait_for
from example_kit import example
from ipmi_kit import Teller
from machine_kit import HOST, House, There

PASSWORD = "P@ssw0rd"


class Bare:
    """No namespace: this machine's own loopback."""

    @staticmethod
    def start(*command, **options):
        return subprocess.Popen(list(map(str, command)), **options)


class Device(Teller):
    """tests/peers/amt: it is told things by lines, and tells what happens."""

    def __init__(self, space=Bare, listen="127.0.0.1", **more):
        version = {} if "profile" in more else {"version": "15.0.23.1706"}
        self.given = {"listen": listen, "user": "admin", "password": PASSWORD, **version, **more}
        super().__init__(space, example("amt_device"), OOBD_AMT=json.dumps(self.given))
        assert self.has("up"), "the AMT device ended"

    def tell(self, line):
        """Orders something, and waits until that is in effect."""
        super().tell(line)
        assert not self.ended, "the AMT device ended"
        last = [told for told in self.told if told.get("heard") == line][-1]
        assert last["known"] or line.startswith("mark "), line

    def state(self):
        self.tell("state")
        return self.has("state")[-1]

    def asked(self):
        """The requests that were let in or not, oldest first."""
        return [told for told in self.told if "asked" in told] if self.has("asked") else []

    def close(self):
        self.process.kill()
        self.process.wait()


class AmtHouse(House):
    """A board with an AMT machine on its LAN."""

    def device(self, **more):
        space = There(self.lan.host)
        self.closing.append(space)
        self.amt = Device(space, HOST, **more)
        return self.amt


def amt(password=PASSWORD, tls=False, more=""):
    plain = "" if tls else "tls = false, "
    return f'amt = {{ host = "{HOST}", {plain}{more}password = "{password}" }}\n'
