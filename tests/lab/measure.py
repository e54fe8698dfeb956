"""What scripts/run and scripts/bench measure, in one place, so that both say the same thing. Every value is read from the machine."""
import json
import socket
import time

import qemu
import ssh


def port(wanted):
    """`wanted` if nobody listens there, else any free one."""
    try:
        with socket.create_server(("127.0.0.1", wanted)):
            return wanted
    except OSError:
        return qemu.free_port()


def since_power_on(world):
    """Seconds between power-on (QEMU's start) and the guest clock's zero: firmware and U-Boot."""
    best = None
    for _ in range(5):
        before = time.monotonic()
        guest = world.agent.clock()
        after = time.monotonic()
        offset = (before + after) / 2 - world.machine.started - guest
        if best is None or after - before < best[0]:
            best = (after - before, offset)
    return best[1]


def stamp(world, unit, prop):
    """A monotonic time stamp of systemd in seconds of guest uptime; None while it has not happened."""
    got = world.agent.board(["systemctl", "show", unit, "-p", prop, "--value"], timeout=60).text
    return int(got) / 1e6 if got.isdigit() and int(got) else None


def ready(world, timeout):
    """Waits for oobd's READY. boot_s: power-on to systemd's basic.target; ready_s: power-on to READY."""
    at = world.until("oobd.service active", lambda: active(world), timeout, every=0.5)
    offset = since_power_on(world)
    return {"boot_s": offset + stamp(world, "basic.target", "ActiveEnterTimestampMonotonic"), "ready_s": offset + at}


def active(world):
    state = world.agent.board(["systemctl", "show", "oobd", "-p", "ActiveState", "--value"]).text
    return stamp(world, "oobd", "ActiveEnterTimestampMonotonic") if state == "active" else None


def rss_mb(world, process="oobd"):
    """Resident memory of the process in the guest, MB of 10^6 bytes."""
    kib = world.agent.board(f"sed -n 's/^VmRSS:[^0-9]*\\([0-9]*\\).*/\\1/p' /proc/$(pidof {process})/status").text
    return int(kib) * 1024 / 1e6


def image_mb(image):
    """Compressed size of the card image as scripts/build-image measured it, MB of 10^6 bytes."""
    return image.info["image_compressed_bytes"] / 1e6


def trigger(world, timeout=120, **hotspot):
    """Switches the phone's hotspot on and times what follows, in guest seconds from the start of hostapd."""
    t0 = world.phone_on(**hotspot)
    joined = world.phone.joined(timeout)
    got = world.agent.call("wait_banner", wait=timeout + 30, ns="phone", host_file=world.phone.leases, port=22, timeout=timeout, pattern="^SSH-2")
    if got.get("timeout"):
        raise qemu.LabError(f"no SSH banner through the hotspot in {timeout} s: {got['why']}")
    return {"associated": joined - t0, "leased": got["t_host"] - t0, "ssh": got["t"] - t0, "address": got["host"]}


def console_round_trip(port, key, user="alice:core-switch"):
    """Types `show version` on the switch's console over SSH and returns the line that only the switch can have written."""
    with ssh.console(port, user, key=key) as term:
        time.sleep(0)
        for _ in range(10):
            term.type("\r")
            try:
                term.expect(r"core-switch[>#]", 5)
                break
            except ssh.SshError:
                continue
        term.type("show version\r")
        hit = term.expect(r"core-switch uptime is [0-9]+ seconds", 30)
        return hit.group(0).decode()


def state(world):
    return json.loads(world.agent.board(["oobctl", "status", "--json"]).stdout)
