"""Access points of the lab: hostapd on a simulated radio inside a namespace, with the DHCP and RA a phone would give."""
import itertools
import random

SERVERS = "/run/lab/servers.py"
PHONE_NET = "172.20.10"          # what an iPhone hands out: .1 itself, .2 to .14, /28
PHONE_PREFIX = "2001:db8:20:10"  # the bearer's /64 that the phone shares (RFC 7278)
serial = itertools.count(1)


def security(wpa, passphrase, open_=False):
    """hostapd lines for `wpa`: open, wpa2, wpa3, transition, wpa1 (TKIP), wep."""
    if wpa == "open":
        return ["auth_algs=1"]
    if wpa == "wep":
        return ["auth_algs=1", "wep_default_key=0", 'wep_key0="12345"']
    if wpa == "wpa1":
        return ["wpa=1", "wpa_key_mgmt=WPA-PSK", "wpa_pairwise=TKIP", f"wpa_passphrase={passphrase}"]
    lines = ["wpa=2", "rsn_pairwise=CCMP"]
    if wpa == "wpa2":
        return lines + ["wpa_key_mgmt=WPA-PSK", f"wpa_passphrase={passphrase}"]
    if wpa == "wpa3":
        return lines + ["wpa_key_mgmt=SAE", "ieee80211w=2", f"sae_password={passphrase}"]
    if wpa == "transition":
        return lines + ["wpa_key_mgmt=WPA-PSK SAE", "ieee80211w=1", f"wpa_passphrase={passphrase}"]
    raise ValueError(wpa)


