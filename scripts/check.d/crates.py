"""Holds the crates of Cargo.lock against deny.toml: licences, banned crates, sources. Says what is wrong, exits 1 if anything is.

cargo-deny does more, but takes longer to install than everything else here takes to run.
"""
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def allowed(expression, allow):
    """Is an SPDX expression (or the old `A/B` for `A OR B`) met by the allowed licences alone?"""
    tokens = re.findall(r"\(|\)|[A-Za-z0-9.+-]+", expression.replace("/", " OR "))

    def either():
        met = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            met = both() or met
        return met

    def both():
        met = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            met = one() and met
        return met

    def one():
        token = tokens.pop(0)
        if token == "(":
            met = either()
            tokens.pop(0)
            return met
        if tokens and tokens[0] == "WITH":
            # An exception only ever gives more.
            del tokens[:2]
        return token in allow

    met = either()
    if tokens:
        raise ValueError(f"cannot read the licence {expression!r}")
    return met


def packages(targets):
    """Every package that is built for one of the targets, by id."""
    found = {}
    for target in targets:
        command = ["cargo", "metadata", "--locked", "--format-version=1", f"--filter-platform={target}"]
        metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
        used = {node["id"] for node in metadata["resolve"]["nodes"]}
        found |= {package["id"]: package for package in metadata["packages"] if package["id"] in used}
    return list(found.values())


def problems(deny, found):
    allow = set(deny["licenses"]["allow"])
    bans = {ban["name"]: ban for ban in deny["bans"]["deny"]}
    for package in found:
        name = f"{package['name']} {package['version']}"
        if not package["license"]:
            yield f"{name} names no licence"
        elif not allowed(package["license"], allow):
            yield f"{name} has the licence {package['license']}"
        ban = bans.get(package["name"])
        if ban and not ban.get("wrappers"):
            yield f"{name} is banned: {ban['reason']}"
        for used in package["dependencies"]:
            # What some crates alone may bring.
            ban = bans.get(used["name"])
            if ban and ban.get("wrappers") and package["name"] not in ban["wrappers"]:
                yield f"{name} uses {used['name']}, which is banned: {ban['reason']}"
        source = package["source"]
        if source is not None and not source.startswith("registry+"):
            yield f"{name} comes from {source}"


def main():
    deny = tomllib.loads((ROOT / "deny.toml").read_text())
    found = packages(deny["graph"]["targets"])
    # What this script must refuse, so that it never agrees by accident.
    allow = set(deny["licenses"]["allow"])
    assert not allowed("GPL-3.0-only", allow) and not allowed("MIT AND GPL-3.0-only", allow)
    assert allowed("(MIT OR GPL-2.0-only) AND Apache-2.0 WITH LLVM-exception", allow) and allowed("GPL-2.0/MIT", allow)
    wrong = sorted(set(problems(deny, found)))
    print("\n".join(wrong) if wrong else f"{len(found)} crates")
    return 1 if wrong or len(found) < 2 else 0


if __name__ == "__main__":
    sys.exit(main())
