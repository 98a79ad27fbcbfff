"""What the tasks lean on is spared: caps on how much runs at once, rates of starts, and breakers; seen at a server that counts who is in
it, and by the times of the starts."""
import collections
import contextlib
import shutil
import time

import pytest

from kit import mongo, procs
from kit.client import DEADLINE
from kit.standin import CLIENT, StandIn
from test_events import listen

pytestmark = [pytest.mark.exec, pytest.mark.usefixtures("has_exec")]
LONG = 12 * DEADLINE
AWAY = 5.0  # seconds without the server


@pytest.fixture
def server(lacks):
    if not shutil.which("bash"):
        lacks("no bash: its /dev/tcp is the client")
    with StandIn() as one:
        yield one


def client_handler(directory, server, name="visit", **keys):
    path = procs.script(directory, name, CLIENT.format(port=server.port), interpreter="/bin/bash")
    return procs.handler(name, path, **keys)


def pools(capacity=1000, **workers):
    return "".join(f"[pool {name}]\nworkers = {n}\ncapacity = {capacity}\n" for name, n in workers.items())


def post_many(client, n, handler="visit", **params):
    client.send_raw(b"".join(client.encode("Post", {"handler": handler, **params}) for _ in range(n)))
    return [client.recv()["id"] for _ in range(n)]


def wait_all(client, ids):
    return client.call("Wait", {"ids": ids}, seconds=LONG)["tasks"]


def states(tasks):
    return dict(collections.Counter(task["state"] for task in tasks))


def resource(client, name="db"):
    return next(one for one in client.call("Stats")["resources"] if one["name"] == name)


# Caps.


@pytest.mark.parametrize("cap, weight, most, n", [(3, 1, 3, 200), (5, 2, 2, 60), (1, 1, 1, 20), (4, 4, 1, 20)])
def test_server_never_sees_more_than_its_resource_bears(start, tmp_path, server, cap, weight, most, n):
    """Sixty-four workers, and as many as the cap allows are used."""
    daemon = start(pools(default=64) + f"[resource db]\nmax_active = {cap}\n"
                   + client_handler(tmp_path, server, resources="db", weight=weight))
    client = daemon.client()
    tasks = wait_all(client, post_many(client, n))
    assert states(tasks) == {"done": n} and server.served == n
    assert server.most == most
    pool = client.pool()
    assert (pool["max_active"], pool["crashed"]) == (most, 0)
    print(f"{n} tried, 0 crashed, 0 lost; at most {server.most} at the server")


def test_cap_of_a_resource_holds_for_all_handlers_and_pools_that_use_it(start, tmp_path, server):
    daemon = start(pools(default=20, other=20) + "[resource db]\nmax_active = 3\n" + client_handler(tmp_path, server, resources="db")
                   + client_handler(tmp_path, server, "call", resources="db"))
    client = daemon.client()
    ids = [task for pool in ("default", "other") for handler in ("visit", "call") for task in post_many(client, 15, handler, pool=pool)]
    assert states(wait_all(client, ids)) == {"done": 60}
    assert server.most == 3


@pytest.mark.parametrize("text, keys", [("[daemon]\nmax_active = 4\n", {}), ("", {"max_active": 4})], ids=["daemon", "handler"])
def test_cap_of_daemon_and_handler_hold_over_all_pools(start, tmp_path, server, text, keys):
    daemon = start(pools(one=32, two=32) + text + client_handler(tmp_path, server, pool="one", **keys))
    client = daemon.client()
    ids = post_many(client, 40, pool="one") + post_many(client, 40, pool="two")
    if keys:  # what has no such cap is not held back by it
        assert client.run("noop", pool="two")["state"] == "done"
        assert client.call("Explain", {"id": ids[-1]})["waits_for"] == "handler"
    tasks = wait_all(client, ids)
    assert states(tasks) == {"done": 80}
    assert server.most == 4
    by_pool = collections.defaultdict(list)
    for task in tasks:
        by_pool[task["pool"]].append(task["ended_at"])
    assert min(by_pool["two"]) < max(by_pool["one"]), "both pools get their share"


def test_cap_that_is_lifted_and_lowered_by_a_reload_counts_at_once(start, tmp_path, server):
    base = pools(default=64) + client_handler(tmp_path, server, resources="db")
    daemon = start(base + "[resource db]\nmax_active = 1\n")
    client = daemon.client()
    ids = post_many(client, 100)
    wait_all(client, ids[:3])
    assert server.most == 1
    daemon.write("conf", base + "[resource db]\nmax_active = 20\n")
    client.call("Reload")
    wait_all(client, ids[:60])
    assert server.most == 20
    daemon.write("conf", base + "[resource db]\nmax_active = 2\n")
    client.call("Reload")
    daemon.until(lambda pool: pool["active"] <= 2)
    server.most = 0
    assert states(wait_all(client, ids)) == {"done": 100}
    assert server.most == 2


# Rates.


def most_above(times, rate, burst):
    """By how many starts any window of time has more than burst + rate * its length: at most 0."""
    return max(j - i + 1 - burst - rate * (times[j] - times[i]) for i in range(len(times)) for j in range(i, len(times)))


@pytest.mark.parametrize("rate, burst, n", [(50, 5, 100), (200, 1, 60), (10, 10, 25)])
def test_no_window_of_time_has_more_starts_than_burst_and_rate_allow(start, rate, burst, n):
    daemon = start(pools(default=64) + f"[resource db]\nrate = {rate}\nburst = {burst}\n[handler noop]\nresources = db\n")
    events = listen(daemon, kinds=["started"])
    client = daemon.client()
    tasks = wait_all(client, post_many(client, n, "noop"))
    assert states(tasks) == {"done": n}
    starts = sorted(task["started_at"] for task in tasks)
    told = [next(events)["at"] for _ in range(n)]
    print(f"{n} tried, 0 crashed, 0 lost; {n} starts in {starts[-1] - starts[0]:.3f} s")
    assert most_above(starts, rate, burst) < 0.01
    assert all(at >= began for at, began in zip(told, starts)), "an event is told when it has happened"
    assert starts[burst - 1] - starts[0] < starts[-1] - starts[0]


