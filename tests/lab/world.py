"""The virtual world around one board: phone, evil twin, crowd, internet, LAN, switch. Drives all of it through the guest's agent.

Times are seconds of guest uptime unless a name says otherwise. World makes no statement about what oobd should do; tests do.
"""
import json
import subprocess
import time
from pathlib import Path

import access
from agent import Agent
from qemu import Machine
from radio import SERVERS, AccessPoint
from switch import Switch

PASSPHRASE = "copper-lantern-27"
SSID = "remote.it"
INTERNET4, INTERNET6 = "1.1.1.1", "2606:4700:4700::1111"
LAN_NET, LAN_PREFIX = "192.168.50", "fd50:0:0:1"
LAN_HOST = f"{LAN_NET}.10"
SERIAL_PORT = "/dev/serial/by-path/platform-4010000000.pcie-pci-0000:00:10.0-usb-0:1:1.0-port0"

SETUP = f"""
set -e
ip link add inet0 netns phone type veth peer name phone0 netns internet
ip link add inet0 netns lan type veth peer name lan0 netns internet
ip link add twin0 netns internet type veth peer name inet0 netns twin
for n in phone twin lan internet; do
  ip netns exec $n sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
done
i=0; for n in phone lan twin; do i=$((i+1))
  ip -n internet addr add 198.51.100.$((i*4+1))/30 dev ${{n}}0; ip -n internet addr add 2001:db8:ff:$i::1/64 dev ${{n}}0 nodad; ip -n internet link set ${{n}}0 up
  ip -n $n addr add 198.51.100.$((i*4+2))/30 dev inet0; ip -n $n addr add 2001:db8:ff:$i::2/64 dev inet0 nodad; ip -n $n link set inet0 up
done
for n in phone twin; do
  [ $n = phone ] && i=1 || i=3
  ip -n $n route add default via 198.51.100.$((i*4+1)); ip -n $n -6 route add default via 2001:db8:ff:$i::1
  ip netns exec $n nft 'table ip nat {{ chain post {{ type nat hook postrouting priority 100; oifname "inet0" masquerade; }}; }}'
done
for a in {INTERNET4}/32 203.0.113.9/32; do ip -n internet addr add $a dev lo; done
for a in {INTERNET6}/128 2001:db8:9::9/128; do ip -n internet -6 addr add $a dev lo nodad; done
ip -n internet -6 route add 2001:db8:20::/48 via 2001:db8:ff:1::2
ip -n internet -6 route add 2001:db8:66::/48 via 2001:db8:ff:3::2
ip -n internet -6 route add {LAN_PREFIX}::/64 via 2001:db8:ff:2::2
ip -n internet route add {LAN_NET}.0/24 via 198.51.100.10
# the LAN: a switch in the middle, the router, one more host
ip -n lan link add br0 type bridge; ip -n lan link set eth0 master br0; ip -n lan link set br0 up
ip link add host0 netns lan type veth peer name eth0 netns lanhost; ip -n lan link set host0 master br0; ip -n lan link set host0 up
ip -n lan addr add {LAN_NET}.1/24 dev br0; ip -n lan addr add {LAN_PREFIX}::1/64 dev br0 nodad
ip netns exec lanhost sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.eth0.accept_dad=0 net.ipv6.conf.eth0.accept_ra=0
ip -n lanhost link set eth0 up; ip -n lanhost addr add {LAN_HOST}/24 dev eth0; ip -n lanhost addr add {LAN_PREFIX}::10/64 dev eth0 nodad
ip -n lanhost route add default via {LAN_NET}.1; ip -n lanhost -6 route add default via {LAN_PREFIX}::1
"""


