"""The HTTP client for devices against servers that nobody here wrote: OpenSSL with certificates as old controllers have
them, and Python's file server."""
import base64
import hashlib
import json
import re
import subprocess
import sys

import pytest
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


@pytest.mark.parametrize("kind", KINDS)
def test_old_and_new_keys_are_pinned_and_known_again(tmp_path, kind):
    options, server = KINDS[kind]
    pin = certificate(tmp_path, options)
    assert b"Version: 1" in openssl("x509", "-in", tmp_path / "cert.pem", "-noout", "-text")
    with s_server(tmp_path, *server) as peer:
        url = f"https://127.0.0.1:{peer.port}"
        first, second = ask(tmp_path, url, "/", "/")
        assert (first["status"], first["pinned"]) == (200, pin)
        assert second["status"] == 200 and "pinned" not in second
        assert "s_server" in second["text"]
        assert ask(tmp_path, url, pin=pin)[0]["status"] == 200
        other = "sha256//" + base64.b64encode(bytes(32)).decode()
        assert ask(tmp_path, url, pin=other)[0]["error"] == "distrusted"


def test_a_new_certificate_for_the_old_key_is_the_same_device(tmp_path):
    pin = certificate(tmp_path, KINDS["p256"][0], "-days", "-1")
    with s_server(tmp_path) as peer:
        port = peer.port
        assert ask(tmp_path, f"https://127.0.0.1:{port}")[0]["pinned"] == pin
    openssl("req", "-x509", "-key", tmp_path / "key.pem", "-subj", "/CN=renewed", "-out", tmp_path / "cert.pem")
    with s_server(tmp_path, port=port):
        again = ask(tmp_path, f"https://127.0.0.1:{port}")[0]
        assert again["status"] == 200 and "pinned" not in again
    certificate(tmp_path, KINDS["p256"][0])
    with s_server(tmp_path, port=port):
        found = ask(tmp_path, f"https://127.0.0.1:{port}")[0]
        assert found["error"] == "distrusted" and pin in found["said"]


def test_tls_older_than_1_2_is_refused_with_words(tmp_path):
    certificate(tmp_path, KINDS["rsa-2048"][0])
    with s_server(tmp_path, "-cipher", "DEFAULT@SECLEVEL=0", "-tls1_1") as peer:
        said = ask(tmp_path, f"https://127.0.0.1:{peer.port}")[0]
        assert said["error"] == "unreached" and "no TLS: " in said["said"]


def test_pythons_server_serves_us(tmp_path):
    folder = tmp_path / "served"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "index.html").write_text("inside")
    (folder / "big").write_bytes(bytes(5 << 20))
    (folder / "fits").write_bytes(bytes(4 << 20))
    argv = [sys.executable, "-u", "-m", "http.server", "-b", "127.0.0.1", "0"]
    with Server(tmp_path / "server.log", argv, r"port (\d+)", cwd=folder) as peer:
        # It redirects to the folder's own name.
        inside, missing, fits, big = ask(
            tmp_path, f"http://127.0.0.1:{peer.port}", "/sub", "/none", "/fits", "/big", keep=True)
        assert (inside["status"], inside["text"]) == (200, "inside")
        assert missing["status"] == 404
        assert fits["length"] == 4 << 20
        assert big["error"] == "too long"
    gone = wait_for("the server's end", lambda: ask(tmp_path, f"http://127.0.0.1:{peer.port}"))[0]
    assert gone["error"] == "unreached" and "connection refused" in gone["said"]
