"""A storm: eight clients do everything at once, at random, while hosts are killed, and an Events listener keeps the books. Each life of
a task has exactly one end, whatever races; every acknowledged task ends; numbers add up in each Stats that anybody sees.

    WORKPOOL_STORM_SECONDS   how long (default: 60)
    WORKPOOL_STORM_SEED      the same choices again; what the daemon makes of them differs all the same
"""
import collections
import contextlib
import json
import os
import random
import signal
import subprocess
import threading
import time

import pytest

from kit import proc, procs
from kit.client import DEADLINE, CallError, Timeout, remaining
from kit.daemon import ENDS
from kit.senders import Sender, join_all

pytestmark = [pytest.mark.exec, pytest.mark.slow, pytest.mark.usefixtures("has_exec")]
SECONDS = float(os.environ.get("WORKPOOL_STORM_SECONDS", 60))
N_CLIENTS = 8
PATIENCE = 60 + 6 * DEADLINE  # for one answer: what waits may be held up by a pause, a breaker and a host that comes again
KINDS = ["posted", "retried", "returned", "started", *ENDS]
CERTAIN = ["posted", "started", "returned", "done", "failed", "cancelled", "resized", "host_gone"]  # also on a slow machine
NOTICES = ["resized", "paused", "resumed", "host_started", "host_gone", "breaker_open", "breaker_closed"]

# Both files have the same handlers and resources; the second one also has a pool of its own, and another isolation.
CONFIG = """
[daemon]
max_output = 4M
history_max = {history}
max_active = {active}
[resource db]
max_active = {bears}
rate = {rate}
burst = 20
[resource frail]
breaker_failures = {failures}
breaker_pause = 10ms
[pool default]
workers = 8
capacity = {capacity}
[pool mail]
workers = 3
capacity = 20
on_full = wait
wait_max = 200ms
isolation = {isolation}
{more}
[handler noop]
max_active = {active}
[handler fail]
resources = frail
retries = 1
backoff_min = 1ms
backoff_max = 20ms
[handler sleep]
unique = join
resources = db, frail
[handler echo]
unique = refuse
weight = 2
resources = db
[handler once]
type = exec
command = /bin/sleep 0.03
on_crash = lost
"""
FILES = [{"history": 10000, "active": 0, "bears": 3, "rate": 0, "failures": 0, "capacity": 60,
          "isolation": "task", "more": ""},
         {"history": 500, "active": 12, "bears": 5, "rate": 300, "failures": 3, "capacity": 40,
          "isolation": "shared", "more": "[pool guest]\nworkers = 2\ncapacity = 10\nisolation = task\n"}]

PROGRAM = """
case $(($WORKPOOL_TASK_ID % 7)) in
0) kill -SEGV $$ ;;
1) exit 3 ;;
2) sleep 0.05 ;;
3) echo said; sleep 0.02; echo more >&2 ;;
esac
"""


def configuration(which, directory):
    return CONFIG.format(**FILES[which]) + procs.handler("program", directory / "program", retries=1, backoff_min="1ms",
                                                         backoff_max="50ms", kill_after="50ms", timeout="20s")


def sanitizers_leave_signals():
    """A SIGSEGV that somebody sends is no finding of theirs."""
    return {name: ":".join(filter(None, [os.environ.get(name), "handle_segv=0"])) for name in ("ASAN_OPTIONS", "TSAN_OPTIONS")}


class Ledger:
    """What the clients were told: ids that were acknowledged, and ends of which somebody heard."""

    def __init__(self):
        self.acknowledged = set()
        self.recent = collections.deque(["1"], maxlen=300)
        self.ends = collections.deque()
        self.counts = collections.Counter()

    def note(self, reply):
        self.acknowledged.add(reply["id"])
        self.recent.append(reply["id"])

    def note_end(self, task):
        assert task["state"] in ENDS, task
        self.ends.append((task["id"], task["state"], task["attempt"]))


