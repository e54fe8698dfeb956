"""Changing oobd.toml from inside: the real oobd, oobctl and HTTPS; kills and restarts while a change waits; the unit that writes
to the boot partition."""
import json
import subprocess

import pytest
from api_kit import house  # noqa: F401
from board import HEAD, ROOT, wait_for
from ssh_kit import HASH, PASSWORD

CONFIG = HEAD.replace("schema = 1", "schema = 1 # by hand") + f"""
[user.alice] # the boss
role = "administrator"
password = "{HASH}"
"""


@pytest.fixture
def board(make_board):
    return make_board(CONFIG).start()


def device(board):
    return board.json("status")["device"]


def happened(board, kind):
    return [event["kind"][kind] for event in board.events() if isinstance(event["kind"], dict) and kind in event["kind"]]


def edited(board, old, new):
    """A file with this change of the board's own."""
    path = board.work / "edited.toml"
    path.write_text(board.config.read_text().replace(old, new))
    return path


def test_show_diff_apply_and_roll_back(board):
    assert board.ctl("config", "show").stdout == CONFIG
    path = edited(board, '"rack7"', '"rack8"')
    differs = board.ctl("config", "diff", path, check=False)
    assert differs.returncode == 1 and '-name = "rack7"\n+name = "rack8"\n' in differs.stdout
    applied = board.json("config", "apply", path)
    assert applied["done"] and applied["confirm_within"] is None
    assert board.config.read_text() == path.read_text() and device(board) == "rack8"
    assert (board.work / "boot" / "oobd.previous.toml").read_text() == CONFIG
    assert board.ctl("config", "diff", path).stdout == ""
    changed = happened(board, "ConfigChanged")[-1]
    assert changed["what"] == "1 lines came, 1 went" and changed["by"].startswith("root@console")
    stale = board.ctl("config", "apply", path, "--base", "0" * 64, check=False)
    assert stale.returncode == 4 and "changed since it was read" in stale.stderr
    board.ctl("config", "rollback")
    assert board.config.read_text() == CONFIG and device(board) == "rack7"
    board.ctl("config", "rollback")
    assert device(board) == "rack8", "back once more is forth"


def test_a_bad_file_is_told_by_line_and_changes_nothing(board):
    path = edited(board, "interface", "interfase")
    refused = board.ctl("config", "apply", path, check=False)
    assert refused.returncode == 1 and "edited.toml:5:1" in refused.stdout and "did you mean" in refused.stdout
    problems = json.loads(board.ctl("config", "apply", path, "--json", check=False).stdout)["problems"]
    assert problems[0]["place"]["line"] == 5
    assert board.config.read_text() == CONFIG and "ConfigRefused" not in board.kinds()


def test_what_touches_links_waits_and_is_kept(board):
    path = edited(board, '"eth9"', '"eth8"')
    assert board.json("config", "apply", path)["confirm_within"] == 300
    trial = board.json("status")["config_trial"]
    assert trial["by"].startswith("root@console") and trial["until"] > trial["since"]
    busy = board.ctl("config", "apply", edited(board, '"rack7"', '"rack8"'), check=False)
    assert busy.returncode == 4 and "waits to be confirmed" in busy.stderr
    board.ctl("config", "confirm")
    assert board.json("status")["config_trial"] is None
    assert board.ctl("config", "confirm", check=False).returncode == 1
    assert happened(board, "ConfigConfirmed")
    board.stop()
    board.start()
    assert "eth8" in board.config.read_text() and not happened(board, "ConfigReverted")


def test_what_nobody_confirms_comes_undone(board):
    path = edited(board, '"rack7"', '"rack8"')
    board.ctl("config", "apply", path, "--confirm-within", "10s")
    assert device(board) == "rack8"
    wait_for("it comes undone", lambda: device(board) == "rack7", 90)
    assert board.config.read_text() == CONFIG
    assert happened(board, "ConfigReverted")[0]["reason"] == "nobody confirmed the change in time"
    assert board.json("status")["config_trial"] is None


