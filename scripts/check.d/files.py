"""Looks through every file of the project for what review should not have to: length, paths of one machine, broken scripts.

Prints what is wrong as FILE:LINE: REASON and exits 1 if anything is.
"""
import ast
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 600
CODE = {".rs", ".py", ".sh", ".ts", ".tsx", ".css"}
# Written by tools, or text that is no source.
FREE = {"Cargo.lock", "LICENSE"}
# Spelled so that this file does not find itself.
WORDS = [
    (re.compile("/" + r"(work|home|Users)/\w"), "a path of one machine"),
    (re.compile(r"\.\./" + "shared"), "a path outside the project"),
    (re.compile(r"\b(crates\.io|static\." + r"rust-lang|deb\.debian" + r"\.org|pypi" + r"\.org|npm[j]s)"), "the host name of a package registry"),
]


def files():
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout.decode()
    return sorted(name for name in names.split("\0") if name and (ROOT / name).is_file())


def is_code(name, text):
    return Path(name).suffix in CODE or text.startswith("#!")


def problems(name, text):
    lines = text.splitlines()
    if is_code(name, text) and len(lines) > LONGEST:
        yield 1, f"{len(lines)} lines, split it at {LONGEST}"
    if name.startswith("src/") and name.endswith(".rs") and not text.startswith("//!"):
        yield 1, "the first line says what the file owns: //! …"
    if Path(name).name not in FREE:
        for number, line in enumerate(lines, 1):
            for pattern, reason in WORDS:
                if pattern.search(line):
                    yield number, reason
    if name.endswith(".py") or text.startswith("#!/usr/bin/python3"):
        try:
            ast.parse(text)
        except SyntaxError as error:
            yield error.lineno, error.msg
    if text.startswith(("#!/bin/bash", "#!/bin/sh")):
        shell = text.splitlines()[0].removeprefix("#!").split()[0]
        run = subprocess.run([shell, "-n"], input=text.encode(), capture_output=True)
        if run.returncode:
            yield 1, run.stderr.decode().strip()


def main():
    # What this script must find, so that it never agrees by accident.
    planted = {
        "src/a.rs": "fn main() {}\n" * 601,
        "b.py": "def",
        "c": "#!/bin/bash\nif",
        "d.md": "see /" + "home/me/x",
        "e": "deb http://deb.debian" + ".org/debian",
    }
    for name, text in planted.items():
        assert list(problems(name, text)), name
    wrong = []
    names = files()
    for name in names:
        try:
            text = (ROOT / name).read_text()
        except UnicodeDecodeError:
            continue
        wrong += [f"{name}:{line}: {reason}" for line, reason in problems(name, text)]
    print("\n".join(wrong) if wrong else f"{len(names)} files")
    return 1 if wrong or not names else 0


if __name__ == "__main__":
    sys.exit(main())
