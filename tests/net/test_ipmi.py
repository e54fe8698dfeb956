"""The IPMI client against OpenIPMI's ipmi_sim, with real ipmitool as the oracle; our own BMC where ipmi_sim lacks something."""
import pytest
from board import wait_for
from ipmi_kit import HOST, Bmc, Rack, build
from links import wire

RAKP_1 = "18"
OPEN = "16"


@pytest.fixture(scope="session")
def ipmi_binaries():
    return build()


@pytest.fixture
def rack(spaces, tmp_path, ipmi_binaries):
    return Rack(spaces, tmp_path, ipmi_binaries)


def test_power_boot_and_lamp_are_what_ipmitool_sees(rack):
    sim, client = rack.sim(), rack.client()
    client.ok("ping")
    assert client.ok("connect") == {"suite": 3, "privilege": 4}
    device = client.ok("device")
    assert (device["firmware"], device["ipmi"], device["manufacturer"]) == ([9, 8], [2, 0], 0x1291)
    assert client.ok("status")["on"] is True
    for verb, state in [("down", False), ("up", True)]:
        client.ok(f"power {verb}")
        wait_for(f"power {verb}", lambda: client.ok("status")["on"] is state)
        assert ("is on" in rack.tool("power status")) is state
    client.ok("power reset")
    client.ok("power soft")
    wait_for("the soft shutdown", lambda: client.ok("status")["on"] is False)
    assert sim.events("power") == ["0", "1"] and sim.events("reset") == ["1"] and sim.events("shutdown") == ["1"]
    rack.tool("power on")
    assert client.ok("status")["on"] is True
    client.ok("identify 7")
    assert sim.events("identify") == ["7"]
    for ours, theirs in [("pxe", "pxe"), ("disk", "default"), ("cd", "cdrom"), ("bios", "bios"), ("none", "none")]:
        client.ok(f"setboot {ours}")
        assert sim.events("boot")[-1] == theirs
    rack.tool("chassis bootdev pxe")
    assert client.ok("boot")["device"] == "Pxe"


def test_sensors_are_those_that_ipmitool_reads(rack):
    sim, client = rack.sim(), rack.client()
    inventory = client.ok("inventory")
    assert (inventory["sensors"], inventory["unread"]) == (5, 0)

    def sensors():
        return {sensor["name"]: sensor for sensor in client.ok("sensors")}

    wait_for("the first readings", lambda: sensors()["FAN1"]["value"] == 3700 and sensors()["12V"]["value"])
    ours = sensors()
    theirs = dict(line.split(",")[:2] for line in rack.tool("-c sdr list full").splitlines() if line.count(",") > 2)
    assert set(theirs) == {"CPU Temp", "FAN1", "12V"}
    for name, value in theirs.items():
        assert ours[name]["value"] == pytest.approx(float(value), rel=0.01), name
        assert ours[name]["health"] == "ok"
    assert [ours[name]["unit"] for name in ("CPU Temp", "FAN1", "12V")] == ["°C", "RPM", "V"]
    assert ours["FAN1"]["thresholds"]["lower_critical"] == 500
    assert ours["CPU Temp"]["thresholds"]["upper_warning"] == 75
    assert (ours["PSU1"]["kind"], ours["PSU1"]["states"]) == ("power_supply", ["present"])
    assert (ours["Intrusion"]["states"], ours["Intrusion"]["health"]) == ([], "ok")

    sim.set("fan1", 6)
    wait_for("a slow fan", lambda: sensors()["FAN1"]["health"] == "warning")
    sim.set("fan1", 1)
    wait_for("a dead fan", lambda: sensors()["FAN1"]["health"] == "critical")
    sim.set("intrusion", 1)
    wait_for("an open cover", lambda: sensors()["Intrusion"]["states"] == ["chassis intrusion"])


def test_the_event_log_is_followed_cleared_and_its_clearing_noticed(rack):
    sim, client = rack.sim(), rack.client()
    assert client.ok("follow") == {"erased": False, "entries": []}
    sim.set("fan1", 1)
    seen = []

    def news():
        answer = client.ok("follow")
        assert not answer["erased"]
        seen.extend(answer["entries"])
        return seen

    wait_for("two events", lambda: len(news()) == 2)
    assert [(entry["sensor"], entry["severity"]) for entry in seen] == [("FAN1", "warning"), ("FAN1", "critical")]
    assert seen[1]["text"] == "lower critical going low (reading 100 RPM, threshold 500 RPM)"
    assert client.ok("follow")["entries"] == [], "told once"
    assert len(rack.tool("sel list").splitlines()) == len(client.ok("entries")) == 2
    sim.set("fan1", 37)
    wait_for("their end", lambda: len(news()) == 4)
    assert [entry["asserted"] for entry in seen] == [True, True, False, False]
    # Somebody else clears it, and something happens right after.
    rack.tool("sel clear")
    sim.set("intrusion", 1)
    wait_for("the event after", lambda: client.ok("log")["entries"] == 1)
    answer = client.ok("follow")
    assert answer["erased"] and [entry["text"] for entry in answer["entries"]] == ["chassis intrusion"]
    client.ok("clear")
    assert client.ok("log")["entries"] == 0
    assert "no entries" in rack.tool("sel list")


