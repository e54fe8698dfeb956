"""A program on pipes as a client: OpenSSH's `ssh`, the client that people have."""
import os
import select
import subprocess
import time

from .wire import Closed


class Program:
    """`argv` with its standard input and output as the session; `ready` says whether it has reached the console."""

    def __init__(self, argv, ready, timeout=20):
        self.process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, bufsize=0)
        for pipe in (self.process.stdin, self.process.stdout):
            os.set_blocking(pipe.fileno(), False)
        end = time.monotonic() + timeout
        while not ready():
            if self.process.poll() is not None or time.monotonic() > end:
                self.process.kill()
                raise Closed(f"{argv[0]}: {self.process.stderr.read().decode(errors='replace')}")
            time.sleep(0.02)

    def fileno(self):
        return self.process.stdout.fileno()

    def wire(self, data):
        return data

    def send(self, wire):
        # A pipe takes a piece only when a page is free.
        if not select.select([], [self.process.stdin], [], 0)[1]:
            return 0
        try:
            return os.write(self.process.stdin.fileno(), wire)
        except BlockingIOError:
            return 0

    def recv(self):
        try:
            return os.read(self.process.stdout.fileno(), 65536) or None
        except BlockingIOError:
            return b""

    def close(self):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()
