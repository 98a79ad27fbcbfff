"""A hundred programs that do not want to end, at once: time limits and Cancel end each of them and all that it started, and nobody
else is held up meanwhile."""
import statistics
import threading
import time

import pytest

from kit import proc, procs
from kit.client import DEADLINE
from kit.senders import Sender, join_all

pytestmark = [pytest.mark.exec, pytest.mark.slow, pytest.mark.usefixtures("has_exec")]
N_TASKS, N_WORKERS = 100, 32
LIMIT_MS, KILL_MS = 1000, 300
MARGIN = 1.0  # seconds, for all to be gone

# {say}: tells the test the number of the shell that says it. How many say it.
STUBBORN = [
    ("trap '' TERM; {say}; while :; do sleep 600; done", 1),
    ("trap '' TERM INT HUP QUIT USR1 USR2 PIPE; {say}; while :; do sleep 600 & wait; done", 1),
    ("{say}; kill -STOP $$; sleep 600", 1),
    ("trap '' TERM; {say}; kill -STOP $$; sleep 600", 1),
    ("{say}; while :; do :; done", 1),
    ("{say}; for i in 1 2 3; do sh -c 'trap \"\" TERM; {say}; while :; do sleep 600; done' & done; wait; sleep 600", 4),
    ("{say}; sh -c 'setsid sh -c \"trap : TERM; {say}; while :; do sleep 600; done\" &'; sleep 600", 2),
    ("{say}; sh -c 'env -i setsid sh -c \"{say}; kill -STOP $\\$; sleep 600\" &'; trap '' TERM; while :; do sleep 600; done", 2),
    ("{say}; setsid sh -c '{say}; setsid sh -c \"{say}; trap : TERM; while :; do sleep 600; done\"; :' & kill -STOP $$; sleep 600", 3),
    ("setsid sh -c 'trap : TERM; {say}; sleep 600; :' & {say}; wait", 2),
]


@pytest.fixture
def stubborn(tmp_path):
    """(section of the configuration, FIFO of "said PID"): task N is of kind N modulo the number of kinds."""
    with procs.fifo(tmp_path) as fifo:
        say = "sh " + procs.script(tmp_path, "say", f"echo said $PPID >{fifo.path}\n")
        kinds = "".join(f"{i}) {text.replace('{say}', say)} ;;\n" for i, (text, _) in enumerate(STUBBORN))
        program = f"case $(($WORKPOOL_TASK_ID % {len(STUBBORN)})) in\n{kinds}esac\n"
        yield (f"[pool default]\nworkers = {N_WORKERS}\ncapacity = {N_TASKS}\n"
               + procs.shell_handler(tmp_path, "program", program, kill_after=f"{KILL_MS}ms", timeout=f"{LIMIT_MS}ms")), fifo


def n_sayings(ids):
    return sum(STUBBORN[int(task) % len(STUBBORN)][1] for task in ids)


class Watcher:
    """Asks for Stats all the time, and notes how long each answer took."""

    def __init__(self, daemon):
        self.daemon, self.client, self.seconds, self.stop = daemon, daemon.client(), [], threading.Event()
        self.thread = Sender(self.look)

    def look(self):
        while not self.stop.is_set():
            began = time.monotonic()
            self.client.send("Stats")
            self.client.recv_bytes()
            self.seconds.append(time.monotonic() - began)
            self.client.expected.clear()
            assert not proc.wait_readable([self.daemon.pidfd], 0.002), "the daemon has ended"

    def report(self):
        self.stop.set()
        join_all([self.thread])
        return (f"{len(self.seconds)} Stats meanwhile: p50 {statistics.median(self.seconds) * 1000:.2f} ms, "
                f"p99 {statistics.quantiles(self.seconds, n=100)[98] * 1000:.2f} ms, "
                f"max {max(self.seconds) * 1000:.2f} ms")


def said(fifo, most):
    """The processes that have said that they are there, at most so many: one that was ended at once says nothing."""
    pids = set()
    while len(pids) < most and (b"\n" in fifo.bytes or proc.wait_readable([fifo.fd], 0)):
        pids.add(int(fifo.line()[1]))
    return pids


def check_all_gone(daemon, pids, until):
    procs.check_gone(pids, until, "of stubborn programs")
    procs.check_none_left(daemon, until)
    for _ in daemon.watch():
        left = proc.zombies(daemon.pid)
        if not left:
            return
        assert time.monotonic() < until + DEADLINE, f"zombies: {left}"


def test_time_limit_ends_a_hundred_stubborn_programs(start, stubborn):
    config, fifo = stubborn
    daemon = start(config)
    client = daemon.client()
    watcher = Watcher(daemon)
    began = time.monotonic()
    ids = [client.post("program")["id"] for _ in range(N_TASKS)]
    tasks = client.call("Wait", {"ids": ids}, seconds=6 * DEADLINE)["tasks"]
    ended = time.monotonic()
    pids = said(fifo, n_sayings(ids))
    check_all_gone(daemon, pids, ended + MARGIN)
    report = watcher.report()
    slowest = max(task["run_us"] for task in tasks) / 1000
    print(f"{N_TASKS} tried, {len(pids)} processes, 0 crashed, 0 lost, 0 left after {time.monotonic() - ended:.3f} s; "
          f"all in {ended - began:.2f} s, the slowest in {slowest:.0f} ms (limit {LIMIT_MS} + {KILL_MS}); {report}")
    assert {(task["state"], task["reason"]) for task in tasks} == {("failed", "timeout")}
    assert LIMIT_MS <= min(task["run_us"] for task in tasks) / 1000 and slowest <= LIMIT_MS + KILL_MS + MARGIN * 1000
    pool = client.pool()
    assert (pool["timed_out"], pool["crashed"], pool["host_restarts"]) == (N_TASKS, 0, 0)
    assert client.run("echo", {"still": "up"})["state"] == "done"


def test_cancel_ends_as_many_stubborn_programs_as_there_are_workers(start, stubborn):
    config, fifo = stubborn
    daemon = start(config)
    client = daemon.client()
    ids = [client.post("program", timeout_ms=0)["id"] for _ in range(N_TASKS)]
    running = ids[:N_WORKERS]
    pids = {int(fifo.line(6 * DEADLINE)[1]) for _ in range(n_sayings(running))}
    watcher = Watcher(daemon)
    client.call("Pause", {"pool": "default"})  # those behind do not start
    began = time.monotonic()
    reply = client.call("Cancel", {"ids": ids})
    assert (reply["asked"], reply["cancelled"]) == (N_WORKERS, N_TASKS - N_WORKERS)
    tasks = client.call("Wait", {"ids": ids})["tasks"]
    ended = time.monotonic()
    check_all_gone(daemon, pids, ended + MARGIN)
    print(f"{N_TASKS} tried, {len(pids)} processes, 0 crashed, 0 lost, 0 left; all in {ended - began:.2f} s; {watcher.report()}")
    assert {(task["state"], task["reason"]) for task in tasks} == {("cancelled", "cancelled")}
    assert ended - began <= KILL_MS / 1000 + MARGIN
    assert client.pool()["crashed"] == 0
    client.call("Resume")
    assert client.run("echo", {"still": "up"})["state"] == "done"
