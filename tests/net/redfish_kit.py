"""What the Redfish tests need: our client as a program, and the peers that pip puts into a venv in the cache."""
import contextlib
import json
import os
import select
import subprocess
from pathlib import Path

from board import wait_for
from example_kit import example
from venv_kit import venv


def peers():
    """The venv with the peers."""
    return venv("redfish-peers", Path(__file__).with_name("redfish-requirements.txt"))


class Client:
    """Our client: one controller from `open` to the end of its stdin."""

    def __init__(self, tmp_path, url, password="calvin", user="root", **more):
        given = {"url": url, "user": user, "password": password, "state": str(tmp_path / "state"), **more}
        self.process = subprocess.Popen([example("redfish_client")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.buffer = b""
        self.opened = self.ask(given)

    def ask(self, given, timeout=60):
        self.process.stdin.write(json.dumps(given).encode() + b"\n")
        self.process.stdin.flush()
        while b"\n" not in self.buffer:
            ready, _, _ = select.select([self.process.stdout], [], [], timeout)
            assert ready, f"no answer to {given} within {timeout} s"
            data = os.read(self.process.stdout.fileno(), 65536)
            assert data, f"the client ended at {given}"
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def do(self, what, **more):
        """What it said; an error fails the test."""
        said = self.ask({"do": what, **more})
        assert "ok" in said, said
        return said["ok"]

    def fails(self, what, **more):
        said = self.ask({"do": what, **more})
        assert "error" in said, said
        return said

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            assert self.process.wait(20) == 0
        finally:
            self.process.kill()
            self.process.stdout.close()


@contextlib.contextmanager
def emulator(folder, port):
    """sushy-tools' emulator over https: two machines of its fake driver, which take a while to change."""
    bin = peers() / "bin"
    folder.mkdir()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=bmc", "-keyout", folder / "key.pem",
                    "-out", folder / "cert.pem"], check=True, capture_output=True)
    made = "import bcrypt; print('root:' + bcrypt.hashpw(b'calvin', bcrypt.gensalt(4)).decode())"
    (folder / "htpasswd").write_text(subprocess.run([bin / "python", "-c", made], check=True, stdout=subprocess.PIPE, text=True).stdout)
    (folder / "state").mkdir()
    (folder / "emulator.conf").write_text(f"""
SUSHY_EMULATOR_LISTEN_IP = "127.0.0.1"
SUSHY_EMULATOR_LISTEN_PORT = {port}
SUSHY_EMULATOR_SSL_CERT = {str(folder / "cert.pem")!r}
SUSHY_EMULATOR_SSL_KEY = {str(folder / "key.pem")!r}
SUSHY_EMULATOR_FAKE_DRIVER = True
SUSHY_EMULATOR_STATE_DIR = {str(folder / "state")!r}
SUSHY_EMULATOR_FEATURE_SET = "full"
SUSHY_EMULATOR_IGNORE_BOOT_DEVICE = False
SUSHY_EMULATOR_AUTH_FILE = {str(folder / "htpasswd")!r}
SUSHY_EMULATOR_FAKE_SYSTEMS = [
  {{"uuid": "10000000-0000-0000-0000-000000000001", "name": "fake1", "power_state": "Off",
    "nics": [{{"mac": "00:5c:52:31:3a:9c", "ip": "172.22.0.100"}}], "external_notifier": False}},
  {{"uuid": "10000000-0000-0000-0000-000000000002", "name": "fake2", "power_state": "On", "nics": []}},
]
""")
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen([bin / "sushy-emulator", "--config", folder / "emulator.conf"], stdout=out, stderr=out, cwd=folder)
    try:
        def up():
            assert process.poll() is None, log.read_text()
            return "Running on" in log.read_text()

        wait_for("the emulator", up, 120)
        yield log
    finally:
        process.kill()
        process.wait()