@pytest.mark.parametrize("undo", ["rollback", "time"])
def test_a_change_on_trial_survives_a_kill_of_oobd(board, undo):
    board.ctl("config", "apply", edited(board, '"rack7"', '"rack8"'), "--confirm-within", "30s" if undo == "time" else "1h")
    board.process.kill()
    board.process.wait()
    board.start()
    assert device(board) == "rack8" and board.json("status")["config_trial"]
    if undo == "rollback":
        board.ctl("config", "rollback")
    wait_for("it comes undone", lambda: device(board) == "rack7", 90)
    assert board.config.read_text() == CONFIG


def test_a_reboot_ends_a_trial_with_the_configuration_before(board):
    board.ctl("config", "apply", edited(board, '"rack7"', '"rack8"'), "--confirm-within", "1h")
    board.process.kill()
    board.process.wait()
    record = board.work / "state" / "config" / "trial.json"
    of_another_boot = json.loads(record.read_text())
    of_another_boot["boot"] = "11111111-2222-3333-4444-555555555555"
    record.write_text(json.dumps(of_another_boot))
    board.start()
    assert device(board) == "rack7" and board.config.read_text() == CONFIG and not record.exists()
    assert "before the board started again" in happened(board, "ConfigReverted")[0]["reason"]


def test_users_come_change_and_go(board):
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti bob@home"
    with (board.work / "typed").open("w+") as typed:
        typed.write("a long enough one\n")
        typed.seek(0)
        board.ctl("user", "add", "bob", "--role", "operator", "--key", key, "--password", "--console", "core-*", stdin=typed)
    text = board.config.read_text()
    assert text.startswith(CONFIG) and "$argon2id$" in text[len(CONFIG):] and "long enough" not in text
    bob = board.json("user", "list")["users"][1]
    assert (bob["name"], bob["role"], bob["consoles"], bob["has_password"], bob["keys"]) == ("bob", "operator", ["core-*"], True, [key])
    table = board.ctl("user", "list").stdout
    assert "bob" in table and "SHA256:" in table
    assert board.json("user", "set", "bob", "--role", "readonly", "--no-confirm")["confirm_within"] is None
    last = board.ctl("user", "set", "alice", "--role", "operator", check=False)
    assert last.returncode == 1 and "no administrator would be left" in last.stderr
    board.ctl("user", "remove", "bob", "--no-confirm")
    assert board.config.read_text().rstrip() == CONFIG.rstrip()
    says = [event["text"] for event in board.events() if "ConfigChanged" in str(event["kind"])]
    assert ["bob added" in says[0], "bob changed" in says[1], "bob removed" in says[2]] == [True] * 3
    assert not any("$argon2id$" in json.dumps(event) for event in board.events())


def test_by_https_and_only_by_an_administrator(house):
    one, door = house(people={"alice": "administrator", "bob": "operator"})
    alice, bob = door.sign_in(), door.sign_in("bob")

    def give(token, command):
        return door.ask("POST", "/api/command", command, token=token)

    for command in ("GetConfig", "ListUsers", "ConfirmConfig", "RollbackConfig", {"RemoveUser": {"name": "alice"}}):
        assert give(bob, command).status == 403
    assert door.ask("POST", "/api/config/check", {"text": ""}, token=bob).status == 403
    config = give(alice, "GetConfig").json()["reply"]["Config"]
    assert config["text"] == one.board.config.read_text()
    bad = door.ask("POST", "/api/config/check", {"text": config["text"] + "nonsense = 1\n"}, token=alice).json()["problems"]
    assert bad[0]["place"]["line"] == config["text"].count("\n") + 1
    assert door.ask("POST", "/api/config/check", {"text": config["text"]}, token=alice).json() == {"problems": []}
    long = config["text"] + "# a comment\n" * 30_000
    applied = give(alice, {"ApplyConfig": {"text": long, "base": config["hash"]}})
    assert applied.status == 200 and applied.json()["reply"]["ConfigApplied"]["confirm_within"] is None
    stale = give(alice, {"ApplyConfig": {"text": config["text"], "base": config["hash"]}})
    assert stale.status == 409 and "changed since it was read" in stale.error
    assert give(alice, {"AddMachine": {"name": "m1", "text": 'wol = { mac = "00:1b:21:3c:4d:5e" }'}}).status == 200
    wait_for("the machine", lambda: "m1" in one.board.json("status")["machines"])


