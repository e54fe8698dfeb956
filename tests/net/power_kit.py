"""Peers of the power tests: powermand with its simulator, upsd with drivers, and a relay that can be told to misbehave.
All of it runs unprivileged of /etc, on addresses of a namespace, with its files in the test's folder."""
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import zlib
from pathlib import Path

from board import in_namespace, wait_for
from ssh_kit import PORT, Lan

HOST = "10.77.0.9"


def slowly(person, keys):
    """One key per packet: what comes in one piece is a paste, and passes to the device."""
    for key in keys:
        time.sleep(0.1)
        person.send(key)


class Peers:
    """What runs on the LAN host (or beside the board): started by name, ended by process group, so that children go, too."""

    def __init__(self, work, netns):
        self.work, self.netns, self.running = Path(work), netns, {}

    def start(self, name, *argv, env=None, cwd=None):
        log = (self.work / f"{name}.log").open("ab")
        argv = ["ip", "netns", "exec", self.netns, *map(str, argv)]
        self.running[name] = subprocess.Popen(argv, env={**os.environ, **(env or {})}, cwd=cwd, stdin=subprocess.DEVNULL,
                                              stdout=log, stderr=log, start_new_session=True)
        return self.running[name]

    def stop(self, name, number=signal.SIGTERM):
        process = self.running.pop(name, None)
        if process is None:
            return
        for kind in (number, signal.SIGKILL):
            try:
                os.killpg(process.pid, kind)
                process.wait(5)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue

    def close(self):
        for name in list(self.running):
            self.stop(name, signal.SIGKILL)

    def speaks(self, port, said=b"", hears=b"", host=HOST):
        """Waits until `port` takes a connection and answers `said` with something that begins with `hears`."""
        def try_it():
            try:
                with socket.create_connection((host, port), 2) as peer:
                    peer.sendall(said)
                    return not hears or peer.recv(100).startswith(hears)
            except OSError:
                return False
        wait_for(f"port {port} of {host}", lambda: in_namespace(f"/run/netns/{self.netns}", try_it))


class Powerman(Peers):
    """powermand and two simulated PDUs: nodes rack0 … rack7 and web-1."""

    def up(self, port=10101):
        config = self.work / "powerman.conf"
        config.write_text(f'include "/etc/powerman/vpc.dev"\nlisten "{HOST}:{port}"\n'
                          'device "pdu0" "vpc" "/usr/sbin/vpcd |&"\ndevice "pdu1" "vpc" "/usr/sbin/vpcd |&"\n'
                          'node "rack[0-7]" "pdu0" "[0-7]"\nnode "web-1" "pdu1" "4"\n')
        self.port = port
        self.start("powermand", "/usr/sbin/powermand", "-f", "-c", config)
        self.speaks(port, hears=b"001 ")
        return self

    def ask(self, command):
        """What powermand says to one command, by a connection of our own."""
        def talk():
            with socket.create_connection((HOST, self.port), 10) as peer:
                heard = b""
                while b"powerman> " not in heard:
                    heard += peer.recv(4096)
                peer.sendall(b"exprange\r\n" + command.encode() + b"\r\n")
                heard = b""
                while heard.count(b"powerman> ") < 2:
                    heard += peer.recv(4096)
                return heard.decode()
        return in_namespace(f"/run/netns/{self.netns}", talk)

    def state(self, node):
        text = self.ask(f"status {node}")
        return text.split(f"303 {node}: ")[1].split("\r")[0]


