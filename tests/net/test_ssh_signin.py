"""Signing in over SSH, with OpenSSH's own client against the real oobd."""
import os
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from board import wait_for
from ssh_kit import HASH, PASSWORD, PORT, Device, House, Operator, run


@pytest.fixture
def house(tmp_path, make_board):
    houses = []

    def make(**options):
        houses.append(House(tmp_path, make_board, **options))
        return houses[-1].start()

    yield make
    for one in houses:
        one.close()


def test_a_key_signs_in_and_a_foreign_key_does_not(house, tmp_path):
    one = house(devices={"core-switch": Device()})
    done = one.operator.ssh("alice:core-switch", "-T", stdin=b"hello\r")
    assert (done.returncode, done.stdout) == (0, b"hello\r"), done
    method = one.seen("SignInAccepted", "alice")["method"]
    fingerprint = run("ssh-keygen", "-lf", one.operator.key).stdout.split()[1].decode()
    assert method == f"publickey ssh-ed25519 {fingerprint}"

    (tmp_path / "other").mkdir()
    stranger = Operator(tmp_path / "other", one.lan.board)
    done = stranger.ssh("alice:core-switch", "-T")
    assert done.returncode == 255 and b"Permission denied" in done.stderr, done
    one.seen("SignInRefused", "alice", "no key of this user")


@pytest.mark.parametrize("kind", [["ecdsa", "-b", "256"], ["ecdsa", "-b", "521"], ["rsa", "-b", "2048"]])
def test_other_key_types_sign_in(house, tmp_path, kind):
    path = tmp_path / "typed"
    run("ssh-keygen", "-q", "-t", *kind, "-N", "", "-f", path)
    public = path.with_suffix(".pub").read_text().strip()
    one = house(users=lambda operator: {"alice": f'role = "operator"\nkeys = ["{public}"]'}, devices={"sw": Device()})
    one.operator.key = path
    assert one.operator.ssh("alice", "-T", stdin=b"x").stdout == b"x"


def test_sha1_signatures_are_refused(house, tmp_path):
    path = tmp_path / "rsa"
    run("ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", path)
    public = path.with_suffix(".pub").read_text().strip()
    one = house(users=lambda operator: {"alice": f'role = "operator"\nkeys = ["{public}"]'}, devices={"sw": Device()})
    one.operator.key = path
    old = ["-o", "PubkeyAcceptedAlgorithms=ssh-rsa"]
    assert one.operator.ssh("alice", "-T", options=old).returncode == 255
    assert one.operator.ssh("alice", "-T", stdin=b"x", options=["-o", "PubkeyAcceptedAlgorithms=rsa-sha2-256"]).stdout == b"x"


def test_only_sound_algorithms_are_offered(house):
    one = house()
    done = one.operator.ssh("alice", "true", options=["-vv", "-o", "LogLevel=DEBUG2"])
    said = done.stderr.decode()
    offer = said[said.index("peer server KEXINIT proposal"):]
    lists = dict(re.findall(r"debug2: ([\w ]+?): (\S*)", offer)[:10])
    assert lists["KEX algorithms"].split(",")[:2] == ["mlkem768x25519-sha256", "curve25519-sha256"]
    assert lists["host key algorithms"] == "ssh-ed25519"
    assert lists["compression stoc"] == lists["compression ctos"] == "none"
    everything = ",".join(lists.values())
    for weak in ("sha1", "md5", "cbc", "3des", "arcfour", "group1-", "ssh-rsa", "ssh-dss", "zlib"):
        assert weak not in everything, (weak, lists)
    assert "strict KEX" in said or "kex-strict-s-v00@openssh.com" in everything


def test_a_password_signs_in_by_both_methods(house):
    one = house(devices={"sw": Device()}, password=True)
    for method in ("password", "keyboard-interactive"):
        options = ["-o", f"PreferredAuthentications={method}"]
        done = one.operator.password("alice:sw", PASSWORD, "-T", options=options)
        assert done.returncode == 0, (method, done)
    one.seen("SignInAccepted", "password")
    assert PASSWORD not in one.board.text()


def test_dropbear_and_putty_get_in_too(house):
    one = house(devices={"sw": Device()}, password=True)
    enter = ["ip", "netns", "exec", one.lan.board]
    fingerprint = one.board.json("status")["doors"]["ssh"]["fingerprint"]
    for argv, env in [
        (["dbclient", "-y", "-T", "-p", PORT, "alice:sw@127.0.0.1"], {"DROPBEAR_PASSWORD": PASSWORD}),
        (["plink", "-batch", "-ssh", "-P", PORT, "-hostkey", fingerprint, "-pw", PASSWORD, "-T", "alice+sw@127.0.0.1"], {}),
    ]:
        argv = [*enter, *(str(word) for word in argv)]
        done = subprocess.run(argv, input=b"hello\r", capture_output=True, timeout=30, env=dict(os.environ, HOME=str(one.operator.work), **env))
        assert (done.returncode, done.stdout) == (0, b"hello\r"), done


