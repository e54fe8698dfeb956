"""What happens to the uplink when people and programs around it change their minds: a corrected passphrase, a hung supplicant, an
operator's word, a twin that appears later."""
from world import SSID


def test_a_corrected_passphrase_is_joined_without_a_pause(rack):
    before = rack.last_seq()
    rack.phone_on(passphrase="something-else-9")
    assert rack.happened("HotspotRefused", before, 90)["fault"] == "wrong_passphrase"
    rack.phone_off()
    rack.happened("HotspotLost", before, 60)
    t0 = rack.phone_on()
    rack.phone.joined(60)
    rack.until_phase("up", timeout=60)
    refused = rack.last_seq()
    print(f"up {rack.agent.clock() - t0:.1f} s after the hotspot came back with the right passphrase")
    assert all(e["source"] != "uplink.hotspot" or "HotspotRefused" not in str(e["kind"]) for e in rack.events(refused))


def test_a_supplicant_that_hangs_is_told_and_found_again(rack):
    rack.phone_on()
    rack.until_phase("up", timeout=90)
    before = rack.last_seq()
    rack.agent.board("kill -STOP $(pidof wpa_supplicant)")
    try:
        lost = rack.happened("SupplicantLost", before, 60)
        assert lost["interface"] == "wlan0" and "10 s" in lost["reason"], lost
        assert rack.uplink()["phase"] == "absent"
    finally:
        rack.agent.board("kill -CONT $(pidof wpa_supplicant)")
    rack.happened("SupplicantFound", before, 60)
    rack.until_phase("up", timeout=90)


def test_an_operator_takes_it_down_and_gives_it_back(rack):
    rack.oobctl("uplink", "down", "hotspot")
    try:
        rack.until_phase("off", timeout=20)
        rack.phone_on()
        heard = lambda: rack.agent.board("wpa_cli -i wlan0 scan freq=2437 >/dev/null; wpa_cli -i wlan0 scan_results", check=False).text  # noqa: E731
        rack.until("the radio hears the hotspot", lambda: SSID in heard(), 60, every=1)
        assert rack.phase() == "off" and not rack.phone.ever_joined()
        assert "taken down by" in rack.uplink()["why"]
    finally:
        rack.oobctl("uplink", "auto", "hotspot")
    rack.phone.joined(60)
    rack.until_phase("up", timeout=60)


def test_a_twin_that_appears_beside_the_hotspot_in_use_is_told(rack):
    rack.phone_on()
    rack.until_phase("up", timeout=90)
    before = rack.last_seq()
    rack.twin_on(wpa="open", channel=6)
    told = rack.happened("HotspotRefused", before, 120)
    assert told["fault"] == "evil_twin" and told["ssid"] == SSID
    assert told["bssid"] != rack.uplink()["bssid"]
    assert rack.phase() == "up" and not rack.twin.stations()
