"""The Redfish client against sushy-tools' emulator, and our own stand-in against clients that nobody here wrote."""
import json
import socket
import subprocess
import urllib.error
import urllib.request

import pytest
from board import wait_for
from redfish_bmc import Bmc
from redfish_kit import Client, emulator, peers

FIRST = "10000000-0000-0000-0000-000000000001"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture(scope="module")
def sushy(tmp_path_factory):
    """URL and log of an emulator over https."""
    port = free_port()
    with emulator(tmp_path_factory.mktemp("sushy") / "emulator", port) as log:
        yield f"https://127.0.0.1:{port}", log


def power_is(client, state):
    wait_for(f"the machine to be {state}", lambda: client.do("power") == state, 40)


def test_power_that_takes_its_time(tmp_path, sushy):
    url, _ = sushy
    with Client(tmp_path, url, system=FIRST) as client:
        assert client.opened["pinned"].startswith("sha256//")
        assert client.do("session") is False
        assert {one["name"] for one in client.do("systems")} == {"fake1", "fake2"}
        assert "ForceOff" in client.do("reset_types")
        client.do("reset", intent="On")
        power_is(client, "On")
        client.do("reset", intent="Off")
        power_is(client, "Off")


def test_a_boot_override(tmp_path, sushy):
    url, _ = sushy
    with Client(tmp_path, url, system=FIRST) as client:
        for target in ("Pxe", "Hdd", "Cd"):
            client.do("set_boot", target=target, **{"for": "Continuous"})
            assert client.do("boot")["target"] == target
        assert client.fails("set_boot", target="BiosSetup", **{"for": "Once"})["error"] == "unsupported"


def test_two_machines_want_a_choice(tmp_path, sushy):
    url, _ = sushy
    with Client(tmp_path, url) as client:
        assert client.opened["error"] == "no system" and FIRST in client.opened["said"]


def test_a_wrong_password_is_asked_once(tmp_path, sushy):
    url, log = sushy
    before = log.read_text().count(" 401 ")
    with Client(tmp_path, url, password="guess", system=FIRST) as client:
        assert client.opened["error"] == "wrong password"
    assert log.read_text().count(" 401 ") == before + 1


def test_the_controller_fetches_the_image_from_us(tmp_path, sushy):
    url, _ = sushy
    image = tmp_path / "rescue disk.iso"
    image.write_bytes(bytes(range(256)) * 8192)
    with Client(tmp_path, url, system=FIRST) as client:
        offer = client.do("serve", file=str(image), client="127.0.0.1")
        assert offer.endswith("/rescue_disk.iso")
        client.do("insert", slot="Cd", image=offer)
        assert client.do("sent") == image.stat().st_size
        (slot,) = [slot for slot in client.do("media") if slot["id"] == "Cd"]
        assert slot["inserted"] and slot["image"]
        client.do("eject", slot="Cd")
        (slot,) = [slot for slot in client.do("media") if slot["id"] == "Cd"]
        assert not slot["inserted"]


def test_the_file_is_served_in_parts_to_one_address_until_it_is_not(tmp_path):
    image = tmp_path / "x.iso"
    image.write_bytes(bytes(range(256)) * 4096)
    with Bmc() as bmc, Client(tmp_path, bmc.url) as client:
        offer = client.do("serve", file=str(image), client="127.0.0.1")
        fetch = ["curl", "-sS", "--max-time", "20", "--noproxy", "*"]
        whole = subprocess.run([*fetch, offer], check=True, stdout=subprocess.PIPE).stdout
        assert whole == image.read_bytes()
        part = subprocess.run([*fetch, "-r", "1000-1999", offer], check=True, stdout=subprocess.PIPE).stdout
        assert part == image.read_bytes()[1000:2000]
        # As curl resumes a download that broke.
        half = tmp_path / "half"
        half.write_bytes(whole[:500000])
        subprocess.run([*fetch, "-C", "-", "-o", half, offer], check=True)
        assert half.read_bytes() == whole
        assert client.do("sent") == len(whole) + 1000 + len(whole) - 500000
        head = subprocess.run([*fetch, "-I", offer], check=True, stdout=subprocess.PIPE, text=True).stdout
        assert f"content-length: {len(whole)}" in head and "accept-ranges: bytes" in head
        for path in ("/", "/x.iso", offer.removeprefix("http://").partition("/")[2][:20]):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(offer[:offer.index("/", 8)] + "/" + path.lstrip("/"), timeout=10)
            assert refused.value.code == 404
        host, port = offer.removeprefix("http://").split("/")[0].split(":")
        with socket.create_connection((host, int(port)), timeout=10, source_address=("127.0.0.2", 0)) as stranger:
            stranger.settimeout(10)
            stranger.sendall(f"GET /{offer.split('/', 3)[3]} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            try:
                assert stranger.recv(100) == b""
            except ConnectionResetError:
                pass
        client.do("unserve")
        wait_for("the server's end", lambda: subprocess.run([*fetch, offer], capture_output=True).returncode == 7)


SUSHY = """
import json, sys
import sushy
from sushy import auth
base = sys.argv[1]
root = sushy.Sushy(base, auth=auth.SessionAuth("root", "calvin"))
system = root.get_system("/redfish/v1/Systems/1")
said = {"power": system.power_state.value, "allowed": sorted(value.value for value in system.get_allowed_reset_system_values())}
system.reset_system(sushy.ResetType.ON)
system.refresh()
said["then"] = system.power_state.value
system.set_system_boot_options(target=sushy.BootSource.PXE, enabled=sushy.BootSourceOverrideEnabled.ONCE)
system.refresh()
said["boot"] = system.boot.target.value
media = system.virtual_media.get_members()[0]
media.insert_media("http://127.0.0.1/x.iso")
media.refresh()
said["image"] = media.image
media.eject_media()
said["bios"] = dict(system.bios.attributes)
system.bios.set_attribute("BootMode", "Legacy")
said["intrusion"] = root.get_chassis("/redfish/v1/Chassis/1").uuid
said["manager"] = root.get_manager("/redfish/v1/Managers/bmc").firmware_version
json.dump(said, sys.stdout)
"""


def test_the_stand_in_serves_openstacks_client():
    with Bmc() as bmc:
        done = subprocess.run([peers() / "bin" / "python", "-c", SUSHY, bmc.url], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        assert (said["power"], said["then"], said["boot"]) == ("Off", "On", "Pxe")
        assert said["image"] == "http://127.0.0.1/x.iso" and said["bios"]["Cores"] == 8
        assert bmc.resets == ["On"] and bmc.bios_next == {"BootMode": "Legacy"} and bmc.image is None
        assert any("X-Auth-Token" in headers for _, _, headers in bmc.asked)


def test_the_stand_in_serves_the_dmtfs_tool():
    with Bmc() as bmc:
        tool = [peers() / "bin" / "redfishtool", "-r", bmc.url.removeprefix("http://"), "-S", "Never", "-u", "root", "-p", "calvin"]
        for words in (["-A", "Session", "Systems"], ["-A", "Basic", "Systems", "reset", "On"]):
            done = subprocess.run([*tool, *words], capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stdout + done.stderr
        assert bmc.power == "On"
        assert not bmc.sessions, "the tool ends its session"
