"""The switch's serial console over SSH through the hotspot, typed on with OpenSSH's own client."""
import json
import subprocess
import time

import pytest

import ssh
from world import LAN_HOST


@pytest.fixture
def inside(rack):
    """The hotspot is on and the host's forwarded port leads through it to the board's SSH door."""
    rack.phone_on()
    rack.until_phase("up", timeout=90)
    rack.agent.call("wait_banner", wait=60, ns="phone", host_file=rack.phone.leases, port=22, timeout=30, pattern="^SSH-2")
    return rack


def prompt(term):
    for _ in range(6):
        term.type("\r")
        try:
            return term.expect(r"core-switch[>#]", 5)
        except ssh.SshError:
            if term.ended(0):
                raise
    raise ssh.SshError("no prompt")


def test_type_on_the_switch(inside):
    with ssh.console(inside.machine.ssh_port, "alice:core-switch", inside.keys["alice"]) as term:
        prompt(term)
        term.type("show version\r")
        term.expect(r"core-switch uptime is \d+ seconds")
        prompt(term)
        term.type("show interfaces status\r")
        term.expect("--More--")
        term.type(" ")
        term.expect(r"Gi1/0/24\s+uplink")
        term.type("\r~?")
        term.expect(r"~\.")
        term.type("\r~.")
        assert term.ended()


def test_a_password_opens_the_door_and_a_wrong_one_does_not(inside):
    argv = ssh.command(inside.machine.ssh_port, "alice", "status", extra=("-o", "PreferredAuthentications=password,keyboard-interactive", "-o", "NumberOfPasswordPrompts=1"))
    with ssh.Terminal(argv) as term:
        term.expect("(?i)password:")
        term.type(inside.password + "\r")
        term.expect("hotspot")
    with ssh.Terminal(argv) as term:
        term.expect("(?i)password:")
        term.type("not-it\r")
        assert b"hotspot" not in term.expect("(?i)denied|password:").group(0)
        term.type("nor-that\r")
        with pytest.raises(ssh.SshError):
            term.expect("hotspot", 6)


def test_programs_come_in_by_https(inside):
    """curl on this machine, through the hotspot, to the certificate that the board made at first start."""
    url = f"https://127.0.0.1:{inside.machine.https_port}/api/state"
    done = subprocess.run(["curl", "-sSk", "-m", "50", "-u", f"alice:{inside.password}", "-w", "\n%{http_code}", url], capture_output=True, text=True, timeout=60)
    body, _, code = done.stdout.rpartition("\n")
    assert code == "200", done
    state = json.loads(body)
    assert state["uplinks"]["hotspot"]["phase"] == "up" and state["doors"]["https"]["fingerprint"].startswith("SHA256:")


def test_the_switch_reloads_while_somebody_watches(inside):
    with ssh.console(inside.machine.ssh_port, "alice:core-switch", inside.keys["alice"]) as term:
        prompt(term)
        term.type("enable\r")
        term.expect("core-switch#")
        term.type("reload\r")
        term.expect("confirm")
        term.type("\r")
        term.expect("POST: PortASIC Memory Tests", 30)
        term.expect("Press RETURN", 30)


def test_the_adapter_is_pulled_and_put_back(inside):
    before = inside.last_seq()
    with ssh.console(inside.machine.ssh_port, "alice:core-switch", inside.keys["alice"]) as term:
        prompt(term)
        inside.machine.unplug_serial()
        inside.happened("ConsoleLost", before, 60)
        assert inside.status()["consoles"]["core-switch"]["phase"] == "gone"
        time.sleep(0)
        inside.machine.plug_serial()
        inside.until("the port is open again", lambda: inside.status()["consoles"]["core-switch"]["phase"] == "open", 60)
        # the same session goes on
        prompt(term)
        term.type("show version\r")
        term.expect(r"core-switch uptime is \d+ seconds")


def test_a_flood_arrives_whole(inside):
    with ssh.console(inside.machine.ssh_port, "alice:core-switch", inside.keys["alice"]) as term:
        prompt(term)
        term.type("flood 300\r")
        last = -1
        for _ in range(300):
            n = int(term.expect(r"flood (\d{6}) x{60}\r", 60).group(1))
            assert n == last + 1
            last = n


def test_a_lan_host_is_reached_through_a_forward_by_those_who_may(inside):
    def fetch(user):
        import qemu
        port = qemu.free_port()
        client = subprocess.Popen(ssh.command(inside.machine.ssh_port, user, key=inside.keys[user], extra=("-N", "-L", f"{port}:{LAN_HOST}:80")),
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            import http.client

            def get():
                c = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                c.request("GET", "/")
                return c.getresponse().read()
            return inside.until("the forward listens", get, 30)
        finally:
            client.kill()
            client.wait()

    before = inside.last_seq()
    assert b"the LAN host's own page" in fetch("alice")
    assert LAN_HOST in inside.happened("ForwardOpened", before)["to"]
    with pytest.raises(AssertionError):
        fetch("carol")
    inside.happened("ForwardRefused", before)
