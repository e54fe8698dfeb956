"""The support bundle: everything a helper needs, for administrators, and no secret of any kind in it."""
import io
import json
import subprocess
import tarfile

from api_kit import Door, house, make_house  # noqa: F401
from board import wait_for
from ssh_kit import HASH, Device
from test_api_tls import pair

PEOPLE = {"alice": "administrator", "bob": "operator", "eve": "readonly"}
# What is printed of a secret is a value of its own for each kind.
KINDS = {name: f"geheim-{name}-7Xq" for name in
         ("passphrase", "nut", "auth", "privacy", "community", "write", "shelly", "tasmota", "script", "redfish", "ipmi", "amt", "sshpass", "upspass", "later")}


def devices(work):
    """Sections with a secret of every kind; those of odd places from the store and from files."""
    secrets = work / "state" / "secrets"
    secrets.mkdir(parents=True, exist_ok=True)
    for name in ("nut", "ipmi", "auth"):
        (secrets / name).write_text(KINDS[name] + "\n")
    # Of nobody any more, and a secret all the same.
    (secrets / "later").write_text(KINDS["later"] + "\n")
    (work / "boot" / "redfish.txt").write_text(KINDS["redfish"] + "\n")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", work / "boot" / "id"], check=True)
    k = KINDS
    return f"""
# an old password: geheim-comment-7Xq
[uplink.hotspot]
wifi = {{ interface = "wlan0", ssid = ["remote.it"], passphrase = "{k['passphrase']}", country = "US" }}
[pdu.n]
nut = {{ host = "10.77.0.9", ups = "pdu1", username = "oob", password = "@secret:nut" }}
[ups.u]
nut = {{ host = "10.77.0.9", ups = "ups1", username = "oob", password = "{k['upspass']}" }}
[pdu.s]
snmp = {{ host = "10.77.0.9", user = "oob", auth_password = "@secret:auth", privacy_password = "{k['privacy']}" }}
[pdu.o]
snmp = {{ host = "10.77.0.9", version = "1", community = "{k['community']}", write_community = '''{k['write']}''', profile = "apc-masterswitch" }}
[pdu.p]
shelly = {{ host = "10.77.0.9", password = "{k['shelly']}" }}
[pdu.t]
tasmota = {{ host = "10.77.0.9", password = "{k['tasmota']}" }}
[pdu.x.script]
program = "/bin/false"
outlets = ["a"]
password = "{k['script']}"
[machine.m]
redfish = {{ url = "https://10.77.0.9", username = "admin", password = "@file:redfish.txt" }}
ipmi = {{ host = "10.77.0.9", username = "admin", password = "@secret:ipmi" }}
wol = {{ mac = "00:1B:21:3C:4D:5E", password = "10.20.30.44" }}
[machine.a]
amt = {{ host = "10.77.0.10", username = "admin", password = "{k['amt']}" }}
[console.far]
ssh = {{ host = "10.77.0.9", user = "admin", password = "{k['sshpass']}" }}
[console.keyed]
ssh = {{ host = "10.77.0.9", user = "admin", key = "@file:id" }}
"""


def unpack(data):
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        return {member.name.split("/", 1)[1]: archive.extractfile(member).read().decode(errors="replace") for member in archive.getmembers()}


def test_no_secret_is_in_it(house, tmp_path):
    one, door = house(devices={"sw": Device()}, people=PEOPLE)
    https = pair(one.board.work / "boot", "own")
    one.board.reload(one.config() + devices(one.board.work) + https)
    applied = wait_for("the file is in force", lambda: one.count("ConfigApplied") or one.happened("ConfigRefused"))
    assert applied is not None and not one.happened("ConfigRefused"), one.happened("ConfigRefused")
    door.file = one.board.work / "boot" / "own.crt"
    token = wait_for("the door with its own certificate", lambda: signed_in(door))
    # What a person writes down is in the events.
    door.ask("POST", "/api/command", {"WriteNote": {"text": f"the AMT password is {KINDS['amt']}, the store has {KINDS['nut']}"}}, token=token)
    answer = door.ask("GET", "/api/support-bundle", token=token)
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/gzip", answer.body
    files = unpack(answer.body)
    keys = (one.board.work / "boot" / "own.key").read_text() + (one.board.work / "boot" / "id").read_text()
    secrets = [*KINDS.values(), "geheim", "10.20.30.44", HASH, "$argon2id", token, *(line for line in keys.splitlines() if len(line) > 20)]
    for name, text in files.items():
        for secret in secrets:
            assert secret not in text, f"{secret} is in {name}"
    config = files["oobd.toml"]
    assert 'host = "10.77.0.9"' in config and config.count("***") >= 12 and "#" not in config
    assert "the AMT password is ***, the store has ***" in files["events.jsonl"]
    assert json.loads(files["state.json"])["device"] == "rack7"
    assert "eth0" in files["ip-link.txt"] and "table inet" in files["nft.txt"] and "$ ip rule" in files["ip-rule.txt"]
    assert "Linux" in files["proc-version.txt"] and "kernel-log.txt" in files
    assert one.seen("CommandGiven", "make a support bundle", "alice")


def signed_in(door):
    try:
        return door.sign_in()
    except OSError:
        return None


def test_who_gets_it_and_how(house, tmp_path):
    one, door = house(people=PEOPLE)
    for name in ("bob", "eve"):
        assert door.ask("GET", "/api/support-bundle", token=door.sign_in(name)).status == 403
    assert door.ask("GET", "/api/support-bundle").status == 401
    file = tmp_path / "bundle.tar.gz"
    done = one.board.ctl("support-bundle", "-o", file)
    assert "no secrets" in done.stderr and "state.json" in unpack(file.read_bytes())
    piped = subprocess.run([done.args[0], "--socket", one.board.socket, "support-bundle"], capture_output=True, timeout=60)
    assert "state.json" in unpack(piped.stdout)
    # A file that nobody can read is left out, and said why.
    one.board.config.write_text('schema = 1\n[user.zoe]\npasword = "geheim-typo-7Xq"\n')
    files = unpack(subprocess.run(piped.args, capture_output=True, timeout=60).stdout)
    assert "oobd.toml" not in files and "did you mean" in files["oobd.toml.problems.txt"]
    assert "geheim" not in json.dumps(files) and "rack7" in files["last-good.toml"]
