"""A real daemon in a temporary directory of its own: start, wait for READY=1, watch, stop, and look at what it leaves behind.

The test is the service manager: NOTIFY_SOCKET is a datagram socket of ours, so that starting and stopping are events that can
be waited for. Nothing sleeps; Stats with more is the clock where one is needed."""
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from kit import proc
from kit.client import DEADLINE, CallError, Client, Timeout, connect_as, remaining
from kit.idl import SERVICE, WORKPOOL, Interfaces

TICK_MS = 10  # interval of the Stats that are watched
EXIT_SECONDS = 20
ENDS = ("done", "failed", "cancelled", "expired", "lost")
SUM = ("queued", "delayed", "active") + ENDS
BAD_WORDS = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error|Assertion|assertion|segfault")


def program(name):
    """A binary of the build under test."""
    path = os.path.join(os.environ.get("WORKPOOL_BUILD") or os.getcwd(), name)
    assert os.access(path, os.X_OK), f"{path} is not there: set WORKPOOL_BUILD to the build folder"
    return os.path.abspath(path)


def check_counts(pool):
    """What holds in every Stats: each task is somewhere, and no worker runs two."""
    total = sum(pool[state] for state in SUM)
    assert pool["posted"] == total, f"posted {pool['posted']} is not the sum {total}: {pool}"
    assert pool["active"] - pool["leaving"] <= pool["workers"], f"more active than workers: {pool}"
    assert pool["max_queued"] >= pool["queued"] and pool["max_active"] >= pool["active"], f"marks below numbers: {pool}"


class CheckedClient(Client):
    """A client that looks at the numbers of each Stats that passes."""

    def recv_message(self, seconds=DEADLINE):
        message = super().recv_message(seconds)
        for pool in message.get("parameters", {}).get("pools", ()):
            check_counts(pool)
        return message


def read_interfaces(path):
    with Client(path) as client:
        return Interfaces({name: client.call(SERVICE + ".GetInterfaceDescription", {"interface": name})["description"]
                           for name in (SERVICE, WORKPOOL)})


def run_workpoold(*args, seconds=DEADLINE, **options):
    """A daemon that is not to stay: its CompletedProcess, with texts."""
    options.setdefault("env", clean_environment())
    return subprocess.run([program("workpoold"), *map(os.fspath, args)], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=seconds, text=True, **options)


def clean_environment(**more):
    keep = ("PATH", "HOME", "LANG", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "LD_PRELOAD")
    return {name: os.environ[name] for name in keep if name in os.environ} | more


