"""Pool control: Resize, Pause, Resume, Drain, ResetMarks, and what Stats says about it."""
import time

import pytest

pytestmark = pytest.mark.short
ONE = "[pool default]\nworkers = 1\n"
TWO = "[pool default]\nworkers = 1\n[pool mail]\nworkers = 1\n"
MINUTE = {"ms": 60000}


def post_sleeps(client, n, ms=60000, **params):
    return [client.post("sleep", {"ms": ms}, **params)["id"] for _ in range(n)]


def test_resize_answers_before_and_after(start):
    client = start("[pool default]\nworkers = 3\ncapacity = 7\n").client()
    assert client.call("Resize", {"workers": 5}) == {
        "pool": "default", "workers_before": 3, "workers": 5, "capacity_before": 7, "capacity": 7}
    assert client.call("Resize", {"pool": "default", "capacity": 9}) == {
        "pool": "default", "workers_before": 5, "workers": 5, "capacity_before": 7, "capacity": 9}
    assert client.call("Resize", {"workers": 1, "capacity": 0})["capacity_before"] == 9
    pool = client.pool()
    assert (pool["workers"], pool["capacity"], pool["workers_rule"]) == (1, 0, "1")


@pytest.mark.parametrize("workers", [2, 64, 1024])
def test_resize_up_starts_waiting_tasks_at_once(start, workers):
    daemon = start("[pool default]\nworkers = 1\ncapacity = 2000\n")
    client = daemon.client()
    client.sock.sendall(b"".join(client.encode("Post", {"handler": "sleep", "args": MINUTE}) for _ in range(workers + 1)))
    for _ in range(workers + 1):
        client.recv()
    client.call("Resize", {"workers": workers})
    pool = client.pool()
    assert (pool["active"], pool["queued"], pool["workers"]) == (workers, 1, workers)
    assert sorted({task["worker"] for task in client.call("List", {"state": "active", "limit": 1000})["tasks"]})[-1] \
        == min(workers, 1000) - 1


def test_resize_up_really_runs_that_many(start):
    """Not only counted as active: 20 sleeps of 300 ms after growing from 1 to 20 take no longer than a few."""
    daemon = start("[pool default]\nworkers = 1\n")
    client = daemon.client()
    ids = post_sleeps(client, 20, 300)
    client.call("Resize", {"workers": 20})
    began = time.monotonic()
    client.call("Wait", {"ids": ids})
    assert time.monotonic() - began < 3


def test_resize_down_lets_running_tasks_finish(start):
    daemon = start("[pool default]\nworkers = 8\n")
    client = daemon.client()
    ids = post_sleeps(client, 8, 400)
    waiting = client.post("noop")["id"]
    client.call("Resize", {"workers": 2})
    pool = client.pool()
    assert (pool["workers"], pool["active"], pool["leaving"], pool["queued"]) == (2, 8, 6, 1)
    tasks = client.call("Wait", {"ids": [*ids, waiting]})["tasks"]
    assert {task["state"] for task in tasks} == {"done"}
    pool = client.pool()
    assert (pool["active"], pool["leaving"], pool["workers"], pool["done"]) == (0, 0, 2, 9)


def test_after_resize_down_no_more_run_than_workers(start):
    daemon = start("[pool default]\nworkers = 8\n")
    client = daemon.client()
    client.call("Resize", {"workers": 3})
    client.call("ResetMarks")
    client.call("Wait", {"ids": post_sleeps(client, 12, 30)})
    assert client.pool()["max_active"] == 3


def test_leaving_workers_that_are_wanted_again_stay(start):
    client = start("[pool default]\nworkers = 4\n").client()
    post_sleeps(client, 4)
    client.call("Resize", {"workers": 1})
    assert client.pool()["leaving"] == 3
    client.call("Resize", {"workers": 4})
    pool = client.pool()
    assert (pool["leaving"], pool["active"], pool["workers"]) == (0, 4, 4)


