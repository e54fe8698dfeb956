"""Serial over LAN: every byte both ways, take-over, reconnect, breaks, a bad network."""
import json
import os
import signal
import subprocess
import threading

import pytest
from board import wait_for
from ipmi_kit import HOST, Rack, build

EVERY = bytes(range(256))


@pytest.fixture(scope="session")
def ipmi_binaries():
    return build()


@pytest.fixture
def rack(spaces, tmp_path, ipmi_binaries):
    return Rack(spaces, tmp_path, ipmi_binaries)


class Console:
    """Our client in mode `sol`: stdin and stdout are the machine's serial port."""

    def __init__(self, rack, **more):
        given = {"bmc": f"{HOST}:623", "interface": "eth0", "user": "admin", "password": "secret", "mode": "sol", **more}
        self.process = rack.board.start(rack.binaries["ipmi_client"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env={**os.environ, "OOBD_IPMI": json.dumps(given)})
        self.seen = bytearray()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while data := os.read(self.process.stdout.fileno(), 65536):
            self.seen.extend(data)

    def said(self):
        """The next line about the console itself: that it is open, or why it ended."""
        return json.loads(self.process.stderr.readline() or "null")

    def opened(self):
        said = self.said()
        assert "ok" in said, said
        return self

    def type(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def sees(self, data, timeout=30):
        wait_for(f"{len(data)} bytes that begin with {data[:20]!r}", lambda: data in bytes(self.seen), timeout)

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(30) == 0


def test_every_byte_passes_both_ways_through_ipmi_sim(rack):
    rack.sim()
    for round in range(3):
        # A console that comes after another: no first byte is lost to old packet numbers.
        console = Console(rack).opened()
        data = b"<%d>" % round + EVERY * 4
        console.type(data)
        console.sees(data)
        assert bytes(console.seen) == data, "nothing twice, nothing else"
        console.end()


def test_a_console_in_use_is_refused_and_taken_over_when_asked(rack):
    rack.sim()
    first = Console(rack).opened()
    first.type(b"mine")
    first.sees(b"mine")
    taken = Console(rack).said()
    assert (taken["error"], taken["login"]) == ("ConsoleTaken", False)
    first.type(b"still mine")
    first.sees(b"still mine")
    second = Console(rack, take_over=True).opened()
    second.type(b"now mine")
    second.sees(b"now mine")
    second.end()
    # Free again.
    third = Console(rack).opened()
    third.end()


def test_a_bmc_that_restarts_ends_it_and_gives_it_again(rack):
    sim = rack.sim(behind=True)
    rack.relay()
    console = Console(rack, first_ms=50).opened()
    console.type(b"before")
    console.sees(b"before")
    sim.kill()
    console.type(b"into the void")
    lost = console.said()
    assert (lost["error"], lost["lost"]) == ("ConsoleLost", True)
    sim.start()
    console = Console(rack).opened()
    console.type(b"after")
    console.sees(b"after")
    console.end()


def test_a_bad_network_loses_and_doubles_nothing(rack):
    rack.sim(behind=True)
    relay = rack.relay()
    console = Console(rack, first_ms=100, tries=10).opened()
    relay.faults(drop=0.1, double=0.1, late=0.1, flip=0.05)
    data = EVERY * 2
    console.type(data)
    console.sees(data, 60)
    assert bytes(console.seen) == data
    relay.faults()
    console.end()


def test_breaks_and_partly_taken_packets_of_our_own_bmc(rack):
    """Suite 17; the BMC takes at most 12 characters a packet and says that it takes 20."""
    bmc = rack.bmc()
    console = Console(rack)
    assert console.said() == {"ok": {"suite": 17, "privilege": 4}}
    console.type(EVERY * 2)
    console.sees(EVERY * 2)
    bmc.tell("say a word of the machine's own")
    console.sees(b"a word of the machine's own")
    console.process.send_signal(signal.SIGUSR1)
    console.sees(b"[break]")
    assert bmc.has("sol") == ["active", "break"]
    console.end()
    wait_for("the end of the session", lambda: bmc.has("closed"))
    assert bmc.has("sol") == ["active", "break", "inactive"]


def test_ipmitool_uses_the_console_of_our_bmc_and_takes_ours_away(rack):
    bmc = rack.bmc()
    console = Console(rack).opened()
    tool = f"ipmitool -I lanplus -C 17 -H {HOST} -U admin -P secret"
    rack.board(f"{tool} sol deactivate")
    lost = console.said()
    assert lost["error"] == "ConsoleLost" and "another session" in lost["text"]
    # Typed once it is up; `~.` ends it.
    typed = "(until grep -q operational seen; do :; done; printf 'hello\\r'; until grep -q hello seen.2 2>/dev/null; do cp seen seen.2; done; printf '~.')"
    rack.board(f"cd {rack.folder} && {typed} | timeout 30 script -qfc '{tool} sol activate' seen >/dev/null")
    assert "hello" in (rack.folder / "seen").read_text()
    assert bmc.has("sol") == ["active", "inactive", "active", "inactive"]
