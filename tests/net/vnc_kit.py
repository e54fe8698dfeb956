"""VNC viewers that nobody here wrote: TigerVNC on a display of its own, and vncsnapshot."""
import os
import struct
import subprocess

from board import wait_for

# VNC's files of passwords are encrypted by this key, which everybody knows; the bits of its bytes as DES wants them.
KEY = bytes(int(f"{byte:08b}"[::-1], 2) for byte in (23, 82, 107, 6, 35, 78, 88, 7)).hex()


def password_file(path, password):
    """As vncpasswd writes it."""
    block = password.encode().ljust(8, b"\0")[:8]
    done = subprocess.run(["openssl", "enc", "-des-ecb", "-nopad", "-K", KEY, "-provider", "legacy", "-provider", "default"],
                          input=block, capture_output=True, check=True, timeout=60)
    path.write_bytes(done.stdout)
    return path


class Display:
    """An X server without a screen, whose pixels are in a file."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        reading, writing = os.pipe()
        self.process = subprocess.Popen(["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x1024x24", "-fbdir", folder, "-nolisten", "tcp"],
                                        pass_fds=[writing], stderr=subprocess.DEVNULL)
        os.close(writing)
        with os.fdopen(reading) as told:
            self.name = f":{told.readline().strip()}"
        assert self.name != ":", "Xvfb did not start"

    def count(self, red, green, blue):
        """How many pixels have this colour now."""
        data = (self.folder / "Xvfb_screen0").read_bytes()
        header = struct.unpack(">25I", data[:100])
        start = header[0] + header[19] * 12
        pixel = bytes((blue, green, red)) if header[7] == 0 else bytes((red, green, blue))
        body = data[start:start + header[12] * header[5]]
        return sum(body[at:at + 3] == pixel for at in range(0, len(body), 4)) if header[7] == 0 else \
            sum(body[at + 1:at + 4] == pixel for at in range(0, len(body), 4))

    def type(self, *keys):
        # There is no window manager that would give the window the keyboard.
        done = subprocess.run(["xdotool", "search", "--onlyvisible", "--name", "TigerVNC", "windowfocus", "--sync", "mousemove", "400", "300", "key", *keys], env={**os.environ, "DISPLAY": self.name},
                              capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done

    def close(self):
        self.process.kill()
        self.process.wait()


class Tiger:
    """TigerVNC's viewer in the board's namespace, which is to verify the certificate of `localhost` by this file."""

    def __init__(self, space, display, certificate, port, *options, user=None, password=None, home=None):
        env = {**os.environ, "DISPLAY": display.name, "HOME": str(home)}
        if user:
            env["VNC_USERNAME"], env["VNC_PASSWORD"] = user, password
        words = ["ip", "netns", "exec", space, "xtigervncviewer", f"-X509CA={certificate}", "-AutoSelect=0", "-FullColor=1", "-AlertOnFatalError=0",
                 "-ReconnectOnError=0", *options, f"localhost::{port}"]
        self.log = home / "viewer.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(words, env=env, stdout=log, stderr=log)

    def ended(self, timeout=60):
        wait_for("the viewer's end", lambda: self.process.poll() is not None, timeout)
        return self.log.read_text()

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait()
