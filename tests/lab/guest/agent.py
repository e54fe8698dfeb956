"""The lab's hand inside the guest. Builds the empty world (namespaces, cards, radios) and then runs what the host asks for.

Speaks JSON lines over TCP in namespace `ctl`: one request per line, answers carry the request's id. Knows nothing of phones or tests:
that is tests/lab/world.py on the host. Runs in a chroot of the lab disk; `root: board` runs a command in the product's root instead.
"""
import base64
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

CTL_PORT = 7000
CARDS = {  # the MAC addresses that qemu.py gives its cards -> (namespace, name there, address)
    "52:54:00:0b:d0:02": ("lan", "eth0", None),
    "52:54:00:0b:d0:03": ("phone", "op0", "10.98.0.15/24"),
    "52:54:00:0b:d0:04": ("ctl", "ctl0", "10.99.0.15/24"),
}
NAMESPACES = ["phone", "twin", "crowd", "internet", "lan", "lanhost", "ctl"]
RADIOS = {"phy1": "phone", "phy2": "twin", "phy3": "crowd"}  # phy0 stays the board's wlan0
CLONE_NEWNET = 0x40000000


def sh(cmd):
    done = subprocess.run(["sh", "-c", cmd], capture_output=True, text=True)
    if done.returncode:
        print(f"lab: {cmd!r}: {done.stderr.strip()}", flush=True)
    return done.stdout


