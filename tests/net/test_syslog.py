"""What consoles receive on a real rsyslogd of the LAN: over UDP, TCP and TLS, with the server killed and started again."""
import re
import signal
import subprocess

import pytest
from board import wait_for
from ssh_kit import Device, House, run

HOST = "10.77.0.9"
PORTS = {"udp": 514, "tcp": 601, "tls": 6514}
INPUTS = {
    # UDP has no way to say "slower": a starved receiver needs room of its own.
    "udp": 'module(load="imudp")\ninput(type="imudp" port="514" rcvbufSize="4m")',
    "tcp": 'module(load="imtcp")\ninput(type="imtcp" port="601")',
    "tls": 'module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")\n'
           'input(type="imtcp" port="6514")',
}
CONFIG = """
global(workDirectory="WORK" defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="WORK/ca.pem"
       defaultNetstreamDriverCertFile="WORK/server.pem" defaultNetstreamDriverKeyFile="WORK/server.key")
INPUT
template(name="row" type="string" string="%app-name%|%msgid%|%hostname%|%syslogfacility-text%.%syslogseverity-text%|%structured-data%|%msg%\\n")
action(type="omfile" file="WORK/out" template="row" flushInterval="1" ioBufferSize="1k" flushOnTXEnd="on")
"""
ROW = re.compile(r"^(.*?)\|(.*?)\|(.*?)\|(.*?)\|(.*?)\|(.*)$")


class Rsyslog:
    """Debian's rsyslogd in the LAN host's namespace; `rows` are the messages it has written."""

    def __init__(self, work, netns, carrier):
        self.work, self.netns, self.carrier = work, netns, carrier
        self.work.mkdir()
        if not (work / "ca.pem").exists():
            openssl = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
            run(*openssl, "-keyout", work / "ca.key", "-out", work / "ca.pem", "-subj", "/CN=logs CA")
            run(*openssl, "-keyout", work / "server.key", "-out", work / "server.pem", "-subj", "/CN=logs", "-CA", work / "ca.pem",
                "-CAkey", work / "ca.key", "-addext", f"subjectAltName=IP:{HOST}", "-addext", "basicConstraints=critical,CA:FALSE")
        self.config = work / "rsyslog.conf"
        self.config.write_text(CONFIG.replace("INPUT", INPUTS[carrier]).replace("WORK", str(work)))
        self.process = None

    def start(self):
        command = ["ip", "netns", "exec", self.netns, "/usr/sbin/rsyslogd", "-n", "-f", self.config, "-i", self.work / "pid"]
        self.process = subprocess.Popen(command, stdout=(self.work / "log").open("ab"), stderr=subprocess.STDOUT)
        kind = "-lnuH" if self.carrier == "udp" else "-lntH"
        listening = ["ip", "netns", "exec", self.netns, "ss", kind, f"sport = :{PORTS[self.carrier]}"]
        wait_for("rsyslogd listens", lambda: subprocess.run(listening, capture_output=True).stdout, 60)

    def kill(self):
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def rows(self):
        out = self.work / "out"
        text = out.read_bytes().decode() if out.exists() else ""
        return [ROW.match(row).groups() for row in text.splitlines() if ROW.match(row)]

    def texts(self, console="sw"):
        return [row[5].strip() for row in self.rows() if row[0] == console and row[1] == "rx"]

    def fingerprint(self):
        text = run("openssl", "x509", "-in", self.work / "server.pem", "-noout", "-fingerprint", "-sha256").stdout.decode()
        return "sha256:" + text.split("=")[1].strip()


@pytest.fixture
def house(tmp_path, make_board):
    made = []

    def make(carrier, proof="", devices=("sw",), consoles=""):
        one = House(tmp_path, make_board, devices={name: Device(lambda data: b"") for name in devices})
        server = Rsyslog(tmp_path / "rsyslog", one.lan.host, carrier)
        made.append((one, server))
        section = f'\n[syslog]\nto = "{carrier}:{HOST}:{PORTS[carrier]}"\nfacility = "local3"\n'
        proof = proof.replace("CA", str(server.work / "ca.pem")).replace("PIN", server.fingerprint())
        one.board.config.write_text(one.config() + consoles + section + proof)
        return one, server

    yield make
    for one, server in made:
        server.kill()
        one.close()


