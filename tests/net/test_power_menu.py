"""`~p` wherever a person holds a session: telnet, a WebSocket, `oobctl` on the board. As over SSH: with the person's grants, and
none of the menu's keys at the device."""
import pexpect
import pytest
from api_kit import Door
from board import TARGET, wait_for
from plain_kit import connect, read_until
from power_kit import HOST, House, Powerman, slowly
from ssh_kit import HASH, PASSWORD, Device

RACK = f'[pdu.rack]\npowerman = {{ host = "{HOST}:10101" }}\npoll = "2s"\nconfirm = "8s"\n'
USERS = (f'[user.alice]\nrole = "operator"\npassword = "{HASH}"\noutlets = ["rack/rack3"]\n'
         f'[user.eve]\nrole = "operator"\npassword = "{HASH}"\noutlets = ["rack/rack3:read"]\n'
         f'[user.mallory]\nrole = "operator"\npassword = "{HASH}"\noutlets = []\n')


@pytest.fixture
def house(tmp_path, make_board):
    house = House(tmp_path, make_board)
    house.powerman = house.peers(Powerman).up()
    house.device = Device()
    house.users = USERS
    house.start(RACK + f'[console.core]\nserial = {{ port = "{house.device.path}" }}\noutlet = ["rack/rack3"]\n'
                'telnet = 2001\nraw = { port = 2002, allow = ["127.0.0.1"] }\n')
    house.up()
    house.switch("on", "rack/rack3")
    yield house
    house.close()
    house.device.close()


def nothing_but(house, text):
    """The device got just this, in the end."""
    wait_for("typed", lambda: text in house.device.got)
    assert bytes(house.device.got) == text


def last(house):
    return house.told("OutletSwitched")[-1]["by"]


class Telnet:
    def __init__(self, house, user):
        self.link = connect(house.board, 2001)
        self.see("login: ")
        self.link.sendall(user.encode() + b"\r\0")
        self.see("Password: ")
        self.link.sendall(PASSWORD.encode() + b"\r\0")
        self.see("help --]")

    def see(self, text):
        return read_until(self.link, text.encode(), timeout=60)

    def type(self, keys):
        slowly(self, keys)

    def send(self, key):
        self.link.sendall(key.encode())


def test_telnet(house):
    alice = Telnet(house, "alice")
    alice.type("~p")
    assert b"rack/rack3 is on" in alice.see("o on, f off, c cycle")
    alice.type("fn")
    alice.see("left as it is")
    assert house.powerman.state("rack3") == "on"
    alice.send("\r\0")
    alice.type("~pfy")
    alice.see("rack/rack3: off confirmed after")
    assert house.powerman.state("rack3") == "off"
    assert last(house).startswith("alice (telnet 127.0.0.1:")
    alice.type("after")
    nothing_but(house, b"\rafter")
    eve = Telnet(house, "eve")
    eve.type("~p")
    eve.see("rack/rack3 is off")
    eve.type("o")
    eve.see("eve may only look at outlet rack/rack3")
    assert house.powerman.state("rack3") == "off"
    mallory = Telnet(house, "mallory")
    mallory.type("~p")
    mallory.see("no outlet is bound to core")
    for link in (alice.link, eve.link, mallory.link):
        link.close()


def test_a_raw_port_has_no_menu(house):
    raw = connect(house.board, 2002)
    raw.sendall(b"\r~pfy")
    nothing_but(house, b"\r~pfy")
    assert house.powerman.state("rack3") == "on"


def test_websocket(house):
    door = Door(house)
    alice = door.console("core", "write=1", door.sign_in())

    def notice(text):
        return alice.until(lambda: any(text in said.get("text", "") for said in alice.texts))

    alice.link.send('{"type":"power"}')
    notice("rack/rack3 is on")
    alice.type(b"f")
    notice("switch off rack/rack3? y does it")
    alice.type(b"y")
    notice("rack/rack3: off confirmed after")
    assert house.powerman.state("rack3") == "off"
    assert last(house).startswith("alice (https 127.0.0.1:")
    alice.type(b"~p")
    nothing_but(house, b"~p")
    mallory = door.console("core", "", door.sign_in("mallory"))
    mallory.link.send('{"type":"power"}')
    mallory.until(lambda: any("no outlet is bound to core" in said.get("text", "") for said in mallory.texts))


def oobctl(house, *options):
    argv = ["--socket", str(house.board.socket), "console", "attach", "core", *options]
    return pexpect.spawn(str(TARGET / "oobctl"), argv, timeout=60, encoding="latin-1")


def test_oobctl_on_the_board(house):
    person = oobctl(house)
    person.expect("you type")
    slowly(person, "~p")
    person.expect("rack/rack3 is on")
    person.expect("o on, f off, c cycle")
    slowly(person, "f")
    person.expect("switch off rack/rack3")
    slowly(person, "n")
    person.expect("left as it is")
    slowly(person, "after\r~p")
    person.expect("o on, f off, c cycle")
    slowly(person, "f")
    person.expect("switch off")
    slowly(person, "y")
    person.expect("rack/rack3: off confirmed after")
    assert house.powerman.state("rack3") == "off"
    assert last(house).startswith("root@console")
    nothing_but(house, b"after\r")
    # A break, or a look at the help, is no answer: it ends the menu, and what is typed then is the device's again.
    for other in ("~b", "~?"):
        slowly(person, "\r~p")
        person.expect("o on, f off, c cycle")
        slowly(person, other + "oy")
    nothing_but(house, b"after\r\roy\roy")
    assert house.powerman.state("rack3") == "off"
    # Who only watches may switch as well: that is another grant.
    watcher = oobctl(house, "--watch")
    watcher.expect("you watch")
    slowly(watcher, "~po")
    watcher.expect("rack/rack3: on confirmed after")
    nothing_but(house, b"after\r\roy\roy")
    for child in (person, watcher):
        child.close()