def uptime():
    """Seconds since the guest's power-on, the clock of every time the lab reports."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def move_cards(deadline):
    left = dict(CARDS)
    while left and uptime() < deadline:
        for dev in os.listdir("/sys/class/net"):
            try:
                mac = open(f"/sys/class/net/{dev}/address").read().strip()
            except OSError:
                continue
            if mac not in left:
                continue
            ns, name, addr = left[mac]
            # udev may be renaming the card this very moment: try again on the next round
            if subprocess.run(["ip", "link", "set", dev, "netns", ns, "name", name], capture_output=True).returncode:
                continue
            del left[mac]
            sh(f"ip -n {ns} link set {name} up" + (f"; ip -n {ns} addr add {addr} dev {name}" if addr else ""))
        time.sleep(0.05)
    if left:
        print(f"lab: cards never seen: {left}", flush=True)


def build_world():
    os.makedirs("/run/lab/tmp", exist_ok=True)
    if "lab.bare" in open("/proc/cmdline").read():
        sh("ip link set lo up; ip netns add ctl; ip -n ctl link set lo up")
        for mac in [m for m, card in CARDS.items() if card[0] != "ctl"]:
            del CARDS[mac]
        return move_cards(uptime() + 150)
    sh("ip link set lo up; for n in %s; do ip netns add $n; ip -n $n link set lo up; done" % " ".join(NAMESPACES))
    for phy, ns in RADIOS.items():
        sh(f"iw phy {phy} set netns name {ns}")
    move_cards(uptime() + 150)
    print(f"lab: world empty and ready at {uptime():.2f}", flush=True)
    return None


class Stream(threading.Thread):
    """One host connection."""

    def __init__(self, conn):
        super().__init__(daemon=True)
        self.conn, self.lock = conn, threading.Lock()

    def send(self, **msg):
        data = (json.dumps(msg) + "\n").encode()
        with self.lock:
            self.conn.sendall(data)

    def run(self):
        try:
            for line in self.conn.makefile("rb"):
                req = json.loads(line)
                threading.Thread(target=self.serve, args=(req,), daemon=True).start()
        except (OSError, ValueError):
            pass

    def serve(self, req):
        try:
            answer = getattr(self, "op_" + req["op"])(req)
        except Exception as e:  # the host must learn of every failure, whatever it is
            answer = {"error": f"{type(e).__name__}: {e}"}
        try:
            self.send(id=req["id"], **answer)
        except OSError:
            pass

    @staticmethod
    def command(req):
        argv = req["argv"] if "argv" in req else ["sh", "-c", req["sh"]]
        enter = ["nsenter", f"--net=/run/netns/{req['ns']}", "--"] if req.get("ns") else []
        if req.get("root", "lab") == "board":
            enter += ["chroot", "/proc/1/root"]
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8", **req.get("env", {})}
        return enter + argv, env

    def op_run(self, req):
        argv, env = self.command(req)
        t0 = uptime()
        p = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        try:
            out, err = p.communicate(base64.b64decode(req.get("stdin", "")), timeout=req.get("timeout", 30))
            code = p.returncode
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            out, err = p.communicate()
            code = "timeout"
        return {"exit": code, "out": b64(out), "err": b64(err), "t0": t0, "t1": uptime()}

    def op_spawn(self, req):
        """Starts a daemon; its output goes to `log`. Reaped by a thread so that `kill -0` tells the truth."""
        argv, env = self.command(req)
        with open(req.get("log", "/dev/null"), "ab") as log:
            p = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        threading.Thread(target=p.wait, daemon=True).start()
        return {"pid": p.pid, "t0": uptime()}

    def op_stream(self, req):
        """Sends every output line as it comes, with its time; ends when the command does."""
        argv, env = self.command(req)
        p = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            for line in p.stdout:
                self.send(id=req["id"], line=b64(line), t=uptime())
        except OSError:
            os.killpg(p.pid, signal.SIGKILL)
        return {"exit": p.wait(), "done": True}

    def op_put(self, req):
        os.makedirs(os.path.dirname(req["path"]), exist_ok=True)
        with open(req["path"], "wb") as f:
            f.write(base64.b64decode(req["data"]))
        os.chmod(req["path"], req.get("mode", 0o644))
        return {}

    def op_get(self, req):
        with open(req["path"], "rb") as f:
            return {"data": b64(f.read())}

    def op_clock(self, req):
        return {"t": uptime()}

    def op_wait_text(self, req):
        """Waits until a file holds a match of `pattern` past byte `offset`; the time is when it was seen (10 ms steps)."""
        deadline, rx = uptime() + req["timeout"], re.compile(req["pattern"].encode())
        while True:
            try:
                with open(req["path"], "rb") as f:
                    f.seek(req.get("offset", 0))
                    hit = rx.search(f.read())
            except FileNotFoundError:
                hit = None
            if hit:
                return {"t": uptime(), "match": b64(hit.group(0))}
            if uptime() > deadline:
                return {"timeout": True}
            time.sleep(0.01)

    def op_wait_banner(self, req):
        """Connects from namespace `ns` to host:port until the first line comes back; `host_file` names a lease file to read it from."""
        enter_ns(req["ns"])
        deadline, rx = uptime() + req["timeout"], re.compile(req.get("pattern", ".+").encode())
        t_host, why = None, "no lease"
        while uptime() < deadline:
            host = req.get("host") or leased(req["host_file"])
            if host:
                t_host = t_host or uptime()
                try:
                    with socket.create_connection((host, req["port"]), timeout=0.5) as s:
                        line = s.recv(256)
                    if rx.search(line):
                        return {"t": uptime(), "t_host": t_host, "host": host, "line": b64(line)}
                    why = f"answered {line!r}"
                except OSError as e:
                    why = str(e)
            time.sleep(0.01)
        return {"timeout": True, "why": why, "host": host or ""}


def b64(data):
    return base64.b64encode(data).decode()


def leased(path, mac=None):
    """The address of the newest lease in a dnsmasq lease file."""
    try:
        rows = [r.split() for r in open(path) if r.strip() and not r.startswith("duid")]
    except OSError:
        return None
    rows = [r for r in rows if len(r) >= 3 and "." in r[2]]
    return max(rows, key=lambda r: int(r[0]))[2] if rows else None


def enter_ns(ns):
    """Moves the calling thread alone."""
    with open(f"/run/netns/{ns}") as f:
        os.setns(f.fileno(), CLONE_NEWNET)


def main():
    os.chdir("/")
    os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    build_world()
    server = []

    def listen():
        enter_ns("ctl")
        server.append(socket.create_server(("0.0.0.0", CTL_PORT)))

    t = threading.Thread(target=listen)
    t.start()
    t.join()
    if path := os.environ.pop("NOTIFY_SOCKET", None):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"READY=1", path)
    while True:
        conn, _ = server[0].accept()
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        Stream(conn).start()


if __name__ == "__main__":
    main()