def test_a_wrong_password_is_tried_once(rack):
    rack.sim(behind=True)
    relay = rack.relay()
    refused = rack.client(password="wrong").error("connect")
    assert (refused["error"], refused["login"], refused["lost"]) == ("WrongPassword", True, False)
    assert "another password for admin" in refused["text"]
    assert (relay.counts()[OPEN], relay.counts()[RAKP_1]) == (2, 1), "two suites asked for, one sign-in"
    unknown = rack.client(user="nobody").error("connect")
    assert unknown["error"] == "NotPermitted"
    assert relay.counts()[RAKP_1] == 2
    before = relay.counts()
    assert rack.client(password="x" * 21).process.wait(10) == 0
    assert relay.counts() == before, "a password that is too long is not sent"


def test_nobody_there_and_a_bmc_of_no_words_are_told_apart(rack):
    quick = {"tries": 2, "first_ms": 200}
    assert rack.client(**quick).error("connect")["error"] == "Unreached"
    rack.host("nft add table ip mute; nft 'add chain ip mute in { type filter hook input priority 0; }';"
              "nft add rule ip mute in udp dport 623 drop")
    gone = rack.client(**quick).error("connect")
    assert (gone["error"], gone["lost"], gone["login"]) == ("NoAnswer", True, False)
    assert rack.client(**quick).error("ping")["error"] == "NoAnswer"


@pytest.mark.parametrize("drop", [0.1, 0.3])
def test_a_bad_network_costs_time_only(rack, drop):
    sim, relay = rack.sim(behind=True), rack.relay()
    client = rack.client(tries=14, first_ms=60, suite=3)
    relay.faults(drop=drop, double=0.1, late=0.1, flip=0.05)
    client.ok("connect")
    sensors = {sensor["name"]: sensor["value"] for sensor in client.ok("sensors")}
    assert list(sensors) == ["CPU Temp", "FAN1", "12V", "Intrusion", "PSU1"]
    for round in range(3):
        for verb, state in [("down", False), ("up", True)]:
            client.ok(f"power {verb}")
            wait_for(f"power {verb}", lambda: client.ok("status")["on"] is state)
    sim.set("fan1", 1)
    wait_for("two events", lambda: len(client.ok("entries")) == 2, timeout=30)
    client.ok("clear")


def test_what_must_not_happen_twice_is_sent_once(rack):
    sim, relay = rack.sim(behind=True), rack.relay()
    client = rack.client(tries=3, first_ms=100)
    client.ok("connect")
    relay.faults(mute=True)
    lost = client.error("power reset")
    assert (lost["error"], lost["lost"]) == ("Unanswered", True)
    assert sim.events("reset") == ["1"]
    assert client.error("power down")["error"] == "NoAnswer"
    relay.faults()
    assert client.ok("status")["on"] is False, "the session outlived it"


def test_a_bmc_killed_in_the_middle_is_lost_and_found_again(rack):
    sim, client = rack.sim(behind=True), rack.client(tries=3, first_ms=100)
    rack.relay()
    client.ok("status")
    sim.kill()
    lost = client.error("power up")
    assert (lost["error"], lost["lost"]) == ("NoAnswer", True)
    sim.start()
    # It has forgotten the session.
    assert client.error("status")["lost"]
    client.ok("connect")
    client.ok("power up")


