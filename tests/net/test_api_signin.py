"""Signing in over HTTPS: sessions, HTTP Basic, limits, Origin, first boot; with curl where it is what people use."""
import base64
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor

from api_kit import Door, house, make_house  # noqa: F401
from board import wait_for
from ssh_kit import HASH, PASSWORD, House


def test_a_session_from_sign_in_to_sign_out(house):
    one, door = house(people={"alice": "administrator", "bob": "operator"})
    answer = door.ask("POST", "/api/session", {"user": "alice", "password": PASSWORD})
    body = answer.json()
    assert (answer.status, body["user"], body["role"], body["idle_seconds"]) == (201, "alice", "administrator", 1800)
    cookie = answer.headers["Set-Cookie"]
    assert cookie == f"__Host-oobd={body['token']}; Path=/; Secure; HttpOnly; SameSite=Strict"
    assert re.fullmatch(r"[\w-]{43}", body["token"])
    accepted = one.seen("SignInAccepted", "alice", "https")
    assert accepted["method"] == "password" and body["token"] not in one.board.text()
    bob = door.sign_in("bob")
    assert [s["user"] for s in door.ask("GET", "/api/sessions", token=body["token"]).json()["sessions"]] == ["alice", "bob"]
    mine = door.ask("GET", "/api/sessions", token=bob).json()
    assert [s["user"] for s in mine["sessions"]] == ["bob"] and mine["own"] == mine["sessions"][0]["id"]
    assert door.ask("DELETE", f"/api/sessions/{body['session']}", token=bob).status == 404
    assert door.ask("DELETE", f"/api/sessions/{mine['own']}", token=body["token"]).status == 200
    assert door.ask("GET", "/api/session", token=bob).status == 401
    assert door.ask("DELETE", "/api/session", token=body["token"]).status == 200
    answer = door.ask("GET", "/api/session", token=body["token"])
    assert answer.status == 401 and answer.headers["WWW-Authenticate"] == 'Bearer realm="oobd"'


def test_an_idle_session_ends(house):
    one, door = house()
    one.board.reload(one.config() + '[https]\nidle = "10s"\n')
    wait_for("the reload", lambda: one.count("ConfigApplied"))
    token = door.sign_in()
    assert door.ask("GET", "/api/session", token=token).json()["idle_seconds"] == 10
    watching = door.sign_in()
    wait_for("the end", lambda: len(door.ask("GET", "/api/sessions", token=watching).json()["sessions"]) == 1, 40)
    assert door.ask("GET", "/api/session", token=token).status == 401


def test_curl_with_basic(house):
    one, door = house()
    curl = ["curl", "-s", "--cacert", door.file, "https://localhost/api/state"]
    for _ in range(3):
        state = json.loads(one.board.in_ns(*curl, "-u", f"alice:{PASSWORD}").stdout)
        assert state["device"] == "rack7"
    # Three requests, one hash, one event.
    assert [event["method"] for event in one.happened("SignInAccepted")] == ["basic password"]
    assert "wrong user name or password" in one.board.in_ns(*curl, "-u", "alice:nonsense").stdout
    one.seen("SignInRefused", "alice", "https")
    # Remembered, and still gone with the user's password.
    one.users["alice"] = one.users["alice"].replace(HASH, HASH[:-4] + "AAAA")
    one.board.reload(one.config())
    wait_for("the change", lambda: "error" in one.board.in_ns(*curl, "-u", f"alice:{PASSWORD}").stdout)


