"""A machine with AMT that calls in (CIRA): our own device (tests/peers/amt) as a TLS client of the board, and no address of it there."""
import json

from board import wait_for
from console_kit import CONFIG
from machine_kit import FAST
from redirection_kit import PASSWORD
from redirection_kit import Rack as AmtRack

# As firmware sends it, and as people write it.
RAW, UUID = "44454c4c4b0010428033b6c04f504633", "4c4c4544-004b-4210-8033-b6c04f504633"
CALLER, SECRET = "caller", "Call1ng!n"
LOGIN = f'{{ uuid = "{UUID}", username = "{CALLER}", password = "{SECRET}" }}'


class Rack(AmtRack):
    """A board that is called by one machine, `db1`."""

    def device(self, **more):
        calls = {"host": "10.79.0.5", "name": "rack7", "user": CALLER, "password": SECRET, "uuid": RAW}
        self.dialled = 0
        return super().device(cira=calls, **more)

    def config(self, keys="", more="", poll="5s"):
        machine = f'[machine.db1]\namt = {{ cira = {LOGIN}, password = "{PASSWORD}"{keys} }}\n'
        machine += FAST.replace('"5s"', f'"{poll}"')
        return f'{CONFIG}[cira]\n{machine}[console.db1]\nsol = {{ machine = "db1" }}\n{more}'

    def up(self, keys="", more="", poll="5s", **_):  # pylint: disable=arguments-differ
        self.board = self.make_board(self.config(keys, more, poll), netns=self.space.name)
        self.board.start()
        wait_for("the LAN address", lambda: "10.79.0.5" in self.space("ip addr show dev eth0"), 60)
        self.door = wait_for("the listener", lambda: self.board.json("status")["doors"].get("cira"), 180)
        self.root = self.board.work / "state" / "cira-root.pem"
        return self.board

    def dial(self, **more):
        """Has the device call; the number of the call."""
        self.amt.tell("cira dial " + json.dumps({"root": str(self.root), **more}))
        self.dialled += 1
        return self.dialled - 1

    def call(self, **more):
        """A call that the board takes."""
        number = self.dial(**more)
        wait_for("the call is taken", lambda: self.amt.seen(cira="up", n=number), 90)
        wait_for("the tunnel in the state", self.tunnel, 90)
        return number

    def tunnel(self):
        return self.board.json("status")["cira"].get("db1")

    def machine(self):
        return self.board.json("status")["machines"]["db1"]

    def read(self):
        wait_for("the machine is read", lambda: self.machine()["phase"] == "up", 90)

    def told(self, kind):
        return [event["kind"][kind] for event in self.board.events() if kind in event["kind"]]

    def why_closed(self, count=1):
        """Why the last of so many tunnels ended."""
        wait_for(f"{count} tunnels ended", lambda: len(self.told("CiraClosed")) >= count, 90)
        return self.told("CiraClosed")[-1]["reason"]

    def types(self, session, text):
        """What is typed comes back from the machine."""
        session.type(text)
        session.sees(text, 90)