class Storm:
    """One of the clients: a connection for what answers at once, others for what waits."""

    def __init__(self, daemon, ledger, seed, until, rewrite):
        self.daemon, self.ledger, self.rng, self.until, self.rewrite = daemon, ledger, random.Random(seed), until, rewrite
        self.client = daemon.client()
        self.operations = {
            self.post: 40, self.post_and_wait: 5, self.post_and_go: 2, self.post_oneway: 2, self.cancel: 6, self.cancel_some: 1,
            self.retry: 5, self.show: 5, self.list: 2, self.wait: 3, self.explain: 5, self.log: 3, self.follow: 1, self.stats: 3,
            self.handlers: 1, self.resize: 3, self.pause: 1, self.resume: 4, self.drain: 1, self.reset_marks: 1, self.reload: 1,
            self.config: 1}

    def run(self):
        words, weights = list(self.operations), list(self.operations.values())
        while time.monotonic() < self.until:
            operation = self.rng.choices(words, weights)[0]
            self.ledger.counts[operation.__name__] += 1
            operation()
        self.client.close()

    def call(self, method, params=None, refusals=(), client=None):
        """The reply's parameters; None: refused with one of these."""
        try:
            return (client or self.client).call(method, params or {}, seconds=PATIENCE)
        except CallError as error:
            assert error.short in refusals, (method, params, str(error))
            self.ledger.counts[error.short] += 1
            return None

    @contextlib.contextmanager
    def another(self):
        with self.daemon.client() as client:
            yield client
        self.daemon.clients.remove(client)

    # Which.

    def pool(self):
        return self.rng.choice(["default", "default", "mail", "guest"])

    def id(self):
        return self.rng.choice(self.ledger.recent)

    def ids(self):
        return [self.id() for _ in range(self.rng.randrange(1, 6))]

    def a_post(self):
        rng = self.rng
        handler = rng.choices(["noop", "echo", "sleep", "fail", "program", "once"], [8, 4, 4, 4, 2, 2])[0]
        params = {"handler": handler}
        if handler == "sleep":
            params["args"] = {"ms": rng.choice([0, 1, 5, 30])}
        if rng.random() < 0.5:
            params["pool"] = self.pool()
        for name, values, share in (("priority", range(10), 0.5), ("delay_ms", (0, 1, 10, 200), 0.2), ("expires_ms", (1, 5, 50, 5000), 0.2),
                                    ("retries", (0, 1, 3), 0.3), ("timeout_ms", (1, 10, 1000), 0.1), ("wait_room_ms", (0, 1, 20, 100), 0.2),
                                    ("unique", "abc", 0.15), ("name", ("one", "two"), 0.1)):
            if rng.random() < share:
                params[name] = rng.choice(values)
        if "expires_ms" in params:
            params["expires_ms"] += params.get("delay_ms", 0)
        return params

    # What.

    REFUSALS = ("AtCapacity", "Duplicate", "NoSuchPool", "ShuttingDown", "NotReady")

    def post(self):
        reply = self.call("Post", self.a_post(), self.REFUSALS)
        if reply:
            self.ledger.note(reply)

    def post_and_wait(self):
        with self.another() as client:
            reply = self.call("Post", self.a_post() | {"wait": True}, self.REFUSALS, client)
        if reply:
            self.ledger.note(reply)
            self.ledger.note_end(reply["task"])

    def post_and_go(self):
        """Nobody is there for the answer, perhaps not even for the call."""
        with self.another() as client:
            client.send("Post", self.a_post() | {"wait": True})

    def post_oneway(self):
        self.client.send("Post", self.a_post(), oneway=True)

    def cancel(self):
        for row in self.call("Cancel", {"ids": self.ids()})["tasks"]:
            assert row["result"] in ("cancelled", "asked", "ended", "unknown"), row
            self.ledger.counts[row["result"]] += 1

    def cancel_some(self):
        filters = {"handler": self.rng.choice(["fail", "sleep", "program"]), "state": self.rng.choice(["queued", "delayed", "active"])}
        self.call("Cancel", filters)

    def retry(self):
        for row in self.call("Retry", {"ids": self.ids()})["tasks"]:
            assert row["result"] in ("queued", "done", "not_ended", "duplicate", "at_capacity", "unknown", "shutting_down"), row
            self.ledger.counts["retried " + row["result"]] += 1

    def show(self):
        reply = self.call("Show", {"id": self.id()}, ["NoSuchTask"])
        if reply and reply["task"]["state"] in ENDS:
            self.ledger.note_end(reply["task"])

    def list(self):
        self.call("List", {"limit": 50, "state": self.rng.choice(["queued", "delayed", "active", *ENDS])})

    def wait(self):
        """For all of a few; not for long, or there would be no storm while a pool is paused."""
        with self.another() as client:
            reply = self.call("Wait", {"ids": self.ids(), "timeout_ms": self.rng.choice([1, 20, 300])}, ["NoSuchTask"], client)
        for task in (reply or {}).get("tasks", ()):
            if task["state"] in ENDS:
                self.ledger.note_end(task)

    def explain(self):
        self.call("Explain", {"id": self.id()}, ["NoSuchTask", "WrongState"])

    def log(self):
        self.call("Log", {"id": self.id()}, ["NoSuchTask"])

    def follow(self):
        """A few answers of a log, then the client is gone."""
        with self.another() as client:
            client.send("Log", {"id": self.id()}, more=True)
            with contextlib.suppress(Timeout):
                message = client.recv_message(0.05)
                assert "error" not in message or message["error"].endswith("NoSuchTask"), message

    def stats(self):
        self.call("Stats")

    def handlers(self):
        self.call("Handlers")

    def resize(self):
        params = {"workers": self.rng.randrange(1, 65)} | ({"capacity": self.rng.randrange(0, 80)} if self.rng.random() < 0.3 else {})
        self.call("Resize", params | {"pool": self.pool()}, ["NoSuchPool", "ShuttingDown"])

    def pause(self):
        self.call("Pause", {"pool": self.pool()}, ["NoSuchPool", "ShuttingDown"])

    def resume(self):
        self.call("Resume")

    def drain(self):
        self.call("Drain", {"timeout_ms": self.rng.choice([0, 1, 5])})

    def reset_marks(self):
        self.call("ResetMarks")

    def reload(self):
        self.rewrite(self.rng.randrange(2))
        self.call("Reload", {"dry_run": True} if self.rng.random() < 0.2 else {})

    def config(self):
        self.call("Config", {"section": "pool"})