def test_suite_17_works_with_real_ipmitool_and_with_our_client(rack):
    bmc = rack.bmc(suites=[17])
    assert "Intel" in rack.tool("mc info", suite=17)
    assert "is on" in rack.tool("power status", suite=17)
    rack.tool("power off", suite=17)
    assert "is off" in rack.tool("power status", suite=17)
    rack.tool("power on", suite=17)
    rack.tool("power cycle", suite=17)
    assert "Set Boot Device to pxe" in rack.tool("chassis bootdev pxe options=persistent,efiboot", suite=17)
    assert bmc.has("power") == [0, 1, 2]
    assert "Unable to establish" in rack.tool("power status", suite=3, check=False)

    client = rack.client()
    assert client.ok("connect") == {"suite": 17, "privilege": 4}
    assert client.ok("boot") == {"device": "Pxe", "persistent": True, "efi": True, "valid": True}
    client.ok("setboot bios")
    assert bmc.has("boot")[-1] == [0x80, 0x18, 0, 0, 0] and bmc.has("in_progress")[-1] == 1
    flags = rack.tool("chassis bootparam get 5", suite=17)
    assert "BIOS Setup" in flags and "only next boot" in flags
    assert "set complete" in rack.tool("chassis bootparam get 0", suite=17)
    client.ok("identify on")
    assert client.ok("status")["identify"] == "On"
    for verb in ("cycle", "reset", "diag", "soft"):
        client.ok(f"power {verb}")
    assert bmc.has("power") == [0, 1, 2, 2, 3, 4, 5]
    # Nothing but the two suites is ever asked for.
    assert {tuple(asked) for asked in bmc.has("open")[-1:]} == {(3, 4, 1)}


def test_suite_3_comes_second_and_nothing_comes_third(rack):
    bmc = rack.bmc(suites=[3])
    client = rack.client()
    assert client.ok("connect") == {"suite": 3, "privilege": 4}
    assert bmc.has("open") == [[3, 4, 1], [1, 1, 1]]
    client.ok("close")
    bmc.tell("end")
    bmc.process.wait(10)
    bmc = rack.bmc(suites=[])
    assert rack.client().error("connect")["error"] == "NoSuite"
    assert bmc.has("open") == [[3, 4, 1], [1, 1, 1]]


def test_a_user_of_less_privilege_gets_a_session_of_less(rack):
    bmc = rack.bmc(privilege=3)
    assert rack.client().ok("connect") == {"suite": 17, "privilege": 3}
    bmc.tell("end")
    bmc.process.wait(10)
    rack.bmc(key="another key")
    refused = rack.client().error("connect")
    assert refused["error"] == "NotPermitted" and "BMC key" in refused["text"]


def test_a_busy_bmc_is_asked_again_after_a_while(rack):
    bmc, client = rack.bmc(), rack.client(pause_ms=20)
    client.ok("connect")
    bmc.tell("busy 4")
    client.ok("power down")
    assert bmc.has("power") == [0]
    bmc.tell("busy 100")
    busy = client.error("status")
    assert (busy["error"], busy["lost"]) == ("Busy", True)


def full(number, name, function="00"):
    """A full record: threshold sensor, 2's complement, M 2, B 5 with K1 1, °C."""
    text = name.encode().hex()
    body = f"2000{number:02x}0301774801010000000000003f3f 80 01 00 {function} 02 00 05 00 00 01" + "00" * 17 + f"{0xc0 | len(name):02x}{text}"
    body = body.replace(" ", "")
    return f"{number:02x}0051 01 {len(body) // 2:02x}".replace(" ", "") + body


def test_records_come_in_the_pieces_that_the_bmc_gives(rack):
    names = ["Inlet", "Exhaust with a name", "Curved"]
    records = [full(number, name, "70" if name == "Curved" else "00") for number, name in enumerate(names)]
    bmc = rack.bmc(sdr=records, sdr_most=7)
    client = rack.client()
    bmc.tell("lose")
    sensors = client.ok("sensors")
    assert [sensor["name"] for sensor in sensors] == names
    # 80h is -128: 2 × -128 + 5 × 10; the factors of the curved one are asked for.
    assert [sensor["value"] for sensor in sensors] == [-206, -206, -256]
    assert sensors[0]["thresholds"]["lower_warning"] == 52


def test_the_same_address_by_another_way_is_never_used(rack):
    """The LAN is down, and something else answers to the BMC's address: it is not asked."""
    other = rack.spaces("other")
    wire(rack.board, "wlan0", other, "ap0")
    other(f"ip link set ap0 up; ip addr add {HOST}/32 dev ap0; ip addr add 172.20.10.1/28 dev ap0; ip route add 10.79.0.0/24 dev ap0")
    rack.board("ip link set wlan0 up; ip addr add 172.20.10.2/28 dev wlan0")
    bmc = Bmc(other, rack.binaries["ipmi_bmc"])
    rack.host("ip link set lan0 down")
    rack.board(f"ip route replace {HOST}/32 dev wlan0")
    assert "is on" in rack.tool("power status", suite=17), "who does not keep to the LAN gets there"
    heard = len(bmc.has("open"))
    lost = rack.client(tries=2, first_ms=200).error("connect")
    assert lost["error"] in ("Unreached", "NoAnswer")
    assert len(bmc.has("open")) == heard
