"""The Nth call of a kind fails, for every N: while the daemon starts, while it does a bit of everything, and while its file is kept in
order. It neither crashes nor hangs, what it says is exact, and what it acknowledged is there after a kill -9 and a restart.

A planted fault that turns it red: a flush that says 0 after an error."""
import contextlib
import copy
import errno
import os
import shutil
import signal
import sqlite3

import pytest

import shim as faults
from crowd import Crowd, Line
from kit.client import CallError, Client, Timeout
from oracle import Oracle
from test_kills import list_all
from victim import Victim

LOG_LIMIT = 16 << 20  # bytes: journal_size_limit in store/sqlite_db.c
NTH = int(os.environ.get("FAULT_NTH", 60))
STEP = int(os.environ.get("FAULT_STEP", 1))
KINDS = {"malloc": faults.MALLOC, "write": faults.WRITE | faults.PWRITE, "fsync": faults.SYNC, "open": faults.OPEN,
         "ftruncate": faults.TRUNCATE}
# What a call may be refused with.
WORDS = {"malloc": {"Internal", "StorageFailed", "NotReady"}, "write": {"StorageFailed"},
         "fsync": {"StorageFailed"}, "open": {"StorageFailed"}, "ftruncate": {"StorageFailed"}}
GONE = (AssertionError, BrokenPipeError, ConnectionError)  # the daemon closed the connection: a reply could not be made or written


def config(folder, history=1000000, paused="no"):
    return (f"[daemon]\nstate_dir = {folder}\nhistory_max = {history}\n[store]\ntype = sqlite\n"
            f"[pool default]\nworkers = 2\ncapacity = 100000\npaused = {paused}\n[handler fail]\nretries = 0\n")


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


class Tending:
    """Arguments of many pages come and go, so that the log is brought into the file, the file gives space back, and a stop does the
    same once more. What is filled in for that is none of the oracle's."""
    BIG, SMALL, FILL = 1_500_000, 1_300_000, "fill"  # bytes of the file; 256 pages that are free stay

    def __init__(self, folder, daemon, scenario):
        self.path, self.daemon, self.scenario = os.path.join(folder, "tasks.db"), daemon, scenario

    def until_file(self, is_so, what):
        """false: the store takes nothing any more, so that nothing comes of it."""
        for reply in self.daemon.watch():
            if is_so(os.stat(self.path).st_size):
                return True
            if "until a restart" in reply["daemon"]["store"].get("error", ""):
                return False
            assert reply["daemon"]["uptime_ms"] < 60_000, f"{what}: {os.stat(self.path).st_size} bytes: {reply['daemon']['store']}"
        raise AssertionError("Stats ended")

    def grow(self):
        with Client(self.daemon.path) as client:
            for _ in range(45):
                client.call("Post", {"handler": "echo", "name": self.FILL, "args": {"pad": "x" * 60_000}, "delay_ms": 3_600_000})
        return self.until_file(lambda size: size > self.BIG, "it does not grow")

    def shrink(self):
        for method, params in ("Cancel", {"handler": "echo"}), ("Post", {"handler": "noop", "name": self.FILL, "wait": True}):
            for _ in range(3):  # what was forgotten goes with the post; either may be what fails
                reply = self.scenario.call(method, params)
                if reply and not self.scenario.refused(reply, method):
                    break
        return self.until_file(lambda size: size < self.SMALL, "it does not shrink")

    def stop(self, counts, oracle, what):
        self.daemon.signal(signal.SIGTERM)
        status = self.daemon.expect_status = self.daemon.wait_exit()
        if status != 0:
            counts["crashed"] += 1
            oracle.fault("crash", f"{what}: status {status} at its stop: {self.daemon.stderr()[-500:]}")
        self.daemon.finish()


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


