"""Which hotspots the board joins, which it refuses and how it says so. Real hostapd on the air, the product's own wpa_supplicant."""
import pytest

import world as lab
from world import SSID

NEAR_MISSES = [b"remote.it ", b" remote.it", b"Remote.it", b"remote.it\x00", b"remote_it", b"remote.i", b"remote.itPi", b"remote.it\xc2\xa0"]
ODD = [b"remote.it ", "téléphone 📱".encode(), b"a\x00b", bytes(range(0xE0, 0x100)), b'q"b\\s\ttab', b"\xff\xfe remote"]


def toml_ssid(raw):
    return '{ hex = "%s" }' % raw.hex()


def never_joined(w, ap, scans=3):
    """Waits until the board's radio has finished `scans` more scans, then says whether the access point was left alone."""
    log = "/run/lab/tmp/iw-event.log"
    w.agent.run(f"rm -f {log}")
    pid = w.agent.spawn(["stdbuf", "-oL", "iw", "event"], log=log)["pid"]
    try:
        w.until(f"{scans} scans", lambda: w.agent.get(log).count(b"wlan0 (phy #0): scan finished") >= scans, 150, every=0.5)
    finally:
        w.agent.run(f"kill {pid}", check=False)
    return not ap.ever_joined() and not ap.stations()


def test_the_hotspot_is_joined_addressed_and_found_to_have_internet(rack):
    assert rack.status()["oob"] is False
    before = rack.last_seq()
    rack.phone_on()
    rack.phone.joined(60)
    up = rack.until_phase("up")
    assert up["ssid"] == SSID and up["address"].startswith("172.20.10.")
    assert rack.phone.leased() in up["address"]
    rack.until("internet behind the hotspot", lambda: rack.uplink()["internet"] == "yes", 60)
    assert rack.status()["oob"] is True, "LAN and uplink both work: the OOB indicator is on"
    assert rack.happened("UplinkAssociated", before)["ssid"] == SSID
    assert rack.happened("OobEntered", before)["uplink"] == "hotspot"
    rack.phone_off()
    rack.until_phase("searching", timeout=60)
    assert rack.happened("OobLeft", before)
    assert rack.status()["oob"] is False


def test_near_misses_of_the_ssid_are_left_alone(rack):
    # all on one radio, all with the right passphrase: only the bytes of the SSID differ
    rack.phone_on(ssid=NEAR_MISSES[0], more=[(s, "wpa2") for s in NEAR_MISSES[1:]])
    assert never_joined(rack, rack.phone)
    assert rack.phase() == "searching"


@pytest.mark.parametrize("ssid", ODD, ids=["blank", "utf8", "nul", "32-bytes", "quotes", "not-utf8"])
def test_an_odd_ssid_that_is_configured_is_joined(rack, ssid):
    rack.configure(lab.config(users=rack.users, ssid=toml_ssid(ssid)))
    rack.phone_on(ssid=ssid)
    rack.phone.joined(90)
    rack.until_phase("up", timeout=90)


def test_a_wrong_passphrase_is_named(rack):
    before = rack.last_seq()
    rack.phone_on(passphrase="something-else-9")
    refused = rack.happened("HotspotRefused", before, 90)
    assert refused["fault"] == "wrong_passphrase" and refused["ssid"] == SSID
    assert "passphrase" in rack.uplink()["why"]
    assert not rack.phone.ever_joined()


def test_a_wrong_wpa3_passphrase_is_named(rack):
    before = rack.last_seq()
    rack.phone_on(wpa="wpa3", passphrase="something-else-9")
    assert rack.happened("HotspotRefused", before, 90)["fault"] == "wrong_passphrase"
    assert not rack.phone.ever_joined()


@pytest.mark.parametrize("wpa", ["wpa3", "transition"])
def test_wpa3_is_joined(rack, wpa):
    rack.phone_on(wpa=wpa)
    rack.phone.joined(90)
    assert "SAE" in rack.until_phase("up", timeout=90)["security"].upper()


def test_a_5_ghz_hotspot_is_joined(rack):
    rack.phone_on(channel=149)
    rack.phone.joined(90)
    assert rack.until_phase("up", timeout=60)["frequency_mhz"] == 5745


def test_a_hidden_hotspot_is_joined_only_when_asked_for(rack):
    rack.phone_on(hidden=True)
    assert never_joined(rack, rack.phone)
    rack.configure(lab.config(users=rack.users, wifi=", hidden = true"))
    rack.phone.joined(120)
    rack.until_phase("up", timeout=60)


@pytest.mark.parametrize("wpa, fault", [("open", "open"), ("wpa1", "security")])
def test_an_unsafe_hotspot_of_our_name_is_refused_aloud(rack, wpa, fault):
    before = rack.last_seq()
    rack.phone_on(wpa=wpa)
    got = rack.happened("HotspotRefused", before, 90)["fault"]
    assert fault in got, got
    assert never_joined(rack, rack.phone)


def test_open_hotspots_are_joined_when_open_is_set(rack):
    toml = lab.config(users=rack.users, wifi=", open = true").replace(f'passphrase = "{lab.PASSPHRASE}", ', "")
    rack.configure(toml)
    rack.phone_on(wpa="open")
    rack.phone.joined(90)
    rack.until_phase("up", timeout=60)


@pytest.mark.parametrize("wpa, passphrase", [("open", ""), ("wpa2", "something-else-9")], ids=["open", "other-passphrase"])
def test_an_evil_twin_is_told_and_the_real_one_is_used(rack, wpa, passphrase):
    before = rack.last_seq()
    rack.twin_on(wpa=wpa, passphrase=passphrase, channel=1)
    rack.phone_on(channel=11)
    rack.phone.joined(120)
    rack.until_phase("up", timeout=90)
    assert not rack.twin.ever_joined()
    if wpa == "open":
        assert rack.happened("HotspotRefused", before, 60)["fault"] in ("open", "evil_twin")


def test_walk_away_is_noticed_and_the_way_back_is_short(rack):
    rack.phone_on()
    rack.until_phase("up", timeout=90)
    rack.walk_away()
    rack.until("the loss", lambda: rack.phase() != "up", 30)
    offset = int(rack.agent.run(f"stat -c %s {rack.phone.log}").text)
    t0 = rack.agent.clock()
    rack.come_back()
    back = rack.agent.wait_text(rack.phone.log, "AP-STA-CONNECTED", 60, offset=offset)
    rack.until_phase("up", timeout=60)
    print(f"back on the hotspot {back - t0:.1f} s after it came into range again")
    assert back - t0 < 20


def test_twenty_flaps_leave_nothing_behind(rack):
    rack.phone_on()
    rack.until_phase("up", timeout=90)
    rack.phone_off()
    rack.until_phase("searching", timeout=60)
    pid = rack.pid("oobd")
    count = lambda: int(rack.agent.board(f"ls /proc/{pid}/fd | wc -l").text)  # noqa: E731
    fds = count()
    for n in range(20):
        rack.phone_on(bssid="02:00:00:00:77:01")
        if n % 3:  # some flaps end before the board is done joining
            rack.phone.joined(90)
        rack.phone_off()
    rack.phone_on()
    rack.phone.joined(90)
    rack.until_phase("up", timeout=90)
    rack.phone_off()
    rack.until_phase("searching", timeout=60)
    assert rack.pid("oobd") == pid, "oobd was restarted"
    assert all(o["restarts"] == 0 for o in rack.status()["owners"].values())
    assert count() <= fds + 3
    assert rack.agent.board("ip -4 -o addr show dev wlan0", check=False).text == "", "an address stayed"
