"""A client of SSH in the bench's own process, by libssh: like the other doors' clients, and unlike a program on pipes, it adds no
process of its own to a round trip."""
import ctypes
import time
from ctypes import byref, c_char_p, c_int, c_size_t, c_uint, c_uint32, c_void_p

from .wire import Closed

# enum ssh_options_e of libssh/libssh.h.
HOST, PORT, USER, STRICT_HOST_KEY, NODELAY, PROCESS_CONFIG = 0, 1, 4, 21, 36, 38
AGAIN, CHUNK = -2, 65536

# c_void_p, for an int would cut a pointer in half.
KINDS = {
    "ssh_new": (c_void_p, []),
    "ssh_options_set": (c_int, [c_void_p, c_int, c_void_p]),
    "ssh_connect": (c_int, [c_void_p]),
    "ssh_get_fd": (c_int, [c_void_p]),
    "ssh_get_error": (c_char_p, [c_void_p]),
    "ssh_pki_import_privkey_file": (c_int, [c_char_p, c_char_p, c_void_p, c_void_p, c_void_p]),
    "ssh_key_free": (None, [c_void_p]),
    "ssh_userauth_publickey": (c_int, [c_void_p, c_char_p, c_void_p]),
    "ssh_channel_new": (c_void_p, [c_void_p]),
    "ssh_channel_open_session": (c_int, [c_void_p]),
    "ssh_channel_request_shell": (c_int, [c_void_p]),
    "ssh_channel_window_size": (c_uint32, [c_void_p]),
    "ssh_channel_write": (c_int, [c_void_p, c_char_p, c_uint32]),
    "ssh_channel_read_nonblocking": (c_int, [c_void_p, c_void_p, c_uint32, c_int]),
    "ssh_channel_is_eof": (c_int, [c_void_p]),
    "ssh_channel_free": (None, [c_void_p]),
    "ssh_disconnect": (None, [c_void_p]),
    "ssh_free": (None, [c_void_p]),
}


def library():
    lib = ctypes.CDLL("libssh.so.4")
    for name, (result, arguments) in KINDS.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


class Ssh:
    """A session without a terminal, by the key in `folder`. `ready` says whether it has reached the console."""

    def __init__(self, port, folder, user, ready, timeout=20):
        self.lib, self.channel = library(), None
        self.session = self.lib.ssh_new()
        self.buffer = ctypes.create_string_buffer(CHUNK)
        for option, value in ((HOST, c_char_p(b"127.0.0.1")), (USER, c_char_p(user.encode())), (PORT, byref(c_uint(port))),
                              (STRICT_HOST_KEY, byref(c_int(0))), (NODELAY, byref(c_int(1))), (PROCESS_CONFIG, byref(c_int(0)))):
            self.check(self.lib.ssh_options_set(self.session, option, ctypes.cast(value, c_void_p)))
        self.check(self.lib.ssh_connect(self.session))
        key = c_void_p()
        self.check(self.lib.ssh_pki_import_privkey_file(str(folder / "key").encode(), None, None, None, byref(key)))
        self.check(self.lib.ssh_userauth_publickey(self.session, None, key))
        self.lib.ssh_key_free(key)
        self.channel = self.lib.ssh_channel_new(self.session)
        self.check(self.lib.ssh_channel_open_session(self.channel))
        self.check(self.lib.ssh_channel_request_shell(self.channel))
        end = time.monotonic() + timeout
        while not ready():
            if time.monotonic() > end:
                raise Closed(f"{user} did not reach the console by SSH")
            time.sleep(0.02)

    def check(self, code):
        if code:
            raise Closed(f"libssh: {self.lib.ssh_get_error(self.session).decode(errors='replace')}")

    def fileno(self):
        return self.lib.ssh_get_fd(self.session)

    def wire(self, data):
        return data

    def send(self, wire):
        # More than the window has room for would make it wait.
        room = self.lib.ssh_channel_window_size(self.channel)
        if not room:
            return 0
        sent = self.lib.ssh_channel_write(self.channel, wire[:room], min(len(wire), room))
        if sent < 0:
            raise Closed(self.lib.ssh_get_error(self.session).decode(errors="replace"))
        return sent

    def recv(self):
        """All that is there: libssh takes all whole packets off the socket before it answers, and says less than asked where no more is left."""
        data = []
        while True:
            got = self.lib.ssh_channel_read_nonblocking(self.channel, self.buffer, CHUNK, 0)
            if got > 0:
                data.append(ctypes.string_at(self.buffer, got))
            elif got not in (0, AGAIN):
                raise Closed(self.lib.ssh_get_error(self.session).decode(errors="replace"))
            if got == CHUNK:
                continue
            if not data and self.lib.ssh_channel_is_eof(self.channel):
                return None
            return b"".join(data)

    def close(self):
        """As with a socket, a second time does nothing."""
        session, self.session = self.session, None
        if session:
            self.lib.ssh_channel_free(self.channel)
            self.lib.ssh_disconnect(session)
            self.lib.ssh_free(session)
