"""What scripts/build-image promises about itself: same bytes from same inputs, a failing budget, no test door in a release."""
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from qemu import REPO, Image, run

OUT = REPO / "out/qemu"


def build():
    """Runs the build; what it said."""
    done = subprocess.run([REPO / "scripts/build-image", "qemu"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def image():
    return Image()


def post_image(image, work, **env):
    """The last step of the build, in the builder tree as in the real one, on links to the same inputs."""
    for name in ("Image.gz", "initrd", "rootfs.squashfs", "u-boot.bin"):
        os.link(OUT / "binaries" / name, work / name)
    shutil.copytree(OUT / "binaries/dtb", work / "dtb")
    script = '. "$1/scripts/image/lib.sh"; shift; in_builder env BOARD=qemu BASE=debian "$@"'
    done = subprocess.run(["bash", "-euc", script, "sh", REPO, *(f"{k}={v}" for k, v in env.items()), REPO / "board/qemu/post-image.sh", work],
                          capture_output=True, text=True, env=os.environ | {"BUILDER": image.info["builder_dir"]})
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def work():
    folder = REPO / "out/test/post-image"  # inside the checkout: that is what the builder tree sees
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder)


def boot_script(card):
    return run("mtype", "-i", f"{card}@@1M", "::boot.scr")


def test_same_inputs_give_the_same_bytes():
    build()
    first = digest(OUT / "sdcard.img")
    (OUT / "binaries/rootfs.key").unlink()  # so that the root is made again from its parts
    log = build()
    assert "root: squashfs" in log
    for cached in ("builder", "rootfs", "kernel", "base"):
        assert f"{cached}: cached" in log
    assert digest(OUT / "sdcard.img") == first


def test_another_profile_is_refused():
    done = subprocess.run([REPO / "scripts/build-image", "qemu"], capture_output=True, text=True, env=os.environ | {"OOBD_PROFILE": "fast"})
    assert done.returncode != 0 and "OOBD_PROFILE is fast; it may be lab or release" in done.stderr


def test_release_has_no_door_for_test_arguments(image, work):
    code, log = post_image(image, work, RELEASE=1)
    assert code == 0, log
    assert b"extra.env" not in boot_script(work / "sdcard.img")
    assert b"booti" in boot_script(work / "sdcard.img")
    assert b"extra.env" in boot_script(image.card)


def test_exceeded_budget_fails_and_is_named(image, work):
    (work / "board").mkdir()
    for b in ("common", "qemu"):
        shutil.copytree(REPO / "board" / b, work / "board" / b)
    budget = work / "board/common/budget.env"
    budget.write_text(budget.read_text().replace("ROOT_MIB=160", "ROOT_MIB=10"))
    for name in ("Image.gz", "initrd", "rootfs.squashfs", "u-boot.bin"):
        os.link(OUT / "binaries" / name, work / name)
    script = '. "$1/scripts/image/lib.sh"; in_builder "$2/board/qemu/post-image.sh" "$2"'
    done = subprocess.run(["bash", "-euc", script, "sh", REPO, work], capture_output=True, text=True,
                          env=os.environ | {"BUILDER": image.info["builder_dir"]})
    assert done.returncode != 0
    assert "root has" in done.stderr and "of 10 MiB" in done.stderr


def test_default_configuration_is_accepted():
    oobd = OUT / "binaries/oobd"
    done = subprocess.run(["qemu-aarch64-static", "-L", Image().info["rootfs_dir"], oobd, "check", REPO / "board/common/oobd.toml"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
