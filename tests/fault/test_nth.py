"""The Nth call of a kind fails, for every N: while the daemon starts, and while it does a bit of everything. It neither crashes nor
hangs, what it says is exact, and what it acknowledged is there after a kill -9 and a restart.

A planted fault that turns it red: a flush that says 0 after an error."""
import errno
import os

import pytest

import shim as faults
from kit.client import CallError, Client, Timeout
from oracle import Oracle
from test_kills import list_all
from victim import Victim

NTH = int(os.environ.get("FAULT_NTH", 60))
STEP = int(os.environ.get("FAULT_STEP", 1))
KINDS = {"malloc": faults.MALLOC, "write": faults.WRITE | faults.PWRITE, "fsync": faults.SYNC, "open": faults.OPEN,
         "ftruncate": faults.TRUNCATE}
# What a call may be refused with.
WORDS = {"malloc": {"Internal", "StorageFailed", "NotReady"}, "write": {"StorageFailed"},
         "fsync": {"StorageFailed"}, "open": {"StorageFailed"}, "ftruncate": {"StorageFailed"}}
GONE = (AssertionError, BrokenPipeError, ConnectionError)  # the daemon closed the connection: a reply could not be made or written


def config(folder):
    return (f"[daemon]\nstate_dir = {folder}\nhistory_max = 1000000\n[store]\ntype = sqlite\n"
            "[pool default]\nworkers = 2\ncapacity = 100000\n[handler fail]\nretries = 0\n")


class Scenario:
    """A bit of everything, one call after the other; what is refused is noted."""

    def __init__(self, daemon, oracle, words):
        self.daemon, self.oracle, self.words = daemon, oracle, words
        self.client = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.client:
            self.client.close()

    def call(self, method, params):
        """The reply's message; None: the connection was closed, and nobody knows."""
        try:
            if self.client is None:
                self.client = Client(self.daemon.path)
            self.client.send(method, params)
            return self.client.recv_message()
        except GONE as error:
            assert not isinstance(error, Timeout), f"{method} {params} hangs"
            self.client = self.client and self.client.close()
            return None

    def refused(self, reply, method):
        if "error" not in reply:
            return False
        word = CallError(reply).short
        if word not in self.words:
            self.oracle.fault("wrong word", f"{method} was refused with {reply}")
        return True

    def post(self, handler, **params):
        post = self.oracle.attempt(handler, params.get("unique"))
        reply = self.call("Post", params | {"handler": handler, "name": post.name})
        if reply is not None:
            self.refused(reply, "Post")
            self.oracle.posted(post, reply)
        return post.task

    def change(self, method, task, on_outcome):
        reply = self.call(method, {"ids": [str(task.id)]})
        if reply is None:
            return
        if not self.refused(reply, method):
            on_outcome(task, reply["parameters"]["tasks"][0])

    def read(self, method, params):
        reply = self.call(method, params)
        if reply is not None:
            self.refused(reply, method)

    def run(self):
        self.post("noop")
        self.post("echo", args={"n": 1}, wait=True)
        later = self.post("echo", args={"pad": "x" * 5000}, delay_ms=3_600_000)
        if later:
            later.cancelling = True
            self.change("Cancel", later, self.oracle.cancelled)
        if later and later.end:
            later.retrying = True
            self.change("Retry", later, self.oracle.retried)
        self.post("noop", unique="one", delay_ms=2)
        self.post("noop", unique="one", delay_ms=2)
        failed = self.post("fail", args={"error": "as told"}, wait=True)
        if failed and failed.end:
            failed.retrying = True
            self.change("Retry", failed, self.oracle.retried)
        self.read("Stats", None)
        self.read("List", {"limit": 10})


def finish(daemon, counts, oracle, what):
    """Its end, by a kill; one that came before is a crash."""
    if daemon.has_died():
        status = daemon.wait_exit()
        counts["crashed"] += 1
        oracle.fault("crash", f"{what}: status {status}: {daemon.stderr()[-500:]}")
        daemon.expect_status = status
        daemon.finish()
    else:
        daemon.kill()


