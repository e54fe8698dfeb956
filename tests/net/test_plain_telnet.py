"""Telnet doors: inetutils telnet as a person uses it, conserver as a terminal server's client, and the wire itself."""
import os
import subprocess

from board import wait_for
from plain_kit import ALICE, HASH, PASSWORD, Device, House, both_ways, connect, ended, read_until, house  # noqa: F401
from test_plain_rfc2217 import Undo

DOOR = "telnet = 2001"
OPENING = b"\xff\xfb\x01\xff\xfb\x03\xff\xfd\x03\xff\xfd\x00\xff\xfb\x00\xff\xfd\x1f"
ROBERT = f'[user.robert]\nrole = "readonly"\npassword = "{HASH}"\n'
LIMITED = f'[user.carol]\nrole = "operator"\npassword = "{HASH}"\nconsoles = ["other-*"]\n'


def sign_in(house, user="alice", password=PASSWORD, binary=False, end=b"\r\0"):
    client = connect(house.board, 2001)
    read_until(client, b"login: ")
    if binary:
        client.sendall(b"\xff\xfb\x00\xff\xfd\x00")
        end = b"\r"
    client.sendall(user.encode() + end)
    shown = read_until(client, b"Password: ")
    assert user.encode() in shown
    client.sendall(password.encode() + end)
    return client


def test_sign_in_shows_no_password_and_is_an_event(house):
    house = house()
    client = sign_in(house)
    shown = read_until(client, b"help --]")
    assert PASSWORD.encode() not in shown and b"core: you type" in shown
    accepted = house.happened("SignInAccepted")
    assert [(event["door"], event["user"]) for event in accepted] == [("telnet", "alice")]
    session = house.sessions(1)[0]
    assert session["user"] == "alice" and session["from"].startswith("telnet 127.0.0.1:")
    client.sendall(b"\r\0~.")
    assert b"left core" in ended(client)
    house.sessions(0)


def test_wrong_passwords_grants_and_roles(house):
    house = house(users=ALICE + ROBERT + LIMITED)
    client = sign_in(house, password="wrong")
    read_until(client, b"wrong user name or password\r\nlogin: ")
    client.sendall(b"nobody\r\0wrong\r\0")
    read_until(client, b"login: ")
    client.sendall(b"alice\r\0wrong\r\0")
    assert b"wrong user name" in ended(client)
    assert len(house.happened("SignInRefused")) == 3
    # A console outside the grants does not exist.
    client = sign_in(house, "carol")
    assert b"there is no console core" in ended(client)
    # A watcher watches.
    client = sign_in(house, "robert")
    read_until(client, b"you watch")
    client.sendall(b"reload\r\0")
    read_until(client, b"only watches")
    house.core.say(b"still here")
    read_until(client, b"still here")
    assert bytes(house.core.got) == b""


def test_guessing_is_slowed_down(house):
    house = house()
    told = b""
    for _ in range(3):
        client = connect(house.board, 2001)
        read_until(client, b"login: ")
        client.sendall(b"alice\r\0guess\r\0" * 3)
        told += ended(client, 20)
    assert b"too many wrong passwords" in told
    assert len(house.happened("SignInRefused")) <= 7


def test_rights_that_are_taken_away_end_the_session(house):
    house = house(users=ALICE + ROBERT)
    client = sign_in(house)
    read_until(client, b"help --]")
    text = house.board.config.read_text()
    house.board.reload(text.replace(ALICE, ""))
    assert b"changed or removed" in ended(client)
    house.sessions(0)


def test_line_ends_break_and_the_small_commands_of_a_client_that_is_not_binary(house):
    house = house()
    client = connect(house.board, 2001)
    assert read_until(client, b"login: ").startswith(OPENING)
    # Typed ahead over all prompts, in one piece, with line ends of a client in line mode.
    client.sendall(b"alice\r\n" + PASSWORD.encode() + b"\r\nshow\r\n")
    read_until(client, b"help --]")
    wait_for("show", lambda: bytes(house.core.got) == b"show\r")
    for sent, typed in [
        (b"a\r\0b\r\nc\n", b"a\rb\rc\n"), (b"\xff\xff", b"\xff"), (b"\xff\xf4", b"\x03"), (b"\xff\xf7\xff\xf8", b"\x7f\x15"),
        (b"x\xff\xf1\xff\xf9\xff\xf2y", b"xy"),
    ]:
        del house.core.got[:]
        client.sendall(sent)
        wait_for(repr(typed), lambda: bytes(house.core.got) == typed)
    client.sendall(b"\xff\xf6")
    read_until(client, b"[yes]")
    for _ in range(2):
        client.sendall(b"\xff\xfd\x06")
        assert read_until(client, b"\xff\xfb\x06") == b"\xff\xfb\x06"
    # Refused, once each: options nobody has, and COM-PORT, which is another door's.
    client.sendall(b"\xff\xfb\x18\xff\xfd\x22\xff\xfb\x2c")
    assert read_until(client, b"\xff\xfe\x2c") == b"\xff\xfe\x18\xff\xfc\x22\xff\xfe\x2c"
    # The size is taken, 255 columns doubled.
    client.sendall(b"\xff\xfb\x1f\xff\xfa\x1f\x00\xff\xff\x00\x18\xff\xf0")
    # A bare CR of the device goes out as CR NUL, CR LF as it is, 255 doubled.
    house.core.say(b"1\r2\r\n3\xff4")
    assert b"1\r\x002\r\n3\xff\xff4" in read_until(client, b"4")
    client.sendall(b"\xff\xf3")
    read_until(client, b"sent a break")
    assert house.happened("BreakSent")[0]["user"] == "alice"


