"""The client side of each door. All clients have one face:

    c.fileno()        readable when there may be something
    c.wire(data)      payload as it goes over the door
    c.send(wire)      as much as the socket takes now; bytes taken
    c.recv()          payload; b"" when there is nothing now, None when the server ended it
"""
import socket
import ssl


class Closed(ConnectionError):
    """The server ended a session that the bench still needs."""


class Raw:
    """Plain TCP, and what all others stand on."""

    def __init__(self, port, host="127.0.0.1", tls=False, timeout=20, **options):
        self.socket = socket.create_connection((host, port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket, server_hostname=host)
        self.greet(**options)
        self.socket.setblocking(False)

    def greet(self):
        """What stands before the first byte of the console; the socket blocks with a limit meanwhile."""

    def fileno(self):
        return self.socket.fileno()

    def wire(self, data):
        return data

    def send(self, wire):
        try:
            return self.socket.send(wire)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0

    def read(self):
        """What lies in the socket; of a record that TLS has opened no poll tells, so it is read to its end."""
        data = b""
        while True:
            try:
                piece = self.socket.recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError):
                return data
            except ConnectionError:
                return data or None
            if not piece:
                return data or None
            data += piece
            if not isinstance(self.socket, ssl.SSLSocket) or not self.socket.pending():
                return data

    def recv(self):
        return self.read()

    def line(self):
        """One line of a handshake."""
        got = b""
        while not got.endswith(b"\n"):
            byte = self.socket.recv(1)
            if not byte:
                raise Closed(f"closed after {got!r}")
            got += byte
        return got.decode(errors="replace").strip()

    def close(self):
        self.socket.close()


class Conserver(Raw):
    """conserver's own protocol as its `console` speaks it (file PROTOCOL of its sources)."""

    def login(self, user):
        hello = self.line()
        if hello != "ok":
            raise Closed(f"conserver says {hello!r}")
        self.socket.sendall(f"login {user}\r\n".encode())
        answer = self.line()
        if answer.startswith("passwd?"):
            self.socket.sendall(b"\r\n")
            answer = self.line()
        if answer != "ok":
            raise Closed(f"conserver login: {answer!r}")

    def greet(self, console="c0", user="bench"):
        host = self.socket.getpeername()[0]
        self.login(user)
        self.socket.sendall(f"call {console}\r\n".encode())
        port = int(self.line())
        self.socket.sendall(b"exit\r\n")
        self.socket.close()
        self.socket = socket.create_connection((host, port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.login(user)
        self.socket.sendall(f"call {console}\r\n".encode())
        answer = self.line()
        if not answer.startswith("["):
            raise Closed(f"conserver call: {answer!r}")
        self.socket.sendall(b"\x05c;")
        answer = self.line()
        if "connected" not in answer:
            raise Closed(f"conserver connect: {answer!r}")
        self.half = b""

    def wire(self, data):
        return data.replace(b"\xff", b"\xff\xff")

    def recv(self):
        data = self.read()
        if not data or (b"\xff" not in data and not self.half):
            return data
        data = self.half + data
        # An odd run of 0xFF at the end waits for its twin.
        odd = (len(data) - len(data.rstrip(b"\xff"))) % 2
        self.half = data[len(data) - odd:]
        return data[:len(data) - odd].replace(b"\xff\xff", b"\xff")
