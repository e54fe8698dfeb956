"""The host's end of the agent in the guest (guest/agent.py): one TCP connection, many requests at a time."""
import base64
import itertools
import json
import queue
import socket
import threading
import time


class AgentError(Exception):
    """The guest could not do what was asked; the text names the request."""


class Failed(AgentError):
    """A command ended with something other than 0."""


class Result:
    def __init__(self, answer):
        self.exit, self.t0, self.t1 = answer["exit"], answer["t0"], answer["t1"]
        self.stdout, self.stderr = base64.b64decode(answer["out"]), base64.b64decode(answer["err"])

    @property
    def text(self):
        return self.stdout.decode(errors="replace").strip()

    @property
    def ok(self):
        return self.exit == 0

    def __repr__(self):
        return f"exit {self.exit}: {self.stdout.decode(errors='replace')}{self.stderr.decode(errors='replace')}"


class Agent:
    def __init__(self, port, deadline, alive=lambda: True):
        """Waits until the guest answers. `deadline` in time.monotonic(); `alive` says whether waiting still makes sense."""
        self.ids, self.waiting, self.lock = itertools.count(1), {}, threading.Lock()
        while True:
            if not alive():
                raise AgentError("the guest ended before its agent answered")
            try:
                # QEMU's user network accepts before the guest listens and then closes: only an answer counts.
                self.sock = socket.create_connection(("127.0.0.1", port), timeout=2)
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.sock.sendall(b'{"id":0,"op":"clock"}\n')
                self.file = self.sock.makefile("rb")
                if self.file.readline():
                    break
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise AgentError("the guest's agent does not answer")
            time.sleep(0.2)
        self.sock.settimeout(None)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            for line in self.file:
                msg = json.loads(line)
                with self.lock:
                    q = self.waiting.get(msg["id"])
                if q:
                    q.put(msg)
        except (OSError, ValueError):
            pass
        with self.lock:
            gone, self.waiting = list(self.waiting.values()), None
        for q in gone:
            q.put({"error": "the guest is gone"})

    def _send(self, op, **req):
        q = queue.Queue()
        with self.lock:
            if self.waiting is None:
                raise AgentError("the guest is gone")
            req.update(id=next(self.ids), op=op)
            self.waiting[req["id"]] = q
            self.sock.sendall((json.dumps(req) + "\n").encode())
        return req["id"], q

    def _forget(self, n):
        with self.lock:
            if self.waiting:
                self.waiting.pop(n, None)

    def call(self, op, wait=60, **req):
        n, q = self._send(op, **req)
        try:
            msg = q.get(timeout=wait)
        except queue.Empty:
            raise AgentError(f"no answer to {op} {req} in {wait} s") from None
        finally:
            self._forget(n)
        if "error" in msg:
            raise AgentError(f"{op} {req}: {msg['error']}")
        return msg

    def run(self, cmd, ns=None, root="lab", timeout=30, check=True, stdin=b"", env=None):
        """Runs a shell line (str) or an argument list; `root` is "lab" (the lab disk) or "board" (the product)."""
        what = {"sh": cmd} if isinstance(cmd, str) else {"argv": cmd}
        got = Result(self.call("run", wait=timeout + 30, ns=ns, root=root, timeout=timeout, env=env or {},
                               stdin=base64.b64encode(stdin).decode(), **what))
        if check and not got.ok:
            raise Failed(f"{cmd!r} (ns {ns}, {root} root): {got}")
        return got

    def board(self, cmd, **kw):
        return self.run(cmd, root="board", **kw)

    def spawn(self, cmd, ns=None, root="lab", log="/dev/null"):
        what = {"sh": cmd} if isinstance(cmd, str) else {"argv": cmd}
        return self.call("spawn", ns=ns, root=root, log=log, **what)

    def stream(self, cmd, ns=None, root="lab", wait=None):
        """Yields (guest time, line) until the command ends or the guest does."""
        what = {"sh": cmd} if isinstance(cmd, str) else {"argv": cmd}
        n, q = self._send("stream", ns=ns, root=root, **what)
        try:
            while True:
                msg = q.get(timeout=wait)
                if "line" not in msg:
                    return
                yield msg["t"], base64.b64decode(msg["line"])
        finally:
            self._forget(n)

    def put(self, path, data, mode=0o644):
        data = data.encode() if isinstance(data, str) else data
        self.call("put", path=path, data=base64.b64encode(data).decode(), mode=mode)

    def get(self, path):
        return base64.b64decode(self.call("get", path=path)["data"])

    def clock(self):
        return self.call("clock")["t"]

    def wait_text(self, path, pattern, timeout, offset=0):
        """Guest time at which `pattern` stood in the file; AgentError after `timeout` seconds."""
        got = self.call("wait_text", wait=timeout + 30, path=path, pattern=pattern, timeout=timeout, offset=offset)
        if got.get("timeout"):
            tail = self.run(f"tail -n 20 {path}", check=False).text
            raise AgentError(f"{path}: no {pattern!r} in {timeout} s; it ends in\n{tail}")
        return got["t"]

    def close(self):
        try:
            self.sock.close()
        except OSError:
            pass
