"""The HTTPS door below HTTP: protocols, certificates, floods; with openssl's and curl's own eyes."""
import os
import ssl
import subprocess
import time

from api_kit import Door, house, make_house  # noqa: F401
from board import wait_for


def shake(one, *options):
    """What openssl s_client says of a handshake."""
    done = one.board.in_ns("openssl", "s_client", "-connect", "127.0.0.1:443", *options, stdin=subprocess.DEVNULL)
    return done.stdout + done.stderr


CA = """[ca]
default_ca = own
[own]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
x509_extensions = names
[any]
commonName = supplied
[names]
subjectAltName = DNS:localhost
"""


def old_pair(folder):
    """As `pair`, but out of date since 2021."""
    (folder / "ca.cnf").write_text(CA)
    (folder / "index.txt").write_text("")
    for words in (["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=old", "-keyout", "old.key", "-out", "old.csr"],
                  ["ca", "-batch", "-selfsign", "-notext", "-config", "ca.cnf", "-keyfile", "old.key", "-in", "old.csr", "-out", "old.crt",
                   "-startdate", "200101000000Z", "-enddate", "210101000000Z"]):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
    return '[https]\ncertificate = "@file:old.crt"\nkey = "@file:old.key"\n'


def pair(folder, name):
    """A certificate and key of openssl's, beside oobd.toml; returns the lines of [https]."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt"],
                   check=True, capture_output=True)
    return f'[https]\ncertificate = "@file:{name}.crt"\nkey = "@file:{name}.key"\n'


def fingerprint(one):
    found = shake(one)
    text = found[found.index("-----BEGIN CERT"):found.index("-----END CERT") + 25]
    told = subprocess.run(["openssl", "x509", "-noout", "-fingerprint", "-sha256"], input=text, capture_output=True, text=True, check=True).stdout
    return "SHA256:" + told.strip().split("=")[1]


def test_only_sound_protocols_and_ciphers(house):
    one, _ = house()
    for version in ("-tls1_2", "-tls1_3"):
        assert "Cipher is TLS_" in (said := shake(one, version)) or "Cipher is ECDHE-" in said, said
    for old in (["-tls1"], ["-tls1_1"], ["-tls1_2", "-cipher", "AES128-SHA"], ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"]):
        said = shake(one, *old, "-cipher", "ALL:@SECLEVEL=0") if len(old) == 1 else shake(one, *old)
        assert "Cipher is (NONE)" in said, (old, said)
    assert "ALPN protocol: http/1.1" in shake(one, "-alpn", "h2,http/1.1")


def test_the_own_certificate(house):
    one, door = house()
    file = one.board.work / "state" / "https.pem"
    assert os.stat(file).st_mode & 0o777 == 0o600
    shown = fingerprint(one)
    assert one.board.json("status")["doors"]["https"]["fingerprint"] == shown
    assert shown in one.board.ctl("status").stdout
    # curl trusts it by itself, and the name in it.
    done = one.board.in_ns("curl", "-s", "--cacert", file, "https://localhost/api/state")
    assert "sign in" in done.stdout, done
    one.board.stop()
    text = file.read_text()
    file.write_text(text[:300])
    one.start()
    one.seen("CertificateReplaced", str(file))
    assert fingerprint(one) != shown
    assert file.with_suffix(".damaged").read_text() == text[:300]


def test_another_certificate_drops_nobody(house):
    one, door = house()
    connection = door.connection()
    token = door.sign_in()
    assert door.ask("GET", "/api/session", token=token, connection=connection).status == 200
    first = fingerprint(one)
    # One that does not fit changes nothing, and is told.
    good = pair(one.board.work / "boot", "one")
    pair(one.board.work / "boot", "two")
    wrong = good.replace("one.key", "two.key")
    one.board.reload(one.config() + wrong)
    one.seen("ConfigRefused", "the key does not belong to the certificate")
    assert fingerprint(one) == first
    one.board.reload(one.config() + good)
    wait_for("the new certificate", lambda: fingerprint(one) != first)
    second = fingerprint(one)
    assert one.board.json("status")["doors"]["https"]["fingerprint"] == second
    # The same names, other files: a renewal.
    pair(one.board.work / "boot", "one")
    one.board.reload()
    wait_for("the renewed certificate", lambda: fingerprint(one) != second)
    assert door.ask("GET", "/api/session", token=token, connection=connection).status == 200, "the connection and the session are the same"


def test_a_certificate_out_of_date_is_told_and_used(house):
    one, door = house()
    first = fingerprint(one)
    one.board.reload(one.config() + old_pair(one.board.work / "boot"))
    wait_for("the old certificate", lambda: fingerprint(one) != first)
    one.seen("CertificateExpired", fingerprint(one)[7:])


def test_a_port_of_its_own(house):
    one, _ = house()
    one.board.reload(one.config() + "[https]\nport = 8443\n")
    moved = Door(one, port=8443)
    assert wait_for("the other port", lambda: answers(moved))
    assert not answers(Door(one))


def answers(door):
    try:
        return door.ask("GET", "/api/state").status == 401
    except OSError:
        return False


def test_a_flood_of_half_open_connections_keeps_nobody_out(house):
    """300 connections of one LAN host that begin and never end: no TLS, half a handshake, half a request."""
    one, door = house()
    flood = Door(one, host="10.77.0.5", space=f"/run/netns/{one.lan.host}")
    wait_for("the LAN's address", lambda: "10.77.0.5" in one.board.in_ns("ip", "addr").stdout)
    held = []
    for number in range(300):
        try:
            link = flood.tcp()
            if number % 3 == 1:
                link.sendall(bytes.fromhex("1603010200010001fc0303"))
            if number % 3 == 2:
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                link = context.wrap_socket(link)
                link.sendall(b"GET /api/state HTTP/1.1\r\nHost: rack7\r\nX-Slow: ")
            held.append(link)
        except OSError:
            # The door drops what is too much of one source.
            pass
    assert len(held) > 60
    began = time.monotonic()
    token = door.sign_in()
    assert door.ask("GET", "/api/state", token=token).status == 200
    assert time.monotonic() - began < 5
    # And none of them lasts.
    wait_for("the end of the flood", lambda: ":443 " not in one.board.in_ns("ss", "-Htn", "state", "established", "src", "10.77.0.5").stdout, 30)


def test_headers_and_bodies_have_limits(house):
    one, door = house()
    assert door.ask("GET", "/api/state", X_Long="x" * 40_000).status == 431
    token = door.sign_in()
    # A command may carry a configuration, any other body is short.
    for path, limit, said in (("/api/command", 1 << 20, b'{"WriteNote":{"text":"%s"}}'), ("/api/password", 64 * 1024, b'{"new":"%s"}')):
        # One byte too much: all that was sent has been read when it is refused, so the answer is not lost with a reset.
        body = said % (b"x" * (limit + 1 - len(said % b"")))
        assert len(body) == limit + 1
        answer = door.ask("POST", path, body, token=token, Content_Type="application/json")
        assert answer.status == 413 and "error" in answer.json(), path
    answer = door.ask("GET", "/api/nothing", token=token)
    assert answer.status == 404 and answer.error
    assert door.ask("PUT", "/api/state", b"", token=token).status == 405
    for name, value in {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cache-Control": "no-store"}.items():
        assert answer.headers[name] == value
    assert "Server" not in answer.headers and "Strict-Transport-Security" not in answer.headers
