"""Passwords for the lab's users, made with the tools an administrator has."""
import secrets
import shutil
import subprocess

WORDS = "amber anchor basalt beacon birch canvas cedar cobalt copper coral delta ember fjord flint garnet harbor indigo juniper lantern maple " \
        "meadow nickel orchid pebble quartz raven saddle tundra umber velvet walnut zephyr".split()


def words(n=4):
    return "-".join(secrets.choice(WORDS) for _ in range(n))


def hash_password(password, memory_kib=19456, passes=2):
    """argon2id in PHC form, by the reference implementation's own command."""
    if not shutil.which("argon2"):
        raise RuntimeError("the argon2 command is missing; run scripts/setup")
    return subprocess.run(["argon2", secrets.token_hex(8), "-id", "-t", str(passes), "-k", str(memory_kib), "-p", "1", "-e"],
                          input=password, capture_output=True, text=True, check=True).stdout.strip()