def test_ones_own_password(house):
    one, door = house(people={"alice": "administrator", "bob": "operator"})
    bob, other = door.sign_in("bob"), door.sign_in("bob")
    new = "another long one"
    for body, status in (({"new": new}, 422), ({"old": "wrong", "new": new}, 403), ({"old": PASSWORD, "new": "short"}, 422)):
        assert door.ask("POST", "/api/password", body, token=bob).status == status
    assert door.ask("POST", "/api/password", {"old": PASSWORD, "new": new}, token=bob).json() == {"changed": True}
    assert door.ask("GET", "/api/session", token=bob).status == 200, "this session goes on"
    wait_for("the others end", lambda: door.ask("GET", "/api/session", token=other).status == 401)
    assert door.ask("POST", "/api/session", {"user": "bob", "password": PASSWORD}).status == 401
    door.sign_in("bob", new)
    assert one.board.json("status")["config_trial"] is None
    assert new not in one.board.config.read_text() and "[user.alice]" in one.board.config.read_text()


def test_the_unit_takes_it_to_the_boot_partition(tmp_path):
    """The script of the unit, in a mount namespace, on a partition that is read-only but for a moment."""
    script = f"""set -eu
mount -t tmpfs none /mnt; mkdir /mnt/run /mnt/boot
mount --bind /mnt/run /run; mkdir -p /run/oobd/boot
mount --bind /mnt/boot /boot; mkdir /boot/firmware; mount -t tmpfs none /boot/firmware
cd /boot/firmware; echo old > oobd.toml; echo theirs > oobd-errors.txt; mount -o remount,ro /boot/firmware
sh {ROOT}/rootfs-overlay/usr/lib/oobd/boot-files
echo "1 $(ls | xargs)"
echo new > /run/oobd/boot/oobd.toml; echo note > /run/oobd/boot/first-boot.txt
sh {ROOT}/rootfs-overlay/usr/lib/oobd/boot-files
echo "2 $(ls | xargs) $(cat oobd.toml oobd.previous.toml first-boot.txt | xargs)"
rm /run/oobd/boot/oobd.toml
sh {ROOT}/rootfs-overlay/usr/lib/oobd/boot-files
echo "3 $(ls | xargs) $(cat oobd.toml)"
touch x 2>/dev/null || echo "4 read-only"
"""
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "1 oobd.toml", "2 first-boot.txt oobd.previous.toml oobd.toml new old note", "3 first-boot.txt oobd.previous.toml oobd.toml new",
        "4 read-only"]


def test_where_a_unit_writes_the_board_waits_for_it(make_board):
    """oobd with notes of its own, and the unit's work done here: late, and not at all."""
    board = make_board(CONFIG)
    notes = board.work / "notes"
    notes.mkdir()
    enter = board.enter
    board.enter = lambda: [*enter(), "sh", "-c", f'exec "$@" --notes {notes}', "sh"]
    board.start()
    asked, path = notes / "oobd.toml", edited(board, '"rack7"', '"rack8"')
    refused = board.ctl("config", "apply", path, check=False)
    assert refused.returncode == 1 and "nothing has changed" in refused.stderr
    assert device(board) == "rack7" and not asked.exists()
    taking = subprocess.Popen(["sh", "-c", f"while [ ! -e {asked} ]; do sleep 0.1; done; cp {asked} {board.config}.new; mv {board.config}.new {board.config}"])
    board.ctl("config", "apply", path, "--confirm-within", "10s")
    taking.wait(10)
    assert device(board) == "rack8" and not asked.exists()
    wait_for("it comes undone, though the file still has it", lambda: device(board) == "rack7", 90)
    assert "rack8" in board.config.read_text() and asked.read_text() == CONFIG
    board.stop()
    board.start()
    assert device(board) == "rack7"
    board.config.write_text(CONFIG)
    wait_for("it is forgotten", lambda: not asked.exists() and not (board.work / "state" / "config" / "trial.json").exists(), 60)