class Nut(Peers):
    """upsd with a UPS whose values can be set, a PDU switched by variables, one switched through powermand, and one whose
    driver is the test's own (nut_fakedrv.py). Users: admin/adminpw may do all, looker/lookpw nothing."""

    DEVICES = {"ups1": ("dummy-ups", "ups.dev"), "pdurw": ("dummy-ups", "pdu.dev"), "fake": ("dummy-ups", "none")}

    def up(self, port=3493, powerman=None):
        # A socket's path has 108 bytes.
        self.dir = Path(tempfile.mkdtemp(prefix="nut-"))
        conf, state = self.dir / "c", self.dir / "s"
        for folder in (conf, state):
            folder.mkdir()
        devices = dict(self.DEVICES)
        if powerman:
            devices["pm"] = ("powerman-pdu", f"{HOST}:{powerman}")
        ups = "".join(f"[{name}]\n  driver = {driver}\n  port = {place}\n" for name, (driver, place) in devices.items())
        ups = ups.replace("ups.dev", "ups.dev\n  mode = dummy-once").replace("pdu.dev", "pdu.dev\n  mode = dummy-once")
        files = {
            "ups.conf": ups,
            "ups.dev": "battery.charge: 97\nbattery.runtime: 1260\n"
                       "input.voltage: 231.0\nups.load: 23\nups.status: OL\n",
            "pdu.dev": "outlet.count: 2\n" + "".join(f"outlet.{n}.status: on\noutlet.{n}.realpower: 40.5\n" for n in (1, 2)),
            "upsd.conf": f"LISTEN {HOST} {port}\nMAXAGE 15\nSTATEPATH {state}\n",
            "upsd.users": "[admin]\n  password = adminpw\n  actions = SET\n  instcmds = ALL\n[looker]\n  password = lookpw\n",
        }
        for name, text in files.items():
            (conf / name).write_text(text)
            (conf / name).chmod(0o640)
        self.port, self.state_dir = port, state
        self.env = {"NUT_CONFPATH": str(conf), "NUT_STATEPATH": str(state), "NUT_ALTPIDPATH": str(state)}
        self.control(delay=0.1)
        self.fake()
        for name, (driver, place) in devices.items():
            if place != "none":
                self.start(name, f"/lib/nut/{driver}", "-D", "-u", "root", "-a", name, env=self.env)
                wait_for(f"the socket of {name}", lambda name=name, driver=driver: (state / f"{driver}-{name}").exists())
        self.upsd()
        return self

    def upsd(self):
        self.start("upsd", "/lib/nut/upsd", "-D", "-4", "-u", "root", env=self.env)
        self.speaks(self.port, b"VER\n", b"Network UPS")

    def certify(self):
        """A new key and certificate for upsd (Debian's is built with NSS), in force when it starts next."""
        store = Path(tempfile.mkdtemp(prefix="nss-", dir=self.dir))
        (store / "pw").write_text("storepw\n")
        noise = store / "noise"
        noise.write_bytes(os.urandom(64))
        for argv in (["-N"], ["-S", "-n", "upsd", "-s", "CN=upsd", "-x", "-t", "CT,C,C", "-v", "120", "-z", noise]):
            subprocess.run(["certutil", *argv, "-d", store, "-f", store / "pw"], check=True, timeout=60, stdin=subprocess.DEVNULL)
        config = self.dir / "c" / "upsd.conf"
        lines = [line for line in config.read_text().splitlines() if not line.startswith("CERT")]
        config.write_text("\n".join([*lines, f"CERTPATH {store}", "CERTIDENT upsd storepw", ""]))

    def fake(self):
        """Starts the test's own driver (again)."""
        path = self.state_dir / "dummy-ups-fake"
        path.unlink(missing_ok=True)
        self.start("fake", "/usr/bin/python3", Path(__file__).parent / "nut_fakedrv.py", path, self.dir / "control")
        wait_for("the fake driver", path.exists)

    def control(self, **keys):
        (self.dir / "control").write_text("".join(f"{key} = {value}\n" for key, value in keys.items()))

    def ask(self, *lines):
        """What upsd answers to these lines, by a connection of our own as admin."""
        def talk():
            with socket.create_connection((HOST, self.port), 10) as peer:
                file = peer.makefile("rw")
                answers = []
                for line in ("USERNAME admin", "PASSWORD adminpw", *lines):
                    file.write(line + "\n")
                    file.flush()
                    answers.append(file.readline().strip())
                return answers[2:]
        return in_namespace(f"/run/netns/{self.netns}", talk)

    def set(self, ups, variable, value):
        assert self.ask(f'SET VAR {ups} {variable} "{value}"')[0].startswith("OK")

    def get(self, ups, variable):
        return self.ask(f"GET VAR {ups} {variable}")[0].split('"')[1]

    def close(self):
        super().close()
        shutil.rmtree(self.dir, ignore_errors=True)


