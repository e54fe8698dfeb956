"""A TCP server and client for namespaces.

tcp_kit.py serve PORT…            answers every connection, IPv4 and IPv6, with a line; `bulk N` in gets N bytes out
tcp_kit.py get HOST PORT [N]      exit 0 when the line (or N bytes) came
"""
import socket
import sys
import threading


def answer(connection):
    with connection:
        connection.settimeout(10)
        connection.sendall(b"hello\n")
        try:
            asked = connection.recv(64).split()
            if asked[:1] == [b"bulk"]:
                connection.sendall(b"x" * int(asked[1]))
        except OSError:
            pass


def serve(ports):
    for port in ports:
        server = socket.create_server(("", int(port)), family=socket.AF_INET6, dualstack_ipv6=True)

        def loop(server=server):
            while True:
                threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()

        threading.Thread(target=loop, daemon=True).start()
    print("serving", flush=True)
    threading.Event().wait()


def get(host, port, count=0):
    with socket.create_connection((host, int(port)), timeout=1.5) as connection:
        connection.settimeout(8)
        assert connection.recv(6) == b"hello\n"
        connection.sendall(b"bulk %d\n" % int(count))
        left = int(count)
        while left:
            left -= len(connection.recv(65536)) or sys.exit(1)


if __name__ == "__main__":
    serve(sys.argv[2:]) if sys.argv[1] == "serve" else get(*sys.argv[2:])
