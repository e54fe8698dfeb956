"""The plug is pulled while the journal is written: QEMU killed -9 twenty times. Every note that was acknowledged is there afterwards."""
import random
import threading

import pytest

import world as lab

CUTS = 20
WRITER = "i=0; while :; do i=$((i+1)); oobctl event note \"cut $1 note $i\" || exit; done"


@pytest.fixture
def board(tmp_path_factory):
    # direct: QEMU loads kernel and initrd itself, which saves U-Boot's countdown twenty times; the boot through U-Boot is everybody else's
    # smp: one processor costs less altogether, and other stages run beside this one.
    w = lab.World(tmp_path_factory.mktemp("power"), direct=True, bare=True, smp=1)
    try:
        yield w
    finally:
        w.stop()


def test_twenty_power_cuts_lose_no_acknowledged_note(board):
    chance = random.Random(20)
    acknowledged = {}
    for cut in range(CUTS + 1):
        # The machine may be busy with other stages.
        board.boot(900) if cut == 0 else board.boot_again(900)
        board.until_ready(600)
        kept = {e["seq"]: e for e in board.events()}
        lost = [s for s in acknowledged if s not in kept]
        assert lost == [], f"after cut {cut}: acknowledged and gone"
        for seq, text in acknowledged.items():
            assert lab.body(kept[seq], "NoteWritten")["text"] == text
        seqs = sorted(kept)
        assert seqs == list(range(seqs[0], seqs[-1] + 1)), "a hole in the journal"
        if cut == CUTS:
            break
        want, got, enough = chance.randint(3, 15), [0], threading.Event()
        base = cut

        def follow():
            for _, line in board.agent.stream(["sh", "-c", WRITER, "sh", str(base)], root="board", wait=200):
                if not line.strip().isdigit():  # what it prints is the sequence number, once the note is durable
                    continue
                got[0] += 1
                acknowledged[int(line)] = f"cut {base} note {got[0]}"
                if got[0] >= want:
                    enough.set()

        t = threading.Thread(target=follow)
        t.start()
        assert enough.wait(300), "notes are not acknowledged"
        # somewhere inside the next write
        enough.clear()
        threading.Event().wait(chance.random() * 0.2)
        board.power_cut()
        t.join(10)
    assert len(acknowledged) >= CUTS * 3
    print(f"{len(acknowledged)} acknowledged notes survived {CUTS} power cuts")
