"""Telnet (RFC 854) and RFC 2217 clients, written from the documents and not from our own code."""
import re
import select
import struct
import time

from .wire import Closed, Raw

IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240
BINARY, ECHO, SGA, COM_PORT = 0, 1, 3, 44
# Everything that is not data, or an escaped 0xFF. A sequence cut at the end is held back by `split`.
SEQUENCE = re.compile(rb"\xff(?:\xff|[\xfb-\xfe].|\xfa(?:[^\xff]|\xff\xff)*\xff\xf0|[\xf0-\xf9])", re.S)
CUT = re.compile(rb"\xff(?:[\xfb-\xfe]|\xfa(?:[^\xff]|\xff\xff)*\xff?)?\Z", re.S)


class Telnet(Raw):
    """Agrees to ECHO, SGA and BINARY, refuses the rest. `sign_in` is a list of (prompt, answer), `greeting` what follows."""

    com_port = False

    def greet(self, sign_in=(), greeting=b"", settle=0.25):
        self.held, self.seen, self.answers, self.early = b"", set(), {}, b""
        self.offer()
        for prompt, answer in sign_in:
            self.until(lambda: prompt in self.early, f"the prompt {prompt!r}")
            self.early = b""
            self.socket.sendall(answer + b"\r\0")
        self.until(lambda: greeting in self.early, f"the greeting {greeting!r}")
        self.negotiate(settle)
        self.early = b""

    def offer(self):
        """Both directions carry all 256 values only when BINARY is agreed, so it is asked for."""
        for command in (DO, WILL):
            for option in (BINARY, SGA):
                self.say(command, option)

    def say(self, command, option):
        self.seen.add((command, option))
        self.socket.sendall(bytes([IAC, command, option]))

    def negotiate(self, settle):
        end = time.monotonic() + settle
        while (left := end - time.monotonic()) > 0:
            self.pump(left)

    def pump(self, limit):
        """Reads once, for at most so long."""
        if select.select([self.socket], [], [], limit)[0]:
            data = self.socket.recv(65536)
            if not data:
                raise Closed(f"closed while negotiating; it said {self.early!r}")
            self.early += self.plain(data)

    def until(self, holds, what, limit=10):
        end = time.monotonic() + limit
        while not holds():
            if time.monotonic() > end:
                raise TimeoutError(f"{what} did not come; there was {self.early!r}")
            self.pump(0.1)

    def plain(self, data):
        """Takes the commands out of what was read and obeys them."""
        data = self.held + data
        if IAC not in data:
            self.held = b""
            return data
        self.held = b""
        out, at = [], 0
        while True:
            start = data.find(b"\xff", at)
            if start < 0:
                out.append(data[at:])
                break
            out.append(data[at:start])
            found = SEQUENCE.match(data, start)
            if not found:
                if not CUT.match(data, start):
                    raise Closed(f"not telnet: {data[start:start + 8]!r}")
                self.held = data[start:]
                break
            at = found.end()
            if found[0] == b"\xff\xff":
                out.append(b"\xff")
            else:
                self.obey(found[0])
        return b"".join(out)

    def obey(self, sequence):
        command = sequence[1]
        if command in (DO, WILL):
            option = sequence[2]
            agreed = {DO: (BINARY, SGA), WILL: (BINARY, SGA, ECHO)}[command]
            fits = option in agreed or (option == COM_PORT and self.com_port and command == DO)
            reply = {DO: (WONT, WILL), WILL: (DONT, DO)}[command][fits]
            if (reply, option) not in self.seen:
                self.seen.add((reply, option))
                self.socket.sendall(bytes([IAC, reply, option]))
            self.answers[(command, option)] = True
        elif command == SB and sequence[2] == COM_PORT:
            self.answers[sequence[3]] = sequence[4:-2].replace(b"\xff\xff", b"\xff")

    def wire(self, data):
        return data.replace(b"\xff", b"\xff\xff")

    def recv(self):
        data = self.read()
        return self.plain(data) if data else data


class Rfc2217(Telnet):
    """Telnet with COM-PORT-OPTION; sets 115200 8N1 without flow control, as any client does first."""

    com_port = True

    def offer(self):
        self.say(WILL, COM_PORT)
        super().offer()

    def negotiate(self, settle):
        for code, value in ((1, struct.pack("!I", 115200)), (2, b"\x08"), (3, b"\x01"), (4, b"\x01"), (5, b"\x01")):
            self.socket.sendall(bytes([IAC, SB, COM_PORT, code]) + value + bytes([IAC, SE]))
        self.until(lambda: all(code in self.answers for code in range(101, 106)), "the answer to the settings")
        super().negotiate(settle)