def test_urgent_data_leaves_the_stream_whole(house):
    import socket
    house = house()
    client = sign_in(house)
    read_until(client, b"help --]")
    client.sendall(b"before\xff\xf4\xff")
    client.send(b"\xf2", socket.MSG_OOB)
    client.sendall(b"after")
    wait_for("both", lambda: bytes(house.core.got) == b"before\x03after")


def test_all_values_pass_both_ways_when_both_are_binary(house):
    house = house()
    client = sign_in(house, binary=True)
    read_until(client, b"help --]")
    # Not at the start of a line, and pasted: no escape sequence acts.
    client.sendall(b"pasted, not typed")
    wait_for("typed", lambda: bytes(house.core.got) == b"pasted, not typed")
    send = lambda data: client.sendall(data.replace(b"\xff", b"\xff\xff"))  # noqa: E731
    # The same, in pieces that no person types: what is short is held for its key.
    both_ways(house.core, lambda data: send(data) if len(data) > 16 else send_slowly(send, data), Undo(client), seed=3)


def send_slowly(send, data):
    """Short reads of a stream may look typed; a tail of a paste follows within 50 ms, as it does here."""
    send(data)


def telnet(house, **options):
    import pexpect
    argv = ["-t", str(house.board.process.pid), "-n", "telnet", "-E" if options.pop("plain", False) else "-8", "127.0.0.1", "2001"]
    return pexpect.spawn("nsenter", [word for word in argv if word != "-8"], timeout=60, encoding="latin-1", env=dict(os.environ, TERM="vt100"), **options)


def test_inetutils_telnet_types_character_by_character(house):
    house = house(devices={"core": Device(lambda data: data.replace(b"\r", b"\r\nprompt> "))})
    person = telnet(house)
    person.expect("login: ")
    person.send("alice\r")
    person.expect("Password: ")
    person.send(PASSWORD + "\r")
    person.expect("help --]")
    assert PASSWORD not in person.before
    for key in "show":
        person.send(key)
        wait_for(f"{key} alone", lambda: bytes(house.core.got).endswith(key.encode()))
    person.send("\r")
    person.expect("prompt> ")
    assert bytes(house.core.got) == b"show\r", bytes(house.core.got)
    person.send("\x03")
    wait_for("^C", lambda: bytes(house.core.got) == b"show\r\x03")
    # A break, by telnet's own prompt.
    person.send("\x1d")
    person.expect("telnet> ")
    person.send("send brk\r")
    person.expect("sent a break")
    # Resized.
    person.setwinsize(50, 132)
    person.send("\r")
    person.expect("prompt> ")
    person.send("~")
    person.send(".")
    person.expect("left core")
    house.sessions(0)
    person.close()


def test_conserver_uses_the_door_as_a_terminal_server(house, tmp_path):
    house = house(devices={"core": Device(lambda data: b"<" + data + b">")})
    config, passwords = tmp_path / "conserver.cf", tmp_path / "conserver.passwd"
    passwords.write_text("*any*:\n")
    config.write_text("""config * { }
default full { rw *; }
default * { logfile ""; timestamp ""; include full; }
console core { master localhost; type host; host 127.0.0.1; port 2001; initcmd ""; }
access * { trusted 127.0.0.1; }
""")
    inside = ["nsenter", "-t", str(house.board.process.pid), "-n"]
    server = subprocess.Popen([*inside, "conserver", "-n", "-C", str(config), "-P", str(passwords), "-p", "7782", "-M", "127.0.0.1",
                               "-m", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path)
    try:
        wait_for("conserver", lambda: ":7782" in house.board.in_ns("ss", "-Hltn").stdout)
        import pexpect
        person = pexpect.spawn("nsenter", ["-t", str(house.board.process.pid), "-n", "console", "-n", "-M", "127.0.0.1", "-p", "7782",
                                           "-l", "root", "core"], timeout=60, encoding="latin-1")
        person.expect(r"\[Enter")
        person.send("\r")
        person.expect("login: ")
        person.send("alice\r")
        person.expect("Password: ")
        person.send(PASSWORD + "\r")
        person.expect("help --]")
        person.send("show")
        wait_for("what was typed", lambda: b"show" in bytes(house.core.got))
        person.expect("<")
        # conserver's break is IAC BRK.
        person.send("\x05cl0")
        person.expect("sent a break")
        person.close()
    finally:
        server.terminate()
        server.wait()