class AccessPoint:
    """One radio. `net` is the first three bytes of its IPv4 subnet, `prefix` its IPv6 /64 (None: no IPv6)."""

    def __init__(self, agent, ns, dev, phy, net=PHONE_NET, prefix=PHONE_PREFIX):
        self.agent, self.ns, self.dev, self.phy, self.net, self.prefix = agent, ns, dev, phy, net, prefix
        self.dir = f"/run/lab/tmp/{ns}"
        self.leases, self.log = f"{self.dir}/leases", None
        self.mask, self.cidr, self.last = "255.255.255.240", 28, 14
        self.channel = 6
        agent.run(f"mkdir -p {self.dir}")

    def conf(self, ssid, wpa, passphrase, channel, hidden, more):
        raw = ssid if isinstance(ssid, bytes) else ssid.encode()
        lines = [f"interface={self.dev}", "driver=nl80211", f"ctrl_interface={self.dir}/hostapd", f"channel={channel}", "beacon_int=100",
                 f"hw_mode={'a' if channel > 14 else 'g'}", "ieee80211n=1", f"ssid2={raw.hex()}"]
        if channel > 14:
            lines += ["country_code=US", "ieee80211d=1"]
        if hidden:
            lines.append(f"ignore_broadcast_ssid={hidden if hidden is not True else 1}")
        lines += security(wpa, passphrase)
        for n, (other, other_wpa) in enumerate(more, 1):  # further BSSes of the same radio
            raw = other if isinstance(other, bytes) else other.encode()
            lines += [f"bss={self.dev}_{n}", f"ssid2={raw.hex()}"] + security(other_wpa, passphrase)
        return "\n".join(lines) + "\n"

    def on(self, ssid="remote.it", wpa="wpa2", passphrase="copper-lantern-27", channel=6, hidden=False, more=(), dhcp="ok", bssid=None):
        """Switches the access point on; returns the guest time of the switch."""
        self.channel = channel
        self.log = f"{self.dir}/hostapd-{next(serial)}.log"
        self.agent.put(f"{self.dir}/hostapd.conf", self.conf(ssid, wpa, passphrase, channel, hidden, more))
        # Phones take another address each time; several BSSes need the radio's own. Before the addresses: a change of it drops IPv6.
        mac = f"02:00:00:00:0{int(self.phy[3:])}:00" if more else bssid or "02:" + ":".join(f"{random.randrange(256):02x}" for _ in range(5))
        self.agent.run(f"ip -n {self.ns} link set {self.dev} down; ip -n {self.ns} link set {self.dev} address {mac}")
        self.addresses()
        self.dhcp(dhcp)
        got = self.agent.spawn(["hostapd", "-t", f"{self.dir}/hostapd.conf"], ns=self.ns, log=self.log)
        t0 = got["t0"]
        self.agent.put(f"{self.dir}/hostapd.pid", f"{got['pid']}\n")
        self.agent.wait_text(self.log, "AP-ENABLED", 30)
        if self.prefix:  # hostapd takes the link down when it changes its mode, and IPv6 addresses with it
            self.agent.run(f"ip -n {self.ns} addr replace {self.prefix}::1/64 dev {self.dev} nodad")
        return t0

    def addresses(self):
        v6 = f"; ip -n {self.ns} addr add {self.prefix}::1/64 dev {self.dev} nodad" if self.prefix else ""
        self.agent.run(f"ip -n {self.ns} link set {self.dev} up; ip -n {self.ns} addr flush dev {self.dev} scope global;"
                       f"ip -n {self.ns} addr add {self.net}.1/{self.cidr} dev {self.dev}{v6}")

    def off(self):
        """Switched off in order: stations are told."""
        self.agent.run(f"cd {self.dir}; for p in hostapd dnsmasq dhcp; do [ -e $p.pid ] && kill $(cat $p.pid) 2>/dev/null;"
                       f" for i in $(seq 100); do kill -0 $(cat $p.pid 2>/dev/null) 2>/dev/null || break; sleep 0.02; done; rm -f $p.pid; done;"
                       f" ip -n {self.ns} link set {self.dev} down", check=False)
        self.near()

    def group(self, n):
        self.agent.run(f"echo {n} > /sys/kernel/debug/ieee80211/{self.phy}/hwsim/group")

    def far(self):
        """Out of range from one moment to the next, still on: nobody is told."""
        self.group(2)

    def near(self):
        self.group(1)

    def dhcp(self, mode="ok", net=None):
        """`ok`, `silent`, `nak` or `none`; `net` moves the hotspot to another subnet, as phones do between sessions."""
        self.agent.run(f"cd {self.dir}; for p in dnsmasq dhcp; do [ -e $p.pid ] && kill $(cat $p.pid) 2>/dev/null; rm -f $p.pid; done; rm -f leases", check=False)
        if net:
            self.net = net
            self.addresses()
        v4 = [f"--dhcp-range={self.net}.2,{self.net}.{self.last},{self.mask},1h", f"--dhcp-option=3,{self.net}.1", f"--dhcp-option=6,{self.net}.1",
              "--dhcp-authoritative", "--no-ping", f"--dhcp-leasefile={self.leases}"] if mode == "ok" else []
        v6 = ["--enable-ra", "--dhcp-range=::,constructor:" + self.dev + ",ra-only,64", f"--dhcp-option=option6:dns-server,[{self.prefix}::1]",
              f"--ra-param={self.dev},high,10,1800"] if self.prefix and mode != "none" else []
        if v4 or v6:
            self.agent.run(["dnsmasq", "--conf-file=/dev/null", "--no-resolv", "--port=0", f"--interface={self.dev}", "--bind-dynamic", "--user=root",
                            f"--pid-file={self.dir}/dnsmasq.pid", f"--log-facility={self.dir}/dnsmasq.log", "--log-dhcp"] + v4 + v6, ns=self.ns)
        if mode in ("silent", "nak"):
            log = f"{self.dir}/dhcp.log"
            self.agent.run(f"rm -f {log}")
            got = self.agent.spawn(["python3", SERVERS, "dhcp", mode, log, self.dev], ns=self.ns, log=log)
            self.agent.put(f"{self.dir}/dhcp.pid", f"{got['pid']}\n")
            self.agent.wait_text(log, "ready", 20)

    def leased(self):
        got = self.agent.run(f"grep -v ^duid {self.leases} 2>/dev/null | sort -n | tail -1 | cut -d' ' -f3", check=False).text
        return got or None

    def stations(self):
        return self.agent.run(f"iw dev {self.dev} station dump | grep -c ^Station", ns=self.ns, check=False).text not in ("", "0")

    def joined(self, timeout=60):
        """Guest time at which a station finished the handshake with this access point."""
        return self.agent.wait_text(self.log, "AP-STA-CONNECTED", timeout)

    def ever_joined(self):
        return self.agent.run(f"grep -c -e AP-STA-CONNECTED {self.log}", check=False).text not in ("", "0")
