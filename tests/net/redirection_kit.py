"""A machine with AMT on a LAN host of the board: our own device (tests/peers/amt), for who redirects its line, screen or drives."""
import os

import amt_kit
from board import wait_for
from console_kit import CONFIG, HOST
from console_kit import Rack as ConsoleRack

PASSWORD = "P@ssw0rd:ä"


class Device(amt_kit.Device):
    """Our device; `more` as tests/peers/amt has it."""

    def __init__(self, space, **more):
        super().__init__(space, HOST, **{"password": PASSWORD, **more})

    def seen(self, **wanted):
        """What was told so far that has all of this, oldest first."""
        self.has("up")
        return [one for one in self.told if wanted.items() <= one.items()]


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