class Daemon:
    def __init__(self, config="", *, env=None, args=(), wrapper=(), path=None, ready=True, uid=None):
        self.dir = tempfile.mkdtemp(prefix="wp-")
        os.chmod(self.dir, 0o755)
        self.path = path or os.path.join(self.dir, "s")
        self.config = self.write("conf", config)
        self.clients = []
        self.notes = []
        self.interfaces = None
        self.ended = False
        self.expect_status = 0
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(os.path.join(self.dir, "notify"))
        environment = clean_environment(NOTIFY_SOCKET=self.notify.getsockname(), XDG_RUNTIME_DIR=self.dir) | (env or {})
        if uid is not None:  # as another user, whose all of this is then
            for name in (self.dir, self.config, self.notify.getsockname()):
                os.chown(name, uid, uid)
            wrapper = [*wrapper, "setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
        command = [*wrapper, program("workpoold"), "--config", self.config, "--socket", self.path, *args]
        with open(self.file("stderr"), "wb") as stderr:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=stderr, env=environment, cwd=self.dir)
        self.pid = self.process.pid
        self.pidfd = os.pidfd_open(self.pid)
        self.fds_at_ready = None
        if ready:
            self.wait_ready()

    # Files.

    def file(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text, mode=0o600):
        path = self.file(name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def stderr(self):
        with open(self.file("stderr"), encoding="utf-8", errors="replace") as file:
            return file.read()

    # Events.

    def wait_note(self, wanted, seconds=DEADLINE):
        """A line that the daemon sends to its service manager, whole or its beginning up to "="; answers it."""
        deadline = time.monotonic() + seconds
        while True:
            for i, line in enumerate(self.notes):
                if line == wanted or (wanted.endswith("=") and line.startswith(wanted)):
                    del self.notes[:i + 1]
                    return line
            ready = proc.wait_readable([self.notify, self.pidfd], remaining(deadline))
            if self.notify in ready:
                self.notes += self.notify.recv(8192).decode().split("\n")
            elif self.pidfd in ready:
                raise AssertionError(f"the daemon ended before {wanted}:\n{self.stderr()}")
            else:
                raise Timeout(f"{wanted} did not come; notes {self.notes}:\n{self.stderr()}")

    def wait_ready(self):
        self.wait_note("READY=1")
        self.wait_note("STATUS=")
        # What is open for a moment only does not count.
        with Client(self.path) as client:
            replies = client.more("Stats", {"interval_ms": TICK_MS})
            self.fds_at_ready = min(proc.n_fds(self.pid) for _ in zip(replies, range(2))) - 1

    def wait_exit(self, seconds=EXIT_SECONDS):
        """The daemon ends by itself; its exit status."""
        assert proc.wait_readable([self.pidfd], seconds), f"the daemon did not end:\n{self.stderr()}"
        self.ended = True
        return self.process.wait()

    def signal(self, number):
        signal.pidfd_send_signal(self.pidfd, number)

    # Clients.

    def client(self, *, line=False, sock=None):
        if self.interfaces is None:
            self.interfaces = read_interfaces(self.path)
        client = CheckedClient(self.path, interfaces=self.interfaces, line=line, sock=sock)
        self.clients.append(client)
        return client

    def client_as(self, uid, gid, groups=(), **options):
        """Of another user; the socket's mode lets everybody in from here on."""
        os.chmod(self.path, 0o666)
        return self.client(sock=connect_as(self.path, uid, gid, groups), **options)

    def watch(self, pool=None):
        """Yields all Stats, one every TICK_MS, as long as somebody asks: the clock of the tests. Whole replies."""
        with self.client() as client:
            params = {"interval_ms": TICK_MS} | ({"pool": pool} if pool else {})
            yield from client.more("Stats", params)

    def until(self, condition, pool="default", seconds=DEADLINE):
        """Watches a pool until condition(pool) holds; answers the pool's numbers then."""
        deadline = time.monotonic() + seconds
        numbers = None
        for reply in self.watch(pool):
            numbers = reply["pools"][0]
            if condition(numbers):
                return numbers
            assert time.monotonic() < deadline, f"it did not come to that: {numbers}\n{self.stderr()}"
        raise AssertionError("Stats ended")

    def pass_time(self, seconds):
        """Lets the daemon's own clock go on, as the ticks of a Stats tell; answers the last of them."""
        start = None
        for reply in self.watch():
            start = start or reply["daemon"]["uptime_ms"]
            if reply["daemon"]["uptime_ms"] - start >= seconds * 1000:
                return reply
        raise AssertionError("Stats ended")

    def check_serves(self):
        """A post right after succeeds, on a connection of its own."""
        with self.client() as client:
            assert client.run("echo", {"n": 1})["result"] == {"n": 1}

    # The end.

    def _connect_for_last_look(self):
        """Closed clients may still count for a moment: Busy is tried again."""
        deadline = time.monotonic() + DEADLINE
        while True:
            client = CheckedClient(self.path, interfaces=self.interfaces)
            try:
                client.call("Stats")
                return client
            except (CallError, BrokenPipeError) as error:
                client.close()
                assert time.monotonic() < deadline and (
                    isinstance(error, BrokenPipeError) or error.short == "Busy"), f"no last look: {error}"

    def last_look(self):
        """Once all clients have gone: descriptors as at READY, numbers right. Answers how many tasks are active."""
        for client in self.clients:
            client.close()
        if self.interfaces is None:
            self.interfaces = read_interfaces(self.path)
        deadline = time.monotonic() + DEADLINE
        with self._connect_for_last_look() as client:
            for reply in client.more("Stats", {"interval_ms": TICK_MS}):
                hosts_up = all(pool["host"] == "up" for pool in reply["pools"])
                n_fds = proc.n_fds(self.pid)
                if reply["daemon"]["connections"] == 1 and hosts_up and n_fds == self.fds_at_ready + 1:
                    return sum(pool["active"] for pool in reply["pools"])
                assert time.monotonic() < deadline, (
                    f"descriptors: {n_fds}, at READY {self.fds_at_ready} without our one connection; {reply['daemon']}")
        raise AssertionError("Stats ended")

    def stop(self):
        """In order; running tasks are not waited for."""
        is_busy = self.last_look() > 0 if self.fds_at_ready is not None else False
        self.signal(signal.SIGTERM)
        if is_busy:
            self.wait_note("STOPPING=1")
            self.signal(signal.SIGTERM)
        return self.wait_exit()

    def finish(self):
        """The fixture's tear-down: everything that must hold at the end of each test."""
        try:
            status = self.process.wait() if self.ended else self.stop()
            assert status == self.expect_status, f"exit status {status}:\n{self.stderr()}"
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            text = self.stderr()
            for client in self.clients:
                client.close()
            self.notify.close()
            os.close(self.pidfd)
            shutil.rmtree(self.dir)
        assert not BAD_WORDS.search(text), text
