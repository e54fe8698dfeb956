"""net-snmp's agent as a PDU of several makes, its own client as the oracle, and a way in between that loses datagrams."""
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

from board import in_namespace, wait_for
from power_kit import HOST, Peers

AGENT = Path(__file__).resolve().parent / "snmp_agent.py"
ENTERPRISES = ".1.3.6.1.4.1."
APC = ENTERPRISES + "318.1.3.4.5"
NOBODY = ENTERPRISES + "8072.3.2.10"
TREES = {"318": ENTERPRISES + "318", "3808": ENTERPRISES + "3808", "13742": ENTERPRISES + "13742", "1718": ENTERPRISES + "1718",
         "534": ENTERPRISES + "534", "105": ".1.3.6.1.2.1.105"}


class Agent(Peers):
    """snmpd with one process per tree, each with outlets of its own."""

    def up(self, object_id=APC, **options):
        var = self.work / "snmp"
        var.mkdir(exist_ok=True)
        config = self.work / "snmpd.conf"
        words = " ".join(f"{name}={value}" for name, value in options.items())
        config.write_text(
            f"agentaddress udp:{HOST}:161\nsysobjectid {object_id}\nrocommunity public\nrwcommunity writer\n"
            "createUser pduadmin SHA-256 authpass123 AES privpass123\nrwuser pduadmin priv\n"
            + "".join(f"pass_persist {tree} {sys.executable} {AGENT} {self.file(name)} {words}\n" for name, tree in TREES.items()))
        self.start("snmpd", "/usr/sbin/snmpd", "-I", "-smux,mteTrigger,mteTriggerConf", "-f", "-Lo", "-C", "-c", config,
                   "-p", self.work / "snmpd.pid", env={"SNMP_PERSISTENT_DIR": str(var), "MIBS": ""})
        wait_for("snmpd to answer", lambda: self.get("1.3.6.1.2.1.1.2.0"))
        for tree in TREES.values():
            # snmpd starts the process of a tree when it is asked first, and says nothing to anybody meanwhile.
            wait_for(f"outlets below {tree}", lambda: self.tool("snmpgetnext", tree), 60)
        return self

    def file(self, tree):
        return self.work / f"outlets-{tree}.json"

    def outlets(self, tree):
        """The outlets of a tree as its process has them: number to 1 or 0."""
        return {int(n): on for n, on in json.loads(self.file(tree).read_text()).items()} if self.file(tree).exists() else {}

    def orders(self, tree):
        path = Path(f"{self.file(tree)}.orders")
        return path.read_text().splitlines() if path.exists() else []

    def tool(self, name, *words):
        done = subprocess.run(["ip", "netns", "exec", self.netns, name, "-v2c", "-c", "writer", "-t", "5", "-r", "1", "-Oqv", HOST, *words],
                              capture_output=True, text=True, timeout=60, env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "MIBS": ""})
        return done.stdout.strip() if done.returncode == 0 else ""

    def get(self, oid):
        return self.tool("snmpget", oid)

    def set(self, oid, value):
        assert self.tool("snmpset", oid, "i", str(value)) == str(value)


class Lossy:
    """UDP port 1161 of the LAN host, passed on to its port 161. `keep` says of each datagram, numbered by direction, whether it
    gets through."""

    def __init__(self, netns, port=1161):
        self.keep, self.count, self.ends = lambda way, number: True, {"ask": 0, "answer": 0}, threading.Event()

        def bind():
            near, far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
            near.bind((HOST, port))
            far.connect((HOST, 161))
            return near, far
        self.near, self.far = in_namespace(f"/run/netns/{netns}", bind)
        self.peer = None
        self.threads = [threading.Thread(target=self.pass_on, args=way, daemon=True) for way in (("ask",), ("answer",))]
        for thread in self.threads:
            thread.start()

    def pass_on(self, way):
        source = self.near if way == "ask" else self.far
        source.settimeout(0.1)
        while not self.ends.is_set():
            try:
                data, peer = source.recvfrom(65535)
            except OSError:
                continue
            self.count[way] += 1
            if way == "ask":
                self.peer = peer
            if self.keep(way, self.count[way]):
                try:
                    self.far.send(data) if way == "ask" else self.near.sendto(data, self.peer)
                except OSError:
                    pass

    def close(self):
        self.ends.set()
        for thread in self.threads:
            thread.join()
        self.near.close()
        self.far.close()