def at_once(count, work):
    """What `work` gives in so many threads that begin together."""
    gate = threading.Barrier(count)

    def one(_):
        gate.wait(60)
        return work()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_fifty_at_once_with_the_right_password(house):
    """A collector that opens all its connections together is nobody who guesses."""
    one, door = house(people={"alice": "administrator"})
    basic = "Basic " + base64.b64encode(f"alice:{PASSWORD}".encode()).decode()
    answers = at_once(50, lambda: door.ask("GET", "/api/state", Authorization=basic).status)
    assert answers == [200] * 50
    # One of them was hashed.
    assert [event["method"] for event in one.happened("SignInAccepted")] == ["basic password"]
    # Sessions cost a hash each, and wait for their turn.
    assert at_once(12, lambda: door.ask("POST", "/api/session", {"user": "alice", "password": PASSWORD}).status) == [201] * 12
    wrong = "Basic " + base64.b64encode(b"alice:guess").decode()
    refused = at_once(20, lambda: door.ask("GET", "/api/state", Authorization=wrong).status)
    # After five the others are not even hashed; a wait may end between two of them.
    assert set(refused) == {401, 429} and 5 <= refused.count(401) <= 8, refused


def test_guessing_has_to_wait_and_others_do_not(house):
    one, door = house(people={"alice": "administrator"})
    wait_for("the LAN's address", lambda: "10.77.0.5" in one.board.in_ns("ip", "addr").stdout)
    guesser = Door(one, host="10.77.0.5", space=f"/run/netns/{one.lan.host}")
    credentials = {"user": "alice", "password": "guess"}
    answers = [guesser.ask("POST", "/api/session", credentials) for _ in range(8)]
    assert [answer.status for answer in answers[:5]] == [401] * 5
    held_up = [answer for answer in answers if answer.status == 429]
    assert held_up and int(held_up[0].headers["Retry-After"]) >= 1
    # The right one waits as well, by either way; nothing is hashed meanwhile.
    for _ in range(3):
        guesser.ask("POST", "/api/session", credentials)
    assert guesser.ask("POST", "/api/session", {"user": "alice", "password": PASSWORD}).status == 429
    assert door.sign_in()


def test_other_sites_change_nothing(house):
    one, door = house()
    token = door.sign_in()
    note = {"WriteNote": {"text": "from a page"}}
    cookie = f"__Host-oobd={token}"
    evil = {"Origin": "https://evil.example"}
    assert door.ask("POST", "/api/command", note, Cookie=cookie, **evil).status == 403
    assert door.ask("POST", "/api/command", note, token=token, **evil).status == 403
    assert door.ask("POST", "/api/session", {"user": "alice", "password": PASSWORD}, **evil).status == 403
    assert door.ask("POST", "/api/command", note, Cookie=cookie).status == 403
    assert one.count("NoteWritten") == 0
    assert door.ask("POST", "/api/command", note, Cookie=cookie, Origin="https://localhost").status == 200
    assert door.ask("GET", "/api/state", Cookie=f"a=b; {cookie}").status == 200


def test_a_user_who_was_changed_is_signed_out(house):
    one, door = house(people={"alice": "administrator", "bob": "operator"})
    alice, bob = door.sign_in("alice"), door.sign_in("bob")
    one.users["bob"] = one.users["bob"].replace("operator", "readonly")
    one.board.reload(one.config())
    wait_for("bob's end", lambda: door.ask("GET", "/api/session", token=bob).status == 401)
    assert door.ask("GET", "/api/session", token=alice).status == 200


def test_the_password_of_first_boot_is_changed_first(tmp_path, make_board):
    one = House(tmp_path, make_board, users=lambda _: {}).start()
    try:
        door = Door(one)
        text = (one.board.work / "boot" / "first-boot.txt").read_text()
        password = re.search(r"[0-9a-z]{5}(-[0-9a-z]{5}){3}", text).group()
        answer = door.ask("POST", "/api/session", {"user": "admin", "password": password})
        assert answer.status == 201 and answer.json()["must_change_password"]
        token = answer.json()["token"]
        refused = door.ask("GET", "/api/state", token=token)
        assert refused.status == 403 and "/api/password" in refused.error
        assert door.ask("POST", "/api/password", {"new": "short"}, token=token).status == 422
        assert door.ask("POST", "/api/password", {"new": "a better passphrase"}, token=token).status == 200
        assert door.ask("GET", "/api/state", token=token).status == 200
        assert door.ask("POST", "/api/session", {"user": "admin", "password": password}).status == 401
        assert door.sign_in("admin", "a better passphrase")
    finally:
        one.close()
