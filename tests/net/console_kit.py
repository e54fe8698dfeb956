"""A board on a LAN with a terminal server: real ser2net over ptys of socat, in a namespace of its own."""
import os
import select
import subprocess
import time
import tty

from board import TARGET, wait_for
from links import wire

HOST = "10.79.0.9"
CONFIG = """schema = 1
[device]
name = "rack7"
[lan]
interface = "eth0"
address = "10.79.0.5/24"
[oob]
mode = "off"
[ssh]
port = 2222
"""


class Cable:
    """A device behind socat: a pty under a stable name, its other end our pipe."""

    def __init__(self, path):
        self.path = str(path)
        self.process = subprocess.Popen(["socat", f"PTY,link={self.path},rawer", "STDIO"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.reader = Reader(self.process.stdout.fileno())
        wait_for("the pty has its name", lambda: os.path.islink(self.path))

    def say(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def hears(self, data, timeout=45):
        return self.reader.until(data, timeout)

    def close(self):
        self.process.kill()
        self.process.wait()


class Session:
    """oobctl attached, at a terminal of its own: escape sequences work."""

    def __init__(self, board, console):
        command = [TARGET / "oobctl", "--socket", board.socket, "console", "attach", console]
        self.near, far = os.openpty()
        tty.setraw(far)
        self.process = subprocess.Popen(command, stdin=far, stdout=far, stderr=far)
        os.close(far)
        self.reader = Reader(self.near)
        self.sees(b"helps --]")  # what is typed before is thrown away with the terminal's old mode

    def sees(self, data, timeout=45):
        return self.reader.until(data, timeout)

    def type(self, data):
        os.write(self.near, data)

    def escape(self, letter):
        """`~` and a letter at the start of a line."""
        for key in ("\r", "~", letter):
            self.type(key.encode())
            time.sleep(0.06)  # a person's hand: what comes faster is a paste and never acts

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.near)


class Reader:
    """Reads a pipe up to what is waited for; what came after it is for the next one."""

    def __init__(self, fd):
        self.fd, self.got = fd, b""

    def until(self, data, timeout):
        """Everything up to and with `data`."""
        deadline = time.monotonic() + timeout
        while data not in self.got:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self.fd], [], [], left)[0], f"{data!r} is not in {self.got!r}"
            more = os.read(self.fd, 4096)
            assert more, f"ended before {data!r}: {self.got!r}"
            self.got += more
        end = self.got.index(data) + len(data)
        said, self.got = self.got[:end], self.got[end:]
        return said


class Rack:
    """The board's eth0 is wired to lan0 of a host 10.79.0.9, on which terminal servers run."""

    def __init__(self, spaces, folder, make_board):
        self.folder, self.make_board, self.spaces = folder, make_board, spaces
        self.space, self.host = spaces("board"), spaces("host")
        wire(self.space, "eth0", self.host, "lan0")
        self.host(f"ip link set lan0 up; ip addr add {HOST}/24 dev lan0")
        self.board, self.open = None, []

    def start(self, consoles):
        """Starts the board with these `[console.NAME]` lines, as a dict of NAME to the lines of its section."""
        sections = "".join(f"[console.{name}]\n{lines}\n" for name, lines in consoles.items())
        self.board = self.make_board(CONFIG + sections, netns=self.space.name).start()
        wait_for("the LAN address", lambda: "10.79.0.5" in self.space("ip addr show dev eth0"))
        return self.board

    def cable(self, name="device"):
        self.open.append(Cable(self.folder / name))
        return self.open[-1]

    def ser2net(self, *connections):
        """Starts ser2net with accepter and connector of each connection; returns the process."""
        text = "%YAML 1.1\n---\n"
        for number, (accepter, connector, *options) in enumerate(connections):
            text += f"connection: &c{number}\n  accepter: {accepter}\n  connector: {connector}\n"
            text += "".join(f"  options:\n    {option}\n" for option in options)
        path = self.folder / f"ser2net-{time.monotonic_ns()}.yaml"
        path.write_text(text)
        process = self.host.start("ser2net", "-n", "-c", path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for accepter, *_ in connections:
            self.listens(accepter.rsplit(",", 1)[1])
        return process

    def listens(self, port):
        wait_for(f"a server on port {port}", lambda: f":{port} " in self.host("ss -Hltn") + " ")

    def attach(self, name):
        self.open.append(Session(self.board, name))
        return self.open[-1]

    def console(self, name):
        return self.board.json("console", "list")["consoles"][name]

    def phase(self, name, wanted, why="", timeout=30):
        """Waits for a phase, and for words in its reason."""
        def there():
            # While a reload restarts it, it is not in the list.
            now = self.board.json("console", "list")["consoles"].get(name)
            return now if now and now["phase"] == wanted and why in now["why"] else None
        try:
            return wait_for(f"console {name} is {wanted} {why}", there, timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.board.json('console', 'list')}") from None

    def kinds(self, *wanted):
        return [kind for kind in self.board.kinds() if kind in wanted]

    def close(self):
        for thing in self.open:
            thing.close()