# Breakers.


def breaker_events(daemon):
    return listen(daemon, kinds=["breaker_open", "breaker_closed"])


def keep_posting(daemon, client, seconds, ids):
    """A few each tick, for so long."""
    began = None
    for reply in daemon.watch():
        began = began or reply["daemon"]["uptime_ms"]
        ids += post_many(client, 2)
        if reply["daemon"]["uptime_ms"] - began >= seconds * 1000:
            return


@pytest.mark.slow
def test_server_that_is_away_costs_no_more_tasks_than_the_breaker_says(start, tmp_path, server):
    failures = 5
    daemon = start(pools(default=64, capacity=10000) + client_handler(tmp_path, server, resources="db")
                   + f"[resource db]\nmax_active = 3\nbreaker_failures = {failures}\nbreaker_pause = 200ms\n")
    events, client = breaker_events(daemon), daemon.client()
    ids = post_many(client, 20)
    wait_all(client, ids[:5])
    # Nobody is under way when it goes: what succeeds between two failures would make them less than a row.
    client.call("Pause", {"pool": "default"})
    daemon.until(lambda pool: pool["active"] == 0)
    server.close()
    client.call("Resume", {"pool": "default"})
    keep_posting(daemon, client, AWAY, ids)
    during = resource(client)
    assert during["breaker"] in ("open", "half_open") and during["active"] <= 1
    server.open()
    ids += post_many(client, 20)
    tasks = wait_all(client, ids)
    ends = states(tasks)
    print(f"{len(ids)} tried, 0 crashed, 0 lost; {AWAY} s without the server: {ends}, {client.pool()['returned']} came back")
    assert set(ends) <= {"done", "failed"} and ends.get("failed", 0) <= failures
    assert [next(events)["kind"] for _ in range(2)] == ["breaker_open", "breaker_closed"]
    assert server.most <= 3
    assert resource(client)["breaker"] == "closed"


def test_retries_of_a_handler_are_for_its_own_failures_and_not_for_the_server_s(start, tmp_path, server):
    """With retries nothing fails at all while the server is away."""
    daemon = start(pools(default=64, capacity=10000)
                   + client_handler(tmp_path, server, resources="db", retries=1, backoff_min="10ms")
                   + "[resource db]\nmax_active = 3\nbreaker_failures = 2\nbreaker_pause = 100ms\n")
    client = daemon.client()
    server.close()
    ids = post_many(client, 50)
    daemon.pass_time(1)
    server.open()
    tasks = wait_all(client, ids)
    assert states(tasks) == {"done": 50}
    assert all(task["failures"] <= 1 for task in tasks)


def test_task_that_is_itself_to_blame_does_not_keep_the_breaker_open(start, tmp_path, server):
    """Two that are first in the queue fail whatever happens; those behind them are done all the same, and they end as failed."""
    text = CLIENT.format(port=server.port) + 'read -r args; case $args in *poison*) exit 5 ;; esac\n'
    path = procs.script(tmp_path, "visit", text, interpreter="/bin/bash")
    daemon = start(pools(default=8) + procs.handler("visit", path, resources="db", retries=0)
                   + "[resource db]\nmax_active = 1\nbreaker_failures = 1\nbreaker_pause = 10ms\n")
    events, client = breaker_events(daemon), daemon.client()
    client.call("Pause", {"pool": "default"})
    others = post_many(client, 20)
    poison = post_many(client, 2, args={"poison": True}, priority=0)
    client.call("Resume", {"pool": "default"})
    assert states(wait_all(client, others)) == {"done": 20}
    assert [(task["state"], task["reason"]) for task in wait_all(client, poison)] == [("failed", "exit")] * 2
    assert next(events)["kind"] == "breaker_open" and next(events)["kind"] == "breaker_closed"


@pytest.mark.slow
def test_breaker_costs_no_more_when_a_mongodb_server_is_away(start, lacks):
    failures = 5
    with contextlib.ExitStack() as stack:
        try:
            one = mongo.Server("secantusdb" if "secantusdb" in mongo.names() else mongo.names()[0])
        except LookupError as error:
            lacks(f"no MongoDB server: {error}")
        stack.callback(one.close)
        config = mongo.config(one.uri, {"find": {"resources": "db"}, "insert": {}}, workers=64, timeouts=mongo.TIMEOUTS,
                              text=f"[resource db]\nmax_active = 3\nbreaker_failures = {failures}\nbreaker_pause = 200ms\n")
        daemon = start(config)
        events, client = breaker_events(daemon), daemon.client()
        assert client.run("insert", {"documents": [{"n": n} for n in range(5)]})["state"] == "done"
        ids = post_many(client, 20, "find")
        wait_all(client, ids)
        one.kill()
        began = time.monotonic()
        ids += post_many(client, 50, "find")
        assert next(events)["kind"] == "breaker_open"
        daemon.pass_time(AWAY)
        one.start()
        away = time.monotonic() - began
        ids += post_many(client, 50, "find")
        ends = states(wait_all(client, ids))
        print(f"{len(ids)} tried, 0 crashed, 0 lost; {away:.1f} s without the server: {ends}")
        assert set(ends) <= {"done", "failed"} and ends.get("failed", 0) <= failures
        assert next(events)["kind"] == "breaker_closed"
