"""Many connections and one thread: calls are pipelined, and each has a function that gets its reply. So one test can post as fast
as a daemon takes it and still knows, at any moment, what was acknowledged."""
import collections
import json
import os
import select
import socket

from kit.client import DEADLINE, Timeout, encode_call


class Line:
    """A connection. When it ends (the daemon was killed), calls without a reply stay in `waiting`."""

    def __init__(self, crowd, path):
        self.crowd = crowd
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(os.fspath(path))
        self.sock.setblocking(False)
        self.out, self.buffer = bytearray(), b""
        self.waiting = collections.deque()
        crowd.add(self)

    def call(self, method, params, on_reply):
        """on_reply(reply): the whole message."""
        self.waiting.append(on_reply)
        self.out += encode_call(method, params)
        self.crowd.touched.add(self)

    def write(self):
        try:
            del self.out[:self.sock.send(self.out)]
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError):
            self.out.clear()  # its end will be read

    def read(self):
        """The number of replies; None: the connection has ended."""
        try:
            data = self.sock.recv(1 << 18)
        except BlockingIOError:
            return 0
        except ConnectionResetError:
            return None
        if not data:
            return None
        *messages, self.buffer = (self.buffer + data).split(b"\0")
        for message in messages:
            self.waiting.popleft()(json.loads(message))
        return len(messages)


class Crowd:
    def __init__(self):
        self.lines = {}
        self.touched = set()
        self.poll = select.poll()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for line in list(self.lines.values()):
            self.drop(line)

    def add(self, line):
        self.lines[line.sock.fileno()] = line
        self.poll.register(line.sock, select.POLLIN)

    def drop(self, line):
        self.poll.unregister(line.sock)
        del self.lines[line.sock.fileno()]
        line.sock.close()

    def turn(self, seconds=DEADLINE):
        """Writes what is to be written, waits for something and reads it; answers how many replies came."""
        for line in self.touched:
            if line.sock.fileno() >= 0 and line.out:
                line.write()
                self.poll.modify(line.sock, select.POLLIN | (select.POLLOUT if line.out else 0))
        self.touched.clear()
        n = 0
        events = self.poll.poll(seconds * 1000)
        for fd, what in events:
            line = self.lines[fd]
            if what & select.POLLOUT:
                self.touched.add(line)
            if what & ~select.POLLOUT:
                got = line.read()
                if got is None:
                    self.drop(line)
                else:
                    n += got
        if not events and seconds == DEADLINE:
            raise Timeout(f"no connection of {len(self.lines)} said anything")
        return n

    def drain(self):
        """After the daemon's death: all that it had written, to the end of each connection."""
        while self.lines:
            self.turn()
