"""`ssh -L`, `-D` and `-J` to LAN hosts and nowhere else, with OpenSSH's client and real servers behind the board."""
import os
import subprocess
import time

import pytest
from board import wait_for
from ssh_kit import PORT, Device, House, Operator, run

SERVER = """
import socket, sys, threading
def serve(host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    s = socket.create_server((host, port), family=family)
    def one(c, peer):
        c.sendall(f"hello {peer[0]}\\n".encode())
        while data := c.recv(65536): c.sendall(data)
        c.sendall(b"bye\\n"); c.close()
    while True:
        c, peer = s.accept()
        threading.Thread(target=one, args=(c, peer), daemon=True).start()
for host in sys.argv[1:]:
    threading.Thread(target=serve, args=(host, 7), daemon=True).start()
print("up", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def world(tmp_path, make_board):
    """A board on a LAN whose host 10.77.0.9 echoes on port 7, on its LAN addresses and on one that is not on the LAN."""
    made = []

    def make(users=None, extra=""):
        one = House(tmp_path, make_board, devices={"sw": Device()}, users=users)
        one.board.config.write_text(one.config() + extra)
        one.start()
        echo = subprocess.Popen(["ip", "netns", "exec", one.lan.host, "python3", "-c", SERVER, "10.77.0.9", "fd77::9", "203.0.113.9"],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert echo.stdout.readline() == b"up\n"
        made.append((one, echo))
        wait_for("the LAN address in the state", lambda: one.board.json("status")["links"].get("eth0", {}).get("addresses"))
        return one

    yield make
    for one, echo in made:
        echo.kill()
        echo.wait()
        one.close()


def through(one, target, stdin=b"ping", user="alice", **options):
    """Talks to `target` through `ssh -W`, which is what -J does; what came back."""
    return one.operator.ssh(user, "-W", target, stdin=stdin, options=["-o", "LogLevel=INFO"], **options)


def test_a_lan_host_is_reached_and_journaled_with_bytes(world):
    one = world()
    done = through(one, "10.77.0.9:7")
    assert (done.returncode, done.stdout) == (0, b"hello 10.77.0.5\npingbye\n"), done
    opened = one.seen("ForwardOpened", "10.77.0.9:7")
    assert opened["user"] == "alice" and opened["from"].startswith("ssh 127.0.0.1:")
    closed = one.seen("ForwardClosed", "10.77.0.9:7")
    assert (closed["sent"], closed["received"]) == (4, len(done.stdout))


def test_a_lan_host_over_ipv6(world):
    one = world()
    router = subprocess.Popen(["ip", "netns", "exec", one.lan.host, "dnsmasq", "-k", "-C", "/dev/null", "-p", "0", "--enable-ra",
                               "--dhcp-range=fd77::,ra-only", "--interface=lan0", "--user=root", "--pid-file="])
    try:
        wait_for("an address of the LAN's prefix", lambda: any("fd77:" in a for a in one.board.json("status")["links"]["eth0"]["addresses"]), 30)
        assert through(one, "[fd77::9]:7").stdout.startswith(b"hello fd77:")
    finally:
        router.kill()
        router.wait()
    local = run("ip", "-n", one.lan.host, "-6", "addr", "show", "dev", "lan0", "scope", "link").stdout.decode().split("inet6 ")[1].split("/")[0]
    echo = subprocess.Popen(["ip", "netns", "exec", one.lan.host, "socat", f"TCP6-LISTEN:8,bind=[{local}%lan0],reuseaddr", "EXEC:cat"])
    try:
        wait_for("an echo over a link-local address", lambda: through(one, f"[{local}]:8").stdout == b"ping")
    finally:
        echo.kill()
        echo.wait()


NOWHERE = [
    ("203.0.113.9:7", "is not on the LAN (10.77.0.0/24"),
    ("1.1.1.1:443", "this board is no gateway"),
    ("[2606:4700:4700::1111]:443", "this board is no gateway"),
    (f"127.0.0.1:{PORT}", "is a loopback address"),
    (f"[::1]:{PORT}", "is a loopback address"),
    (f"[::ffff:127.0.0.1]:{PORT}", "is a loopback address"),
    (f"10.77.0.5:{PORT}", "is this board itself"),
    ("172.20.10.1:53", "is not on the LAN"),
    ("172.20.10.2:22", "is this board itself"),
    ("0.0.0.0:22", "is not the address of one host"),
    ("10.77.0.255:7", "is not the address of one host"),
    ("224.0.0.1:7", "is not the address of one host"),
    # Names, and the LAN has no DNS here; nothing reads these as numbers.
    ("0x7f000001:22", "the LAN names no DNS server"),
    ("2130706433:22", "the LAN names no DNS server"),
    ("localhost:22", "the LAN names no DNS server"),
]


def test_nowhere_else(world):
    """A link with a subnet of its own, as an uplink has, is there beside the LAN."""
    one = world()
    run("ip", "link", "add", "wlan7", "netns", one.lan.board, "type", "veth", "peer", "name", "phone0", "netns", one.lan.host)
    run("ip", "-n", one.lan.board, "addr", "add", "172.20.10.2/28", "dev", "wlan7")
    run("ip", "-n", one.lan.board, "link", "set", "wlan7", "up")
    for target, why in NOWHERE:
        done = through(one, target)
        assert done.returncode != 0 and b"hello" not in done.stdout and b"SSH-" not in done.stdout, (target, done)
        assert why.encode() in done.stderr, (target, done.stderr)
    refused = {event["to"]: event["reason"] for event in one.happened("ForwardRefused")}
    assert len(refused) == len(NOWHERE) and not one.happened("ForwardOpened"), refused


def test_a_route_to_elsewhere_is_not_taken_even_when_the_host_would_answer(world):
    """203.0.113.9 would answer if the packet ever left: a route to it exists in the board's main table."""
    one = world()
    run("ip", "-n", one.lan.board, "route", "add", "203.0.113.9/32", "via", "10.77.0.9")
    reached = one.board.in_ns("python3", "-c", "import socket; print(socket.create_connection(('203.0.113.9',7),3).recv(5))")
    done = through(one, "203.0.113.9:7")
    assert done.returncode != 0 and b"hello" not in done.stdout
    one.seen("ForwardRefused", "203.0.113.9", "no gateway")
    assert reached.returncode in (0, 1)


