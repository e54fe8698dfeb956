"""Machines by Intel AMT: an emulated device that curl and amttool prove, and the board that asks it."""
import os
import subprocess

import pytest
from amt_kit import PASSWORD, AmtHouse, Device, amt
from machine_kit import FAST, HOST

POWER = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_AssociatedPowerManagementService"
GET = f"""<?xml version="1.0" encoding="utf-8"?><Envelope xmlns="http://www.w3.org/2003/05/soap-envelope"
 xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"><Header>
<a:Action>http://schemas.xmlsoap.org/ws/2004/09/transfer/Get</a:Action><a:To>/wsman</a:To><w:ResourceURI>{POWER}</w:ResourceURI>
<a:MessageID>1</a:MessageID></Header><Body/></Envelope>"""


@pytest.fixture
def house(tmp_path, make_board):
    house = AmtHouse(tmp_path, make_board)
    yield house
    house.close()


def curl(url, *options, password=PASSWORD, body=GET):
    words = ["curl", "-sk", "--max-time", "60", "--digest", "-u", f"admin:{password}", "-w", "\n%{http_code}", *options]
    done = subprocess.run([*words, "-d", body, url], stdout=subprocess.PIPE, text=True, check=True, timeout=90)
    text, code = done.stdout.rsplit("\n", 1)
    return int(code), text


def test_curl_signs_in_to_the_device_and_reads_it():
    device = Device(tls=True, listen="127.0.7.1")
    try:
        for url in ("http://127.0.7.1:16992/wsman", "https://127.0.7.1:16993/wsman"):
            code, text = curl(url)
            assert code == 200 and "PowerState>2<" in text
            device.tell("split on")
            code, text = curl(url)
            assert code == 200 and "PowerState>2<" in text
            device.tell("split off")
            assert curl(url, password="wrong")[0] == 401
            assert curl(url, body=GET.replace("CIM_Associated", "CIM_Nothing"))[0] == 400
        probe = subprocess.run(["curl", "-si", "http://127.0.7.1:16992/"], stdout=subprocess.PIPE, text=True, check=True, timeout=60)
        assert "303 See Other" in probe.stdout and "Server: Intel(R) Active Management Technology 15.0.23.1706" in probe.stdout
    finally:
        device.close()


# What curl must be told to speak with each generation, and what then is not enough.
GENERATIONS = {
    "7": (["--tls-max", "1.0", "--ciphers", "DEFAULT@SECLEVEL=0"], ["--tlsv1.2"]),
    "11.8": (["--tls-max", "1.2", "--ciphers", "AES128-SHA@SECLEVEL=0"], ["--tlsv1.3"]),
    "15": (["--tlsv1.2"], ["--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"]),
    "16.1": (["--tlsv1.2"], ["--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"]),
}


@pytest.mark.parametrize("profile", GENERATIONS)
def test_curl_needs_the_tls_of_the_generation(profile):
    device = Device(profile=profile, tls=True, redirection_tls=True, listen="127.0.7.3")
    enough, short = GENERATIONS[profile]
    try:
        code, text = curl("https://127.0.7.3:16993/wsman", *enough)
        assert code == 200 and "PowerState>2<" in text
        with pytest.raises(subprocess.CalledProcessError):
            curl("https://127.0.7.3:16993/wsman", *short)
        if profile == "16.1":
            with pytest.raises(subprocess.CalledProcessError):
                curl("http://127.0.7.3:16992/wsman")
    finally:
        device.close()


def test_nmap_takes_the_device_for_what_it_plays():
    device = Device(profile="15", tls=True, redirection_tls=True, listen="127.0.7.4")
    try:
        done = subprocess.run(["nmap", "-sV", "-Pn", "-p", "16992-16995", "127.0.7.4"], stdout=subprocess.PIPE, text=True, check=True, timeout=180)
        ports = {line.split("/")[0]: line for line in done.stdout.splitlines() if "/tcp" in line}
        assert "open" in ports["16994"] and "open" in ports["16995"]
        assert "Intel Active Management Technology" in ports["16992"] and "15.0.23" in ports["16992"], done.stdout
        assert "ssl/" in ports["16993"] and "Intel Active Management Technology" in ports["16993"], done.stdout
    finally:
        device.close()