def test_capacity_below_what_waits_keeps_what_waits(start):
    client = start(ONE).client()
    post_sleeps(client, 6)
    client.call("Resize", {"capacity": 2})
    assert client.refused("Post", {"handler": "noop"}).params == {
        "pool": "default", "queued": 5, "capacity": 2, "retry_after_ms": 4000}, "four have to go first"
    assert client.pool()["queued"] == 5
    client.call("Resize", {"capacity": 6})
    assert client.post("noop")["state"] == "queued"


def test_resize_storm_with_idle_workers(start):
    client = start(ONE).client()
    for workers in [64, 1, 32, 2, 1, 64] * 20:
        assert client.call("Resize", {"workers": workers})["workers"] == workers
    assert client.run("noop")["state"] == "done"


def test_pause_starts_nothing_and_resume_goes_on(start):
    daemon = start("[pool default]\nworkers = 2\n")
    client = daemon.client()
    running = post_sleeps(client, 1, 200)
    client.call("Pause")
    waiting = client.post("noop")["id"]
    client.call("Wait", {"ids": running})
    pool = daemon.until(lambda pool: pool["done"] == 1)
    assert pool["paused"] and (pool["queued"], pool["active"]) == (1, 0)
    client.call("Resume")
    assert client.call("Wait", {"ids": [waiting]})["tasks"][0]["state"] == "done"
    assert not client.pool()["paused"]


def test_pause_and_resume_of_one_pool_or_all(start):
    client = start(TWO).client()
    client.call("Pause", {"pool": "mail"})
    assert (client.pool()["paused"], client.pool("mail")["paused"]) == (False, True)
    client.call("Pause")
    client.call("Pause")
    assert (client.pool()["paused"], client.pool("mail")["paused"]) == (True, True)
    client.call("Resume", {"pool": "default"})
    assert (client.pool()["paused"], client.pool("mail")["paused"]) == (False, True)
    client.call("Resume")
    assert (client.pool()["paused"], client.pool("mail")["paused"]) == (False, False)


def test_pool_that_starts_paused(start):
    daemon = start("[pool default]\nworkers = 1\npaused = yes\n")
    client = daemon.client()
    task = client.post("noop")
    assert task["state"] == "queued" and client.pool()["paused"]
    client.call("Resume")
    daemon.until(lambda pool: pool["done"] == 1)


def test_drain_of_nothing_answers_at_once(start):
    client = start(TWO).client()
    for params in ({}, {"pool": "mail"}, {"timeout_ms": 0}):
        assert client.call("Drain", params) == {"drained": True, "queued": 0, "active": 0}


def test_drain_answers_when_nothing_is_queued_or_active(start):
    daemon = start(ONE)
    client = daemon.client()
    post_sleeps(client, 3, 100)
    assert client.call("Drain") == {"drained": True, "queued": 0, "active": 0}
    assert client.pool()["done"] == 3


def test_drain_still_takes_posts_and_waits_for_them(start):
    daemon = start(ONE)
    waiter, client = daemon.client(), daemon.client()
    post_sleeps(client, 1, 200)
    waiter.send("Drain")
    post_sleeps(client, 1, 200)
    assert waiter.recv()["drained"]
    assert client.pool()["done"] == 2


def test_drain_with_more_tells_progress(start):
    daemon = start(ONE)
    client = daemon.client()
    post_sleeps(client, 3, 60)
    replies = list(client.more("Drain"))
    left = [reply["queued"] + reply["active"] for reply in replies]
    assert left == [3, 2, 1, 0]
    assert [reply["drained"] for reply in replies] == [False, False, False, True]


@pytest.mark.parametrize("more", [False, True])
def test_drain_that_takes_too_long_says_what_is_left(start, more):
    client = start(ONE).client()
    post_sleeps(client, 2)
    if more:
        *_, last = client.more("Drain", {"timeout_ms": 100})
    else:
        last = client.call("Drain", {"timeout_ms": 100})
    assert last == {"drained": False, "queued": 1, "active": 1}


