"""Fixtures of the tests with real peers in network namespaces on this machine."""
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from fixtures import binaries, make_board  # noqa: E402, F401
from links import peer_binary, spaces, world  # noqa: E402, F401