def config(**over):
    """oobd.toml of the lab; `users` is text with the [user.*] tables, `wifi` extra keys of the wifi table."""
    keys = {"ssid": f'"{SSID}"', "passphrase": PASSPHRASE, "wifi": "", "more": "", "mode": "trigger", "users": ""} | over
    return f"""schema = 1
[device]
name = "rack7"

[lan]
interface = "eth0"
address = "dhcp"

[oob]
mode = "{keys['mode']}"

[uplink.hotspot]
wifi = {{ interface = "wlan0", ssid = [{keys['ssid']}], passphrase = "{keys['passphrase']}", country = "US"{keys['wifi']} }}
accept = ["ssh", "https"]

[probe]
targets = ["tcp:{INTERNET4}:443", "tcp:[{INTERNET6}]:443"]
every = "5s"

[console.core-switch]
serial = {{ port = "{SERIAL_PORT}", line = "9600n8" }}

{keys['users']}
{keys['more']}"""


class World:
    def __init__(self, work, toml=None, **machine):
        self.work = Path(work)
        self.toml = toml if toml is not None else config()
        self.machine = Machine(self.work, config=self.toml, **machine)
        self.agent = self.phone = self.twin = self.crowd = None
        self.switch = Switch()
        if not self.machine.bare:
            self.switch.start(self.machine.switch_sock)

    def boot(self, timeout=300):
        """Power on, then the world around the board. Returns when the agent answers and every far end is up; oobd may still be starting."""
        if not self.machine.card.exists():
            self.machine.prepare()
        self.machine.start()
        return self.furnish(timeout)

    def furnish(self, timeout=300):
        self.agent = a = Agent(self.machine.ctl_port, time.monotonic() + timeout, self.machine.alive)
        if self.machine.bare:
            return self
        a.run(SETUP, timeout=60)
        self.phone = AccessPoint(a, "phone", "wlan1", "phy1")
        self.twin = AccessPoint(a, "twin", "wlan2", "phy2", net="10.66.66", prefix="2001:db8:66:66")
        self.crowd = AccessPoint(a, "crowd", "wlan3", "phy3", net="10.77.77", prefix=None)
        self.lan_dhcp()
        for ns, args in (("internet", ["internet", "/run/lab/tmp/internet.log"]), ("lanhost", ["web"]), ("phone", ["relay", self.phone.leases])):
            log = f"/run/lab/tmp/server-{ns}.log"
            a.spawn(["python3", "-u", SERVERS] + args, ns=ns, log=log)
            a.wait_text(log, "ready", 60)
        return self

    def lan_dhcp(self, net=LAN_NET, mask="255.255.255.0", cidr=24, ra=True):
        """The LAN router's DHCP and RA; `net` renumbers the LAN."""
        a = self.agent
        a.run("[ -e /run/lab/tmp/lan.pid ] && kill $(cat /run/lab/tmp/lan.pid); rm -f /run/lab/tmp/lan.pid /run/lab/tmp/lan.leases", check=False)
        a.run(f"ip -n lan -4 addr flush dev br0; ip -n lan addr add {net}.1/{cidr} dev br0; ip -n lanhost -4 addr flush dev eth0;"
              f"ip -n lanhost addr add {net}.10/{cidr} dev eth0; ip -n lanhost route replace default via {net}.1")
        high = 14 if cidr == 28 else 150
        v6 = ["--enable-ra", "--dhcp-range=::,constructor:br0,ra-only,64", "--ra-param=br0,high,10,1800"] if ra else []
        a.run(["dnsmasq", "--conf-file=/dev/null", "--no-resolv", "--port=0", "--interface=br0", "--bind-dynamic", "--user=root", "--no-ping",
               "--pid-file=/run/lab/tmp/lan.pid", "--log-facility=/run/lab/tmp/lan.log", "--log-dhcp", "--dhcp-authoritative",
               f"--dhcp-range={net}.{max(2, high - 12 if cidr == 28 else 100)},{net}.{high},{mask},1h", f"--dhcp-option=3,{net}.1",
               f"--dhcp-option=6,{net}.1", "--dhcp-leasefile=/run/lab/tmp/lan.leases"] + v6, ns="lan")

    def lan_address(self):
        return self.agent.run("cut -d' ' -f3 /run/lab/tmp/lan.leases | grep -v : | tail -1", check=False).text or None

    # phone, in the words of the tests
    def phone_on(self, **kw):
        return self.phone.on(**kw)

    def phone_off(self):
        self.phone.off()

    def walk_away(self):
        self.phone.far()

    def come_back(self):
        self.phone.near()

    def twin_on(self, **kw):
        return self.twin.on(**kw)

    # the board, from outside and through its own client
    def oobctl(self, *words, check=True, timeout=40):
        return self.agent.board(["oobctl", *words], check=check, timeout=timeout)

    def status(self):
        return json.loads(self.oobctl("status", "--json").stdout)

    def uplink(self):
        return self.status()["uplinks"].get("hotspot") or {"phase": None, "why": ""}

    def phase(self):
        return self.uplink()["phase"]

    def events(self, after=0):
        """Events with seq > after, oldest first."""
        return [json.loads(r) for r in self.oobctl("--jsonl", "event", "list", "--after", str(after), timeout=60).text.splitlines()]

    def last_seq(self):
        return json.loads(self.oobctl("--jsonl", "event", "list", "-n", "1", timeout=60).text)["seq"]

    def happened(self, kind, after, timeout=60):
        """Waits for an event of this kind later than seq `after` and returns what it carries."""
        return self.until(f"event {kind}", lambda: [k for k in (body(e, kind) for e in self.events(after)) if k is not None], timeout, every=0.7)[-1]

    def until_phase(self, *phases, timeout=60):
        return self.until(f"uplink {' or '.join(phases)}", lambda: (lambda u: u if u["phase"] in phases else None)(self.uplink()), timeout)

    def until_ready(self, timeout=180):
        # Waited for in the guest while it starts: each question would take a second of its emulated processor.
        self.agent.board("systemctl is-system-running --wait", check=False, timeout=timeout)
        return self.until("oobd is READY", lambda: self.agent.board("systemctl is-active oobd", check=False).text == "active" and self.status()["ready"],
                          timeout)

    def configure(self, toml):
        """Puts another oobd.toml on the boot partition, as a person with a card reader does, and asks oobd to read it again."""
        self.agent.put("/run/lab/tmp/oobd.toml", toml)
        self.agent.board("mount -o remount,rw /boot/firmware && cp /run/lab/tmp/oobd.toml /boot/firmware/oobd.toml && sync; "
                         "mount -o remount,ro /boot/firmware; systemctl reload oobd", timeout=60)
        self.toml = toml

    def kill9(self, process):
        """Kills a process of the board; returns the guest time."""
        self.agent.board(f"kill -9 $(pidof {process})")
        return self.agent.clock()

    def pid(self, process):
        got = self.agent.board(f"pidof {process}", check=False).text
        return int(got.split()[0]) if got else None

    def until(self, what, check, timeout=60, every=0.3):
        """Waits for a level: the first truthy value of check(); AssertionError naming `what` after `timeout` seconds of the host."""
        deadline, last = time.monotonic() + timeout, None
        while True:
            try:
                value = check()
                if value:
                    return value
                last = value
            except Exception as e:
                last = e
                if not self.machine.alive():
                    raise
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout} s: {what} (last: {last!r})")
            time.sleep(every)

    # power
    def power_cut(self):
        self.machine.kill()
        if self.agent:
            self.agent.close()

    def boot_again(self, timeout=300):
        self.machine.start()
        return self.furnish(timeout)

    def stop(self):
        self.power_cut()


def body(event, kind):
    """What an event carries when it is of this kind, else None. A kind without fields is its bare name."""
    k = event["kind"]
    if k == kind:
        return {}
    return k.get(kind) if isinstance(k, dict) else None


def keypair(folder, name):
    """A fresh ed25519 key of OpenSSH's own making: (private key path, public key text)."""
    path = Path(folder) / name
    path.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
    return path, path.with_suffix(".pub").read_text().strip()


def people(folder):
    """oobd.toml tables of alice, bob and carol, their keys, and alice's password."""
    text, keys, password = "", {}, access.words()
    for name, role in (("alice", "administrator"), ("bob", "operator"), ("carol", "readonly")):
        keys[name], public = keypair(folder, name)
        text += f'[user.{name}]\nrole = "{role}"\nkeys = ["{public}"]\nconsoles = ["*"]\n'
        if name == "alice":
            text += f'password = "{access.hash_password(password)}"\n'
    return text, keys, password