def test_local_forward(world):
    one = world()
    client = one.operator.start("alice", "-N", options=["-L", "127.0.0.1:5007:10.77.0.9:7", "-L", "127.0.0.1:5008:1.1.1.1:80"])
    try:
        talk = "import socket,sys; s=socket.create_connection(('127.0.0.1',int(sys.argv[1])),5); s.sendall(b'abc'); s.shutdown(1); print(s.makefile('rb').read())"
        done = wait_for("an answer through -L", lambda: one.board.in_ns("python3", "-c", talk, "5007").stdout)
        assert done == "b'hello 10.77.0.5\\nabcbye\\n'\n"
        assert one.board.in_ns("python3", "-c", talk, "5008").stdout != done
        one.seen("ForwardRefused", "1.1.1.1:80")
    finally:
        client.kill()
        client.wait()


def test_socks_forward_with_curl(world):
    one = world()
    web = subprocess.Popen(["ip", "netns", "exec", one.lan.host, "python3", "-m", "http.server", "80"], cwd="/", stderr=subprocess.DEVNULL)
    client = one.operator.start("alice", "-N", options=["-D", "127.0.0.1:1080"])
    try:
        def page(url):
            return one.board.in_ns("curl", "-sS", "-m", "10", "--socks5-hostname", "127.0.0.1:1080", url)
        wait_for("a page through -D", lambda: "Directory listing" in page("http://10.77.0.9/").stdout)
        assert page("http://203.0.113.9/").returncode != 0
    finally:
        for process in (client, web):
            process.kill()
            process.wait()


def test_jump_to_an_ssh_server_on_the_lan(world, tmp_path):
    """-J through the board to a second oobd that plays a LAN host."""
    one = world()
    (tmp_path / "inner").mkdir()
    inner = House(tmp_path / "inner", lambda config, netns: _inner(tmp_path, config, one.lan.host), users=lambda operator: {
        "root": f'role = "administrator"\nkeys = ["{one.operator.public}"]'})
    try:
        inner.board.start()
        known = ["-o", f"UserKnownHostsFile={one.operator.work / 'inner_known'}"]
        proxy = " ".join(one.operator.argv("alice", "-W", "10.77.0.9:2222")[4:])
        done = one.operator.ssh("root", "status", "--json", host="10.77.0.9", options=[*known, "-o", f"ProxyCommand={proxy}"])
        assert done.returncode == 0 and b'"rack7"' in done.stdout, done
    finally:
        inner.board.stop(9)
        inner.close()


def _inner(tmp_path, text, netns):
    from board import Board
    # Its LAN is the host's side of the cable, with the very address that the tests talk to.
    text = text.replace('interface = "eth0"', 'interface = "lan0"').replace('"10.77.0.5/24"', '"10.77.0.9/24"')
    return Board(tmp_path / "inner" / "board", text, netns=netns)


