"""The far ends of the world, one process per role, each started inside its own namespace by tests/lab/world.py.

servers.py internet LOG   the internet: every TCP connect to 80 or 443 is accepted, logged with its source, and 80 answers HTTP 204
servers.py web            a LAN host's web page on port 80
servers.py relay LEASES   the operator's way in: op0's ports lead through the hotspot's radio to the board's leased address
servers.py dhcp MODE LOG  a DHCP server with a fault: `silent` hears and says nothing, `nak` offers and then refuses
"""
import os
import socket
import socketserver
import struct
import sys
import threading
import time

PAGE = b"<html><title>rack camera</title>the LAN host's own page</html>\n"


class Dual(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64


def internet(log_path):
    log = open(log_path, "a", buffering=1)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            dst = self.request.getsockname()
            print(f"{time.clock_gettime(time.CLOCK_BOOTTIME):.3f} {self.client_address[0]} -> {dst[0]} {dst[1]}", file=log)
            if dst[1] == 80:
                self.request.settimeout(5)
                try:
                    self.request.recv(4096)
                    self.request.sendall(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                except OSError:
                    pass
            else:
                self.request.settimeout(20)
                try:
                    self.request.recv(1)
                except OSError:
                    pass

    serve(Handler, 80, 443)


def web():
    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.settimeout(5)
            try:
                self.request.recv(4096)
                self.request.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(PAGE) + PAGE)
            except OSError:
                pass

    serve(Handler, 80)


def serve(handler, *ports):
    for p in ports:
        threading.Thread(target=Dual(("::", p), handler).serve_forever, daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()


def relay(leases):
    from agent import leased

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            host = leased(leases)
            if not host:
                return
            try:
                out = socket.create_connection((host, self.server.server_address[1]), timeout=5)
            except OSError:
                return
            out.settimeout(None)
            for s in (self.request, out):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=pump, args=(out, self.request), daemon=True)
            back.start()
            pump(self.request, out)
            back.join()
            out.close()

    serve(Handler, 22, 443)


def pump(src, dst):
    try:
        while data := src.recv(65536):
            dst.sendall(data)
    except OSError:
        pass
    try:
        dst.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def dhcp(mode, log_path, dev):
    """Enough of RFC 2131 to be a bad server."""
    log = open(log_path, "a", buffering=1)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, dev.encode())
    s.bind(("0.0.0.0", 67))
    print("ready", flush=True)
    server, offer = socket.inet_aton("172.20.10.1"), socket.inet_aton("172.20.10.9")
    while True:
        m, _ = s.recvfrom(2048)
        kind = option(m, 53)
        print(f"{time.clock_gettime(time.CLOCK_BOOTTIME):.3f} {mode} heard type {kind[0] if kind else '?'}", file=log)
        if mode == "silent" or not kind or kind[0] not in (1, 3):
            continue
        answer = 2 if kind[0] == 1 else 6
        head = struct.pack("!BBBB4sHH", 2, 1, 6, 0, m[4:8], 0, 0x8000) + bytes(4) + (offer if answer == 2 else bytes(4)) + server + bytes(4)
        opts = bytes([53, 1, answer, 54, 4]) + server
        if answer == 2:
            opts += bytes([51, 4]) + struct.pack("!I", 3600) + bytes([1, 4, 255, 255, 255, 240, 3, 4]) + server
        s.sendto(head + m[28:44] + bytes(192) + b"\x63\x82\x53\x63" + opts + b"\xff", ("255.255.255.255", 68))


def option(m, want):
    i = 240
    while i + 1 < len(m) and m[i] != 255:
        if m[i] == 0:
            i += 1
            continue
        if m[i] == want:
            return m[i + 2:i + 2 + m[i + 1]]
        i += 2 + m[i + 1]
    return None


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    globals()[sys.argv[1]](*sys.argv[2:])
