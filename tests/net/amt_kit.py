"""An Intel AMT device of the tests (tests/peers/amt) on a LAN host, or on loopback."""
import json
import subprocess
import threading

from board import wait_for
from example_kit import example
from ipmi_kit import Lines
from machine_kit import HOST, House, There

PASSWORD = "P@ssw0rd"


class Bare:
    """No namespace: this machine's own loopback."""

    @staticmethod
    def start(*command, **options):
        return subprocess.Popen(list(map(str, command)), **options)


class Device(Lines):
    """tests/peers/amt: it is told things by lines, and tells what happens."""

    def __init__(self, space=Bare, listen="127.0.0.1", **more):
        version = {} if "profile" in more else {"version": "15.0.23.1706"}
        self.given = {"listen": listen, "user": "admin", "password": PASSWORD, **version, **more}
        self.told, self.lock = [], threading.Lock()
        super().__init__(space, example("amt_device"), OOBD_AMT=json.dumps(self.given))
        wait_for("the AMT device", lambda: self.has("up"))

    def has(self, key):
        """All that was told of this so far, oldest first."""
        with self.lock:
            while not self.lines.empty():
                line = json.loads(self.lines.get())
                assert line is not None, "the AMT device ended"
                self.told.append(line)
            return [line[key] for line in self.told if key in line]

    def tell(self, line):
        """Orders something, and waits until that is in effect."""
        before = self.has("heard").count(line)
        super().tell(line)
        wait_for(f"{line} is heard", lambda: self.has("heard").count(line) > before)
        last = [told for told in self.told if told.get("heard") == line][-1]
        assert last["known"], line

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
