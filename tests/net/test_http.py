"""The HTTP client for devices against servers that nobody here wrote: OpenSSL with certificates as old controllers have
them, and Python's file server."""
import base64
import sys

import pytest
from board import wait_for
from http_kit import KINDS, Server, ask, certificate, key, openssl, s_server


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