def test_names_are_asked_of_the_lan(world, tmp_path):
    one = world(extra="")
    hosts = tmp_path / "hosts"
    hosts.write_text("10.77.0.9 switch.lan\n203.0.113.9 outside.lan\n127.0.0.1 rebind.lan\n10.77.0.5 board.lan\n")
    dns = subprocess.Popen(["ip", "netns", "exec", one.lan.host, "dnsmasq", "-k", "-C", "/dev/null", "-p", "53", "--no-resolv", "--no-hosts", "--local=/lan/",
                            f"--addn-hosts={hosts}", "--listen-address=10.77.0.9", "--bind-interfaces", "--user=root", "--pid-file="])
    try:
        text = one.config().replace('address = "10.77.0.5/24"', 'address = "10.77.0.5/24"\ndns = ["10.77.0.9"]')
        one.board.reload(text)
        wait_for("the name server in the state", lambda: one.board.json("status")["links"]["eth0"]["dns"])
        done = wait_for("an answer by name", lambda: through(one, "switch.lan:7").stdout)
        assert done == b"hello 10.77.0.5\npingbye\n"
        assert one.seen("ForwardOpened", "switch.lan:7 (10.77.0.9:7)")
        for name, why in [("outside.lan", "no gateway"), ("rebind.lan", "loopback"), ("board.lan", "this board itself"),
                          ("unknown.lan", "the LAN's DNS knows no unknown.lan"), ("unknown.example", "10.77.0.9 says Refused"), ("bad_name!", "is no host name")]:
            done = through(one, f"{name}:7")
            assert done.returncode != 0 and why.encode() in done.stderr, (name, done)
    finally:
        dns.kill()
        dns.wait()


def test_who_may_not_forward(world):
    one = world(users=lambda operator: {
        "eve": f'role = "readonly"\nkeys = ["{operator.public}"]',
        "bob": f'role = "operator"\nkeys = ["{operator.public}"]\nforward = false',
        "carol": f'role = "operator"\nkeys = ["{operator.public}"]'})
    for user, why in [("eve", "has the role readonly"), ("bob", "forward = false")]:
        done = through(one, "10.77.0.9:7", user=user)
        assert done.returncode != 0 and why.encode() in done.stderr, done
        one.seen("ForwardRefused", user, why)
    assert b"hello" in through(one, "10.77.0.9:7", user="carol").stdout


def test_megabytes_arrive_whole_both_ways(world):
    one = world()
    blob = os.urandom(8 << 20)
    done = through(one, "10.77.0.9:7", stdin=blob, timeout=120)
    assert done.stdout == b"hello 10.77.0.5\n" + blob + b"bye\n"
    closed = one.seen("ForwardClosed", "10.77.0.9:7")
    assert closed["sent"] == len(blob)


def test_a_host_that_reads_nothing_is_dropped_and_the_console_lives(world):
    one = world()
    stuck = subprocess.Popen(["ip", "netns", "exec", one.lan.host, "python3", "-c",
                              "import socket,time; s=socket.create_server(('10.77.0.9',9)); print('up',flush=True); c,_=s.accept(); time.sleep(300)"],
                             stdout=subprocess.PIPE)
    assert stuck.stdout.readline() == b"up\n"
    path = one.operator.work / "mux"
    options = ["-M", "-S", path, "-L", "127.0.0.1:5009:10.77.0.9:9"]
    master = one.operator.start("alice:sw", "-T", options=options)
    try:
        one.seen("SessionOpened", "sw")
        pour = subprocess.Popen(["ip", "netns", "exec", one.lan.board, "python3", "-c",
                                 "import socket\ns=socket.create_connection(('127.0.0.1',5009))\ntry:\n  while True: s.sendall(bytes(65536))\nexcept OSError: pass"])
        closed = wait_for("the stuck forward's end", lambda: one.happened("ForwardClosed"), 75)
        assert closed[0]["sent"] > 100_000
        pour.wait(20)
        master.stdin.write(b"the console lives\r")
        master.stdin.close()
        assert master.stdout.read() == b"the console lives\r"
        assert one.anonymous_kib() < 40_000
    finally:
        for process in (master, stuck):
            process.kill()
            process.wait()


def test_a_forward_ends_with_its_connection(world):
    one = world()
    client = one.operator.start("alice", "-N", options=["-L", "127.0.0.1:5007:10.77.0.9:7"])
    hold = "import socket,time; s=socket.create_connection(('127.0.0.1',5007)); print(s.recv(99),flush=True); time.sleep(60)"
    held = []
    try:
        def connect():
            held.append(subprocess.Popen(["ip", "netns", "exec", one.lan.board, "python3", "-c", hold], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL))
            return held[-1].stdout.readline()
        wait_for("a held connection", connect)
        client.kill()
        client.wait()
        one.seen("ForwardClosed", "10.77.0.9:7")
        wait_for("no connection of the board left", lambda: "10.77.0.9:7" not in one.board.in_ns("ss", "-Hnt", "state", "established").stdout)
    finally:
        for process in [client, *held]:
            process.kill()
            process.wait()