def test_amttool_reads_the_device_and_switches_it():
    device = Device(listen="127.0.7.2")

    def tool(*words):
        done = subprocess.run(["amttool", "127.0.7.2", *words], input="y\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env={**os.environ, "AMT_PASSWORD": PASSWORD}, check=False, timeout=90)
        assert done.returncode == 0, done.stdout
        return done.stdout

    try:
        said = tool("info")
        assert "AMT version:  15.0.23.1706" in said and "Powerstate:   S0" in said and "powercycle powerdown powerup" in said
        assert "pt_status: success" in tool("powerdown")
        assert "Powerstate:   S5 (soft-off)" in tool("info")
        assert "pt_status: success" in tool("powerup", "pxe")
        assert device.has("power") == [8, 2] and device.has("starts_from") == ["Force PXE Boot"]
    finally:
        device.close()


def test_power_is_switched_by_amt_and_read_back_over_tls(house):
    device = house.device(tls=True, plain=False)
    house.start(f"[machine.db1]\n{amt(tls=True)}{FAST}")
    house.phase("up")
    machine = house.machine()
    assert (machine["state"], machine["methods"]) == ("On", ["amt"])
    assert [event["what"] for event in house.told("Pinned")] == [f"tls {HOST}:16993"]
    for verb, number, state in (("off", 8, 8), ("on", 2, 2), ("shutdown", 12, 8), ("on", 2, 2), ("reset", 10, 2), ("cycle", 5, 2)):
        asked = device.has("power")
        assert f"db1: {verb} confirmed after " in house.power(verb)
        assert device.has("power")[len(asked):] == [number], "one request, never repeated"
        assert device.state()["power"] == state
    # Nothing tells that these came.
    assert house.power("nmi", code=5) and device.has("power")[-1] == 11
    assert "was not seen away" in house.power("restart", code=5) and device.has("power")[-1] == 14
    # All of it in one sign-in: the nonce is kept over connections, and its count goes up.
    refused = [asked for asked in device.asked() if not asked["let_in"]]
    assert len(refused) == 1, refused
    counts = [asked["count"] for asked in device.asked() if asked["let_in"]]
    assert counts == list(range(1, len(counts) + 1))
    assert all(asked["whole"] for asked in device.asked()), "a request came in pieces"
    # What somebody else does is told.
    device.tell("power 8")
    house.until("the change", lambda: house.told("MachineChanged") == [{"machine": "db1", "state": "Off"}])


def test_a_wrong_password_is_tried_once_and_a_storm_of_refusals_twice(house):
    device = house.device()
    house.start(f"[machine.db1]\n{amt('Wr0ng!pw')}{FAST}")
    house.phase("refused")
    assert "does not take the password of admin" in house.machine()["why"]
    assert house.machine()["state"] == "Unknown"
    house.power("off", code=1)
    assert len(device.has("wrong_password")) == 1 and device.has("power") == []
    house.board.reload(house.config(f"[machine.db1]\n{amt()}{FAST}"))
    house.phase("up")
    device.tell("refuse on")
    tried = len(device.has("wrong_password"))
    house.phase("refused")
    assert len(device.has("wrong_password")) - tried <= 2
    device.tell("refuse off")
    house.board.ctl("machine", "read", "db1")
    house.phase("up")


def test_not_ready_is_asked_again_and_a_lost_answer_is_not(house):
    device = house.device()
    house.start(f"[machine.db1]\n{amt()}{FAST}")
    house.phase("up")
    device.tell("return RequestPowerStateChange 2")
    assert "db1: off confirmed" in house.power("off")
    calls = device.has("call").count("CIM_PowerManagementService.RequestPowerStateChange")
    assert calls == 2 and device.has("power") == [8]
    device.tell("return RequestPowerStateChange 16")
    assert "not permitted (16)" in house.power("on", code=1)
    house.power("on")
    # A nonce that ran out costs one more round and nobody's patience.
    asked = len(device.asked())
    device.tell("forget")
    house.until("a reading with a new nonce", lambda: any(one["let_in"] and one["count"] == 1 for one in device.asked()[asked:]))
    assert house.machine()["phase"] == "up"
    before = len(device.has("power"))
    device.tell("mute RequestPowerStateChange")
    house.power("reset", code=5)
    assert device.has("power")[before:] == [10], "what may have been done is not given again"


def test_replies_that_are_slow_split_or_hostile(house):
    device = house.device()
    house.start(f"[machine.db1]\n{amt()}{FAST}")
    house.phase("up")
    device.tell("split on")
    house.power("off")
    device.tell("split off")
    # An answer after five seconds is one.
    device.tell("sleep AMT_BootSettingData 5000")
    assert house.board.ctl("machine", "boot", "db1").stdout
    head = "HTTP/1.1 200 OK\\r\\nContent-Type: application/soap+xml\\r\\n"
    for raw, said in ((f"{head}Content-Length: 99999999999\\r\\n\\r\\n<a>", "end of file before message length reached"),
                      (f"{head}Transfer-Encoding: chunked\\r\\n\\r\\nFFFFFFFFFFFFFFFFF\\r\\n<a>", HOST),
                      (f"{head}Content-Length: 3\\r\\n\\r\\n<a>", "no XML at byte 3: it ends too early"),
                      (f"{head}Content-Length: 30\\r\\n\\r\\n<!DOCTYPE a [<!ENTITY b 'c'>]>", "a document type"),
                      (f"{head}Content-Length: 4\\r\\n\\r\\n<a/>", "no envelope")):
        device.tell(f'raw AMT_BootSettingData "{raw}"')
        told = house.board.ctl("machine", "boot", "db1", check=False)
        assert told.returncode == 1 and said in told.stderr and HOST in told.stderr, (raw, told)
        house.board.ctl("machine", "boot", "db1")
    assert house.machine()["phase"] == "up"