@pytest.mark.parametrize("kind, step", [("ftruncate", 1), ("fsync", 1), ("write", 7), ("malloc", 7)])
def test_the_nth_call_fails_as_the_file_is_kept_in_order(tmp_path, tell, kind, step):
    """By checkpoints, by giving space back, and by a stop."""
    oracle, shim = Oracle(), faults.Shim(tmp_path)
    counts = dict(tried=0, crashed=0, hits=0)
    for n in range(1, NTH + 1, step * STEP):
        what = f"{kind} {n}"
        daemon = Victim(config(tmp_path, history=2), env=shim.env)
        with Scenario(daemon, oracle, WORDS[kind] | {"StorageFull"}) as scenario:
            tending = Tending(tmp_path, daemon, scenario)
            assert tending.grow()
            scenario.post("noop", delay_ms=3_600_000)
            shim.arm(KINDS[kind], n, errno.EIO)
            tending.shrink()
            scenario.post("noop", delay_ms=3_600_000)  # is brought into the file by the stop
        counts["tried"] += 1
        tending.stop(counts, oracle, what)
        hits = shim.disarm()
        counts["hits"] += hits
        daemon = Victim(config(tmp_path, history=2), env=shim.env)
        oracle.check([row for row in list_all(daemon.path) if row.get("name") != Tending.FILL], 0)
        with Client(daemon.path) as client:
            client.call("Cancel", {"handler": "echo"})
        finish(daemon, counts, oracle, what)
        if not hits:
            break
    report(tell, kind, "the file is kept in order", counts, oracle)
    assert counts["hits"] > 0, "no such call was made"


def fill_store(folder, n):
    """So many tasks are delayed, 900 bytes each, and the next start finds that they all are due; another one waits on."""
    oracle = Oracle()
    daemon = Victim(config(folder))
    with Crowd() as crowd:
        lines = [Line(crowd, daemon.path) for _ in range(8)]
        answered = []
        for i in range(n):
            lines[i % 8].call("Post", {"handler": "echo", "name": Tending.FILL, "args": {"pad": "x" * 850}, "delay_ms": 3_600_000}, answered.append)
        while len(answered) < n:
            crowd.turn()
    with Scenario(daemon, oracle, set()) as scenario:
        scenario.post("noop", delay_ms=3_600_000)
    daemon.stop()
    daemon.finish()
    with contextlib.closing(sqlite3.connect(os.path.join(folder, "tasks.db"), isolation_level=None)) as db:
        db.execute("UPDATE task SET due = posted WHERE name = ?", (Tending.FILL,))
    return oracle


def test_the_nth_cut_of_a_log_that_was_huge_fails(tmp_path, tell):
    """One turn writes 20 MB into it, as all that was delayed is due. The next ones begin it anew, and cut it."""
    (tmp_path / "full").mkdir()
    kept, shim = fill_store(tmp_path / "full", 20_000), faults.Shim(tmp_path)
    counts, cut = dict(tried=0, crashed=0, hits=0), 0
    for n in range(1, NTH + 1):
        folder, oracle = tmp_path / str(n), copy.deepcopy(kept)
        shutil.copytree(tmp_path / "full", folder)
        shim.arm(faults.TRUNCATE, n, errno.EIO)
        daemon = Victim(config(folder, paused="yes"), env=shim.env)
        log = os.path.join(folder, "tasks.db-wal")
        was_huge = os.stat(log).st_size > LOG_LIMIT
        with Scenario(daemon, oracle, {"StorageFailed"}) as scenario:
            for _ in range(20):
                scenario.post("noop", delay_ms=3_600_000)
        counts["tried"] += 1
        cut += was_huge and os.stat(log).st_size <= LOG_LIMIT
        counts["hits"] += shim.disarm()
        finish(daemon, counts, oracle, f"cut {n}")
        daemon = Victim(config(folder, paused="yes"))
        oracle.check([row for row in list_all(daemon.path) if row.get("name") != Tending.FILL], 0)
        finish(daemon, counts, oracle, "the end")
        shutil.rmtree(folder)
        kept.n += oracle.n - kept.n
        kept.wrong += oracle.wrong
        if counts["hits"] < n:
            break
    report(tell, "ftruncate", f"the log was huge, and cut {cut} times", counts, kept)
    assert cut > 0 and counts["hits"] > 1


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