class Books:
    """Plays each task's life by its events. A life: posted (or retried), then starts, each of which ends the task or returns it; or an
    end before any start."""

    def __init__(self):
        self.state, self.attempt, self.pool = {}, collections.Counter(), {}
        self.kinds, self.ends, self.wrong = collections.Counter(), set(), []

    def take(self, reply):
        if reply["missed"]:
            self.wrong.append(f"{reply['missed']} events were missed")
        event = reply.get("event")
        if event is None:
            return
        self.kinds[event["kind"]] += 1
        if "id" in event:
            self.step(event)

    def step(self, event):
        kind, task = event["kind"], event["id"]
        state = self.state.get(task)
        allowed = {"posted": state is None, "retried": state in ENDS and state != "done", "started": state == "waits",
                   "returned": state == "active"}
        holds = allowed.get(kind, state == "active" or (state == "waits" and kind in ("cancelled", "expired")))
        if kind == "expired":
            holds = state == "waits"
        if not holds:
            self.wrong.append(f"{kind} of a task that {state}: {event}")
        self.state[task] = {"posted": "waits", "retried": "waits", "returned": "waits", "started": "active"}.get(kind, kind)
        self.pool[task] = event["pool"]
        if kind == "started":
            if event["attempt"] - self.attempt[task] not in (0, 1):  # 0: the last one was not told of it before its host died
                self.wrong.append(f"attempts {self.attempt[task]}, then {event}")
            self.attempt[task] = event["attempt"]
        if kind in ENDS:
            self.ends.add((task, kind, event["attempt"]))

    def counts(self, pool):
        """How many tasks have come to which end."""
        return collections.Counter(state for task, state in self.state.items() if self.pool[task] == pool)


@contextlib.contextmanager
def record_events(daemon, path):
    """All events from here on, in a file, a line each: written by a process that does nothing else, so that none is missed."""
    client = daemon.client(line=True)
    assert next(client.more("Events", {"kinds": KINDS + NOTICES})) == {"missed": 0}
    client.sock.setblocking(True)
    with open(path, "wb") as file:
        writer = subprocess.Popen(["cat"], stdin=client.sock, stdout=file)
    try:
        yield
    finally:
        client.sock.shutdown(2)
        writer.wait()
        client.close()


def kill_hosts(daemon, until, rng, ledger, rewrite):
    """One every second or so: a pool's host of which Stats tells, or any. Ends pauses and breakers, for all clients may wait by now."""
    client = daemon.client()
    for reply in daemon.watch():
        if time.monotonic() >= until:
            return
        if rng.random() < 0.1:
            client.call("Resume")
        if rng.random() < 0.02:
            rewrite(0)
            client.call("Reload")
        if rng.random() > 0.01:
            continue
        pids = [pool["host_pid"] for pool in reply["pools"] if pool.get("host_pid")]
        if rng.random() < 0.3:
            pids = procs.host_pids(daemon)
        if pids:
            pid = rng.choice(pids)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, rng.choice([signal.SIGKILL, signal.SIGSEGV]))
                ledger.counts["host killed"] += 1


