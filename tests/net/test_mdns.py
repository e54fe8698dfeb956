"""The board is found by its name: Avahi on a host of the LAN browses, resolves, and asks by unicast; nobody else is told anything."""
import os
import subprocess

import pytest
from api_kit import users
from board import wait_for
from ssh_kit import House

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/><allow user="*"/></policy></busconfig>
"""
AVAHI = "[server]\nhost-name=%s\nallow-interfaces=lan0\nuse-iff-running=no\n[publish]\ndisable-publishing=%s\npublish-workstation=no\n"


class Avahi:
    """Avahi's daemon on the LAN host, on a message bus of its own."""

    def __init__(self, one, work, name=None):
        """With a name it is a host that others find."""
        self.enter = ["ip", "netns", "exec", one.lan.host]
        # Avahi would ask from the address off the LAN, which nobody answers.
        self.move_away(one, "del")
        bus, conf = work / "bus.conf", work / "avahi.conf"
        bus.write_text(BUS % (work / "bus"))
        conf.write_text(AVAHI % (name or "laptop", "no" if name else "yes"))
        self.env = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={work / 'bus'}"}
        # A run folder of its own, for the daemon's name is fixed.
        isolated = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /run && exec "$@"', "x"]
        self.bus = subprocess.Popen([*self.enter, "dbus-daemon", f"--config-file={bus}", "--nofork", "--nopidfile"], env=self.env, stderr=subprocess.DEVNULL)
        wait_for("the bus", (work / "bus").exists)
        self.log = work / "avahi.log"
        self.daemon = subprocess.Popen([*self.enter, *isolated, "avahi-daemon", "-f", str(conf), "--no-drop-root", "--no-chroot", "--no-rlimits"],
                                       env=self.env, stdout=self.log.open("wb"), stderr=subprocess.STDOUT)
        wait_for("Avahi", lambda: self.ask("avahi-browse", "-t", "_x._tcp").returncode == 0)

    def move_away(self, one, verb):
        subprocess.run(["ip", "-n", one.lan.host, "addr", verb, "203.0.113.9/32", "dev", "lan0"], check=True)

    def ask(self, *words):
        return subprocess.run([*self.enter, *words], env=self.env, capture_output=True, text=True, timeout=60)

    def close(self):
        for process in (self.daemon, self.bus):
            process.terminate()
            process.wait(20)


@pytest.fixture
def house(tmp_path, make_board):
    one = House(tmp_path, make_board, users=users(alice="administrator"))
    one.start()
    wait_for("the LAN's address", lambda: "10.77.0.5" in one.board.in_ns("ip", "addr").stdout)
    yield one
    one.close()


def listens(one):
    return ":5353" in one.board.in_ns("ss", "-Hulpn").stdout


def test_avahi_finds_the_board(house, tmp_path):
    avahi = Avahi(house, tmp_path)
    try:
        def found(kind, port):
            """The resolved line of this service: address, port, text."""
            done = avahi.ask("avahi-browse", "-rtp", kind)
            return next((line for line in done.stdout.splitlines() if line.startswith("=;lan0;IPv4;rack7;") and f";rack7.local;10.77.0.5;{port};" in line), None)

        for kind, port in (("_https._tcp", 443), ("_ssh._tcp", 2222), ("_oobd._tcp", 443)):
            line = wait_for(f"{kind} is found", lambda kind=kind, port=port: found(kind, port))
            assert '"device=rack7"' in line and '"version=' in line and '"model=' in line
        done = avahi.ask("avahi-resolve", "-4", "-n", "rack7.local")
        assert done.stdout.split() == ["rack7.local", "10.77.0.5"], done
        assert not avahi.ask("avahi-resolve", "-n", "rack8.local").stdout
        every = avahi.ask("avahi-browse", "-atpk").stdout
        assert {line.split(";")[4] for line in every.splitlines() if ";rack7;" in line} == {"_https._tcp", "_ssh._tcp", "_oobd._tcp"}
        # An ordinary resolver gets an answer of its own.
        query = "import socket,sys; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(float(sys.argv[2])); s.bind((sys.argv[1],0)); " \
                "s.setsockopt(socket.IPPROTO_IP,socket.IP_MULTICAST_IF,socket.inet_aton('10.77.0.9')); " \
                "s.sendto(b'\\0\\7\\0\\0\\0\\1\\0\\0\\0\\0\\0\\0\\5rack7\\5local\\0\\0\\1\\0\\1',('224.0.0.251',5353)); print(s.recvfrom(999))"
        asked = wait_for("an answer", lambda: (got := avahi.ask("/usr/bin/python3", "-c", query, "10.77.0.9", "3")).returncode == 0 and got.stdout)
        assert "('10.77.0.5', 5353)" in asked and "\\nM\\x00\\x05" in asked
        # Who is not on the link gets none.
        avahi.move_away(house, "add")
        assert avahi.ask("/usr/bin/python3", "-c", query, "203.0.113.9", "2").returncode != 0
        assert house.board.json("status")["owners"]["mdns"]["restarts"] == 0
    finally:
        avahi.close()


def resolves(avahi, name):
    """The address of this name on the LAN, or nothing."""
    return avahi.ask("avahi-resolve", "-4", "-n", f"{name}.local").stdout.partition("\t")[2].strip()


def has_name(avahi, name):
    return wait_for(f"Avahi is {name}", lambda: f"Host name is {name}.local" in avahi.log.read_text(), 90)


def test_a_name_that_is_the_boards_is_defended(house, tmp_path):
    """A laptop that comes with the same name takes another one."""
    (tmp_path / "before").mkdir()
    before = Avahi(house, tmp_path / "before")
    try:
        wait_for("the board has its name", lambda: resolves(before, "rack7") == "10.77.0.5", 90)
    finally:
        before.close()
        before.move_away(house, "add")
    avahi = Avahi(house, tmp_path, "rack7")
    try:
        has_name(avahi, "rack7-2")
        wait_for("both names", lambda: (resolves(avahi, "rack7"), resolves(avahi, "rack7-2")) == ("10.77.0.5", "10.77.0.9"), 90)
        assert house.count("NameTaken") == 0
    finally:
        avahi.close()


def test_a_name_that_somebody_has_is_left_to_them(house, tmp_path):
    """The board comes later than a laptop of its name: it takes another one, says so, and takes leave when it goes."""
    house.board.reload(house.config() + "[mdns]\nenabled = false\n")
    wait_for("it is off", lambda: not listens(house))
    avahi = Avahi(house, tmp_path, "rack7")
    try:
        has_name(avahi, "rack7")
        house.board.reload(house.config())
        taken = house.seen("NameTaken", "rack7", "rack7-2")
        assert (taken["interface"], taken["by"]) == ("eth0", "10.77.0.9")
        wait_for("both names", lambda: (resolves(avahi, "rack7"), resolves(avahi, "rack7-2")) == ("10.77.0.9", "10.77.0.5"), 90)

        def browsed():
            """The board's service, as far as Avahi has heard."""
            return ";rack7-2;" in avahi.ask("avahi-browse", "-tpk", "_oobd._tcp").stdout

        wait_for("the service under the new name", browsed, 90)
        # Kept for 75 minutes but for the goodbye.
        house.board.stop()
        wait_for("it is forgotten", lambda: not browsed(), 90)
    finally:
        avahi.close()


def test_off_is_off(house):
    wait_for("it listens", lambda: listens(house))
    house.board.reload(house.config() + "[mdns]\nenabled = false\n")
    wait_for("it does not", lambda: not listens(house))
    assert "mdns" not in house.board.json("status")["owners"]
