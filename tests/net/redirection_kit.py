"""A machine with AMT on a LAN host of the board: our own device (tests/peers/amt), for who redirects its line, screen or drives."""
import json
import os

from board import wait_for
from console_kit import CONFIG, HOST
from console_kit import Rack as ConsoleRack
from example_kit import example
from ipmi_kit import Lines

PASSWORD = "P@ssw0rd:ä"


class Device(Lines):
    """The device; `more` as tests/peers/amt has it."""

    def __init__(self, space, **more):
        given = {"listen": HOST, "user": "admin", "password": PASSWORD, **more}
        super().__init__(space, example("amt_device"), OOBD_AMT=json.dumps(given))
        assert json.loads(self.next()) == {"up": True}
        self.told = []

    def order(self, line):
        """Says something to it, and waits until that is in effect."""
        self.tell(line)
        heard = wait_for(f"{line} is heard", lambda: [one for one in self.all() if one.get("heard") == line and not one.get("seen")], 60)
        heard[0]["seen"] = True
        assert heard[0]["known"], line

    def all(self):
        while not self.lines.empty():
            line = json.loads(self.lines.get())
            if line is not None:
                self.told.append(line)
        return self.told

    def has(self, **wanted):
        """What was told so far that has all of this, oldest first."""
        return [one for one in self.all() if wanted.items() <= one.items()]

    def kill(self):
        """The power of the whole machine fails."""
        self.process.kill()
        self.process.wait()


class Rack(ConsoleRack):
    """A board and one machine with AMT, `db1`."""

    def device(self, **more):
        self.amt = Device(self.host, **more)
        return self.amt

    def up(self, keys="tls = false", consoles='[console.db1]\nsol = { machine = "db1" }\n', more=""):
        machine = f'[machine.db1]\namt = {{ host = "{HOST}", password = "{PASSWORD}", {keys} }}\n'
        self.board = self.make_board(CONFIG + machine + consoles + more, netns=self.space.name).start()
        wait_for("the LAN address", lambda: "10.79.0.5" in self.space("ip addr show dev eth0"), 60)
        return self.board

    def opened(self, timeout=90):
        return self.phase("db1", "open", timeout=timeout)

    def amtterm(self):
        """Debian's amtterm at a terminal of its own, by pexpect: a client that nobody here wrote."""
        import pexpect
        argv = ["netns", "exec", self.space.name, "amtterm", "-u", "admin", "-p", "simple", HOST, "16994"]
        return pexpect.spawn("ip", argv, timeout=60, encoding="latin-1", env={**os.environ, "TERM": "dumb"})
