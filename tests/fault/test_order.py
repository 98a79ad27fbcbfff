"""No answer before its flush, read from the daemon's system calls (store/store_sqlite.c says what must be on the disk before what
leaves); and how many flushes posts share.

Planted faults that turn it red: answers that leave before the flush, a commit without its flush (as `sync = normal`)."""
import os
import re
import shutil
import signal

import pytest

from crowd import Crowd, Line
from kit import proc

CALLS = "read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,pwrite64,fsync,fdatasync"
LINE = re.compile(r"^(\w+)\((\d+)<([^>]*)>(.*)$", re.S)
CONFIG = "[daemon]\nstate_dir = {folder}\n[store]\ntype = sqlite\n[pool default]\nworkers = {workers}\ncapacity = 100000\n{more}"


@pytest.fixture
def traced(start, tmp_path, lacks):
    """traced(configuration): a daemon that runs under strace. read(): all of its calls so far."""
    if shutil.which("strace") is None:
        lacks("strace is not installed")
    path = tmp_path / "trace"

    def run(**options):
        # -D: the daemon is our child, strace is its own grandchild and ends with it. -f: a thread waits for the disk.
        return start(CONFIG.format(folder=tmp_path, **options),
                     wrapper=("strace", "-D", "-f", "-y", "-s", "1000", "-e", "signal=none", "-e", "trace=" + CALLS, "-o", str(path)))

    def read(daemon):
        threads = set(os.listdir(f"/proc/{daemon.pid}/task"))  # hosts are traced too
        assert daemon.stop() == 0  # all that strace has written is there when it has gone
        wait_tracer()
        with open(path, encoding="utf-8", errors="replace") as file:
            return list(steps(file, threads))

    def wait_tracer():
        left = proc.take_orphans(set())
        assert not left, left

    return run, read


def steps(lines, threads):
    """(thread, is the call over, call, descriptor, its path, what follows): two for each call, in order."""
    begun = {}
    for line in lines:
        thread, text = line.split(maxsplit=1)
        if thread not in threads:
            continue
        if text.startswith("<... "):
            text = begun.pop(thread, "") + text.split("resumed>", 1)[1]
            phases = (True,)
        elif text.rstrip().endswith("<unfinished ...>"):
            begun[thread] = text = text.rstrip().removesuffix("<unfinished ...>")
            phases = (False,)
        else:
            phases = (False, True)
        match = LINE.match(text)
        if match:
            yield from ((thread, is_over, *match.groups()) for is_over in phases)


class Order:
    """Walks over a trace. Writes to the log are counted: how many are on the disk, and how many there were when a call was read."""

    def __init__(self, trace):
        self.writes = self.safe = 0
        self.begun = {}  # thread: writes when its flush began
        self.flushes = 0
        self.flushers = set()  # threads
        self.at_call = {}  # descriptor of a client: writes when its last call was read
        self.at_done = {}  # number of a task, which is in its result: when its host told its end
        self.posts = self.ends = 0
        self.early = []
        for step in trace:
            self.step(*step)

    def step(self, thread, is_over, call, fd, path, rest):
        if path.endswith("tasks.db-wal"):
            if call == "pwrite64":
                self.writes += is_over
            elif call in ("fsync", "fdatasync"):
                self.flush(thread, is_over, rest)
        elif call in ("read", "readv", "recvfrom", "recvmsg") and is_over:
            if "org.workpool." in rest:
                self.at_call[fd] = self.writes
            else:
                self.at_done.update((int(n), self.writes) for n in re.findall(r'\\"n\\": ?(\d+)', rest))
        elif call in ("write", "writev", "sendto", "sendmsg") and not is_over and '\\"parameters\\"' in rest and "NULL" not in rest[:4]:
            self.answer(fd, rest)

    def flush(self, thread, is_over, rest):
        if not is_over:
            self.begun[thread] = self.writes
        elif rest.rstrip().endswith("= 0"):
            self.safe = max(self.safe, self.begun[thread])
            self.flushes += 1
            self.flushers.add(thread)

    def answer(self, fd, rest):
        text = rest.replace('\\"', '"')
        n_ends = len(re.findall(r'"state": ?"(?:done|failed|cancelled)"', text))
        n_posts = len(re.findall(r'\{"parameters": ?\{"id": ?"\d+"', text))
        if not n_posts and not n_ends:
            return
        self.posts += n_posts
        self.ends += n_ends > 0
        done = [self.at_done.get(int(n)) for n in re.findall(r'"n": ?(\d+)', text)]
        assert None not in done and bool(done) == (n_ends > 0), text
        before = max(done, default=self.at_call.get(fd, 0))
        if self.safe <= before:
            self.early.append(f"{self.writes} writes, {self.safe} flushed, {before} before: {text[:200]}")


