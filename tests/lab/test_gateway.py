"""Never a gateway: every way through the board, IPv4 and IPv6, both directions, with forwarding forced on all the while."""
import gateway
import world as lab


def test_nothing_passes_and_what_must_pass_does(rack):
    rack.phone_on()
    rack.until_phase("up", timeout=90)
    gateway.both_families(rack)
    before = rack.last_seq()
    rows = gateway.matrix(rack, force=True)
    print(gateway.table(rows))
    assert {r["family"] for r in rows} == {4, 6} and len(rows) >= 28
    assert gateway.leaks(rows) == []
    assert gateway.dead(rows) == [], "rows that must pass prove that the watchers see"
    # the guard noticed that somebody switched forwarding on, and undid it
    rack.happened("GuardBreached", before, 60)
    breaches = [lab.body(e, "GuardBreached") for e in rack.events(before)]
    assert any(b and "forwarding" in b["breach"] for b in breaches), breaches
    rack.until("forwarding off again", lambda: rack.agent.board("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding").text.split()
               == ["0", "0"], 60)


def test_with_the_hotspot_gone_marked_traffic_goes_nowhere(rack):
    rack.phone_on()
    rack.until_phase("up", timeout=90)
    gateway.both_families(rack)
    wlan = (gateway.address(rack.agent, "wlan0", 4), gateway.address(rack.agent, "wlan0", 6))
    rack.phone_off()
    rack.until_phase("searching", timeout=60)
    rows = gateway.matrix(rack, force=True, dead_hotspot=True, wlan=wlan)
    print(gateway.table(rows))
    assert gateway.leaks(rows) == []


def test_the_matrix_finds_leaks_on_a_board_without_protection(rack):
    """The same matrix against a naive gateway in the same guest, oobd frozen and its rules taken away: it must cry."""
    rack.phone_on()
    rack.until_phase("up", timeout=90)
    gateway.both_families(rack)
    a, pid = rack.agent, rack.pid("oobd")
    gw = f"{rack.phone.net}.1"
    try:
        # a debugger's stop would trip the watchdog after 30 s: the matrix needs 10
        a.board(f"kill -STOP {pid}")
        a.run("nft flush ruleset; for f in -4 -6; do ip $f rule flush; ip $f rule add pref 32766 lookup main; done; ip rule add pref 0 lookup local; "
              f"ip -6 rule add pref 0 lookup local; ip route replace {rack.phone.net}.0/28 dev wlan0; ip route add default via {gw} dev wlan0; "
              f"ip -6 route replace {rack.phone.prefix}::/64 dev wlan0; ip -6 route add default via {rack.phone.prefix}::1 dev wlan0", check=False)
        rows = gateway.matrix(rack, force=True)
    finally:
        a.run(f"ip -6 route del default via {rack.phone.prefix}::1 dev wlan0; ip -6 route del {rack.phone.prefix}::/64 dev wlan0 table main; "
              f"ip route del default via {gw} dev wlan0; ip route del {rack.phone.net}.0/28 dev wlan0 table main", check=False)
        a.board(f"kill -CONT {pid}; systemctl restart oobd", check=False, timeout=120)
        rack.until_ready()
    print(gateway.table(rows))
    found = {(r["flow"], r["family"]) for r in gateway.leaks(rows)}
    for flow in ("LAN host -> internet through the board", "phone -> LAN host through the board", "board unmarked -> internet over the uplink"):
        assert {(flow, 4), (flow, 6)} <= found, flow
