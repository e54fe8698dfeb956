"""The certificate of the HTTPS door: shown, installed, requested and removed; made by openssl, seen by a TLS client."""
import hashlib
import ssl
import subprocess

import pytest
from api_kit import Door, house  # noqa: F401
from board import wait_for


class Authority:
    """A root and an intermediate authority of openssl's."""

    def __init__(self, work):
        self.work = work
        self.root, self.middle = self.make("root", ca=True), self.make("middle", by="root", ca=True)

    def run(self, *argv, **options):
        return subprocess.run(["openssl", *map(str, argv)], cwd=self.work, check=True, capture_output=True, text=True, **options)

    def sign(self, name, request, by, ca=False, names="DNS:localhost", days=30):
        (self.work / f"{name}.ext").write_text("basicConstraints=CA:TRUE\n" if ca else f"subjectAltName={names}\nextendedKeyUsage=serverAuth\n")
        signer = ["-CA", f"{by}.pem", "-CAkey", f"{by}.key", "-CAcreateserial"] if by else ["-signkey", f"{name}.key"]
        when = ["-days", days] if days > 0 else ["-not_before", "20200101000000Z", "-not_after", "20210101000000Z"]
        self.run("x509", "-req", "-in", request, *signer, *when, "-extfile", f"{name}.ext", "-out", f"{name}.pem")
        return self.work / f"{name}.pem"

    def make(self, name, by=None, ca=False, **options):
        self.run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                 "-keyout", f"{name}.key", "-out", f"{name}.csr")
        return self.sign(name, f"{name}.csr", by, ca, **options)

    def text(self, *names):
        return "".join((self.work / name).read_text() for name in names)


@pytest.fixture
def authority(tmp_path):
    (tmp_path / "ca").mkdir()
    return Authority(tmp_path / "ca")


def fingerprint(pem):
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest().upper()
    return "SHA256:" + ":".join(digest[at:at + 2] for at in range(0, 64, 2))


def shown(door):
    """The fingerprint of what a handshake shows."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(door.tcp()) as link:
        return fingerprint(ssl.DER_cert_to_PEM_cert(link.getpeercert(binary_form=True)))


def test_an_own_certificate_goes_in_and_out(house, authority):
    one, door = house()
    board, ctl = one.board, one.board.ctl
    made = board.json("certificate", "show")["certificate"]
    assert (made["origin"], made["subject"], made["chain"]) == ("own", "CN=rack7", 1) and made["fingerprint"] == shown(door)
    leaf = authority.make("rack7", by="middle")
    chain = authority.work / "chain.pem"
    chain.write_text(authority.text("rack7.pem", "middle.pem"))
    wrong = authority.work / "wrong.pem"
    for text, key, says in (
            (authority.text("middle.pem", "rack7.pem"), "rack7.key", "does not vouch for the one before it"),
            (authority.text("rack7.pem", "root.pem"), "rack7.key", "does not vouch for the one before it"),
            (authority.text("rack7.pem"), "root.key", "does not belong to the certificate"),
            (authority.text("rack7.pem")[:-60], "rack7.key", "damaged"),
            (authority.text("rack7.pem"), None, "its key is needed, too"),
            ("nonsense", "rack7.key", "there is no certificate in it")):
        wrong.write_text(text)
        refused = ctl("certificate", "install", wrong, *([authority.work / key] if key else []), check=False)
        assert refused.returncode == 1 and says in refused.stderr, refused.stderr
    assert shown(door) == made["fingerprint"]
    open_before = door.connection()
    installed = board.json("certificate", "install", chain, authority.work / "rack7.key")["certificate"]
    assert (installed["origin"], installed["names"], installed["issuer"], installed["chain"], installed["remarks"]) == (
        "installed", ["localhost"], "CN=middle", 2, [])
    assert shown(door) == fingerprint(leaf.read_text()) == installed["fingerprint"]
    # Who trusts the authority needs no pin, and who was there before is still there.
    door.file = authority.work / "root.pem"
    assert door.ask("GET", "/api/session").status == 401
    assert door.ask("GET", "/api/session", connection=open_before).status == 401
    changed = one.seen("CertificateChanged", installed["fingerprint"])
    assert changed["origin"] == "installed"
    assert board.json("status")["doors"]["https"]["fingerprint"] == installed["fingerprint"]
    board.stop()
    board.start()
    door = Door(one)
    assert shown(door) == installed["fingerprint"]
    assert not any("PRIVATE KEY" in str(event) for event in board.events())
    ctl("certificate", "remove")
    assert shown(door) == made["fingerprint"]
    assert ctl("certificate", "remove", check=False).returncode == 1


def test_a_request_keeps_its_key_on_the_board(house, authority):
    one, door = house()
    assert one.board.ctl("certificate", "request", "no good", check=False).returncode == 1
    request = authority.work / "board.csr"
    request.write_text(one.board.ctl("certificate", "request", "localhost", "10.0.0.5").stdout)
    assert "PRIVATE" not in request.read_text()
    assert "DNS:localhost, IP Address:10.0.0.5" in authority.run("req", "-in", request, "-noout", "-text", "-verify").stdout
    signed = authority.sign("board", request, "root", names="DNS:localhost,IP:10.0.0.5")
    foreign = authority.make("foreign", by="root")
    refused = one.board.ctl("certificate", "install", foreign, check=False)
    assert refused.returncode == 1 and "does not belong" in refused.stderr
    assert one.board.json("certificate", "install", signed)["certificate"]["names"] == ["localhost", "10.0.0.5"]
    assert shown(door) == fingerprint(signed.read_text())


def test_over_https_by_an_administrator_and_beside_oobd_toml(house, authority):
    one, door = house(people={"alice": "administrator", "bob": "operator"})
    alice, bob = door.sign_in(), door.sign_in("bob")
    authority.make("rack7", by="root")

    def give(token, command):
        return door.ask("POST", "/api/command", command, token=token)

    install = {"InstallCertificate": {"certificate": authority.text("rack7.pem"), "key": authority.text("rack7.key")}}
    assert give(bob, install).status == 403 and give(bob, "RemoveCertificate").status == 403
    assert give(bob, "ShowCertificate").json()["reply"]["Certificate"]["origin"] == "own"
    assert give(alice, install).json()["reply"]["Certificate"]["origin"] == "installed"
    door.file = authority.work / "root.pem"
    for name in ("rack7.pem", "rack7.key"):
        (one.board.config.parent / name).write_text(authority.text(name))
    one.board.reload(one.config() + '[https]\ncertificate = "@file:rack7.pem"\nkey = "@file:rack7.key"\n')
    wait_for("the file goes first", lambda: give(alice, "ShowCertificate").json()["reply"]["Certificate"]["origin"] == "oobd.toml")
    refused = give(alice, install)
    assert refused.status == 409 and "oobd.toml names the certificate" in refused.error


def test_a_damaged_one_is_told_and_not_shown(house):
    one, door = house()
    made = shown(door)
    one.board.stop()
    (one.board.work / "state" / "https-installed.pem").write_text("torn")
    one.board.start()
    assert shown(Door(one)) == made
    assert one.seen("CertificateReplaced", "https-installed.pem")
