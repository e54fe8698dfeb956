"""Consoles that are shells of other hosts: OpenSSH's sshd, its ways to sign in, old algorithms, and keys that change."""
import subprocess
import time

import pytest
from board import wait_for
from console_kit import HOST, Rack

PASSWORD = "correct horse"


class Sshd:
    """OpenSSH's server in the host's namespace, with a user `operator` of its own accounts files."""

    def __init__(self, rack, *lines):
        self.rack, self.folder, self.lines = rack, rack.folder, lines
        self.home = self.folder / "home"
        self.home.mkdir()
        hashed = subprocess.run(["openssl", "passwd", "-6", PASSWORD], capture_output=True, text=True, check=True).stdout.strip()
        (self.folder / "passwd").write_text(open("/etc/passwd").read() + f"operator:x:0:0::{self.home}:/bin/sh\n")
        (self.folder / "shadow").write_text(open("/etc/shadow").read() + f"operator:{hashed}:19000:0:99999:7:::\n")
        (self.folder / "shadow").chmod(0o600)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / "user"], check=True)
        self.log = self.folder / "sshd.log"
        self.process = None
        self.new_key()
        self.start()

    def new_key(self, kind="ed25519"):
        for name in ("host", "host.pub"):
            (self.folder / name).unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", self.folder / "host"], check=True)
        shown = subprocess.run(["ssh-keygen", "-lf", self.folder / "host.pub"], capture_output=True, text=True, check=True).stdout
        self.fingerprint = shown.split()[1]

    def start(self):
        lines = self.lines or ("PasswordAuthentication yes", "KbdInteractiveAuthentication no", "UsePAM no")
        config = self.folder / "sshd_config"
        config.write_text("\n".join(["Port 22", f"HostKey {self.folder}/host", f"AuthorizedKeysFile {self.folder}/user.pub",
                                     f"PidFile {self.folder}/sshd.pid", "PermitRootLogin yes", "StrictModes no", "PrintMotd no", "PrintLastLog no", "LogLevel VERBOSE", *lines]) + "\n")
        mounts = "".join(f"mount --bind {self.folder}/{name} /etc/{name} && " for name in ("passwd", "shadow"))
        self.process = self.rack.host.start("sh", "-c", f"mkdir -p /run/sshd && {mounts} exec /usr/sbin/sshd -D -f {config} -E {self.log}")
        self.rack.listens(22)

    def stop(self):
        """Ends it with all its sessions."""
        self.rack.host.stop(self.process)
        for line in self.rack.host("ss -Htnp state established sport = :22").splitlines():
            for pid in {part.split(",")[0] for part in line.split("pid=")[1:]}:
                subprocess.run(["kill", pid], check=False)

    def text(self):
        return self.log.read_text(errors="replace")


@pytest.fixture
def rack(spaces, tmp_path, make_board):
    rack = Rack(spaces, tmp_path, make_board)
    yield rack
    rack.close()


def by_password(rest=""):
    return f'ssh = {{ host = "{HOST}", user = "operator", password = "{PASSWORD}"{rest} }}'


def by_key(rack, rest=""):
    return f'ssh = {{ host = "{HOST}", user = "operator", key = "@file:{rack.folder}/user"{rest} }}'


def test_a_shell_with_a_terminal_is_opened_kept_and_opened_again(rack):
    sshd = Sshd(rack)
    rack.start({"shell": by_password()})
    now = rack.phase("shell", "open")
    assert now["port"] == f"ssh://operator@{HOST}:22"
    session = rack.attach("shell")
    session.type(b"echo $TERM $((6*7)); stty size\r")
    session.sees(b"vt100 42")
    session.sees(b"24 80")
    session.type(b"exit 3\r")
    session.sees(b"port gone")
    session.sees(b"port back")
    session.type(b"echo again-$((6*7))\r")
    session.sees(b"again-42")
    ended = [event["kind"]["ConsoleLost"] for event in rack.board.events() if "ConsoleLost" in event["kind"]]
    assert "the shell ended with status 3" in ended[-1]["reason"], ended
    pinned = [event["kind"]["Pinned"] for event in rack.board.events() if "Pinned" in event["kind"]]
    assert pinned == [{"what": f"ssh {HOST}:22", "fingerprint": sshd.fingerprint}]
    assert "Accepted password for operator" in sshd.text()
    session.escape("b")
    session.sees(b"cannot ask an SSH server for one")
    assert PASSWORD not in rack.board.text()