def test_unknown_user_and_wrong_password_look_the_same(house):
    one = house(password=True)
    times, texts = [], []
    for user in ("alice", "mallory"):
        began = time.monotonic()
        done = one.operator.password(user, "guess", "true")
        times.append(time.monotonic() - began)
        assert done.returncode != 0
        texts.append(done.stderr.replace(user.encode(), b"USER"))
    assert texts[0] == texts[1]
    # Neither is told before the same second has passed: an answer at once would tell who exists.
    assert min(times) > 1.0, times
    refused = [(one["user"], one["reason"]) for one in one.happened("SignInRefused")]
    assert refused == [("alice", "wrong user name or password"), ("mallory", "wrong user name or password")]


def test_guessing_is_slowed_down_and_keys_still_work(house):
    one = house(devices={"sw": Device()}, password=True)

    def pause():
        """Seconds that the board makes a guesser wait; each failure after the fifth doubles them."""
        told = re.findall(r"too many wrong passwords from this address; wait (\d+) s",
                          one.operator.tries("alice", *["guess"] * 3, method="keyboard-interactive"))
        return max(map(int, told), default=0)

    wait_for("a pause longer than a client takes to start", lambda: pause() >= 8, 90)
    wrong = [one for one in one.happened("SignInRefused") if one["reason"] == "wrong user name or password"]
    assert len(wrong) >= 5, wrong
    # The right one is not even looked at now …
    shown = one.operator.tries("alice:sw", PASSWORD, method="keyboard-interactive")
    assert "too many wrong passwords from this address; wait" in shown, shown
    # … while a key is no guess.
    assert one.operator.ssh("alice:sw", "-T", stdin=b"x").stdout == b"x"
    refused = one.count("SignInRefused")
    assert 5 <= refused <= 15, refused
    wait_for("the right password to be taken again",
             lambda: one.operator.password("alice:sw", PASSWORD, "-T").returncode == 0, 60)


def test_a_flood_of_guesses_leaves_the_board_small_and_awake(house):
    one = house(devices={"sw": Device()}, password=True)
    with ThreadPoolExecutor(16) as pool:
        guesses = [pool.submit(one.operator.password, "alice", f"guess{n}", "true") for n in range(48)]
        began = time.monotonic()
        assert one.operator.ssh("alice:sw", "-T", stdin=b"x").stdout == b"x"
        waited = time.monotonic() - began
        assert all(guess.result().returncode != 0 for guess in guesses)
    peak = one.anonymous_kib(peak=True)
    assert waited < 15, waited
    # One hash at a time: 19 MiB, not 16 times that.
    assert peak < 80_000, f"{peak} KiB"


def test_the_host_key_is_kept_over_a_restart(house):
    one = house(devices={"sw": Device()})
    assert one.operator.ssh("alice", "-T", stdin=b"x").stdout == b"x"
    known = (one.operator.work / "known_hosts").read_text()
    one.board.stop()
    one.board.start()
    strict = ["-o", "StrictHostKeyChecking=yes"]
    assert one.operator.ssh("alice", "-T", stdin=b"x", options=strict).stdout == b"x"
    assert (one.operator.work / "known_hosts").read_text() == known


def test_a_damaged_host_key_is_replaced_and_said(house):
    one = house(devices={"sw": Device()})
    assert one.operator.ssh("alice", "-T", stdin=b"x").stdout == b"x"
    key = one.board.work / "state" / "ssh_host_ed25519_key"
    assert key.stat().st_mode & 0o777 == 0o600
    one.board.stop()
    key.write_bytes(key.read_bytes()[:100])
    one.board.start()
    one.seen("HostKeyReplaced", str(key))
    assert key.with_suffix(".damaged").exists()
    done = one.operator.ssh("alice", "-T", options=["-o", "StrictHostKeyChecking=yes"])
    assert b"Host key verification failed" in done.stderr or b"IDENTIFICATION HAS CHANGED" in done.stderr, done
    (one.operator.work / "known_hosts").unlink()
    assert one.operator.ssh("alice", "-T", stdin=b"x").stdout == b"x"