def test_drain_of_one_pool_does_not_wait_for_another(start):
    client = start(TWO).client()
    post_sleeps(client, 1)
    client.post("sleep", {"ms": 50}, pool="mail")
    assert client.call("Drain", {"pool": "mail"})["drained"]
    assert client.call("Drain", {"timeout_ms": 0})["drained"] is False


def test_drain_of_a_paused_pool_waits_for_resume(start):
    daemon = start("[pool default]\nworkers = 1\npaused = yes\n")
    client, other = daemon.client(), daemon.client()
    other.post("noop")
    client.send("Drain", more=True)
    assert client.recv() == {"drained": False, "queued": 1, "active": 0}
    other.call("Resume")
    assert list(client.recv_stream())[-1]["drained"]


def test_reset_marks(start):
    daemon = start(ONE)
    client = daemon.client()
    client.call("Wait", {"ids": post_sleeps(client, 4, 200)})
    pool = client.pool()
    assert (pool["max_queued"], pool["max_active"], pool["run_us"]["count"]) == (3, 1, 4)
    client.call("ResetMarks")
    pool = client.pool()
    assert (pool["max_queued"], pool["max_active"], pool["posted"], pool["done"]) == (0, 0, 4, 4)
    assert all(pool[times]["count"] == 0 and pool[times]["max"] == 0 for times in ("wait_us", "run_us", "total_us"))
    post_sleeps(client, 3)
    client.call("ResetMarks", {"pool": "default"})
    pool = client.pool()
    assert (pool["max_queued"], pool["max_active"]) == (2, 1), "marks start at the present numbers"


def test_stats_of_one_pool_and_of_all(start):
    client = start(TWO).client()
    assert [pool["name"] for pool in client.call("Stats")["pools"]] == ["default", "mail"]
    assert [pool["name"] for pool in client.call("Stats", {"pool": "mail"})["pools"]] == ["mail"]


def test_stats_of_a_fresh_daemon(start):
    daemon = start(ONE)
    answer = daemon.client().call("Stats")
    pool, about = answer["pools"][0], answer["daemon"]
    assert all(pool[key] == 0 for key in ("queued", "active", "delayed", "posted", "refused", "done", "failed", "cancelled",
                                          "expired", "lost", "retried", "max_queued", "max_active", "host_restarts"))
    assert (pool["host"], pool["workers"], pool["capacity"], pool["paused"]) == ("up", 1, 100, False)
    assert about["pid"] == daemon.pid and about["state"] == "running" and about["store"]["type"] == "memory"
    assert about["role"] == "admin" and about["connections"] == 1 and abs(about["started_at"] - time.time()) < 60


@pytest.mark.parametrize("interval", [10, 100])
def test_stats_with_more_come_every_interval(start, interval):
    client = start().client()
    times = []
    for reply in client.more("Stats", {"interval_ms": interval}):
        times.append(reply["daemon"]["uptime_ms"])
        if len(times) == 6:
            break
    steps = [after - before for before, after in zip(times, times[1:])]
    assert all(step >= interval - 2 for step in steps) and sum(steps) < 10 * 5 * interval


def test_times_and_rates_count_what_ended(start):
    daemon = start("[pool default]\nworkers = 1\n")
    client = daemon.client()
    for _ in range(20):
        client.run("sleep", {"ms": 5})
    pool = client.pool()
    for times in ("wait_us", "run_us", "total_us"):
        row = pool[times]
        assert row["count"] == 20 and row["p50"] <= row["p90"] <= row["p99"] <= row["max"]
    assert 4500 <= pool["run_us"]["p50"] < 100_000 and 4500 <= pool["run_us"]["mean"] < 100_000
    pool = daemon.until(lambda pool: pool["rate_1min"] > 0)  # the second that has not ended does not count
    assert 1 / 60 <= pool["rate_1min"] <= 20 / 60 + 0.01


def test_workers_by_rule(start):
    import os
    cores = len(os.sched_getaffinity(0))
    pool = start("[pool default]\nworkers = 2/core\n").client().pool()
    assert (pool["workers"], pool["workers_rule"]) == (2 * cores, "2/core")
