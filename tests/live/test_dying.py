"""Nine ways to die, fifty times each, of whatever runs a task: the daemon stays, every task has exactly one end, the next task
runs at once, and no process is left behind. Prints how long after a death the next task was done; no figure is asserted.

What runs the tasks is a row of CARRIERS: a handler c that dies when its args are {"die": WAY}, by kit/die.h, and else succeeds."""
import os
import random
import statistics
import subprocess
import time

import pytest

from kit import coproc, plugins, proc, procs
from kit.client import DEADLINE

pytestmark = [pytest.mark.exec, pytest.mark.usefixtures("has_exec")]
KIT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kit")
N = 50
WAYS = ("segv", "abort", "fpe", "stack", "memory", "_exit", "exit", "kill", "stop")
KEYS = {"crash_max": 1, "timeout": "10s", "kill_after": "5s"}
LIMIT_MS = 100  # of a task that stops and never ends


def compile_c(directory, name, *flags):
    """A file of kit/, compiled; answers the program's path."""
    path = os.path.join(os.fspath(directory), name.removesuffix(".c"))
    command = [*os.environ.get("CC", "cc").split(), "-O1", "-D_GNU_SOURCE", "-o", path, os.path.join(KIT, name), *flags]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


def coprocess(directory):
    return coproc.handler(command=(compile_c(directory, "die_program.c"),), **KEYS)


def exec_(directory):
    return procs.handler("c", compile_c(directory, "die_program.c"), **KEYS)


def plugin(_):
    return plugins.handler("c", pool="default", **KEYS | {"kill_after": "10ms"})


# A thread that hangs is given two seconds each time: test_plugin.py has fifty of it, ten at a time. And suspects run one by one.
FEWER = {("plugin", "stop"): 5, ("plugin in hosts of its own", "stop"): 5, ("plugin", "all"): 10}


# name: (a section [handler c] with its files in a directory, {way: (state, reason)} where it is not as below,
#        how many programs of tasks may be there between two tasks, for each worker, keys of the pool)
CARRIERS = {
    "coprocess": (coprocess, {"_exit": "exit", "exit": "exit"}, 1, ""),
    "coprocess in hosts of its own": (coprocess, {"_exit": "exit", "exit": "exit"}, 1, "isolation = task\n"),
    "exec": (exec_, {"_exit": "exit", "exit": "exit"}, 0, ""),
    "plugin": (plugin, {}, 0, ""),
    "plugin in hosts of its own": (plugin, {}, 0, "isolation = task\n"),
}


def reason_of(carrier, way):
    return "timeout" if way == "stop" else CARRIERS[carrier][1].get(way, "crashed")


@pytest.fixture(scope="module", params=CARRIERS)
def carrier(request, tmp_path_factory):
    """Its name, and what follows in the configuration behind the workers of the pool."""
    section, _, _, keys = CARRIERS[request.param]
    return request.param, keys + section(tmp_path_factory.mktemp("carrier"))


def wait_until_clean(daemon, n_programs):
    """No zombie below the daemon, and no more programs than are kept."""
    deadline = time.monotonic() + DEADLINE
    for _ in daemon.watch():
        zombies, programs = proc.zombies(daemon.pid), procs.task_pids(daemon)
        if not zombies and len(programs) <= n_programs:
            return
        assert time.monotonic() < deadline, (zombies, [(pid, proc.command_line(pid)) for pid in programs])


def post_params(way):
    return {"args": {"die": way}} | ({"timeout_ms": LIMIT_MS} if way == "stop" else {})


@pytest.mark.parametrize("way", WAYS)
def test_death_costs_its_own_task_and_nothing_else(start, carrier, way):
    name, config = carrier
    daemon = start(coproc.ONE + config)
    client = daemon.client()
    assert client.run("c")["state"] == "done"
    after, n = [], FEWER.get((name, way), N)
    for _ in range(n):
        dead = client.run("c", **post_params(way))
        assert (dead["state"], dead["reason"], dead["attempt"]) == ("failed", reason_of(name, way), 1), dead
        next_ = client.run("c")
        assert (next_["state"], next_["attempt"]) == ("done", 1), next_
        after.append((next_["ended_at"] - dead["ended_at"]) * 1000)
    print(f"\n{name}, {way}: {n} died; the next task was done {statistics.median(after):.1f} ms after, at most {max(after):.1f} ms")
    wait_until_clean(daemon, CARRIERS[name][2])
    pool = client.pool()
    assert (pool["done"], pool["failed"], pool["posted"]) == (n + 1, n, 2 * n + 1)
    assert (pool["cancelled"], pool["lost"], pool["expired"], pool["retried"]) == (0, 0, 0, 0)


def test_deaths_of_all_kinds_at_random(start, carrier):
    """All of them in one pool, and as many tasks that harm nobody between them."""
    name, config = carrier
    rng = random.Random(1)
    workers = 4
    daemon = start(f"[pool default]\nworkers = {workers}\ncapacity = 1000\n" + config)
    client = daemon.client()
    ways = [way for way in WAYS if (name, way) != ("plugin", "memory")]  # of which its neighbours would have none either
    deaths = ways * FEWER.get((name, "all"), N)
    plan = [*deaths, *[None] * len(deaths)]
    rng.shuffle(plan)
    ids = {}
    for way in plan:
        ids[client.post("c", **(post_params(way) if way else {}))["id"]] = way
    daemon.until(lambda pool: pool["done"] + pool["failed"] == len(plan), seconds=12 * DEADLINE)
    for id_, way in ids.items():
        task = client.call("Show", {"id": id_})["task"]
        expected = ("failed", reason_of(name, way)) if way else ("done", None)
        assert (task["state"], task.get("reason")) == expected, task
    wait_until_clean(daemon, CARRIERS[name][2] * workers)
    pool = client.pool()
    assert (pool["done"], pool["failed"], pool["posted"]) == (len(plan) // 2, len(plan) // 2, len(plan))
