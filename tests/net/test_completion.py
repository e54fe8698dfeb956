"""Completions of names, as a person at a real shell gets them: bash, zsh and fish ask a running board."""
import os
import shutil
import signal
import time

import pexpect
import pytest
from board import HEAD, TARGET, wait_for
from ssh_kit import HASH

CONFIG = HEAD + """[console.core-switch]
serial = { port = "/dev/ttyUSB7" }
[console.edge-router]
serial = { port = "/dev/ttyUSB8" }
[machine.build-pc]
ipmi = { host = "127.0.0.9", username = "admin", password = "x" }
[user.alice]
role = "administrator"
password = "%s"
[pdu.rack.script]
program = "%s"
outlets = ["a", "left-two"]
"""
# What is typed (TAB ends it), and what the line is then; `%` stands for the board's socket.
LINES = [("console attach c", "console attach core-switch "),
         ("console attach --watch e", "console attach --watch edge-router "),
         ("--json machine show b", "--json machine show build-pc "),
         ("outlet on rack/a rack/l", "outlet on rack/a rack/left-two "),
         ("user set a", "user set alice "),
         ("event list --source console.e", "event list --source console.edge-router "),
         # What never changes is there as before, and no file stands where a name does.
         ("conso", "console "),
         ("compl", "completion "),
         ("console att", "console attach "),
         ("console attach hay", "console attach hay")]
# fish takes what stands behind a '=' for a value of its own.
JOINED = [("event list --source=console.co", "event list --source=console.core-switch ")]


@pytest.fixture
def board(make_board, tmp_path):
    program = tmp_path / "switch"
    program.write_text("#!/bin/sh\n[ $1 = status ] && echo on\nexit 0\n")
    program.chmod(0o755)
    board = make_board(CONFIG % (HASH, program)).start()
    wait_for("the outlets are read", lambda: len(board.json("status")["pdus"]["rack"]["outlets"]) == 2)
    wait_for("all are there", lambda: len(board.json("status")["consoles"]) == 2 and board.json("status")["machines"])
    return board


class Shell:
    """A shell in a terminal, with nothing of its user's but our completions; `report` is a widget that tells the line."""

    def __init__(self, name, board, home):
        (home / "bin").mkdir(parents=True)
        (home / "hay.txt").write_text("no name\n")
        (home / "bin" / "oobctl").symlink_to(TARGET / "oobctl")
        script = board.ctl("completion", name).stdout
        self.told = home / "line"
        env = {"PATH": f"{home}/bin:{os.environ['PATH']}", "HOME": str(home), "TERM": "xterm", "LANG": "C.UTF-8",
               "XDG_CONFIG_HOME": str(home / "config"), "XDG_DATA_HOME": str(home / "data"), "PS1": "> "}
        argv = getattr(self, name)(script, home)
        self.child = pexpect.spawn(argv[0], argv[1:], env=env, cwd=str(home), timeout=60, encoding="utf-8", dimensions=(40, 200))
        self.board = board
        # The widget works: all of the shell's start is behind it.
        wait_for(f"{name} reads keys", self.reads)

    def bash(self, script, home):
        (home / "completions").write_text(script)
        (home / "rc").write_text(f"""PS1='> '
source {home}/completions
report() {{ printf %s "$READLINE_LINE" > {home}/part; mv {home}/part {self.told}; READLINE_LINE=; }}
bind -x '"\\C-t": report'
""")
        return ["/bin/bash", "--noprofile", "--rcfile", str(home / "rc"), "-i"]

    def zsh(self, script, home):
        (home / "functions").mkdir()
        (home / "functions" / "_oobctl").write_text(script)
        (home / ".zshrc").write_text(f"""PS1='> '
fpath=({home}/functions $fpath)
autoload -U compinit; compinit -u -D
report() {{ print -rn -- "$BUFFER" > {home}/part; mv {home}/part {self.told}; BUFFER=; }}
zle -N report; bindkey '^T' report
""")
        return ["/usr/bin/zsh", "-i"]

    def fish(self, script, home):
        (home / "config/fish/completions").mkdir(parents=True)
        (home / "config/fish/completions/oobctl.fish").write_text(script)
        (home / "config/fish/config.fish").write_text(f"""function fish_prompt; echo '> '; end
function fish_greeting; end
function report; commandline > {home}/part; mv {home}/part {self.told}; commandline ''; end
bind \\ct report
""")
        return ["/usr/bin/fish", "-i"]

    def line(self, limit=60):
        """The line as it is now; it is empty afterwards."""
        self.child.send("\x14")
        deadline = time.monotonic() + limit
        while not self.told.exists():
            if time.monotonic() > deadline:
                return None
            # What a terminal is sent must be read, or its writer waits.
            self.drain()
        text = self.told.read_text().rstrip("\n")
        self.told.unlink()
        return text

    def drain(self):
        try:
            self.child.read_nonblocking(65536, timeout=0.05)
        except pexpect.TIMEOUT:
            pass

    def reads(self):
        self.child.send("ready")
        return self.line(5) == "ready"

    def completes(self, typed):
        typed = f"oobctl --socket {self.board.socket} {typed}"
        self.child.send(typed + "\t")
        return self.line()


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_names_of_the_board_are_offered_where_they_belong(board, tmp_path, name):
    if not shutil.which(name):
        pytest.skip(f"there is no {name} here; scripts/setup installs it")
    shell = Shell(name, board, tmp_path / "home")
    head = f"oobctl --socket {board.socket} "
    lines = LINES + (JOINED if name != "fish" else [])
    seen = {typed: (shell.completes(typed) or "").removeprefix(head) for typed, _ in lines}
    shell.child.close(force=True)
    assert {typed: line.rstrip() for typed, line in seen.items()} == {typed: line.rstrip() for typed, line in lines}


def test_a_board_that_does_not_answer_offers_nothing_and_holds_nobody_up(board, tmp_path):
    def asked(*words, **more):
        done = board.ctl("complete", "--", *words, check=False, **more)
        return done.returncode, done.stdout, done.stderr

    assert asked("console", "attach", "") == (0, "core-switch\nedge-router\n", "")
    assert asked("outlet", "on", "x")[1] == "rack/a\nrack/left-two\n"
    # The board that the words name is meant, and nobody is asked for its password.
    assert asked("--host", "127.0.0.1:1", "console", "attach", "") == (0, "", "")
    assert asked("--socket", str(tmp_path / "none"), "console", "attach", "") == (0, "", "")
    # No place of a name.
    assert asked("console", "") == (1, "", "") and asked("config", "check", "") == (1, "", "") and asked() == (1, "", "")
    # It says nothing for long: given up, without a word.
    board.process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert asked("--socket", str(board.socket), "console", "attach", "") == (0, "", "")
        assert time.monotonic() - began < 20
    finally:
        board.process.send_signal(signal.SIGCONT)