def look(daemon, oracle, what):
    """What is there after a restart without faults."""
    before = len(oracle.wrong)
    oracle.check(list_all(daemon.path, oracle.floor), oracle.floor)
    oracle.raise_floor()
    oracle.wrong[before:] = [f"{what}: {text}" for text in oracle.wrong[before:]]


def check_serves_again(daemon, oracle, kind, what):
    """When the fault is over: a post runs; but after a flush that failed nothing is written until a restart, and Stats says so."""
    with Client(daemon.path) as client:
        store = client.call("Stats")["daemon"]["store"]
        if kind == "fsync" and "error" in store:
            error = client.refused("Post", {"handler": "noop"})
            assert error.short == "StorageFailed" and "restart" in store["error"], f"{what}: {error}, {store}"
            return
    with Scenario(daemon, oracle, {"StorageFailed"}) as scenario:
        for _ in range(3):  # at most: the store may first try again what it could not write
            task = scenario.post("noop", wait=True)
            if task and task.end:
                return
            daemon.pass_time(1.1)
    oracle.fault("not back", f"{what}: no post runs; {daemon.stderr()[-300:]}")


def report(tell, kind, when, counts, oracle):
    tell(f"{counts['tried']} tried, {counts['crashed']} crashed, {oracle.n_lost} lost ({kind} while {when}: {counts['hits']} calls failed; "
         f"{oracle.n['acknowledged']} posts acknowledged, {oracle.n['refused']} refused)")
    assert not oracle.wrong, "\n".join(oracle.wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_the_nth_call_fails_at_work(tmp_path, tell, kind):
    oracle, shim = Oracle(), faults.Shim(tmp_path)
    counts = dict(tried=0, crashed=0, hits=0)
    what = "before"
    for n in range(1, NTH + 1, STEP):
        daemon = Victim(config(tmp_path), env=shim.env)
        look(daemon, oracle, what)
        what = f"{kind} {n}"
        with Scenario(daemon, oracle, WORDS[kind]) as scenario:
            shim.arm(KINDS[kind], n, errno.EIO)
            scenario.run()
        hits = shim.disarm()
        counts["tried"] += 1
        counts["hits"] += hits
        if hits and not daemon.has_died():
            check_serves_again(daemon, oracle, kind, what)
        finish(daemon, counts, oracle, what)
        if not hits:
            break  # there are no more such calls
    daemon = Victim(config(tmp_path), env=shim.env)
    look(daemon, oracle, what)
    finish(daemon, counts, oracle, "the end")
    report(tell, kind, "it works", counts, oracle)


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_nth_call_fails_at_the_start(tmp_path, tell, kind, fresh):
    """fresh: there is no store yet; it is made while that happens."""
    oracle, shim = Oracle(), faults.Shim(tmp_path)
    counts = dict(tried=0, crashed=0, hits=0)
    for n in range(1, NTH + 1, STEP):
        what, folder = f"{kind} {n}", tmp_path
        if fresh:
            oracle.begin_anew()
            folder = tmp_path / str(n)
            folder.mkdir()
        shim.arm(KINDS[kind], n, errno.EIO)
        daemon = Victim(config(folder), env=shim.env, ready=False)
        counts["tried"] += 1
        try:
            daemon.wait_note("READY=1")
        except AssertionError as error:
            assert daemon.has_died(), f"{what}: the start hangs: {error}"
        hits = shim.disarm()
        counts["hits"] += hits
        if daemon.has_died():  # it said no: with a line that says why
            status = daemon.wait_exit()
            if status <= 0 or "workpoold: " not in daemon.stderr():
                counts["crashed"] += 1
                oracle.fault("crash", f"{what}: status {status}: {daemon.stderr()[-500:]}")
            daemon.expect_status = status
            daemon.finish()
            daemon = Victim(config(folder), env=shim.env)
        look(daemon, oracle, what)
        with Scenario(daemon, oracle, WORDS[kind]) as scenario:
            if n % 8 == 1:
                scenario.run()
        finish(daemon, counts, oracle, what)
        if not hits:
            break
    report(tell, kind, "it starts and makes its store" if fresh else "it starts", counts, oracle)
