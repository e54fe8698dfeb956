"""Network namespaces, links between them and real daemons inside them. Everything made here is taken down again.

Fixtures of the tests of the link room: conftest.py takes them in.
Needs root, iproute2, nftables, dnsmasq-base, radvd, udhcpd, tcpdump, iputils-ping, python3-scapy and python3-pytest.
"""

import contextlib
import itertools
import json
import os
import queue
import shutil
import signal
import subprocess
import threading
import time

import pytest

from board import wait_for
from example_kit import example

TOOLS = ["ip", "nft", "dnsmasq", "radvd", "udhcpd", "ping"]
NUMBERS = itertools.count()
os.environ["PATH"] += ":/usr/sbin:/sbin"


class Space:
    """A network namespace."""

    def __init__(self, name):
        self.name = name
        self.processes = []
        subprocess.run(["ip", "netns", "add", name], check=True)
        self("ip link set lo up")

    def __call__(self, command, check=True, timeout=20):
        """Runs a shell command inside, returns what it printed."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.name, "sh", "-c", command],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout,
        )
        if check and done.returncode:
            raise AssertionError(f"{self.name}: {command}\n{done.stdout}")
        return done.stdout

    def ok(self, command, timeout=20):
        done = subprocess.run(
            ["ip", "netns", "exec", self.name, "sh", "-c", command],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=timeout,
        )
        return done.returncode == 0

    def start(self, *command, **more):
        process = subprocess.Popen(["ip", "netns", "exec", self.name, *map(str, command)], **more)
        self.processes.append(process)
        return process

    def stop(self, process):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process in self.processes:
            self.processes.remove(process)

    def close(self):
        for process in list(self.processes):
            self.stop(process)
        subprocess.run(["ip", "netns", "del", self.name], check=False)


def wire(left, left_name, right, right_name, mac=None):
    """A cable between two namespaces, both ends down."""
    subprocess.run(
        ["ip", "-n", left.name, "link", "add", left_name, *(["address", mac] if mac else []), "type", "veth",
         "peer", "name", right_name, "netns", right.name], check=True)


class Dnsmasq:
    """The real one: DHCP (and router advertisements) on one interface of a namespace."""

    def __init__(self, space, interface, folder, *options, leases=None):
        self.space, self.log = space, folder / f"dnsmasq-{interface}-{time.monotonic_ns()}.log"
        leases = leases or folder / f"leases-{interface}-{time.monotonic_ns()}"
        self.process = space.start(
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--port=0",
            f"--interface={interface}", "--bind-interfaces", "--no-ping", "--log-dhcp", "--user=root",
            f"--log-facility={self.log}", f"--dhcp-leasefile={leases}", "--pid-file", *options,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("dnsmasq starts", lambda: self.log.exists() and "started" in self.log.read_text())

    def text(self):
        return self.log.read_text()

    def stop(self):
        self.space.stop(self.process)


class Peer:
    """The link room of the real program, run inside a namespace (see tests/support/link_peer.rs)."""

    def __init__(self, binary, space, folder, **config):
        self.space, self.folder = space, folder
        self.events, self.lines, self.log = [], queue.Queue(), folder / f"peer-{time.monotonic_ns()}.log"
        environment = dict(os.environ, OOBD_PEER=json.dumps({"run": str(folder), **config}))
        self.process = space.start(
            binary, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(self.log, "w"))
        self.others = []
        threading.Thread(target=self._read, daemon=True).start()
        self._until("running")

    def _read(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                self.lines.put(json.loads(line))
        self.lines.put(None)

    def _drain(self, timeout):
        try:
            line = self.lines.get(timeout=timeout)
        except queue.Empty:
            return False
        if line is None:
            raise AssertionError(f"the peer ended\n{self.log.read_text()[-4000:]}")
        if "event" in line:
            self.events.append(line["event"])
        else:
            self.others.append(line)
        return True

    def _until(self, key, timeout=30.0):
        end = time.monotonic() + timeout
        while True:
            for line in self.others:
                if key in line:
                    self.others.remove(line)
                    return line[key]
            left = end - time.monotonic()
            assert left > 0, f"no {key} from the peer\n{self.log.read_text()[-4000:]}"
            self._drain(left)

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def ask(self, line):
        self.say(line)
        return self._until("reply", 25)

    def state(self):
        self.say("state")
        return self._until("state")

    def link(self, interface):
        return self.state()["links"].get(interface, {})

    def event(self, kind, timeout=30.0, after=0, **fields):
        """The first event of this kind after a sequence number; waits for it."""
        end = time.monotonic() + timeout
        while True:
            for event in self.events:
                body = event["kind"].get(kind) if isinstance(event["kind"], dict) else None
                if event["kind"] == kind:
                    body = {}
                if body is not None and event["seq"] > after and all(body.get(k) == v for k, v in fields.items()):
                    return {"seq": event["seq"], "severity": event["severity"], **body}
            left = end - time.monotonic()
            assert left > 0, f"no {kind} {fields}: {self.events}\n{self.log.read_text()[-4000:]}"
            self._drain(min(left, 0.5))

    def last(self):
        while self._drain(0.05):
            pass
        return self.events[-1]["seq"] if self.events else 0

    def count(self, kind):
        self.last()
        return sum(1 for e in self.events if e["kind"] == kind or (isinstance(e["kind"], dict) and kind in e["kind"]))

    def quit(self):
        self.say("quit")
        self._until("ended")
        assert self.process.wait(5) == 0

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.space.processes.remove(self.process)


@pytest.fixture(scope="session")
def peer_binary():
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    assert not missing, f"{', '.join(missing)} missing: run scripts/setup"
    return example("link_peer")


@contextlib.contextmanager
def namespaces():
    """A maker of namespaces with names of their own, which are taken down at the end."""
    made = []

    def make(role):
        made.append(Space(f"oobd-{os.getpid()}-{next(NUMBERS)}-{role}"))
        return made[-1]

    try:
        yield make
    finally:
        for space in reversed(made):
            space.close()


@pytest.fixture
def spaces():
    with namespaces() as make:
        yield make


class World:
    """The board between a LAN host and a phone, with a host of the internet (203.0.113.9, 2001:db8:9::9) behind it.

    lan0 -- eth0 board wlan0 -- ap0 phone up0 -- net0 net
    LAN 192.168.50.0/24 and fd50::/64, hotspot 172.20.10.0/28 and fd00:20:10::/64.
    """

    def __init__(self, spaces, folder, peer_binary):
        self.folder, self.binary = folder, peer_binary
        self.board, self.lan, self.phone, self.net = (spaces(name) for name in ("board", "lan", "phone", "net"))
        wire(self.board, "eth0", self.lan, "lan0", "02:00:00:00:00:01")
        wire(self.board, "wlan0", self.phone, "ap0", "02:00:00:00:00:02")
        wire(self.phone, "up0", self.net, "net0")
        for space, interface, four, six in [
            (self.lan, "lan0", "192.168.50.10/24", "fd50::10/64"),
            (self.phone, "ap0", "172.20.10.1/28", "fd00:20:10::1/64"),
            (self.phone, "up0", "203.0.113.1/24", "2001:db8:9::1/64"),
            (self.net, "net0", "203.0.113.9/24", "2001:db8:9::9/64"),
        ]:
            space(f"sysctl -qw net.ipv6.conf.{interface}.accept_dad=0; ip link set {interface} up;"
                  f"ip addr add {four} dev {interface}; ip -6 addr add {six} dev {interface} nodad")
        self.phone("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
        self.net("ip route add default via 203.0.113.1; ip -6 route add default via 2001:db8:9::1")
        self.peer = None

    def hotspot(self, *options, **more):
        options = options or ("--dhcp-range=172.20.10.2,172.20.10.14,255.255.255.240,1h",)
        return Dnsmasq(
            self.phone, "ap0", self.folder, "--dhcp-authoritative", "--dhcp-option=3,172.20.10.1",
            "--dhcp-option=6,172.20.10.1", "--enable-ra", "--dhcp-range=fd00:20:10::,ra-only,64",
            "--dhcp-option=option6:dns-server,[fd00:20:10::1]", *options, **more)

    def lan_server(self, *options, **more):
        options = options or ("--dhcp-range=192.168.50.100,192.168.50.120,255.255.255.0,1h",)
        return Dnsmasq(self.lan, "lan0", self.folder, "--dhcp-authoritative", *options, **more)

    def join(self):
        """The link layer of wlan0 connects: waits for the lease and the advertised address; returns both."""
        assert "Done" in self.peer.ask("address wlan0")
        four = self.peer.event("LeaseAcquired", interface="wlan0")["address"].split("/")[0]
        self.peer.event("RouterFound", interface="wlan0")
        six = "fd00:20:10:0:0:ff:fe00:2"
        wait_for("the IPv6 address is no longer tentative", lambda: "fd00:20:10::ff:fe00:2/64" in self.board(
            "ip -6 addr show dev wlan0 -tentative"))
        return four, six.replace("fd00:20:10:0:0:", "fd00:20:10::")

    def start(self, **config):
        config = {"lan": "eth0", "address": "192.168.50.2/24", "uplinks": ["wlan0"], "accept": True, "ssh": 22, **config}
        self.peer = Peer(self.binary, self.board, self.folder, **config)
        return self.peer


@pytest.fixture
def world(spaces, tmp_path, peer_binary):
    return World(spaces, tmp_path, peer_binary)