def test_fifty_at_once(house):
    one = house(devices={"sw": Device()})
    one.operator.ssh("alice", "-T")
    with ThreadPoolExecutor(50) as pool:
        results = list(pool.map(lambda n: one.operator.ssh("alice:nowhere", "-T", timeout=120), range(50)))
    assert [r.returncode for r in results] == [4] * 50, {r.stderr for r in results}


def test_silent_connections_do_not_keep_an_operator_out(house):
    one = house(devices={"sw": Device()})
    script = ("import socket,sys\nheld=[]\n"
              f"for n in range(300):\n  s=socket.socket(); s.bind((f'127.0.1.{{n%2+1}}',0)); s.connect(('127.0.0.1',{PORT})); held.append(s)\n"
              "print('held',flush=True); sys.stdin.read()\n")
    flood = subprocess.Popen(["ip", "netns", "exec", one.lan.board, "python3", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert flood.stdout.readline() == b"held\n"
        assert one.operator.ssh("alice:sw", "-T", stdin=b"x").stdout == b"x"
    finally:
        flood.kill()
        flood.wait()


def test_noise_instead_of_ssh_harms_nobody(house):
    one = house(devices={"sw": Device()})
    script = ("import os,socket\n"
              "for n in range(60):\n"
              f"  s=socket.create_connection(('127.0.0.1',{PORT}))\n"
              "  s.sendall([b'GET / HTTP/1.1\\r\\n\\r\\n', b'SSH-2.0-x\\r\\n'+os.urandom(4000), b'\\0'*9000, b'SSH-2.0-'+b'A'*9000][n%4])\n"
              "  s.close()\n")
    run("ip", "netns", "exec", one.lan.board, "python3", "-c", script)
    assert one.operator.ssh("alice:sw", "-T", stdin=b"x").stdout == b"x"
    assert one.count("OwnerFailed") == 0 and "panicked" not in one.board.text()


def test_a_removed_user_is_disconnected_on_reload(house):
    one = house(devices={"sw": Device()}, users=lambda operator: {
        "alice": f'role = "operator"\nkeys = ["{operator.public}"]', "bob": f'role = "operator"\nkeys = ["{operator.public}"]'})
    alice = one.operator.terminal("alice:sw")
    alice.expect("you type")
    bob = one.operator.terminal("bob:sw")
    bob.expect("you watch")
    del one.users["alice"]
    one.board.reload(one.config())
    alice.expect("your user was changed or removed")
    bob.send("~~w")
    bob.expect("you have the keyboard")
    bob.send("still here\r")
    bob.expect("still here")
    bob.close()


def test_first_boot_makes_an_administrator_who_has_to_choose_a_password(house):
    one = house(users=lambda operator: {}, devices={"sw": Device()})
    text = (one.board.work / "boot" / "first-boot.txt").read_text()
    password = re.search(r"Password:\s+(\S+)", text).group(1)
    assert password in (one.board.work / "run" / "issue").read_text()
    assert password not in one.board.text()
    # Not a thing without a terminal …
    done = one.operator.password("admin:sw", password, "-T")
    assert done.returncode == 4 and b"choose a password of your own" in done.stderr, done
    # … and on a terminal first of all a new password.
    import pexpect
    argv = one.operator.argv("admin:sw", "-tt", key=False)
    person = pexpect.spawn(argv[0], argv[1:], timeout=60, encoding="utf-8")
    person.expect("assword:")
    person.sendline(password)
    for first, second, answer in [("short", "short", "at least 10"), ("one password", "two password", "differ"),
                                  (password, password, "first-boot password itself"), ("my own password", "my own password", "is changed")]:
        person.expect("New password: ")
        person.send(first + "\r")
        person.expect("Once more: ")
        person.send(second + "\r")
        person.expect(answer)
    person.expect("you type")
    person.send("hello\r")
    person.expect("hello")
    person.send("~~.")
    person.expect(pexpect.EOF)
    assert one.operator.password("admin:sw", "my own password", "-T").returncode == 0
    assert one.operator.password("admin:sw", password, "-T").returncode != 0
    one.board.stop()
    one.board.start()
    assert one.operator.password("admin:sw", "my own password", "-T").returncode == 0
    assert password not in (one.board.work / "boot" / "first-boot.txt").read_text()
    # A configuration that names somebody ends it.
    one.users = {"alice": f'role = "administrator"\npassword = "{HASH}"'}
    one.board.reload(one.config())
    wait_for("admin to be gone", lambda: one.operator.password("admin:sw", "my own password", "-T").returncode != 0)
    assert not (one.board.work / "boot" / "first-boot.txt").exists()
    assert one.operator.password("alice:sw", PASSWORD, "-T").returncode == 0
