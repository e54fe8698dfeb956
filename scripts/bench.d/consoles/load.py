"""Many lines at a UART's pace: what the server costs then, and that every session gets every byte."""
import select
import time

from . import account
from .farm import write
from .transfer import receive

# 115200 baud 8N1, saturated.
RATE = 11520
TICK = 0.01


class Load:
    """A contender with sessions on all its lines; each round sends for so long and says what it cost."""

    def __init__(self, contender, sessions, stream, door=None):
        self.contender, self.stream = contender, stream
        self.clients = [(contender.open(line, door), line) for line in range(contender.lines) for _ in range(sessions)]
        self.sent = [0] * contender.lines
        self.got = [0] * len(self.clients)
        self.wrong = 0
        self.poller = select.epoll()
        self.where = {client.fileno(): at for at, (client, _) in enumerate(self.clients)}
        for fd in self.where:
            self.poller.register(fd, select.EPOLLIN)
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            for fd, _ in self.poller.poll(0.1):
                receive(self.clients[self.where[fd]][0])

    def run(self, seconds):
        """Percent of one core while all lines talk."""
        masters, stream = self.contender.farm.masters, self.stream
        base = list(self.sent)
        before, began = account.cpu_seconds(self.contender.pid), time.perf_counter()
        due = began
        while (now := time.perf_counter()) < began + seconds:
            if now >= due:
                target = int((now - began + TICK) * RATE)
                for line, master in enumerate(masters):
                    want = base[line] + target - self.sent[line]
                    if want > 0:
                        self.sent[line] += write(master, stream.take(self.sent[line], want))
                due = max(due + TICK, now)
            self.collect(max(0, min(due - time.perf_counter(), TICK)))
        took = time.perf_counter() - began
        spent = account.cpu_seconds(self.contender.pid) - before
        end = time.monotonic() + 5
        while self.missing() and time.monotonic() < end:
            self.collect(0.05)
        return 100 * spent / took

    def collect(self, limit):
        for fd, _ in self.poller.poll(limit):
            at = self.where[fd]
            data = receive(self.clients[at][0])
            if not self.stream.same(self.got[at], data):
                self.wrong += len(data)
            self.got[at] += len(data)

    def missing(self):
        return sum(abs(self.sent[line] - self.got[at]) for at, (_, line) in enumerate(self.clients))

    def total(self):
        """Bytes that were to arrive, and those that did not or not as they were."""
        return sum(self.sent[line] for _, line in self.clients), self.wrong + self.missing()

    def close(self):
        self.poller.close()
        self.contender.close_all()


def open_all(contender, sessions, door=None, limit=120):
    """Opens so many sessions on every line; the seconds until each of them has shown a byte of its device."""
    began = time.perf_counter()
    waiting = {}
    for _ in range(sessions):
        for line in range(contender.lines):
            client = contender.open(line, door)
            waiting[client.fileno()] = client
    poller = select.epoll()
    for fd in waiting:
        poller.register(fd, select.EPOLLIN)
    due = 0
    while waiting:
        now = time.perf_counter()
        if now - began > limit:
            raise TimeoutError(f"{contender.label}: {len(waiting)} of {sessions * contender.lines} sessions are silent")
        if now >= due:
            # Said again and again, for a session that is not there yet hears only what comes later.
            for master in contender.farm.masters:
                write(master, b"up\r\n")
            due = now + 0.05
        for fd, _ in poller.poll(0.02):
            if fd in waiting and receive(waiting[fd]):
                del waiting[fd]
                poller.unregister(fd)
    poller.close()
    return time.perf_counter() - began


def talk(contender, stream, count):
    """Sends `count` bytes over every line while every session reads; for what memory that takes."""
    poller = select.epoll()
    clients = {client.fileno(): client for client in contender.clients}
    for fd in clients:
        poller.register(fd, select.EPOLLIN)
    sent = [0] * contender.lines
    quiet = 0
    while quiet < 3:
        moved = False
        for line, master in enumerate(contender.farm.masters):
            if sent[line] < count:
                done = write(master, stream.take(sent[line], min(4096, count - sent[line])))
                sent[line] += done
                moved = moved or done
        for fd, _ in poller.poll(0 if moved else 0.1):
            moved = bool(receive(clients[fd])) or moved
        quiet = 0 if moved else quiet + 1
    poller.close()


def stalled(contender, stream, total, door=None, limit=60):
    """One session never reads while `total` bytes go through the line. MB the server grew at most, bytes wrong of the good one's."""
    opened = contender.open(0, door)
    good = contender.open(0, door)
    master = contender.farm.masters[0]
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        if select.select([good], [], [], 0.1)[0]:
            receive(good)
    before = peak = account.memory_mb(contender.pid)
    sent = got = wrong = 0
    began = last = looked = time.monotonic()
    while got < total and time.monotonic() - last < 5 and time.monotonic() - began < limit:
        ready, free, _ = select.select([good], [master] if sent < total else [], [], 0.1)
        if free:
            sent += write(master, stream.take(sent, min(4096, total - sent)))
        if ready:
            data = receive(good)
            if not stream.same(got, data):
                wrong += len(data)
            got += len(data)
            last = time.monotonic()
        if time.monotonic() - looked > 0.2:
            looked = time.monotonic()
            peak = max(peak, account.memory_mb(contender.pid))
    peak = max(peak, account.memory_mb(contender.pid))
    opened.close()
    return peak - before, wrong + total - got
