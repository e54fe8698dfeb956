"""A radio for boards in namespaces, where there is none: wpa_supplicant's control socket with networks in its table, and behind the one that
is joined a cable with a real DHCP server on it. What the real wpa_supplicant does is proven in tests/lab."""
import os
import socket
import subprocess
import threading
from pathlib import Path

from board import wait_for

CONTROL = Path("/run/wpa_supplicant")


class Radio:
    """`networks` are `(ssid, bssid, MHz, dBm, flags)`. The interface has a name of its own, for all boards share the folder of sockets."""

    def __init__(self, board, phone, work, networks):
        self.interface, self.networks, self.dbm = f"wl{os.getpid() % 10**7}", list(networks), -52
        self.joined, self.monitors, self.scans, self.closed = None, [], [], threading.Event()
        cable = ["ip", "-n", board, "link", "add", self.interface, "type", "veth", "peer", "name", "phone0", "netns", phone]
        for command in (cable, ["ip", "-n", phone, "addr", "add", "172.20.10.1/28", "dev", "phone0"], ["ip", "-n", phone, "link", "set", "phone0", "up"]):
            subprocess.run(command, check=True)
        log = Path(work) / "phone.log"
        self.dhcp = subprocess.Popen(
            ["ip", "netns", "exec", phone, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--port=0",
             "--interface=phone0", "--bind-interfaces", "--no-ping", "--user=root", "--pid-file", f"--log-facility={log}",
             f"--dhcp-leasefile={Path(work) / 'phone.leases'}", "--dhcp-range=172.20.10.2,172.20.10.14,255.255.255.240,1h"])
        wait_for("dnsmasq starts", lambda: log.exists() and "started" in log.read_text())
        CONTROL.mkdir(exist_ok=True)
        self.path = CONTROL / self.interface
        self.path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.settimeout(0.1)
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while not self.closed.is_set():
            try:
                said, who = self.socket.recvfrom(8192)
                self.socket.sendto(self.answer(said.decode(), who).encode(), who)
            except socket.timeout:
                continue
            except OSError:
                continue  # who asked has gone
            if said.startswith(b"SCAN"):
                self.tell("CTRL-EVENT-SCAN-RESULTS ")
            elif said.startswith(b"SELECT_NETWORK"):
                self.tell(f"CTRL-EVENT-CONNECTED - Connection to {self.joined} completed [id=0 id_str=]")

    def tell(self, event):
        for who in self.monitors:
            try:
                self.socket.sendto(f"<3>{event}".encode(), who)
            except OSError:
                continue

    def answer(self, said, who):
        word, _, rest = said.partition(" ")
        if word == "ATTACH":
            self.monitors = [who]
        elif word == "SCAN":
            self.scans.append(rest)
        elif word == "SET_NETWORK" and rest.split()[1] == "bssid":
            self.joined = rest.split()[2]
        elif word == "DISCONNECT":
            self.joined = None
        return {"PING": "PONG\n", "ADD_NETWORK": "0\n"}.get(word) or (
            self.table() if word == "BSS" else self.status() if word == "STATUS" else
            f"RSSI={self.dbm}\n" if word == "SIGNAL_POLL" else "OK\n")

    def table(self):
        return "".join(f"id={n}\nbssid={bssid}\nfreq={mhz}\nlevel={self.dbm if bssid == self.joined else dbm}\nage=1\nflags={flags}\nssid={ssid}\n"
                       for n, (ssid, bssid, mhz, dbm, flags) in enumerate(self.networks))

    def status(self):
        if not self.joined:
            return "wpa_state=DISCONNECTED\n"
        return f"wpa_state=COMPLETED\nbssid={self.joined}\nkey_mgmt=WPA2-PSK\npairwise_cipher=CCMP\n"

    def close(self):
        self.closed.set()
        self.thread.join()
        self.socket.close()
        self.path.unlink(missing_ok=True)
        self.dhcp.terminate()
        self.dhcp.wait()


class OnAir:
    """What a house adds to that is its board's: an uplink by the radio `self.radio`. Comes before the house's own class."""

    def config(self, sections):
        uplink = f'[uplink.hotspot]\nwifi = {{ interface = "{self.radio.interface}", ssid = ["remote.it"], passphrase = "correct horse battery" }}\n'
        return super().config(sections).replace('mode = "off"', 'mode = "trigger"') + uplink

    def up_within(self, seconds):
        wait_for("the uplink", lambda: self.board.json("status")["uplinks"]["hotspot"]["phase"] == "up", seconds)

    def close(self):
        self.board.stop()
        self.radio.close()
        super().close()


HOME = [("remote.it", "02:00:00:00:01:00", 2437, -52, "[WPA2-PSK-CCMP][ESS]"), ("remote.it", "02:00:00:00:01:01", 2412, -71, "[ESS]"),
        ("Rack row guest", "02:00:00:00:02:00", 5180, -60, "[WPA2-PSK+SAE-CCMP][ESS]"), ("printer", "02:00:00:00:03:00", 2462, -83, "[ESS]"),
        ("", "02:00:00:00:04:00", 5745, -77, "[WPA2-EAP-CCMP][ESS]")]
