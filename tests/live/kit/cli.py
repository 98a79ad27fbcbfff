"""wpctl as people and scripts run it: on pipes, on a terminal, with signals, and against a daemon that is only played."""
import contextlib
import fcntl
import json
import os
import pty
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import threading
import time

from kit.client import DEADLINE, Timeout, remaining
from kit.daemon import clean_environment, program


def command(socket_path, *args):
    words = [program("wpctl")] + (["-s", os.fspath(socket_path)] if socket_path is not None else [])
    return words + [os.fspath(arg) if not isinstance(arg, (int, float)) else str(arg) for arg in args]


def run(socket_path, *args, stdin="", env=None, seconds=3 * DEADLINE, **options):
    """To its end, on pipes: CompletedProcess with texts. socket_path None: it looks for the socket itself."""
    return subprocess.run(command(socket_path, *args), input=stdin, capture_output=True, text=True, timeout=seconds, check=False,
                          env=clean_environment(**(env or {})), **options)


class Ctl:
    """run() with a daemon's socket; checks that what goes wrong is one line on standard error."""

    def __init__(self, path):
        self.path = path

    def __call__(self, *args, code=0, lines=None, **options):
        """lines: of standard error (None: none for code 0, any number for others)."""
        ended = run(self.path, *args, **options)
        assert ended.returncode == code, f"wpctl {args}: {ended}"
        errors = ended.stderr.splitlines()
        assert all(line.startswith("wpctl: ") for line in errors), ended.stderr
        assert len(errors) == (lines if lines is not None else 0 if code == 0 else len(errors)), ended.stderr
        return ended.stdout

    def error(self, *args, code, **options):
        """The one line of standard error, without "wpctl: "; nothing is on standard output."""
        ended = run(self.path, *args, **options)
        assert (ended.returncode, ended.stdout) == (code, ""), f"wpctl {args}: {ended}"
        assert ended.stderr.startswith("wpctl: ") and ended.stderr.count("\n") == 1, ended.stderr
        return ended.stderr.removeprefix("wpctl: ").rstrip("\n")

    def json(self, *args, **options):
        """The documents of -j, one a line."""
        return [json.loads(line) for line in self("-j", *args, **options).splitlines()]

    def fields(self, *args, **options):
        """{title: value} of what is shown as lines of title, tab, value."""
        return dict(line.split("\t", 1) for line in self(*args, **options).splitlines())

    def rows(self, *args, **options):
        """[{title: value}…] of a table."""
        return table(self(*args, **options).splitlines())


def table(lines):
    cells = [line.split("\t") for line in lines]
    assert all(len(row) == len(cells[0]) for row in cells), lines
    return [dict(zip(cells[0], row)) for row in cells[1:]]


class Process:
    """A wpctl that runs while the test does something: a context; at its end it is gone."""

    def __init__(self, socket_path, *args, env=None, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE):
        self.process = subprocess.Popen(command(socket_path, *args), stdin=stdin, stdout=stdout, stderr=subprocess.PIPE,
                                        env=clean_environment(**(env or {})))
        self.text = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream and not stream.closed:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        self.process.wait()

    def signal(self, number):
        self.process.send_signal(number)

    def read_until(self, condition, seconds=DEADLINE):
        """Standard output so far, once condition(it) holds."""
        deadline = time.monotonic() + seconds
        while not condition(self.text.decode()):
            if not select.select([self.process.stdout], [], [], remaining(deadline))[0]:
                raise Timeout(f"wpctl did not say it: {self.text!r}")
            data = os.read(self.process.stdout.fileno(), 65536)
            assert data, f"wpctl ended: {self.text!r}"
            self.text += data
        return self.text.decode()

    def end(self, seconds=DEADLINE):
        """(exit code, all of standard output, standard error). Its standard input stays as it is: communicate() would close it."""
        stdin, self.process.stdin = self.process.stdin, None
        try:
            out, err = self.process.communicate(timeout=seconds)
        finally:
            self.process.stdin = stdin
        return self.process.returncode, self.text.decode() + (out or b"").decode(), err.decode()


class Terminal:
    """What a terminal of 200 columns gets from wpctl: text of both streams together."""

    def __init__(self, socket_path, *args, env=None):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
                words = command(socket_path, *args)
                os.execve(words[0], words, clean_environment(TERM="xterm", **(env or {})))
            finally:
                os._exit(126)
        self.text = ""
        self.code = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    def type(self, text):
        os.write(self.fd, text.encode())

    def _read(self, deadline):
        if not select.select([self.fd], [], [], remaining(deadline))[0]:
            raise Timeout(f"the terminal shows {self.text!r}")
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # EIO: the other side has closed
            return False
        self.text += data.decode().replace("\r\n", "\n")
        return bool(data)

    def read_until(self, condition, seconds=DEADLINE):
        deadline = time.monotonic() + seconds
        while not condition(self.text):
            assert self._read(deadline), f"wpctl ended: {self.text!r}"
        return self.text

    def end(self, seconds=DEADLINE):
        """(exit code, all that was shown)."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            pass
        self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.code, self.text


def on_terminal(socket_path, *args, code=0, env=None):
    with Terminal(socket_path, *args, env=env) as terminal:
        ended, text = terminal.end()
    assert ended == code, (ended, text)
    return text


class Fake:
    """A daemon that is played, for clients that send lines: answer(call) gives the bytes that each call is answered with; None: no
    answer, b"": the connection is closed."""

    def __init__(self, answer):
        self.dir = tempfile.mkdtemp(prefix="wp-")
        self.path = os.path.join(self.dir, "s")
        self.answer = answer
        self.calls = []
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.bind(self.path)
        self.sock.listen(16)
        self.stop_read, self.stop_write = os.pipe()
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.write(self.stop_write, b"x")
        self.thread.join(DEADLINE)
        self.sock.close()
        os.close(self.stop_read)
        os.close(self.stop_write)
        shutil.rmtree(self.dir)
        assert not self.thread.is_alive()

    def _serve(self):
        connections = {}
        while True:
            ready = select.select([self.stop_read, self.sock, *connections], [], [])[0]
            if self.stop_read in ready:
                break
            for sock in ready:
                if sock is self.sock:
                    connections[sock.accept()[0]] = b""
                elif not self._take(sock, connections):
                    del connections[sock]
                    sock.close()
        for sock in connections:
            sock.close()

    def _take(self, sock, connections):
        """What came over one connection; False: it is over."""
        try:
            data = sock.recv(65536)
            *messages, connections[sock] = (connections[sock] + data).split(b"\n")
            for message in messages:
                self.calls.append(json.loads(message))
                answer = self.answer(self.calls[-1])
                if answer == b"":
                    return False
                if answer is not None:
                    sock.sendall(answer)
            return bool(data)
        except OSError:
            return False


def reply(parameters=None, **members):
    return json.dumps({"parameters": parameters or {}} | members).encode() + b"\0"


def fault(name, **parameters):
    return reply(parameters, error=name if "." in name else "org.workpool." + name)