def test_answers_follow_their_flush(traced, tell):
    run, read = traced
    daemon = run(workers=2, more="")
    client = daemon.client()
    for n in range(500):
        client.call("Post", {"handler": "noop", "delay_ms": 3_600_000})
        assert client.run("echo", {"n": n})["state"] == "done"
    order = Order(read(daemon))
    tell(f"{order.posts + order.ends} tried, 0 crashed, 0 lost ({order.posts} posts answered, of them {order.ends} with their end; "
         f"{order.flushes} flushes, {len(order.early)} answers before theirs)")
    assert len(order.flushers) == 1
    assert not order.early, "\n".join(order.early[:20])
    assert order.posts >= 1000 and order.ends >= 500
    assert order.flushes >= order.posts + order.ends  # one caller: each waits for its own


def test_answers_follow_flushes_beside_the_loop(traced, tell):
    run, read = traced
    daemon = run(workers=4, more="")
    numbers, ended = iter(range(1500)), []
    with Crowd() as crowd:
        lines = [Line(crowd, daemon.path) for _ in range(32)]

        def post(line):
            n = next(numbers, None)
            if n is not None:
                line.call("Post", {"handler": "echo", "args": {"n": n}, "wait": True}, lambda reply: (ended.append(reply), post(line)))

        for line in lines:
            post(line)
        while len(ended) < 1500:
            crowd.turn()
    assert all("error" not in reply for reply in ended)
    order = Order(read(daemon))
    tell(f"{order.ends} tried, 0 crashed, 0 lost ({order.flushes} flushes by {len(order.flushers)} threads, {order.flushes / 1500:.3f} a task, "
         f"{len(order.early)} answers before theirs)")
    assert not order.early, "\n".join(order.early[:20])
    assert order.ends == 1500 and len(order.flushers) == 2


def wave(daemon, crowd, lines, answered, at_once):
    """All of them post, when all have been answered. at_once: the daemon sees none before the last one is there."""
    n = len(answered) + len(lines)
    for line in lines:
        line.call("Post", {"handler": "noop", "delay_ms": 3_600_000}, answered.append)
    if at_once:
        proc.freeze(daemon.pid)
        crowd.turn(seconds=0)
        daemon.signal(signal.SIGCONT)
    while len(answered) < n:
        crowd.turn()


def post_in_waves(daemon, n_posters, n_posts, at_once=False):
    answered = []
    with Crowd() as crowd:
        lines = [Line(crowd, daemon.path) for _ in range(n_posters)]
        while len(answered) < n_posts:
            wave(daemon, crowd, lines, answered, at_once)
    assert all("error" not in reply for reply in answered)
    return len(answered)


# Without at_once a wave's first post may be alone in its flush, for a client has no way to write to many sockets at once.
@pytest.mark.parametrize("posters, at_once, most", [(1, False, 1.0), (16, True, 1 / 8), (16, False, 1 / 4)])
def test_flushes_are_shared(start, tmp_path, tell, posters, at_once, most):
    daemon = start(CONFIG.format(folder=tmp_path, workers=2, more=""))
    n = post_in_waves(daemon, posters, 3200, at_once)
    store = daemon.client().call("Stats")["daemon"]["store"]
    tell(f"{n} tried, 0 crashed, {n - store['posts']} lost ({posters} posters{', at once' if at_once else ''}: {store['flushes']} flushes, {store['flushes'] / n:.3f} a post)")
    assert store["posts"] == n
    assert store["flushes"] / n <= most


def test_answers_to_many_follow_their_flush(traced, tell):
    run, read = traced
    daemon = run(workers=2, more="")
    n = post_in_waves(daemon, 16, 1600)
    order = Order(read(daemon))
    tell(f"{n} tried, 0 crashed, {n - order.posts} lost (16 posters under strace: {order.flushes} flushes, {order.flushes / n:.3f} a post, "
         f"{len(order.early)} answers before theirs)")
    assert order.posts == n and not order.early, "\n".join(order.early[:20])
    assert order.flushes / n <= 1 / 4
