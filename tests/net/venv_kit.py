"""Programs and libraries that pip brings: a venv in the cache for each file of requirements, shared by all checkouts."""
import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

CACHE = Path(os.environ.get("OOBD_CACHE") or Path.home() / ".cache/oobd")


def venv(name, requirements):
    """The venv with what `requirements` names, made when that file changed. Its programs are in `bin`."""
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    folder = CACHE / f"{name}-{wanted}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            subprocess.run([folder / "bin" / "pip", "install", "-q", "-r", requirements], check=True, timeout=600)
            (folder / "complete").touch()
    return folder
