"""TLS of old firmware: refused with words unless its section says `legacy_tls`, and then pinned as any other. The peers are OpenSSL,
and a Redfish controller behind it."""
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from board import in_namespace
from http_kit import KINDS, ask, certificate, openssl, s_server
from machine_kit import FAST, House
from redfish_bmc import Bmc

RSA = KINDS["rsa-2048"][0]
SHORT = KINDS["rsa-1024-sha256"][0]
# All that the server speaks, and the kind of its key.
OLD = {
    "tls10-rsa-cbc-short-key": (["-tls1", "-cipher", "AES128-SHA:@SECLEVEL=0"], SHORT),
    "tls11-rsa-cbc": (["-tls1_1", "-cipher", "AES256-SHA:@SECLEVEL=0"], RSA),
    "tls10-ecdhe-cbc": (["-tls1", "-cipher", "ECDHE-RSA-AES128-SHA:@SECLEVEL=0"], RSA),
    "tls12-rsa-cbc": (["-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"], RSA),
    "tls12-dhe-cbc-sha1": (["-tls1_2", "-cipher", "DHE-RSA-AES128-SHA:@SECLEVEL=0", "-sigalgs", "RSA+SHA1"], RSA),
}


@pytest.mark.parametrize("kind", OLD)
def test_old_firmware_is_spoken_to_where_its_section_says_so(tmp_path, kind):
    options, key = OLD[kind]
    pin = certificate(tmp_path, key)
    with s_server(tmp_path, *options) as peer:
        url = f"https://127.0.0.1:{peer.port}"
        refused = ask(tmp_path, url)[0]
        assert refused["error"] == "unreached" and "legacy_tls = true" in refused["said"]
        # Nothing was pinned by that.
        first, second = ask(tmp_path, url, "/", "/", legacy_tls=True)
        assert (first["status"], first["pinned"]) == (200, pin)
        assert second["status"] == 200 and "pinned" not in second
        assert "s_server" in first["text"]
    # Another key at the same address: a device that is not who it was.
    certificate(tmp_path, key)
    with s_server(tmp_path, *options, port=peer.port):
        found = ask(tmp_path, url, legacy_tls=True)[0]
        assert found["error"] == "distrusted" and pin in found["said"]
        assert ask(tmp_path, url, legacy_tls=True, pin=pin)[0]["error"] == "distrusted"


class Teller:
    """A server of all versions from TLS 1.0 to `best`, which says what it came to."""

    def __init__(self, folder, best):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                text = f"{self.connection.version()} {self.connection.cipher()[0]}".encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, best
        # In the order of the worst: it is the client's wish that counts.
        context.set_ciphers("AES128-SHA:ALL:@SECLEVEL=0")
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(("best", "told"), [(ssl.TLSVersion.TLSv1_3, "TLSv1.3 TLS_"), (ssl.TLSVersion.TLSv1_2, "TLSv1.2 ECDHE-")])
def test_what_can_do_better_does(tmp_path, legacy, best, told):
    pin = certificate(tmp_path, RSA)
    with Teller(tmp_path, best) as peer:
        said = ask(tmp_path, peer.url, legacy_tls=legacy)[0]
        assert (said["status"], said["pinned"]) == (200, pin)
        assert said["text"].startswith(told) and ("GCM" in said["text"] or "CHACHA20" in said["text"])


@pytest.fixture
def house(tmp_path, make_board):
    house = House(tmp_path, make_board)
    bmc = in_namespace(f"/run/netns/{house.lan.board}", lambda: Bmc(power="Off").__enter__())
    house.bmc, house.tls = bmc, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    house.tls.minimum_version = house.tls.maximum_version = ssl.TLSVersion.TLSv1
    house.tls.set_ciphers("AES128-SHA:@SECLEVEL=0")
    renew(house)
    bmc.server.socket = house.tls.wrap_socket(bmc.server.socket, server_side=True)
    yield house
    house.close()
    bmc.__exit__()


def renew(house):
    """Another key, for connections from now on."""
    openssl("req", "-x509", "-newkey", "rsa:1024", "-nodes", "-subj", "/CN=bmc", "-sha1", "-keyout", house.work / "bmc.key", "-out", house.work / "bmc.pem")
    house.tls.load_cert_chain(house.work / "bmc.pem", house.work / "bmc.key")


def test_a_controller_of_yesterday(house):
    url = house.bmc.url.replace("http:", "https:")

    def config(more=""):
        return f'[machine.db1]\nredfish = {{ url = "{url}", username = "root", password = "calvin"{more} }}\n{FAST}'

    board = house.start(config())
    house.until("refused with words", lambda: "legacy_tls = true" in house.machine().get("why", ""), 90)
    assert house.machine()["phase"] == "silent" and house.bmc.asked == []
    house.power("on", code=1)
    assert house.bmc.power == "Off"
    board.reload(house.config(config(", legacy_tls = true")))
    house.phase("up", timeout=90)
    assert "db1: on confirmed after" in house.power("on")
    assert house.bmc.power == "On"
    # Another key is told, and asked nothing, until a person trusts it.
    renew(house)
    house.phase("refused", timeout=120)
    assert len(house.told("PinMismatch")) == 1
    assert "another TLS key" in house.power("off", code=1)
    assert house.bmc.power == "On"
    board.ctl("machine", "trust", "db1")
    house.phase("up", timeout=90)
    assert "db1: off confirmed after" in house.power("off")
