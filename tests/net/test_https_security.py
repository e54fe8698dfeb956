"""The HTTPS door towards people who mean no good, beyond what test_api_tls (floods, limits), test_api_signin (guessing, other sites) and
test_api_page (paths on disk) look at."""
import socket
import ssl
import xml.etree.ElementTree as ElementTree

from api_kit import Door, house, make_house  # noqa: F401
from board import wait_for
from ssh_kit import PASSWORD, Device

SOUND = {"TLSv1.3": {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"},
         "TLSv1.2": {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"}}
HEADERS = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
           "Cross-Origin-Opener-Policy": "same-origin"}
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13", "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ=="}


def test_nothing_but_sound_ciphers(house):
    """Each protocol and cipher that sslscan knows, tried one by one."""
    one, _ = house()
    done = one.board.in_ns("sslscan", "--xml=-", "--no-colour", "127.0.0.1:443", timeout=300)
    scan = ElementTree.fromstring(done.stdout).find("ssltest")
    enabled = {(p.get("type"), p.get("version")) for p in scan.iter("protocol") if p.get("enabled") == "1"}
    assert enabled == {("tls", "1.2"), ("tls", "1.3")}
    taken = {version: {c.get("cipher") for c in scan.iter("cipher") if c.get("sslversion") == version} for version in SOUND}
    assert taken == SOUND and len(list(scan.iter("cipher"))) == 6
    # What it does not even look for without TLS 1.1 is not in its answer.
    assert all(found.get("vulnerable") == "0" for found in scan.iter("heartbleed"))
    assert all(found.get("supported") == "0" for tag in ("compression", "renegotiation") for found in scan.iter(tag))


def test_every_answer_has_its_headers(house):
    one, door = house()
    token = door.sign_in()
    big = {"WriteNote": {"text": "x" * 1_100_000}}
    for method, path, status, options in [
            ("GET", "/api/state", 200, {"token": token}), ("GET", "/api/state", 401, {}), ("GET", "/metrics", 200, {"token": token}),
            ("GET", "/api/openapi.json", 200, {}), ("GET", "/", 404, {}), ("GET", "/api/nothing", 404, {}), ("DELETE", "/api/state", 405, {"token": token}),
            ("POST", "/api/command", 413, {"token": token, "body": big}), ("POST", "/api/command", 415, {"token": token, "body": b"{}"}),
            ("DELETE", "/api/sessions/x", 400, {"token": token}), ("GET", "/api/console/none", 404, {"token": token}),
            ("GET", "/api/support-bundle", 200, {"token": token}), ("TRACE", "/", 404, {}), ("OPTIONS", "/api/state", 405, {})]:
        answer = door.ask(method, path, **options)
        assert answer.status == status, (method, path, answer.status, answer.body)
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS, (method, path)
        assert "unsafe" not in answer.headers["Content-Security-Policy"] and "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] in ("no-store", "no-cache") and "Access-Control-Allow-Origin" not in answer.headers
        assert "Server" not in answer.headers and "Transfer-Encoding" not in answer.headers or status == 200
        if status >= 400 and path.startswith("/api"):
            assert answer.error


def test_a_session_is_never_taken_over(house):
    """Fixation: what a client brings is never made its session. A token ends with its session; a ticket is good once."""
    one, door = house(devices={"sw": Device()})
    brought = "A" * 43
    answer = door.ask("POST", "/api/session", {"user": "alice", "password": PASSWORD}, Cookie=f"__Host-oobd={brought}")
    first = answer.json()["token"]
    assert first != brought and brought not in answer.headers["Set-Cookie"]
    assert door.ask("GET", "/api/session", token=brought).status == 401
    # Signing in anew gives another one, and leaves the first as it is.
    second = door.ask("POST", "/api/session", {"user": "alice", "password": PASSWORD}, Cookie=f"__Host-oobd={first}").json()["token"]
    assert second != first and door.ask("GET", "/api/session", token=first).status == 200
    # Not in an address, where logs would have it.
    assert door.ask("GET", f"/api/session?token={first}").status == 401
    ticket = door.ask("POST", "/api/ticket", token=first).json()["ticket"]
    assert door.ask("GET", f"/api/state?ticket={ticket}").status == 401, "a ticket opens WebSockets only"
    assert door.ask("GET", f"/api/control?ticket={ticket}", **UPGRADE).status == 101
    assert door.ask("GET", f"/api/control?ticket={ticket}", **UPGRADE).status == 401
    ticket = door.ask("POST", "/api/ticket", token=first).json()["ticket"]
    assert door.ask("DELETE", "/api/session", token=first).status == 200
    assert door.ask("GET", f"/api/control?ticket={ticket}", **UPGRADE).status == 401, "it went with its session"
    assert door.ask("GET", "/api/session", Cookie=f"__Host-oobd={first}").status == 401
    assert door.ask("GET", "/api/session", token=second).status == 200


def test_other_sites_open_no_sockets(house):
    one, door = house(devices={"sw": Device()})
    token = door.sign_in()
    cookie = f"__Host-oobd={token}"
    for path in ("/api/control", "/api/console/sw", "/api/screen/none"):
        for origin in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://localhost"}, {}):
            assert door.ask("GET", path, Cookie=cookie, **UPGRADE, **origin).status == 403, (path, origin)
    assert door.ask("GET", "/api/control", Cookie=cookie, Origin="https://localhost", **UPGRADE).status == 101


def test_names_lead_nowhere_else(house):
    one, door = house(devices={"sw": Device()})
    token = door.sign_in()
    for name in ("..%2f..%2fstate", "%2e%2e", "sw%2f..%2fsw", "sw%00", "%ff", "sw%0d%0aX-Evil:%201", "-" * 300, "*", "%F0%9F%92%A5"):
        for path in (f"/api/console/{name}", f"/api/screen/{name}", f"/api/screen/{name}/snapshot.png"):
            answer = door.ask("GET", path, token=token, **UPGRADE)
            assert answer.status in (400, 404) and answer.error and "X-Evil" not in answer.headers, (path, answer.status, answer.body)
    for path in ("/api/../api/state", "/api//state", "/api/state/", "/API/state", "/api/%73tate%2f"):
        assert door.ask("GET", path).status in (401, 404), path


def raw(door, text):
    """The first line and all else that is answered to these bytes, until the door closes."""
    link = door.tls()
    link.settimeout(30)
    link.sendall(text)
    got = b""
    try:
        while piece := link.recv(4096):
            got += piece
    except (TimeoutError, socket.timeout, ssl.SSLError, ConnectionError):
        pass
    link.close()
    return got


def test_requests_that_are_two_at_once(house):
    """Whoever sits before the door must agree with it where a request ends: what can be read in two ways is refused."""
    one, door = house()
    token = door.sign_in()
    head = f"POST /api/command HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nConnection: close\r\n".encode()
    inner = b"GET /api/sessions HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for text in (head + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + inner,
                 head + b"Content-Length: -1\r\n\r\n" + inner,
                 head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + inner,
                 head + b"Transfer-Encoding: gzip\r\n\r\n" + inner,
                 b"GET /api/state HTTP/1.1\r\nHost : localhost\r\n\r\n", b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n"):
        got = raw(door, text)
        assert not got or got.split(b"\r\n", 1)[0].split(b" ")[1] in (b"400", b"413"), (text, got[:200])
        assert got.count(b"HTTP/1.1 ") <= 1 and b"sessions" not in got, got
    # Length and chunks: the length counts for nothing, and the connection ends.
    got = raw(door, head + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner)
    assert got.count(b"HTTP/1.1 ") <= 2 and b"200 OK" not in got, got
    assert door.ask("GET", "/api/state", token=token).status == 200


def test_slow_bodies_keep_nobody_out(house):
    """90 clients of one LAN host, each signed in nowhere, that send a body byte by byte, and some that read no answer."""
    one, door = house()
    wait_for("the LAN's address", lambda: "10.77.0.5" in one.board.in_ns("ip", "addr").stdout)
    slow = Door(one, host="10.77.0.5", space=f"/run/netns/{one.lan.host}")
    held = []
    for number in range(90):
        try:
            link = slow.tls(room=4096)
            head = b"POST /api/session HTTP/1.1\r\nHost: rack7\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{"
            # A third asks and does not read.
            link.sendall(head if number % 3 else b"GET /api/openapi.json HTTP/1.1\r\nHost: rack7\r\n\r\n" * 20)
            held.append(link)
        except OSError:
            # The door drops what comes too often.
            pass
    assert len(held) > 20
    token = door.sign_in()
    for number in range(20):
        for link in held:
            try:
                link.sendall(b" ") if number % 3 else None
            except OSError:
                pass
        assert door.ask("GET", "/api/state", token=token).status == 200
    wait_for("the end of them", lambda: ":443 " not in one.board.in_ns("ss", "-Htn", "state", "established", "src", "10.77.0.5").stdout, 180)
    assert one.board.json("status")["owners"]["api"]["restarts"] == 0