class House:
    """A board on a LAN, and on a host of it the peers."""

    def __init__(self, work, make_board, users="", more=""):
        self.work = Path(work)
        self.lan = Lan()
        self.lan.__enter__()
        self.users, self.more = users, more
        self.make_board, self.board, self.closing = make_board, None, []

    def config(self, sections):
        return (f'schema = 1\n[device]\nname = "rack7"\n[ssh]\nport = {PORT}\n[oob]\nmode = "off"\n'
                f'[lan]\ninterface = "eth0"\naddress = "10.77.0.5/24"\n{self.users}\n{sections}\n{self.more}\n')

    def start(self, sections):
        self.board = self.make_board(self.config(sections), netns=self.lan.board)
        self.board.start()
        return self.board

    def peers(self, kind):
        peers = kind(self.work, self.lan.host)
        self.closing.append(peers)
        return peers

    def pdu(self, name="rack"):
        return self.board.json("status")["pdus"].get(name, {})

    def outlet(self, key, name="rack"):
        found = [o for o in self.pdu(name).get("outlets", []) if o["key"] == key]
        return found[0] if found else {}

    def until(self, what, check, timeout=30):
        return wait_for(what, check, timeout)

    def up(self, name="rack", timeout=30):
        """A driver that has just risen may have told its server of no outlet yet."""
        return self.until(f"{name} up", lambda: self.pdu(name).get("phase") == "up" and self.pdu(name)["outlets"], timeout)

    def switch(self, verb, *names, code=0, options=("--yes",), timeout=90):
        """Switches with oobctl and gives what it printed; `code` is the exit status that must be."""
        if code == 0:
            for pdu, key in (name.split("/") for name in names if "/" in name):
                self.until(f"{pdu}/{key} is read", lambda: self.pdu(pdu).get("read_at") and self.outlet(key, pdu))
        done = self.board.ctl("outlet", verb, *names, *options, check=False, timeout=timeout)
        assert done.returncode == code, f"{verb} {names}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def book(self, name="rack"):
        """What of a PDU's verbs survives oobd: the newer one of the two records of its file (src/file/slots.rs)."""
        whole = (self.board.work / "state" / "power" / f"{name}.book").read_bytes()
        half = len(whole) // 2
        best = (0, None)
        for slot in (whole[:half], whole[half:]):
            magic, number, length, checksum = struct.unpack_from("<4sQII", slot)
            record = slot[20:20 + length]
            if magic == b"OBS\x01" and zlib.crc32(slot[:16] + record) == checksum:
                best = max(best, (number, record))
        return json.loads(best[1])

    def told(self, kind):
        """The bodies of the events of this kind, oldest first."""
        return [e["kind"][kind] for e in self.board.events() if isinstance(e["kind"], dict) and kind in e["kind"]]

    def close(self):
        if self.board:
            self.board.stop(9)
        for peers in self.closing:
            peers.close()
        self.lan.__exit__()


class Relay:
    """A TCP relay on the LAN host in front of a peer. `fault` may be set to a function (socket of the client, bytes of the
    peer) that sends what it likes; `mute` swallows what the peer says; `cut()` breaks all connections."""

    def __init__(self, netns, port, target):
        self.target, self.netns = target, netns
        self.fault, self.mute, self.asked, self.refuses = None, False, bytearray(), False
        self.open, self.connections = [], 0

        def listen():
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((HOST, port))
            listener.listen(16)
            return listener

        self.listener = in_namespace(f"/run/netns/{netns}", listen)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.refuses:
                client.close()
                continue
            try:
                peer = in_namespace(f"/run/netns/{self.netns}", lambda: socket.create_connection((HOST, self.target), 5))
            except OSError:
                client.close()
                continue
            self.open += [client, peer]
            threading.Thread(target=self._pump, args=(client, peer, True), daemon=True).start()
            threading.Thread(target=self._pump, args=(peer, client, False), daemon=True).start()

    def _pump(self, source, sink, asks):
        try:
            while data := source.recv(4096):
                if asks:
                    self.asked += data
                    sink.sendall(data)
                elif self.fault:
                    self.fault(sink, data)
                elif not self.mute:
                    sink.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def cut(self):
        for end in self.open:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.open = []

    def close(self):
        self.listener.close()
        self.cut()


def bytewise(sink, data):
    """A fault: each byte in a segment of its own."""
    sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(len(data)):
        sink.sendall(data[at:at + 1])
