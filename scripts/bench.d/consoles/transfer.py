"""Round trips of single bytes, and bulk as fast as it goes; every byte is compared."""
import random
import select
import time

from .farm import read, write
from .wire import Closed

# How long nothing may come before what is missing counts as lost.
PATIENCE = 5.0


class Tally:
    """Bytes that did not arrive as they were sent, over all runs. Only ours count; a peer's loss is told on the way."""

    def __init__(self, say):
        self.bytes, self.checked, self.say = 0, 0, say

    def add(self, contender, what, sent, wrong):
        if wrong:
            self.say(f"!! {contender.label}, {what}: {wrong} of {sent} bytes lost or altered")
        if contender.label == "oobd":
            self.bytes += wrong
            self.checked += sent


def receive(client):
    data = client.recv()
    if data is None:
        raise Closed("the server ended the session")
    return data


def settle(client, master):
    """Past what a session shows first: reads up to a line that the device says now. It is said again, with another number, as long
    as the session is not there yet; CAN ends a sequence that history was cut in."""
    got, mark, said, end = b"", None, 0, time.monotonic() + 2 * PATIENCE
    while mark is None or not got.endswith(mark):
        now = time.monotonic()
        if now > end:
            raise TimeoutError(f"the first line did not arrive; there was {got[-80:]!r}")
        if now >= said + 0.5:
            said, mark = now, b"the bench begins %d\r\n" % (now * 1000)
            write(master, b"\x18\r\n" + mark)
        if select.select([client], [], [], 0.1)[0]:
            got += receive(client)
    read(master)


def round_trips(client, master, count, chance=random.Random(3)):
    """Seconds from sending a byte to its echo; the device echoes at once. Gaps of random length keep timers out of step."""
    wire, took = client.wire(b"x"), []
    for _ in range(count):
        time.sleep(chance.uniform(0.0005, 0.003))
        began = time.perf_counter()
        client.send(wire)
        got = b""
        while not got:
            if not select.select([master], [], [], PATIENCE)[0]:
                raise TimeoutError("a typed byte did not arrive")
            got = read(master)
        write(master, got)
        back = b""
        while not back:
            if not select.select([client], [], [], PATIENCE)[0]:
                raise TimeoutError("an echo did not arrive")
            back = receive(client)
        took.append(time.perf_counter() - began)
        if (got, back) != (b"x", b"x"):
            raise ValueError(f"typed b'x', the device got {got!r}, the echo is {back!r}")
    return took


def to_net(clients, master, stream, seconds, chunk=4096):
    """The device talks as fast as the server takes it, to all clients. MB/s, bytes sent, bytes wrong."""
    sent, got, wrong = 0, [0] * len(clients), 0
    began = last = time.perf_counter()
    stop = began + seconds
    while True:
        now = time.perf_counter()
        ready, free, _ = select.select(clients, [master] if now < stop else [], [], 0.1)
        if free:
            sent += write(master, stream.take(sent, chunk))
        for client in ready:
            which = clients.index(client)
            data = receive(client)
            if not stream.same(got[which], data):
                wrong += len(data)
            got[which] += len(data)
            last = time.perf_counter()
        if now >= stop and (min(got) >= sent or time.perf_counter() - last > PATIENCE):
            break
    wrong += sum(abs(sent - count) for count in got)
    return sent / (last - began) / 1e6, sent * len(clients), wrong


def to_tty(client, master, stream, seconds, chunk=4096):
    """The client types as fast as the server takes it. MB/s, bytes sent, bytes wrong."""
    sent, got, wrong, pending = 0, 0, 0, b""
    began = last = time.perf_counter()
    stop = began + seconds
    while True:
        now = time.perf_counter()
        wants = now < stop or pending
        ready, free, _ = select.select([master], [client] if wants else [], [], 0.1)
        if free:
            if not pending:
                piece = stream.take(sent, chunk)
                pending, sent = client.wire(piece), sent + len(piece)
            pending = pending[client.send(pending):]
            # Telnet answers and pings wait here, too.
            client.recv()
        if ready:
            data = read(master)
            if not stream.same(got, data):
                wrong += len(data)
            got += len(data)
            last = time.perf_counter()
        if now >= stop and not pending and (got >= sent or time.perf_counter() - last > PATIENCE):
            break
    return got / (last - began) / 1e6, sent, wrong + abs(sent - got)
