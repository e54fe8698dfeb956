"""kill -9 of oobd and of wpa_supplicant in every state of the uplink: it comes back by itself and ends where it belongs."""
import pytest

STATES = ["searching", "associating", "leasing", "up"]


def bring_to(w, state):
    """Puts the uplink into a state that lasts: a wrong passphrase keeps it associating, a mute DHCP server keeps it leasing."""
    if state == "searching":
        return
    w.phone_on(passphrase="something-else-9" if state == "associating" else "copper-lantern-27", dhcp="silent" if state == "leasing" else "ok")
    if state == "associating":
        w.agent.wait_text(w.phone.log, "IEEE 802.11: associated", 90)
    else:
        w.phone.joined(90)
    if state == "leasing":
        w.until_phase("leasing", "failed", timeout=60)
    if state == "up":
        w.until_phase("up", timeout=90)


def mend(w, state):
    """Makes the world good, so that the uplink must come up."""
    if state in ("searching", "up"):
        if state == "searching":
            w.phone_on()
    elif state == "associating":
        w.phone_off()
        w.phone_on()
    else:
        w.phone.dhcp("ok")


@pytest.mark.parametrize("process", ["oobd", "wpa_supplicant"])
@pytest.mark.parametrize("state", STATES)
def test_kill_9(rack, process, state):
    bring_to(rack, state)
    before, old, other = rack.last_seq(), rack.pid(process), rack.pid("oobd" if process == "wpa_supplicant" else "wpa_supplicant")
    rack.kill9(process)
    rack.until(f"{process} is back", lambda: rack.pid(process) not in (None, old), 60)
    rack.until_ready()
    mend(rack, state)
    rack.until_phase("up", timeout=120)
    rack.until("the SSH door answers through the hotspot",
               lambda: not rack.agent.call("wait_banner", wait=40, ns="phone", host_file=rack.phone.leases, port=22, timeout=5, pattern="^SSH-2").get("timeout"), 60)
    if process == "wpa_supplicant":
        assert rack.pid("oobd") == other, "oobd was taken down with it"
    else:
        assert rack.events(before), "the journal goes on where it stopped"
    assert rack.status()["guard"]["sealed"] is not False
