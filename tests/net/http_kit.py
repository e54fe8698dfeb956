"""What the tests of HTTP to devices need: our client as a program, and OpenSSL's server with certificates as old controllers
have them."""
import base64
import hashlib
import json
import re
import subprocess

from board import wait_for
from example_kit import example


def ask(tmp_path, url, *paths, **more):
    given = {"url": url, "state": str(tmp_path / "state"), "ask": paths or ["/"], **more}
    done = subprocess.run([example("http_client")], input=json.dumps(given), stdout=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 0
    return [json.loads(line) for line in done.stdout.splitlines()]


class Server:
    """A program on loopback that says which port it took."""

    def __init__(self, log, argv, says, **options):
        self.log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT, **options)
        self.port = wait_for(f"{argv[0]} to listen", lambda: self.found(says))

    def found(self, says):
        assert self.process.poll() is None, self.log.read_text()
        found = re.search(says, self.log.read_text())
        return found and int(found[1] or -1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def openssl(*words):
    return subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True).stdout


def key(path, *options):
    openssl("genpkey", *options, "-out", path)
    public = openssl("pkey", "-in", path, "-pubout", "-outform", "DER")
    return "sha256//" + base64.b64encode(hashlib.sha256(public).digest()).decode()


RSA = ["-algorithm", "RSA", "-pkeyopt"]
EC = ["-algorithm", "EC", "-pkeyopt"]
OLD = ["-cipher", "DEFAULT@SECLEVEL=0", "-tls1_2"]
KINDS = {
    "rsa-2048": ([*RSA, "rsa_keygen_bits:2048"], []),
    "rsa-2048-tls12": ([*RSA, "rsa_keygen_bits:2048"], ["-tls1_2"]),
    "rsa-1024-sha256": ([*RSA, "rsa_keygen_bits:1024"], [*OLD, "-sigalgs", "RSA+SHA256"]),
    "rsa-1024-sha512": ([*RSA, "rsa_keygen_bits:1024"], [*OLD, "-sigalgs", "RSA+SHA512"]),
    "p256": ([*EC, "ec_paramgen_curve:P-256"], []),
    "p384-tls12": ([*EC, "ec_paramgen_curve:P-384"], ["-tls1_2"]),
    "ed25519": (["-algorithm", "ED25519"], []),
}


def certificate(tmp_path, options, *more):
    """A self-signed certificate of version 1 without any name, as the oldest controllers make them, and its key's pin."""
    pin = key(tmp_path / "key.pem", *options)
    openssl("req", "-new", "-key", tmp_path / "key.pem", "-subj", "/CN=x", "-out", tmp_path / "request.pem")
    openssl("x509", "-req", "-in", tmp_path / "request.pem", "-signkey", tmp_path / "key.pem", "-out", tmp_path / "cert.pem", *more)
    return pin


def s_server(tmp_path, *options, port=0):
    files = ["-cert", tmp_path / "cert.pem", "-key", tmp_path / "key.pem"]
    argv = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", *files, "-www", *options]
    # It names the port only when it has chosen it.
    says = r"ACCEPT()\s" if port else r"ACCEPT 127\.0\.0\.1:(\d+)"
    return Server(tmp_path / "s_server.log", [str(word) for word in argv], says, stdin=subprocess.DEVNULL)
