"""DHCP and IPv6 on the hotspot when the other side misbehaves, and two networks that want the same numbers."""
import gateway
from world import INTERNET4


def routes(rack):
    return rack.agent.board("ip -4 route show table main; ip -6 route show table main", check=False).text


def test_a_silent_dhcp_server_is_named_and_survived(rack):
    rack.phone_on(dhcp="silent")
    rack.phone.joined(90)
    rack.until("DHCP asked", lambda: b"heard type 1" in rack.agent.get(f"{rack.phone.dir}/dhcp.log"), 60)
    assert rack.phase() in ("leasing", "failed")
    rack.phone.dhcp("ok")
    rack.until_phase("up", timeout=120)


def test_a_refusing_dhcp_server_is_survived(rack):
    rack.phone_on(dhcp="nak")
    rack.phone.joined(90)
    rack.until("a request was refused", lambda: b"heard type 3" in rack.agent.get(f"{rack.phone.dir}/dhcp.log"), 90)
    assert rack.phase() != "up"
    assert rack.agent.board("ip -4 -o addr show dev wlan0", check=False).text == ""
    rack.phone.dhcp("ok")
    rack.until_phase("up", timeout=120)


def test_the_hotspot_comes_back_with_another_subnet(rack):
    rack.phone_on()
    first = rack.until_phase("up", timeout=90)["address"]
    assert first.startswith("172.20.10.")
    rack.phone_off()
    rack.until_phase("searching", timeout=60)
    rack.phone.net = "192.168.43"
    rack.phone_on()
    second = rack.until_phase("up", timeout=90)["address"]
    assert second.startswith("192.168.43."), second
    assert "172.20.10." not in rack.agent.board("ip -4 addr show; ip -4 route show table all").text


def test_lan_and_hotspot_with_the_same_subnet_stay_apart(rack):
    rack.lan_dhcp(net="172.20.10", mask="255.255.255.240", cidr=28)
    try:
        # a replugged cable makes the board ask anew
        rack.machine.qmp("set_link", name="lan0", up=False)
        rack.until("no carrier", lambda: not rack.status()["links"]["eth0"]["carrier"], 30)
        rack.machine.qmp("set_link", name="lan0", up=True)
        rack.until("an address of the new LAN", lambda: any(a.startswith("172.20.10.") for a in rack.status()["links"]["eth0"]["addresses"]), 90)
        rack.phone_on()
        up = rack.until_phase("up", timeout=90)
        rack.until("internet through the hotspot", lambda: rack.uplink()["internet"] == "yes", 60)
        # our marked traffic goes to the phone's gateway though the LAN has the same addresses
        got = rack.agent.board(f"ip route get {INTERNET4} mark 0x100").text
        assert "dev wlan0" in got and up["address"].split("/")[0] in got, got
        assert "dev eth0" in rack.agent.board("ip route get 172.20.10.1").text
    finally:
        rack.phone_off()
        rack.lan_dhcp()
        rack.machine.qmp("set_link", name="lan0", up=False)
        rack.until("no carrier", lambda: not rack.status()["links"]["eth0"]["carrier"], 30)
        rack.machine.qmp("set_link", name="lan0", up=True)
        rack.until("the old LAN again", lambda: any(a.startswith("192.168.50.") for a in rack.status()["links"]["eth0"]["addresses"]), 90)


def test_router_advertisements_on_both_sides_put_no_default_route_into_main(rack):
    rack.phone_on()
    rack.until_phase("up", timeout=90)
    rack.until("an IPv6 address of the hotspot", lambda: gateway.address(rack.agent, "wlan0", 6), 60)
    rack.until("an IPv6 address of the LAN", lambda: gateway.address(rack.agent, "eth0", 6), 60)
    assert "default" not in routes(rack), routes(rack)
    rack.until("an IPv6 way out in the uplink's own table",
               lambda: "default" in rack.agent.board("ip -6 route show table 100", check=False).text, 60)
