"""A switch's serial console, at the other end of the board's USB serial adapter.

Talks as access switches do: nothing until RETURN, a banner, echo by the device, `>` and `#` modes, `--More--` paging, syslog lines between
the operator's own, and a reload with boot messages. usage: switch.py SOCKET (QEMU's chardev; reconnects for ever)
"""
import socket
import sys
import threading
import time

PORTS = [(f"Gi1/0/{n}", "uplink" if n == 24 else f"rack {n}", "connected" if n % 3 else "notconnect", "trunk" if n == 24 else "10") for n in range(1, 25)]
VERSION = """Core Switch Software, Version 15.2(7)E3, RELEASE SOFTWARE (fc2)
ROM: Bootstrap program is core boot loader
{host} uptime is {up}
System returned to ROM by power-on
24 Gigabit Ethernet interfaces
512K bytes of flash-simulated non-volatile configuration memory.
Base ethernet MAC Address       : 00:1B:54:AA:0B:D0
Configuration register is 0xF"""
BOOT = ["", "Boot Sector Filesystem (bs:) installed, fsid: 2", "Base ethernet MAC Address: 00:1b:54:aa:0b:d0", "Initializing Flash...",
        "flashfs[0]: 12 files, 1 directories", "Loading \"flash:/core.bin\"...", "#" * 60, "", "POST: CPU MIC register Tests : Begin",
        "POST: CPU MIC register Tests : End, Status Passed", "POST: PortASIC Memory Tests : End, Status Passed", "",
        "Press RETURN to get started!", ""]
PAGE = 20


class Switch:
    def __init__(self, host="core-switch"):
        self.host, self.started, self.sock = host, time.monotonic(), None
        self.lock = threading.Lock()
        self.reset()

    def reset(self):
        self.awake, self.enabled, self.line, self.pending = False, False, "", []
        self.asked_reload = False

    def send(self, text):
        with self.lock:
            if self.sock:
                try:
                    self.sock.sendall(text.replace("\n", "\r\n").encode())
                except OSError:
                    pass

    def syslog(self, text="%LINK-3-UPDOWN: Interface GigabitEthernet1/0/7, changed state to down"):
        """A line nobody asked for, as every switch writes."""
        self.send(f"\n*{time.strftime('%b %d %H:%M:%S')}.000: {text}\n")

    def prompt(self):
        self.send(f"{self.host}{'#' if self.enabled else '>'}")

    def show(self, lines):
        self.pending = lines
        self.more()

    def more(self):
        page, self.pending = self.pending[:PAGE], self.pending[PAGE:]
        self.send("\n".join(page) + "\n")
        if self.pending:
            self.send(" --More-- ")
        else:
            self.prompt()

    def key(self, c):
        if self.pending:
            self.send("\b" * 10 + " " * 10 + "\b" * 10)
            if c in "qQ\x03":
                self.pending = []
                return self.prompt()
            if c in "\r\n":
                line, self.pending = self.pending[0], self.pending[1:]
                self.send(line + "\n")
                return self.send(" --More-- ") if self.pending else self.prompt()
            return self.more()
        if c in "\r\n":
            line, self.line = self.line.strip(), ""
            self.send("\n")
            if not self.awake:
                self.awake = True
                self.send("\n\nUnauthorized access is prohibited.\n\n")
                return self.prompt()
            return self.command(line)
        if not self.awake:
            return None
        if c in "\x7f\b":
            if self.line:
                self.line = self.line[:-1]
                self.send("\b \b")
        elif c in "\x03\x15":
            self.line = ""
            self.send("^C\n" if c == "\x03" else "\n")
            self.prompt()
        elif c >= " ":
            self.line += c
            self.send(c)
        return None

    def command(self, line):
        words = line.lower().split()
        if self.asked_reload:
            self.asked_reload = False
            if line == "" or line.lower().startswith("y"):
                return self.reload()
            return self.prompt()
        if not words:
            return self.prompt()
        if words[0] in ("enable", "en"):
            self.enabled = True
        elif words[0] in ("disable", "exit", "quit", "logout"):
            if words[0] != "disable" and not self.enabled:
                self.awake = False
                return self.send(f"\n\n{self.host} con0 is now available\n\nPress RETURN to get started.\n")
            self.enabled = False
        elif words[0] == "show" and words[1:2] == ["version"]:
            return self.show(VERSION.format(host=self.host, up=f"{int(time.monotonic() - self.started)} seconds").split("\n"))
        elif words[0] == "show" and words[1:2] and "interfaces".startswith(words[1]):
            rows = [f"{'Port':<10}{'Name':<14}{'Status':<13}{'Vlan':<7}Duplex Speed"]
            return self.show(rows + [f"{p:<10}{n:<14}{s:<13}{v:<7}a-full a-1000" for p, n, s, v in PORTS])
        elif words[0] == "echo":
            self.send(line[5:] + "\n")
        elif words[0] == "flood":  # lab's own: N lines as fast as the line takes them
            self.send("".join(f"flood {i:06d} {'x' * 60}\n" for i in range(int(words[1]))))
        elif words[0] == "reload" and self.enabled:
            self.asked_reload = True
            return self.send("Proceed with reload? [confirm]")
        else:
            self.send(f"% Invalid input detected: {line}\n")
        return self.prompt()

    def reload(self):
        self.reset()
        self.send(f"\n*{time.strftime('%b %d %H:%M:%S')}.000: %SYS-5-RELOAD: Reload requested by console.\n")
        for text in BOOT:
            time.sleep(0.1)
            self.send(text + "\n")
        self.started = time.monotonic()

    def serve(self, path):
        while True:
            try:
                sock = socket.socket(socket.AF_UNIX)
                sock.connect(path)
            except OSError:
                time.sleep(0.1)
                continue
            with self.lock:
                self.sock = sock
            try:
                while data := sock.recv(4096):
                    for c in data.decode("latin-1"):
                        self.key(c)
            except OSError:
                pass
            with self.lock:
                self.sock = None
            sock.close()

    def start(self, path):
        threading.Thread(target=self.serve, args=(str(path),), daemon=True).start()
        return self


if __name__ == "__main__":
    Switch().serve(sys.argv[1])
