"""The life of the process, as systemd and its journal see it."""
import signal
import subprocess

from board import wait_for

CONFIG = """schema = 1
[device]
name = "rack7"
[oob]
mode = "off"
[uplink.hotspot]
wifi = { interface = "wlan0", passphrase = "correct horse" }
[user.alice]
role = "administrator"
keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGdWcRh2CK5/8WdrQIpYV1s4MQ6bXMbhgL7yGhUOyRkI alice"]
"""


def test_ready_is_told_once_every_door_is_open(make_board):
    board = make_board(CONFIG).start()
    assert board.socket.exists()
    listening = board.in_ns("ss", "-Hlnt").stdout
    assert ":22 " in listening and ":443 " in listening, listening
    state = board.json("status")
    assert state["ready"] is True
    assert set(state["doors"]) == {"ssh", "https", "control"}


def test_a_door_that_cannot_open_keeps_ready_back(make_board):
    taken = make_board(CONFIG)
    # Another program holds port 22 in the same namespace.
    subprocess.run(["ip", "netns", "add", "oobd-door"], check=True)
    try:
        taken.netns = "oobd-door"
        script = "import socket,time; s=socket.create_server(('::',22),family=socket.AF_INET6,dualstack_ipv6=True); print('up',flush=True); time.sleep(60)"
        other = subprocess.Popen(["ip", "netns", "exec", "oobd-door", "python3", "-c", script], stdout=subprocess.PIPE)
        assert other.stdout.readline() == b"up\n"
        taken.start(ready=False)
        wait_for("the ssh owner's failure in the log", lambda: "OwnerFailed" in taken.text() or "ssh" in taken.text() and "failed" in taken.text())
        assert "READY=1" not in taken.notified()
        other.kill()
        other.wait()
        wait_for("READY once the port is free", lambda: "READY=1" in taken.notified(), 20)
    finally:
        taken.stop(9)
        other.kill()
        subprocess.run(["ip", "netns", "del", "oobd-door"], check=True)


def test_the_watchdog_is_fed_while_all_owners_answer(make_board):
    board = make_board(CONFIG, watchdog=2).start()
    seen = []
    wait_for("three WATCHDOG=1", lambda: seen.extend(board.notified()) or seen.count("WATCHDOG=1") >= 3, 60)


def test_sigterm_ends_within_five_seconds_and_is_journaled(make_board):
    board = make_board(CONFIG).start()
    assert board.stop(signal.SIGTERM) < 5
    assert board.process.returncode == 0
    board.start()
    kinds = board.kinds()
    assert kinds.count("SupervisorStarted") == 2
    assert kinds.count("SupervisorStopped") == 1


def test_kill_9_loses_no_event_and_starts_again(make_board):
    board = make_board(CONFIG).start()
    noted = [int(board.json("event", "note", f"note {n}")["seq"]) for n in range(5)]
    board.stop(signal.SIGKILL)
    board.start()
    events = {event["seq"]: event["kind"] for event in board.events()}
    for n, seq in enumerate(noted):
        assert events[seq]["NoteWritten"]["text"] == f"note {n}"


def test_a_bad_file_changes_nothing_and_a_good_one_restarts_only_what_changed(make_board):
    board = make_board(CONFIG).start()
    restarts = lambda: {e["seq"]: e["kind"]["ConfigApplied"]["restarted"] for e in board.events() if "ConfigApplied" in e["kind"]}
    board.reload(CONFIG.replace('role = "administrator"', 'role = "adminstrator"'))
    wait_for("ConfigRefused", lambda: "ConfigRefused" in board.kinds())
    assert "adminstrator" in (board.work / "boot" / "oobd-errors.txt").read_text()
    assert board.json("status")["config_problems"]
    assert not restarts()

    board.reload(CONFIG + '[console.core-switch]\nserial = { port = "/dev/oobd-none", line = "9600n8" }\n')
    applied = wait_for("ConfigApplied", restarts)
    # `record` keeps the files of all consoles within their room, so the list of them is its configuration, too.
    assert list(applied.values()) == [["console.core-switch", "record"]]
    assert not (board.work / "boot" / "oobd-errors.txt").exists()
    assert "core-switch" in board.json("status")["consoles"]
    board.reload(CONFIG)
    wait_for("the console gone", lambda: "core-switch" not in board.json("status")["consoles"])


def test_a_second_oobd_is_told_that_one_runs(make_board):
    board = make_board(CONFIG).start()
    second = make_board(CONFIG)
    second.work = board.work
    second.start(ready=False)
    assert second.process.wait(10) == 1
    assert "another oobd runs already" in second.text()
    assert board.process.poll() is None


def test_check_exits_0_or_1(make_board):
    import board as boards
    good = make_board(CONFIG)
    oobd = boards.TARGET / "oobd"
    assert subprocess.run([oobd, "check", good.config], capture_output=True).returncode == 0
    bad = make_board(CONFIG.replace("interface =", "interfac =").replace("mode =", "mod ="))
    told = subprocess.run([oobd, "check", bad.config], capture_output=True, text=True)
    assert told.returncode == 1
    assert "interfac" in told.stderr and "mod" in told.stderr and told.stderr.count("did you mean") == 2


def test_without_a_data_partition_it_comes_up_and_says_so(make_board):
    board = make_board(CONFIG)
    (board.work / "state").rmdir()
    (board.work / "state").write_text("not a folder")
    board.start()
    assert "nothing will survive a reboot" in board.text()
    assert "SupervisorReady" in board.kinds()