def test_a_key_and_a_command_and_every_byte(rack):
    sshd = Sshd(rack)
    rack.start({"cat": by_key(rack, ', command = "stty raw -echo; echo ready; cat"')})
    rack.phase("cat", "open")
    session = rack.attach("cat")
    wait_for("the command runs", lambda: "ready" in rack.console("cat")["last_line"])
    every = bytes(range(256))
    session.type(every + b"done")
    assert every in session.sees(b"done")
    assert "Accepted publickey for operator" in sshd.text()


@pytest.mark.parametrize("kind, lines", [
    ("ed25519", ["UsePAM yes", "PasswordAuthentication no", "KbdInteractiveAuthentication yes"]),
    ("rsa", ["UsePAM no", "KexAlgorithms diffie-hellman-group14-sha1", "HostKeyAlgorithms ssh-rsa", "Ciphers aes128-cbc", "MACs hmac-sha1"]),
    ("ecdsa", ["UsePAM no", "KexAlgorithms ecdh-sha2-nistp256", "Ciphers aes256-gcm@openssh.com"]),
], ids=["keyboard-interactive", "a switch of 2010", "ecdsa"])
def test_other_ways_to_sign_in_and_other_algorithms(rack, kind, lines):
    sshd = Sshd(rack, *lines)
    sshd.stop()
    sshd.new_key(kind)
    sshd.start()
    rack.start({"shell": by_password()})
    rack.phase("shell", "open")
    session = rack.attach("shell")
    session.type(b"echo $((6*7))-ok\r")
    session.sees(b"42-ok")


def test_another_host_key_is_refused_until_it_is_trusted(rack):
    sshd = Sshd(rack)
    rack.start({"shell": by_password()})
    rack.phase("shell", "open")
    session = rack.attach("shell")
    early = rack.board.ctl("console", "trust", "shell", check=False)
    assert early.returncode != 0 and "no new host key" in early.stderr
    first = sshd.fingerprint
    sshd.stop()
    sshd.new_key()
    sshd.start()
    logged = len(sshd.text())
    session.sees(b"port failed")
    now = rack.phase("shell", "failed", "oobctl console trust")
    assert first in now["why"] and sshd.fingerprint in now["why"]
    mismatch = [event for event in rack.board.events() if "PinMismatch" in event["kind"]]
    assert [event["severity"] for event in mismatch] == ["critical"]
    assert mismatch[0]["kind"]["PinMismatch"] == {"what": f"ssh {HOST}:22", "pinned": first, "found": sshd.fingerprint}
    assert "password" not in sshd.text()[logged:], "the password must never reach a host that is not trusted"

    # A restart does not forget whom it trusts.
    rack.board.stop()
    rack.board.start()
    rack.phase("shell", "failed", "oobctl console trust")
    rack.board.ctl("console", "trust", "shell")
    rack.phase("shell", "open")
    assert rack.kinds("Pinned", "PinMismatch") == ["Pinned", "PinMismatch", "PinMismatch", "Pinned"]
    pin = next((rack.board.work / "state" / "pins").iterdir())
    assert pin.read_text().strip() == sshd.fingerprint and pin.stat().st_mode & 0o777 == 0o600


def test_a_pin_in_the_configuration_rules(rack):
    sshd = Sshd(rack)
    board = rack.start({"shell": by_password(', host_key = "SHA256:' + "A" * 43 + '"')})
    rack.phase("shell", "failed", "`host_key` in oobd.toml")
    refused = board.ctl("console", "trust", "shell", check=False)
    assert refused.returncode != 0 and "no new host key" in refused.stderr
    board.reload(board.config.read_text().replace("SHA256:" + "A" * 43, sshd.fingerprint))
    rack.phase("shell", "open")
    assert rack.kinds("Pinned") == []


def test_a_refused_password_is_told_and_not_tried_on_and_on(rack):
    sshd = Sshd(rack)
    rack.start({"shell": by_password().replace(PASSWORD, "wrong")})
    rack.phase("shell", "failed", "it refuses password of user operator")
    time.sleep(3)  # the measure is what happens while nothing should
    assert sshd.text().count("Failed password") == 1, sshd.text()
