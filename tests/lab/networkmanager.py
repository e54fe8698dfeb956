"""NetworkManager 1.52 on the board's own radio, as the peer of scripts/bench trigger: Debian's binary from the lab disk, its usual settings,
one autoconnect profile, on a D-Bus of its own. oobd and its supplicant are stopped and what they left in the kernel is cleared meanwhile.
"""
import time

DIR = "/run/lab/tmp/nm"
BUS = f"unix:path={DIR}/bus"
DBUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>
""" % BUS
# Polkit and DNS are not what is compared; everything about Wi-Fi and DHCP is NetworkManager's default.
CONF = """[main]
plugins=keyfile
auth-polkit=false
dns=none
rc-manager=unmanaged
[keyfile]
path=%s/profiles
unmanaged-devices=except:interface-name:wlan0
""" % DIR
PROFILE = """[connection]
id=hotspot
uuid=7b0e9d10-1111-4222-8333-0123456789ab
type=wifi
autoconnect=true
autoconnect-retries=0
[wifi]
mode=infrastructure
ssid=remote.it
[wifi-security]
key-mgmt=wpa-psk
psk=%s
[ipv4]
method=auto
[ipv6]
method=auto
"""
# What answers on port 22 in place of oobd: any listener will do, and this one costs the peer nothing.
BANNER = ("import socket\ns=socket.create_server(('::',22),family=socket.AF_INET6,dualstack_ipv6=True)\n"
          "while 1:\n c,_=s.accept()\n c.sendall(b'SSH-2.0-peer\\r\\n')\n c.close()")


class NetworkManager:
    def __init__(self, world, passphrase):
        self.world, self.agent, self.pids = world, world.agent, []
        a = self.agent
        a.run(f"rm -rf {DIR}; mkdir -p {DIR}/profiles /var/lib/NetworkManager /run/NetworkManager")
        a.put(f"{DIR}/dbus.conf", DBUS)
        a.put(f"{DIR}/nm.conf", CONF)
        a.put(f"{DIR}/profiles/hotspot.nmconnection", PROFILE % passphrase, mode=0o600)

    def version(self):
        return self.agent.run("NetworkManager --version").text

    def start(self):
        a = self.agent
        a.board("systemctl stop oobd.service; systemctl stop 'oobd-wpa@wlan0.service'", timeout=60)
        a.run("nft flush ruleset; for f in -4 -6; do ip $f rule flush; ip $f rule add pref 32766 lookup main; ip $f route flush table 100 2>/dev/null; done; "
              "ip -4 rule add pref 32767 lookup default; ip rule add pref 0 lookup local; ip -6 rule add pref 0 lookup local; "
              "ip addr flush dev wlan0; ip link set wlan0 down", check=False)
        a.run(f"rm -f {DIR}/bus")
        self.spawn(["dbus-daemon", f"--config-file={DIR}/dbus.conf", "--nofork", "--nopidfile"], "dbus")
        self.world.until("the peer's bus", lambda: a.run(f"test -S {DIR}/bus", check=False).ok, 20)
        self.spawn(f"DBUS_SYSTEM_BUS_ADDRESS={BUS} exec wpa_supplicant -u -s -O /run/lab/tmp/nm/wpa", "wpa")
        self.spawn(f"DBUS_SYSTEM_BUS_ADDRESS={BUS} exec NetworkManager --no-daemon --config={DIR}/nm.conf --config-dir={DIR}/none "
                   f"--system-config-dir={DIR}/none --intern-config={DIR}/intern --state-file={DIR}/state --pid-file={DIR}/pid --log-level=INFO", "nm")
        self.spawn(["python3", "-c", BANNER], "banner")
        self.world.until("NetworkManager manages wlan0", self.ready, 60)

    def spawn(self, cmd, name):
        self.pids.append(self.agent.spawn(cmd, log=f"{DIR}/{name}.log")["pid"])

    def cli(self, *words):
        return self.agent.run(["nmcli", *words], env={"DBUS_SYSTEM_BUS_ADDRESS": BUS}, check=False, timeout=30)

    def ready(self):
        got = self.cli("-t", "-f", "DEVICE,STATE", "device").text
        return "wlan0:disconnected" in got or "wlan0:connect" in got

    def stop(self):
        a = self.agent
        a.run("for p in %s; do kill $p 2>/dev/null; done; sleep 0.5; for p in %s; do kill -9 $p 2>/dev/null; done; ip addr flush dev wlan0; "
              "ip link set wlan0 down; ip -4 route flush dev wlan0; ip -6 route flush dev wlan0" % ((" ".join(map(str, self.pids)),) * 2), check=False)
        self.pids = []
        time.sleep(0)
        a.board("systemctl start 'oobd-wpa@wlan0.service'; systemctl start oobd.service", timeout=180)
