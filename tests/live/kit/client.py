"""A client that keeps close to the bytes: both terminators, pipelining, raw bytes, half-close. Every reply is checked against
the interface description; every wait has a deadline."""
import array
import collections
import json
import os
import socket
import time

from kit.idl import WORKPOOL
from kit.proc import wait_readable

NUL, LINE = b"\0", b"\n"
DEADLINE = float(os.environ.get("WORKPOOL_TEST_DEADLINE", 10))  # seconds: a failure and not a measure


class CallError(Exception):
    """An error reply."""

    def __init__(self, reply):
        super().__init__(json.dumps(reply))
        self.name = reply["error"]
        self.params = reply.get("parameters", {})

    @property
    def short(self):
        return self.name.rpartition(".")[2]


class Timeout(AssertionError):
    """What was waited for did not come."""


def full_name(method):
    return method if "." in method else f"{WORKPOOL}.{method}"


def encode_call(method, params=None, *, more=False, oneway=False, terminator=NUL, **extra):
    call = {"method": full_name(method)}
    if params is not None:
        call["parameters"] = params
    if more:
        call["more"] = True
    if oneway:
        call["oneway"] = True
    call.update(extra)
    return json.dumps(call).encode() + terminator


def remaining(deadline):
    return max(0.0, deadline - time.monotonic())


def connect_as(path, uid, gid, groups=()):
    """A connection of another user: a child process connects and hands the socket over. The kernel keeps the credentials of
    the one who connected (SO_PEERCRED, SO_PEERGROUPS). Raises the child's OSError."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.setgroups(list(groups))
                os.setgid(gid)
                os.setuid(uid)
                sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                error = sock.connect_ex(os.fspath(path))
                if error:
                    theirs.sendall(b"%d" % error)
                else:
                    theirs.sendmsg([b"0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [sock.fileno()]))])
                status = 0
            finally:
                os._exit(status)
        theirs.close()
        data, ancillary, _, _ = ours.recvmsg(16, socket.CMSG_SPACE(4))
        os.waitpid(pid, 0)
        assert data, "the child that connects as another user has died"
        if data != b"0":
            raise OSError(int(data), os.strerror(int(data)))
        fd = array.array("i", bytes(ancillary[0][2][:4]))[0]
        return socket.socket(fileno=fd)


class Client:
    def __init__(self, path, *, interfaces=None, line=False, sock=None):
        self.terminator = LINE if line else NUL
        self.interfaces = interfaces
        self.expected = collections.deque()  # (method, more) of calls that still wait for their last reply
        self.buffer = bytearray()
        self.sock = sock
        if sock is None:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(DEADLINE)
            self.sock.connect(os.fspath(path))
        self.sock.settimeout(DEADLINE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    # Sending.

    def send_raw(self, data, expect=()):
        """Bytes as they are; `expect`: the methods whose replies they will bring (None: an error only)."""
        for method in expect:
            self.expected.append((full_name(method) if method else None, False))
        self.sock.sendall(data)

    def encode(self, method, params=None, *, more=False, oneway=False, **extra):
        """The call's bytes for send_raw(), which is not told then what to expect: this did."""
        if not oneway:
            self.expected.append((full_name(method), more))
        return encode_call(method, params, more=more, oneway=oneway, terminator=self.terminator, **extra)

    def send(self, method, params=None, **flags):
        self.sock.sendall(self.encode(method, params, **flags))

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    # Receiving.

    def _fill(self, deadline):
        """More bytes; False at the end of the stream."""
        if not wait_readable([self.sock], remaining(deadline)):
            raise Timeout(f"nothing came; in hand: {bytes(self.buffer[:200])!r}")
        try:
            data = self.sock.recv(1 << 20)
        except ConnectionResetError:
            data = b""
        self.buffer += data
        return bool(data)

    def recv_bytes(self, seconds=DEADLINE):
        """One message without its terminator; None: the stream has ended."""
        deadline = time.monotonic() + seconds
        start = 0
        while True:
            end = self.buffer.find(self.terminator, start)
            if end >= 0:
                message = bytes(self.buffer[:end])
                del self.buffer[:end + 1]
                return message
            start = len(self.buffer)
            if not self._fill(deadline):
                assert not self.buffer, f"the stream ended inside a message: {bytes(self.buffer[:200])!r}"
                return None

    def recv_message(self, seconds=DEADLINE):
        """One message, decoded and checked."""
        data = self.recv_bytes(seconds)
        assert data is not None, "the daemon closed the connection instead of answering"
        message = json.loads(data)
        method, more = self.expected[0] if self.expected else (None, False)
        if self.interfaces:
            self.interfaces.check_reply(method, message, is_more=more)
        if self.expected and not message.get("continues"):
            self.expected.popleft()
        return message

    def recv(self, seconds=DEADLINE):
        """The parameters of the next reply; an error is raised."""
        message = self.recv_message(seconds)
        if "error" in message:
            raise CallError(message)
        return message.get("parameters", {})

    def recv_error(self, seconds=DEADLINE):
        message = self.recv_message(seconds)
        assert "error" in message, f"no error: {message}"
        return CallError(message)

    def recv_stream(self, seconds=DEADLINE):
        """Yields the parameters of all replies of a call with more, to the last."""
        while True:
            message = self.recv_message(seconds)
            if "error" in message:
                raise CallError(message)
            yield message.get("parameters", {})
            if not message.get("continues"):
                return

    def expect_eof(self, seconds=DEADLINE):
        data = self.recv_bytes(seconds)
        assert data is None, f"a message where the end was to be: {data!r}"

    def has_input(self):
        return bool(self.buffer or wait_readable([self.sock], 0))

    def expect_silence(self):
        """Nothing has come by now. Call it after an event that would have been behind."""
        assert not self.has_input(), "a reply that was not to be"

    # Calls.

    def call(self, method, params=None, seconds=DEADLINE, **flags):
        assert not self.expected, "a reply is still to come"
        self.send(method, params, **flags)
        return self.recv(seconds)

    def refused(self, method, params=None, **flags):
        """The error that the call is answered with."""
        assert not self.expected, "a reply is still to come"
        self.send(method, params, **flags)
        return self.recv_error()

    def more(self, method, params=None, seconds=DEADLINE):
        self.send(method, params, more=True)
        return self.recv_stream(seconds)

    def post(self, handler="noop", args=None, **params):
        params["handler"] = handler
        if args is not None:
            params["args"] = args
        return self.call("Post", params)

    def run(self, handler="noop", args=None, **params):
        """Posts, waits, answers the task."""
        return self.post(handler, args, wait=True, **params)["task"]

    def pool(self, name="default"):
        pools = self.call("Stats", {"pool": name})["pools"]
        assert [pool["name"] for pool in pools] == [name]
        return pools[0]