def lan_is_up(one):
    # A console that was never sent begins with what comes from then on: what is said before that is not owed to the server.
    wait_for("the export has begun", (one.board.work / "state" / "consoles" / "syslog.cursors").exists)
    wait_for("the LAN address", lambda: one.board.json("status")["links"].get("eth0", {}).get("addresses"))
    wait_for("the console is open", lambda: all(c["phase"] == "open" for c in one.board.json("status")["consoles"].values()))


def lines(first, last):
    return [f"line {number}" for number in range(first, last)]


def say(one, wanted, console="sw"):
    one.devices[console].say("".join(line + "\r\n" for line in wanted).encode())


def arrive(server, wanted, timeout=30):
    """All of them are there, and in their order once what came twice is taken out."""
    wait_for("all lines", lambda: set(wanted) <= set(server.texts()), timeout)
    assert list(dict.fromkeys(text for text in server.texts() if text.startswith("line "))) == wanted


@pytest.mark.parametrize("carrier, proof", [("udp", ""), ("tcp", ""), ("tls", 'ca = "@file:CA"\n'), ("tls", 'pin = "PIN"\n')],
                         ids=["udp", "tcp", "tls-ca", "tls-pin"])
def test_no_line_is_lost_when_the_server_falls_and_rises(house, carrier, proof):
    one, server = house(carrier, proof)
    server.start()
    one.start()
    lan_is_up(one)
    say(one, lines(0, 50))
    arrive(server, lines(0, 50))
    console, msgid, host, priority, data, _ = server.rows()[0]
    assert (console, msgid, priority) == ("sw", "rx", "local3.info") and host
    assert 'oobd@32473 console="sw" offset="' in data

    server.kill()
    say(one, lines(50, 150))
    failed = one.seen("ExportFailed", f"{carrier}:{HOST}")
    assert failed["reason"]
    say(one, lines(150, 250))
    server.start()
    arrive(server, lines(0, 250), timeout=60)
    assert one.seen("ExportResumed", carrier)["lost_bytes"] == 0
    assert one.count("ExportFailed") == 1

    # The board falls while the server is away, and goes on where it was.
    server.kill()
    say(one, lines(250, 300))
    wait_for("the lines on flash", lambda: "line 299" in one.board.ctl("console", "log", "sw", "-n", "5").stdout)
    one.board.stop(signal.SIGKILL)
    server.start()
    one.start()
    lan_is_up(one)
    say(one, lines(300, 310))
    arrive(server, lines(0, 310), timeout=60)


def test_what_cannot_be_text_is_escaped_and_a_console_may_stay_away(house):
    one, server = house("tcp", devices=("sw", "private"), consoles="")
    text = one.board.config.read_text()
    one.board.config.write_text(text.replace("[console.private]\n", "[console.private]\nsyslog = false\n"))
    server.start()
    one.start()
    lan_is_up(one)
    one.devices["private"].say(b"nobody's business\r\n")
    one.devices["sw"].say(b"\x1b[31mred\x1b[0m \xff\x00 <0>1 - forged - - - -\r\n" + b"x" * 3000 + b"\r\n" + b"prompt without end> ")
    wait_for("the prompt", lambda: "prompt without end>" in server.texts(), 30)
    texts = server.texts()
    assert texts[0] == r"\x1b[31mred\x1b[0m \xff\x00 <0>1 - forged - - - -"
    assert [len(text) for text in texts[1:4]] == [1024, 1024, 952]
    assert not server.texts("private")


def test_a_server_with_another_certificate_gets_nothing(house):
    one, server = house("tls", f'pin = "sha256:{"00" * 32}"\n')
    server.start()
    one.start()
    lan_is_up(one)
    say(one, lines(0, 5))
    wait_for("the fault", lambda: one.happened("ExportFailed"), 60)
    assert "certificate" in one.happened("ExportFailed")[0]["reason"]
    assert not server.rows()