def calm(daemon, threads, rewrite):
    """Everything that holds tasks back is lifted, also what a client did last; waits until all of these have ended and no task is left."""
    client = daemon.client()
    deadline = time.monotonic() + PATIENCE
    for reply in daemon.watch():
        pools = reply["pools"]
        if not any(thread.is_alive() for thread in threads):
            if [pool["name"] for pool in pools] == ["default", "mail"] and not any(
                    pool[field] for pool in pools for field in ("room", "queued", "delayed", "active")):
                return {pool["name"]: pool for pool in pools}
        rewrite(0)
        client.call("Reload")
        client.call("Resume")
        for name in ("default", "mail"):
            client.call("Resize", {"pool": name, "workers": 16, "capacity": 100})
        assert time.monotonic() < deadline, f"it does not come to rest: {reply}\n{daemon.stderr()[-3000:]}"
    raise AssertionError("Stats ended")


def test_every_life_of_a_task_has_one_end_whatever_races(start, tmp_path):
    seed = int(os.environ.get("WORKPOOL_STORM_SEED", random.randrange(1 << 32)))
    rng = random.Random(seed)
    print(f"seed {seed}")
    procs.script(tmp_path, "program", PROGRAM)
    daemon = start(configuration(0, tmp_path), env=sanitizers_leave_signals())
    ledger, books, path = Ledger(), Books(), tmp_path / "events"
    lock = threading.Lock()

    def rewrite(which):
        with lock:  # a file that is written while the daemon reads it is another test's
            os.rename(daemon.write(f"conf.{threading.get_ident()}", configuration(which, tmp_path)), daemon.config)

    daemon.client()
    with record_events(daemon, path):
        until = time.monotonic() + SECONDS
        storms = [Storm(daemon, ledger, rng.random(), until, rewrite) for _ in range(N_CLIENTS)]
        killer_rng = random.Random(rng.random())
        threads = [Sender(storm.run) for storm in storms]
        join_all([Sender(lambda: kill_hosts(daemon, until, killer_rng, ledger, rewrite))], SECONDS + PATIENCE)
        pools = calm(daemon, threads, rewrite)
        join_all(threads)
        marker = daemon.client().post("noop", name="marker", wait=True)["id"]
        ended = b'"id":"%s"' % marker.encode()
        deadline = time.monotonic() + PATIENCE
        with open(path, "rb") as file:
            for line in whole_lines(file, daemon, deadline):
                books.take(json.loads(line)["parameters"])
                if ended in line and b'"kind":"done"' in line:
                    break
    del books.state[marker]
    lost = [task for task in ledger.acknowledged if books.state.get(task) not in ENDS]
    crashed = sum(pool["crashed"] for pool in pools.values())
    print(f"{len(ledger.acknowledged)} tried, {crashed} crashed, {len(lost)} lost")
    print(f"events {dict(books.kinds)}")
    print(f"operations {dict(ledger.counts)}")
    assert not books.wrong, (seed, len(books.wrong), books.wrong[:5])
    assert not lost, (seed, len(lost), lost[:5])
    unended = {task: state for task, state in books.state.items() if state not in ENDS}
    assert not unended, (seed, unended)
    unheard = set(ledger.ends) - books.ends
    assert not unheard, (seed, "ends that were told to clients and in no event", list(unheard)[:5])
    for name, pool in pools.items():
        counted = {state: pool[state] for state in ENDS if pool[state]}
        assert counted == books.counts(name), (seed, name, counted, books.counts(name))
    daemon.until(lambda pool: pool["host"] == "up", "mail", PATIENCE)
    assert not procs.task_pids(daemon) and not proc.zombies(daemon.pid)
    daemon.client().call("Resize", {"pool": "mail", "workers": 3})  # hosts, and descriptors, as at the start
    print(f"not in this storm: {[kind for kind in KINDS + NOTICES if not books.kinds[kind]]}")
    for kind in CERTAIN:
        assert books.kinds[kind] or SECONDS < 30, f"no {kind} in all that: it is no storm"


def whole_lines(file, daemon, deadline):
    """The lines of a file that grows."""
    rest = b""
    while True:
        data = file.read(1 << 20)
        lines = (rest + data).split(b"\n")
        rest = lines.pop()
        yield from lines
        if not data:
            assert remaining(deadline), f"the last event did not come; in hand: {rest!r}"
            daemon.pass_time(0.01)
